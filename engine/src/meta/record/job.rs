//! What background work remembers over restarts.

use super::Record;
use crate::clock::UnixMillis;
use crate::error::EngineError;
use crate::meta::codec::{Reader, Writer};
use bytes::Bytes;

/// The name of the scrub's row among the jobs.
pub(crate) const SCRUB: &str = "scrub";

/// What a round of the scrub came to, or has come to so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ScrubTally {
    /// Rows of the metadata that were compared with those that belong to them.
    pub rows: u64,
    /// Blobs whose bytes were read.
    pub blobs: u64,
    /// Bytes of those blobs.
    pub bytes: u64,
    /// Blobs that were put into quarantine.
    pub damaged: u64,
    /// Blobs that the device refused to read.
    pub unreadable: u64,
    /// Rows that do not agree with others.
    pub broken: u64,
    /// Blobs that were in quarantine already.
    pub quarantined: u64,
}

impl ScrubTally {
    const fn numbers(&self) -> [u64; 7] {
        [self.rows, self.blobs, self.bytes, self.damaged, self.unreadable, self.broken, self.quarantined]
    }

    /// Things that are not as they should be, blobs that were in quarantine before among them.
    pub const fn findings(&self) -> u64 {
        self.damaged + self.unreadable + self.broken + self.quarantined
    }

    fn write(&self, to: &mut Writer) {
        for number in self.numbers() {
            to.u64(number);
        }
    }

    fn read(from: &mut Reader) -> Result<Self, EngineError> {
        Ok(Self {
            rows: from.u64()?,
            blobs: from.u64()?,
            bytes: from.u64()?,
            damaged: from.u64()?,
            unreadable: from.u64()?,
            broken: from.u64()?,
            quarantined: from.u64()?,
        })
    }
}

/// A round of the scrub that came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScrubRound {
    /// Its number; the first is 1.
    pub number: u64,
    /// When it began.
    pub started_at: UnixMillis,
    /// When it ended.
    pub finished_at: UnixMillis,
    /// What it came to.
    pub tally: ScrubTally,
}

/// Where the scrub stands.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ScrubRecord {
    /// The number of the round under way, or of the last one; 0 before the first.
    pub number: u64,
    /// When it began.
    pub started_at: UnixMillis,
    /// The key behind which it goes on; `None`: no round is under way.
    pub position: Option<Bytes>,
    /// What it came to so far.
    pub tally: ScrubTally,
    /// The last round that came to its end.
    pub last: Option<ScrubRound>,
}

impl Record for ScrubRecord {
    const NAME: &'static str = "scrub";

    fn write(&self, to: &mut Writer) {
        to.u64(self.number);
        to.time(self.started_at);
        to.option(self.position.as_ref(), |to, key| to.long(key));
        self.tally.write(to);
        to.option(self.last.as_ref(), |to, last| {
            to.u64(last.number);
            to.time(last.started_at);
            to.time(last.finished_at);
            last.tally.write(to);
        });
    }

    fn read(from: &mut Reader) -> Result<Self, EngineError> {
        Ok(Self {
            number: from.u64()?,
            started_at: from.time()?,
            position: from.option(Reader::long)?,
            tally: ScrubTally::read(from)?,
            last: from.option(|from| {
                Ok(ScrubRound {
                    number: from.u64()?,
                    started_at: from.time()?,
                    finished_at: from.time()?,
                    tally: ScrubTally::read(from)?,
                })
            })?,
        })
    }
}
