//! One round over the whole store, in steps: every row against those that belong to it, every blob against its bytes.
//!
//! Deterministic and synchronous: a step takes a budget of bytes and does what fits. Where a round stands is written down now and
//! then, so that it goes on after a restart; what is read again then does no harm. Knows no time and no load: that is
//! [`super::driver`]'s.

use super::judge::{Reading, Verdict, judge_frame, judge_length, read_piece, unreadable};
use super::status::{FindingKind, ScrubFinding};
use crate::background;
use crate::blob::checksum_part;
use crate::blob::generation::file_path;
use crate::disk::{DiskFile, OpenMode};
use crate::error::EngineError;
use crate::ingest::Hasher;
use crate::limits::SCRUB_PIECE_BYTES;
use crate::meta::check::{Finding, Problem, Severity, check_page};
use crate::meta::key::{self, Key, table};
use crate::meta::record::Record;
use crate::meta::{Batch, BlobRecord, Damage, Placement, ScrubRecord, ScrubRound, ScrubTally, StoredBlob};
use crate::quarantine;
use crate::segment;
use crate::store::Store;
use bytes::Bytes;
use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::Arc;
use strata_types::Digest;

/// What the look at a small blob costs at least, bytes: a device reads no less.
const LOOK_BYTES: u64 = 4096;
/// Bytes after which the position is written down.
const SAVE_BYTES: u64 = 64 * 1024 * 1024;
/// Findings that are kept to be shown; more are counted only.
pub(crate) const FINDINGS_MAX: usize = 100;
/// Blobs that are remembered because the device refused to read them.
const REFUSED_MAX: usize = 10_000;
/// The position behind the last table.
const END: &[u8] = &[0xff; 2];
/// Segments that are open at a time.
const SEGMENTS_OPEN_MAX: usize = 64;

/// What a step came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Step {
    /// Bytes that were read; at most one piece more than the budget.
    pub(crate) spent: u64,
    /// Whether the round came to its end.
    pub(crate) ended: bool,
}

/// A large blob that is being read.
#[derive(Debug)]
struct Open {
    digest: Digest,
    record: BlobRecord,
    file: Arc<dyn DiskFile>,
    offset: u64,
    measure: Measured,
}

/// What the bytes of a large blob have come to so far.
#[derive(Debug)]
enum Measured {
    Checksum(u64),
    /// In the second pass, over a blob whose checksum is not right.
    Digest(Box<Hasher>),
}

/// The scrub of a store.
#[derive(Debug)]
pub(crate) struct Scrubber {
    store: Arc<Store>,
    record: ScrubRecord,
    /// Blobs of the present page that were not read yet.
    waiting: VecDeque<(Digest, BlobRecord)>,
    /// Where the round goes on behind them.
    behind: Option<Bytes>,
    open: Option<Open>,
    segments: HashMap<u32, Arc<dyn DiskFile>>,
    buffer: Vec<u8>,
    /// Blobs that the device refused to read, and in which round.
    refused: HashMap<Digest, u64>,
    findings: Vec<ScrubFinding>,
    unsaved: u64,
}

impl Scrubber {
    /// Goes on where the store says the scrub was.
    ///
    /// # Errors
    /// Errors of the view.
    pub(crate) fn new(store: Arc<Store>) -> Result<Self, EngineError> {
        let record = store.view()?.scrub()?.unwrap_or_default();
        Ok(Self {
            store,
            record,
            waiting: VecDeque::new(),
            behind: None,
            open: None,
            segments: HashMap::new(),
            buffer: Vec::new(),
            refused: HashMap::new(),
            findings: Vec::new(),
            unsaved: 0,
        })
    }

    /// Where it stands.
    pub(crate) const fn record(&self) -> &ScrubRecord {
        &self.record
    }

    /// What this round found, the first of it.
    pub(crate) fn findings(&self) -> &[ScrubFinding] {
        &self.findings
    }

    /// Whether a round is under way.
    pub(crate) const fn is_running(&self) -> bool {
        self.record.position.is_some()
    }

