//! The durable state of an upload session.

use super::Record;
use crate::clock::UnixMillis;
use crate::error::EngineError;
use crate::meta::codec::{Reader, Writer};
use bytes::Bytes;
use strata_types::{Algorithm, RepositoryName};

/// A hash that can be continued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HashState {
    /// Which form the state has (`docs/format.md`); a reader that does not know it hashes the stored bytes again.
    pub form: u16,
    /// The state.
    pub bytes: Bytes,
}

/// An upload session: all that is needed to continue it after a restart.
///
/// INVARIANT: `file_bytes` bytes of the file were synced before this record was written; `tail` follows them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadRecord {
    /// The repository that it was started in; no other may see it.
    pub repository: RepositoryName,
    /// What it is hashed with.
    pub algorithm: Algorithm,
    /// Bytes received: `file_bytes` and the length of `tail`.
    pub offset: u64,
    /// The hash over the first `file_bytes` bytes.
    pub hash: HashState,
    /// The blob checksum over the first `file_bytes` bytes, u64 little-endian.
    pub checksum: Bytes,
    /// The file that holds the front of the bytes, where there is one.
    pub generation: Option<u64>,
    /// How many bytes of the file count.
    pub file_bytes: u64,
    /// The bytes behind them, at most 64 KiB.
    pub tail: Bytes,
    /// When the session was started.
    pub created_at: UnixMillis,
    /// When it may be removed.
    pub expires_at: UnixMillis,
}

impl Record for UploadRecord {
    const NAME: &'static str = "upload session";

    fn write(&self, to: &mut Writer) {
        to.short(self.repository.as_str().as_bytes());
        to.u8(match self.algorithm {
            Algorithm::Sha256 => 1,
            Algorithm::Sha512 => 2,
        });
        to.u64(self.offset);
        to.u16(self.hash.form);
        to.short(&self.hash.bytes);
        to.long(&self.checksum);
        to.option(self.generation, Writer::u64);
        to.u64(self.file_bytes);
        to.long(&self.tail);
        to.time(self.created_at);
        to.time(self.expires_at);
    }

    fn read(from: &mut Reader) -> Result<Self, EngineError> {
        Ok(Self {
            repository: from.repository()?,
            algorithm: match from.u8()? {
                1 => Algorithm::Sha256,
                2 => Algorithm::Sha512,
                _ => return Err(from.corrupt("unknown algorithm")),
            },
            offset: from.u64()?,
            hash: HashState { form: from.u16()?, bytes: from.short()? },
            checksum: from.long()?,
            generation: from.option(Reader::u64)?,
            file_bytes: from.u64()?,
            tail: from.long()?,
            created_at: from.time()?,
            expires_at: from.time()?,
        })
    }
}
