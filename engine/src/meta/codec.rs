//! The primitives of record values: little-endian integers, counted byte strings, digests. Reading never panics.

use crate::clock::UnixMillis;
use crate::error::EngineError;
use bytes::Bytes;
use strata_types::{Digest, RepositoryName, Tag};

/// Builds a value.
#[derive(Debug, Default)]
pub(crate) struct Writer(Vec<u8>);

impl Writer {
    pub(crate) fn with_capacity(bytes: usize) -> Self {
        Self(Vec::with_capacity(bytes))
    }

    pub(crate) fn u8(&mut self, value: u8) {
        self.0.push(value);
    }

    pub(crate) fn u16(&mut self, value: u16) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    pub(crate) fn u32(&mut self, value: u32) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    pub(crate) fn u64(&mut self, value: u64) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    pub(crate) fn time(&mut self, value: UnixMillis) {
        self.u64(value.0);
    }

    pub(crate) fn digest(&mut self, value: &Digest) {
        value.write_key(&mut self.0);
    }

    /// Bytes without a count: the reader must know how many, or take the rest.
    pub(crate) fn raw(&mut self, value: &[u8]) {
        self.0.extend_from_slice(value);
    }

    /// u16 count and at most 65,535 bytes; more are cut (callers bound what they store, so this is a backstop).
    pub(crate) fn short(&mut self, value: &[u8]) {
        let count = u16::try_from(value.len()).unwrap_or(u16::MAX);
        self.u16(count);
        self.0.extend(value.iter().take(usize::from(count)));
    }

    /// u32 count and bytes.
    pub(crate) fn long(&mut self, value: &[u8]) {
        let count = u32::try_from(value.len()).unwrap_or(u32::MAX);
        self.u32(count);
        self.0.extend_from_slice(value);
    }

    /// `0`, or `1` and what `write` writes.
    pub(crate) fn option<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Self, T)) {
        match value {
            None => self.u8(0),
            Some(value) => {
                self.u8(1);
                write(self, value);
            }
        }
    }

    pub(crate) fn finish(self) -> Bytes {
        self.0.into()
    }
}

/// Takes a value apart from the front. Every shortage is [`EngineError::Corrupt`] with the record's name.
#[derive(Debug)]
pub(crate) struct Reader {
    what: &'static str,
    rest: Bytes,
}

impl Reader {
    pub(crate) const fn new(what: &'static str, value: Bytes) -> Self {
        Self { what, rest: value }
    }

    pub(crate) fn corrupt(&self, why: &str) -> EngineError {
        EngineError::corrupt(format!("{} record: {why}", self.what))
    }

    fn take(&mut self, count: usize) -> Result<Bytes, EngineError> {
        if self.rest.len() < count {
            return Err(self.corrupt("too short"));
        }
        Ok(self.rest.split_to(count))
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], EngineError> {
        let Some((array, _)) = self.rest.split_first_chunk::<N>() else {
            return Err(self.corrupt("too short"));
        };
        let array = *array;
        self.rest = self.rest.slice(N..);
        Ok(array)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, EngineError> {
        self.array().map(|[byte]| byte)
    }

    pub(crate) fn u16(&mut self) -> Result<u16, EngineError> {
        self.array().map(u16::from_le_bytes)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, EngineError> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, EngineError> {
        self.array().map(u64::from_le_bytes)
    }

    pub(crate) fn time(&mut self) -> Result<UnixMillis, EngineError> {
        self.u64().map(UnixMillis)
    }

    pub(crate) fn digest(&mut self) -> Result<Digest, EngineError> {
        let (digest, rest) = Digest::from_key(&self.rest).map_err(|_| self.corrupt("not a digest"))?;
        let used = self.rest.len() - rest.len();
        self.rest = self.rest.slice(used..);
        Ok(digest)
    }

    pub(crate) fn short(&mut self) -> Result<Bytes, EngineError> {
        let count = self.u16()?;
        self.take(usize::from(count))
    }

    pub(crate) fn long(&mut self) -> Result<Bytes, EngineError> {
        let count = self.u32()?;
        self.take(count as usize)
    }

    pub(crate) fn text(&mut self) -> Result<String, EngineError> {
        let bytes = self.short()?;
        String::from_utf8(bytes.into()).map_err(|_| self.corrupt("not UTF-8"))
    }

    pub(crate) fn repository(&mut self) -> Result<RepositoryName, EngineError> {
        let text = self.text()?;
        RepositoryName::parse(&text).map_err(|_| self.corrupt("not a repository name"))
    }

    pub(crate) fn tag(&mut self) -> Result<Tag, EngineError> {
        let text = self.text()?;
        Tag::parse(&text).map_err(|_| self.corrupt("not a tag"))
    }

    pub(crate) fn option<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, EngineError>,
    ) -> Result<Option<T>, EngineError> {
        match self.u8()? {
            0 => Ok(None),
            1 => read(self).map(Some),
            _ => Err(self.corrupt("not an option")),
        }
    }

    /// u32 count and so many entries, each of at least `least` bytes: a lying count makes us reserve no more than the value's own size.
    pub(crate) fn list<T>(
        &mut self,
        least: usize,
        read: impl Fn(&mut Self) -> Result<T, EngineError>,
    ) -> Result<Vec<T>, EngineError> {
        let count = self.u32()? as usize;
        if count > self.remaining() / least {
            return Err(self.corrupt("more entries than bytes"));
        }
        let mut list = Vec::with_capacity(count);
        for _ in 0..count {
            list.push(read(self)?);
        }
        Ok(list)
    }

    /// All that is left.
    pub(crate) fn rest(&mut self) -> Bytes {
        std::mem::take(&mut self.rest)
    }

    /// Bytes left.
    pub(crate) fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// Asserts that nothing is left.
    pub(crate) fn end(&self) -> Result<(), EngineError> {
        if self.rest.is_empty() { Ok(()) } else { Err(self.corrupt("bytes after its end")) }
    }
}