    /// Begins a round, if none is under way, and returns its number.
    ///
    /// # Errors
    /// Those of a commit.
    pub(crate) fn start(&mut self) -> Result<u64, EngineError> {
        if !self.is_running() {
            let record = ScrubRecord {
                number: self.record.number + 1,
                started_at: self.store.now(),
                position: Some(Bytes::new()),
                tally: ScrubTally::default(),
                last: self.record.last,
            };
            self.save(&record)?;
            self.record = record;
            self.findings.clear();
            tracing::info!(round = self.record.number, "a scrub round begins");
        }
        Ok(self.record.number)
    }

    /// Does so much of the round as `budget` bytes allow, or the rest of it.
    ///
    /// # Errors
    /// Those of a commit; the step can be made again.
    pub(crate) fn step(&mut self, budget: u64) -> Result<Step, EngineError> {
        let mut spent = 0;
        let mut ended = false;
        while spent < budget && !ended {
            background::yield_now();
            let cost = if self.open.is_some() {
                self.read_on()?
            } else if let Some((digest, record)) = self.waiting.pop_front() {
                self.begin(digest, record)?
            } else if let Some(cost) = self.turn_page()? {
                cost
            } else {
                ended = self.end()?;
                0
            };
            spent += cost;
        }
        self.unsaved += spent;
        if self.unsaved >= SAVE_BYTES && !ended {
            self.write_down()?;
        }
        Ok(Step { spent, ended })
    }

    /// Writes down where the round stands.
    ///
    /// # Errors
    /// Those of a commit.
    pub(crate) fn write_down(&mut self) -> Result<(), EngineError> {
        if self.unsaved > 0 {
            let record = self.record.clone();
            self.save(&record)?;
            self.unsaved = 0;
        }
        Ok(())
    }

    fn save(&self, record: &ScrubRecord) -> Result<(), EngineError> {
        self.store.gate.admit_release()?;
        let mut batch = Batch::new(self.store.now());
        batch.put_scrub(record);
        // An older position costs the reading of what is behind it.
        batch.set_unsynced();
        self.store.commit_all([batch]).pop().unwrap_or(Err(EngineError::Closed)).map(drop)
    }

    /// Ends the round. `true`, always: there is nothing left of it.
    fn end(&mut self) -> Result<bool, EngineError> {
        if !self.is_running() {
            return Ok(true);
        }
        let ScrubRecord { number, started_at, tally, .. } = self.record;
        let last = Some(ScrubRound { number, started_at, finished_at: self.store.now(), tally });
        let record = ScrubRecord { position: None, last, ..self.record.clone() };
        self.save(&record)?;
        self.record = record;
        self.unsaved = 0;
        self.segments.clear();
        tracing::info!(round = number, ?tally, "a scrub round ended");
        Ok(true)
    }

    /// Checks the next page of rows, from a fresh view, and takes its blobs; returns what it cost, `None` at the end of the round.
    fn turn_page(&mut self) -> Result<Option<u64>, EngineError> {
        let Some(position) = self.record.position.clone().filter(|position| position != END) else {
            return Ok(None);
        };
        // No file of a page before is of use for this one, and one that was removed must give its space back.
        self.segments.clear();
        let first = position.first().copied().unwrap_or(0);
        let after = (position.len() > 1).then_some(&position);
        let page = match check_page(&self.store.passing_view()?, first, after) {
            Ok(page) => page,
            Err(EngineError::Closed) => return Err(EngineError::Closed),
            Err(error) => {
                // What follows in this table cannot be reached past the damage.
                let place = key::printable(&position);
                self.found(FindingKind::Broken, place, format!("cannot be read: {error}"));
                self.record.tally.broken += 1;
                self.record.position = Some(next_table(first));
                return Ok(Some(1));
            }
        };
        if !page.findings.is_empty() {
            self.judge_rows(first, after, page.findings)?;
        }
        let cost: usize = page.rows.iter().map(|(key, value)| key.len() + value.len()).sum();
        self.record.tally.rows += page.rows.len() as u64;
        let behind = match page.rows.last() {
            Some((last, _)) if !page.is_last => last.clone(),
            _ => next_table(first),
        };
        if first == table::BLOB {
            self.waiting.extend(page.rows.into_iter().filter_map(|(key, value)| {
                match (Key::decode(&key), StoredBlob::decode(value)) {
                    (Ok(Key::Blob { digest }), Ok(stored)) => Some((digest, stored.served()?)),
                    _ => None,
                }
            }));
        }
        if self.waiting.is_empty() {
            self.record.position = Some(behind);
        } else {
            self.behind = Some(behind);
        }
        Ok(Some((cost as u64).max(1)))
    }

