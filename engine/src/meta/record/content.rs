//! What clients keep as content: blobs that they pinned, with labels, and what they are bringing in under names of their own.

use super::Record;
use crate::clock::UnixMillis;
use crate::error::EngineError;
use crate::meta::codec::{Reader, Writer};
use std::collections::BTreeMap;
use strata_types::Digest;

/// A pinned blob of a repository: its link stays, whether or not a manifest holds it, until it is unpinned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PinRecord {
    /// Since when.
    pub created_at: UnixMillis,
    /// When its labels were set last.
    pub updated_at: UnixMillis,
    /// What the client says of it; names and values of at most 65,535 bytes.
    pub labels: BTreeMap<String, String>,
}

impl Record for PinRecord {
    const NAME: &'static str = "pin";

    fn write(&self, to: &mut Writer) {
        to.time(self.created_at);
        to.time(self.updated_at);
        to.u32(u32::try_from(self.labels.len()).unwrap_or(u32::MAX));
        for (name, value) in &self.labels {
            to.short(name.as_bytes());
            to.short(value.as_bytes());
        }
    }

    fn read(from: &mut Reader) -> Result<Self, EngineError> {
        let (created_at, updated_at) = (from.time()?, from.time()?);
        let listed = from.list(4, |from| Ok((from.text()?, from.text()?)))?;
        if !listed.is_sorted_by(|(left, _), (right, _)| left < right) {
            return Err(from.corrupt("labels out of order"));
        }
        Ok(Self { created_at, updated_at, labels: listed.into_iter().collect() })
    }
}

/// What a client is bringing in under a name that it chose. The bytes are those of the upload session with the same id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IngestRecord {
    /// When it was begun.
    pub started_at: UnixMillis,
    /// How many bytes it is to have, as the client said when it began; 0: it did not say.
    pub total: u64,
    /// What it is to become, where the client said so when it began.
    pub expected: Option<Digest>,
    /// The name.
    pub reference: String,
}

impl Record for IngestRecord {
    const NAME: &'static str = "ingest";

    fn write(&self, to: &mut Writer) {
        to.time(self.started_at);
        to.u64(self.total);
        to.option(self.expected.as_ref(), Writer::digest);
        to.short(self.reference.as_bytes());
    }

    fn read(from: &mut Reader) -> Result<Self, EngineError> {
        Ok(Self {
            started_at: from.time()?,
            total: from.u64()?,
            expected: from.option(Reader::digest)?,
            reference: from.text()?,
        })
    }
}