    /// Tells of what is wrong with rows, if a second look finds the same.
    fn judge_rows(
        &mut self,
        first: u8,
        after: Option<&Bytes>,
        found: Vec<Finding>,
    ) -> Result<(), EngineError> {
        let again = check_page(&self.store.passing_view()?, first, after)
            .map(|page| page.findings)
            .unwrap_or_default();
        for finding in found.into_iter().filter(|finding| again.contains(finding)) {
            match (&finding.problem, finding.severity()) {
                (_, Severity::Note) => {}
                (Problem::Quarantined { .. }, _) => {
                    self.record.tally.quarantined += 1;
                    self.found(FindingKind::Quarantined, finding.key, finding.problem.to_string());
                }
                _ => {
                    self.record.tally.broken += 1;
                    tracing::error!(row = finding.key, problem = %finding.problem, "the metadata contradicts itself");
                    self.found(FindingKind::Broken, finding.key, finding.problem.to_string());
                }
            }
        }
        Ok(())
    }

    fn found(&mut self, kind: FindingKind, place: String, message: String) {
        if self.findings.len() < FINDINGS_MAX {
            self.findings.push(ScrubFinding { kind, place, message });
        }
    }

    /// Begins with a blob; a small one is done by that.
    fn begin(&mut self, digest: Digest, record: BlobRecord) -> Result<u64, EngineError> {
        match record.placement {
            Placement::Segment { segment, offset, length } => {
                let verdict = self.segment(segment).and_then(|file| {
                    judge_frame(&*file, &digest, &record, (offset, length), Reading::Passing)
                });
                self.record.tally.bytes += record.size;
                self.settle(digest, record, verdict.unwrap_or_else(unreadable))?;
                Ok(u64::from(length).max(LOOK_BYTES))
            }
            Placement::File { generation } => {
                let file = self.store.files.disk.open(&file_path(generation), OpenMode::Read);
                let judged = file.and_then(|file| Ok((judge_length(&*file, record.size)?, file)));
                match judged {
                    Ok((None, file)) => {
                        let measure = Measured::Checksum(0);
                        self.open = Some(Open { digest, record, file, offset: 0, measure });
                    }
                    Ok((Some(verdict), _)) => self.settle(digest, record, verdict)?,
                    Err(error) => self.settle(digest, record, unreadable(error))?,
                }
                Ok(LOOK_BYTES)
            }
        }
    }

    fn segment(&mut self, segment: u32) -> io::Result<Arc<dyn DiskFile>> {
        if let Some(file) = self.segments.get(&segment) {
            return Ok(Arc::clone(file));
        }
        let file = self.store.files.disk.open(&segment::path(segment), OpenMode::Read)?;
        if self.segments.len() >= SEGMENTS_OPEN_MAX {
            self.segments.clear();
        }
        self.segments.insert(segment, Arc::clone(&file));
        Ok(file)
    }

    /// Reads the next piece of the large blob that is open.
    fn read_on(&mut self) -> Result<u64, EngineError> {
        let Some(mut open) = self.open.take() else { return Ok(0) };
        self.buffer.resize(SCRUB_PIECE_BYTES, 0);
        let rest = usize::try_from(open.record.size - open.offset).unwrap_or(usize::MAX);
        let piece = self.buffer.get_mut(..rest.min(SCRUB_PIECE_BYTES)).unwrap_or_default();
        if let Err(error) = read_piece(&*open.file, piece, open.offset, Reading::Passing) {
            self.settle(open.digest, open.record, unreadable(error))?;
            return Ok(LOOK_BYTES);
        }
        match &mut open.measure {
            Measured::Checksum(sum) => {
                *sum = sum.wrapping_add(checksum_part(piece, open.offset));
                self.record.tally.bytes += piece.len() as u64;
            }
            Measured::Digest(hasher) => hasher.update(piece),
        }
        let cost = piece.len() as u64;
        open.offset += cost;
        if open.offset < open.record.size {
            self.open = Some(open);
            return Ok(cost);
        }
        let verdict = match open.measure {
            Measured::Checksum(sum) if sum == open.record.checksum => Verdict::Sound,
            Measured::Checksum(_) => {
                // Read again, and by another measure: neither a passing trouble of the memory nor a wrong checksum condemns a blob.
                let hasher = Hasher::new(open.digest.algorithm());
                let measure = Measured::Digest(Box::new(hasher));
                self.open = Some(Open { offset: 0, measure, ..open });
                return Ok(cost);
            }
            Measured::Digest(hasher) => match hasher.finish() {
                actual if actual == open.digest => self.odd(&open.digest),
                actual => {
                    let what = format!("its file holds bytes with digest {actual}");
                    Verdict::Damaged(Damage::Content, what)
                }
            },
        };
        self.settle(open.digest, open.record, verdict)?;
        Ok(cost)
    }

    /// A blob whose bytes are right on the second look: either the first one was not, or the row is not.
    fn odd(&mut self, digest: &Digest) -> Verdict {
        tracing::warn!(%digest, "a blob had another checksum than its row says, and then the right digest");
        let message = "the checksum of its row was not that of its bytes, whose digest is right";
        self.found(FindingKind::Broken, format!("blob {digest}"), message.into());
        self.record.tally.broken += 1;
        Verdict::Sound
    }

    /// Draws the consequences of a verdict, and goes on behind the blob.
    fn settle(&mut self, digest: Digest, record: BlobRecord, verdict: Verdict) -> Result<(), EngineError> {
        let outcome = match verdict {
            Verdict::Sound => {
                self.refused.remove(&digest);
                Ok(())
            }
            Verdict::Damaged(damage, what) => self.condemn(&digest, &record, damage, what),
            Verdict::Unreadable(error) => self.refuse(&digest, &record, &error),
        };
        if let Err(error) = outcome {
            self.waiting.push_front((digest, record));
            return Err(error);
        }
        self.record.tally.blobs += 1;
        self.record.position =
            if self.waiting.is_empty() { self.behind.take() } else { Some(key::blob(&digest)) };
        Ok(())
    }

    fn condemn(
        &mut self,
        digest: &Digest,
        record: &BlobRecord,
        damage: Damage,
        what: String,
    ) -> Result<(), EngineError> {
        // RACE: a blob that was removed or moved since its row was read is not damaged; at its new place a round finds it again.
        if self.store.view()?.blob(digest)? != Some(*record) {
            return Ok(());
        }
        match quarantine::put_now(&self.store, digest, record, damage, &what) {
            Ok(()) => {
                self.record.tally.damaged += 1;
                self.found(FindingKind::Damaged, format!("blob {digest}"), what);
                Ok(())
            }
            Err(EngineError::Conflict) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// A device that cannot read something in two rounds will not in a third.
    fn refuse(&mut self, digest: &Digest, record: &BlobRecord, error: &io::Error) -> Result<(), EngineError> {
        let what = format!("the device cannot read it: {error}");
        if self.refused.get(digest).is_some_and(|round| *round < self.record.number) {
            self.condemn(digest, record, Damage::Unreadable, what)?;
            self.refused.remove(digest);
            return Ok(());
        }
        tracing::error!(%digest, %error, "a stored blob cannot be read");
        if self.refused.len() < REFUSED_MAX {
            self.refused.insert(*digest, self.record.number);
        }
        self.record.tally.unreadable += 1;
        self.found(FindingKind::Unreadable, format!("blob {digest}"), what);
        Ok(())
    }
}

/// Where the table behind this one begins.
fn next_table(first: u8) -> Bytes {
    first.checked_add(1).map_or(Bytes::from_static(END), |next| Bytes::copy_from_slice(&[next]))
}
