//! Gives the bytes of segments back: what lives in a segment that is mostly dead moves to the one that is being filled, then the file
//! goes.
//!
//! A frame is verified before it moves, and its row follows with the expectation that it is still the one that was read. A damaged
//! frame keeps its segment as it is, for whoever repairs it.

use super::report::{GcKind, GcReport};
use super::sweeper::Pace;
use crate::blob::FileKey;
use crate::disk::{DiskFile, OpenMode, read_exact_at, retry_interrupted};
use crate::error::EngineError;
use crate::limits::PAGE_ROWS;
use crate::meta::record::FrameRecord;
use crate::meta::{Batch, BlobRecord, Expectation, Placement, TombstoneItem, key};
use crate::segment::{self, Append, Place, SEGMENTS};
use crate::store::{Store, closed};
use std::io;
use std::path::Path;
use std::sync::{Arc, mpsc};
use strata_types::Digest;

/// Frames that move together.
const STEP_FRAMES: usize = 32;

/// What became of a segment.
#[derive(Debug, PartialEq, Eq)]
enum Emptied {
    /// No row names a frame in it any more.
    Yes,
    /// Not now: space is short, or somebody is about to name a frame in it.
    NotNow,
    /// Not as long as it is as it is.
    Damaged,
    /// The run is to end.
    Stopped,
}

/// Empties and removes the segments that are dead enough. `false`: the run is to end.
pub(super) fn compact(
    store: &Arc<Store>,
    report: &mut GcReport,
    pace: &mut dyn Pace,
) -> Result<bool, EngineError> {
    store.dead.load(&store.view()?)?;
    let config = &store.config.gc;
    for (segment, dead) in store.dead.above(config.segment_dead_bytes_min) {
        let len = length(store, segment)?;
        if dead.saturating_mul(100) < len.saturating_mul(u64::from(config.segment_dead_percent)) {
            continue;
        }
        match empty(store, segment, report, pace)? {
            Emptied::Yes => condemn(store, segment, len)?,
            Emptied::NotNow => {}
            Emptied::Damaged => store.dead.forget(segment),
            Emptied::Stopped => return Ok(false),
        }
    }
    bury(store, report)?;
    Ok(true)
}

/// Length of a segment's file; 0 where it is gone.
fn length(store: &Store, segment: u32) -> Result<u64, EngineError> {
    let path = segment::path(segment);
    match store.files.disk.open(&path, OpenMode::Read).and_then(|file| file.len()) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        other => other.map_err(|error| EngineError::io(path.display().to_string(), error)),
    }
}

/// Moves what lives in a segment elsewhere.
fn empty(
    store: &Arc<Store>,
    segment: u32,
    report: &mut GcReport,
    pace: &mut dyn Pace,
) -> Result<Emptied, EngineError> {
    store.appender.roll(segment);
    // RACE: a frame whose row is not committed yet is live, and no row tells. None comes after this: the segment is closed.
    if !store.appender.is_settled(segment) {
        return Ok(Emptied::NotNow);
    }
    loop {
        let frames = store.view()?.frames(segment, None, STEP_FRAMES)?;
        if frames.is_empty() {
            return Ok(Emptied::Yes);
        }
        store.gate.check()?;
        let path = segment::path(segment);
        let file = store.files.disk.open(&path, OpenMode::Read);
        let file = file.map_err(|error| EngineError::io(path.display().to_string(), error))?;
        let mut moved = 0;
        for live in read(store, segment, &*file, &frames)? {
            let Some(live) = live else { return Ok(Emptied::Damaged) };
            match relocate(store, live)? {
                Some(bytes) => {
                    moved += 1;
                    report.bytes_moved += bytes;
                    report.rows_written += 3;
                }
                None => report.postponed += 1,
            }
        }
        if !pace.go_on(moved) {
            return Ok(Emptied::Stopped);
        }
        if moved == 0 {
            return Ok(Emptied::NotNow);
        }
    }
}

/// A live frame that was appended again.
struct Moving {
    digest: Digest,
    old: BlobRecord,
    answered: mpsc::Receiver<Result<Place, EngineError>>,
}

/// Reads and verifies frames and appends them again, all together; `None` for one that is damaged.
fn read(
    store: &Arc<Store>,
    segment: u32,
    file: &dyn DiskFile,
    frames: &[(u64, FrameRecord)],
) -> Result<Vec<Option<Moving>>, EngineError> {
    let view = store.view()?;
    let mut moving = Vec::with_capacity(frames.len());
    for (offset, frame) in frames {
        let place = Placement::Segment { segment, offset: *offset, length: frame.length };
        // Collected since the page was read.
        let Some(old) = view.blob(&frame.digest)?.filter(|record| record.placement == place) else {
            continue;
        };
        let mut bytes = vec![0; frame.length as usize];
        let whole = match read_exact_at(file, &mut bytes, *offset) {
            Ok(()) => segment::payload(&bytes.into(), &frame.digest, old.size, old.checksum),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err("the segment is too short"),
            Err(error) => return Err(EngineError::io(segment::path(segment).display().to_string(), error)),
        };
        let payload = match whole {
            Ok(payload) => payload,
            Err(why) => {
                tracing::error!(digest = %frame.digest, segment, offset, why, "a damaged blob keeps its segment from being compacted");
                moving.push(None);
                break;
            }
        };
        let (answer, answered) = mpsc::sync_channel(1);
        store.appender.append(Append {
            digest: frame.digest,
            payload,
            checksum: old.checksum,
            placed: Box::new(move |place| drop(answer.send(place))),
        });
        moving.push(Some(Moving { digest: frame.digest, old, answered }));
    }
    Ok(moving)
}

/// Lets the row follow; says how many bytes moved, or `None` where the row has changed meanwhile.
fn relocate(store: &Arc<Store>, live: Moving) -> Result<Option<u64>, EngineError> {
    let Moving { digest, old, answered } = live;
    // The place is kept from being compacted itself until its row is there.
    let place = answered.recv().unwrap_or_else(|_| Err(closed()))?;
    let mut batch = Batch::new(store.now());
    batch.move_blob(&digest, &old, place.placement);
    let mut outcomes = store.commit_all([batch]);
    match outcomes.pop().unwrap_or_else(|| Err(closed())) {
        Ok(_) => Ok(Some(old.size)),
        Err(EngineError::Conflict) => {
            let mut batch = Batch::new(store.now());
            batch.bury(&place.placement, old.size);
            batch.set_unsynced();
            for outcome in store.commit_all([batch]) {
                outcome?;
            }
            store.dead.add(&place.placement);
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Puts one tombstone in the place of those of an empty segment's frames.
fn condemn(store: &Arc<Store>, segment: u32, len: u64) -> Result<(), EngineError> {
    let mut batch = Batch::new(store.now());
    batch.expect(Expectation::PrefixEmpty(key::frames(segment)));
    batch.put_tombstone(TombstoneItem::Segment { segment }, len);
    for outcome in store.commit_all([batch]) {
        match outcome {
            Ok(_) => {}
            Err(EngineError::Conflict) => return Ok(()),
            Err(error) => return Err(error),
        }
    }
    store.dead.forget(segment);
    loop {
        let page = store.view()?.raw_page(&key::frame_tombstones(segment), None, PAGE_ROWS)?;
        if page.is_empty() {
            return Ok(());
        }
        let mut batch = Batch::new(store.now());
        for (tombstone, _) in page {
            batch.delete(tombstone);
        }
        batch.set_unsynced();
        for outcome in store.commit_all([batch]) {
            outcome?;
        }
    }
}

/// Removes the files of segments that have a tombstone.
fn bury(store: &Arc<Store>, report: &mut GcReport) -> Result<(), EngineError> {
    let after = TombstoneItem::Frame { segment: u32::MAX, offset: u64::MAX };
    let view = store.view()?;
    let page = view.tombstones(Some(after), PAGE_ROWS)?;
    // RACE: behind the look at the tombstones, so that a backup which begins now has none of these frames.
    if page.is_empty() || store.holds.is_held() {
        return Ok(());
    }
    store.gate.check()?;
    let mut batch = Batch::new(store.now());
    for (item, record) in page {
        let TombstoneItem::Segment { segment } = item else { continue };
        if view.last_frame(segment)?.is_some() {
            // Cannot be; but if it is, bytes that a row names are worth more than the space.
            tracing::error!(segment, "a tombstone names a segment that has frames; both stay");
            continue;
        }
        match store.files.disk.remove(&segment::path(segment)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(segment, %error, "a segment was not removed; the next run tries again");
                continue;
            }
            _ => {}
        }
        store.handles.forget(FileKey::Segment(segment));
        batch.delete_tombstone(item);
        report.removed.add(GcKind::Segment, record.length);
    }
    // DURABILITY: a name that came back after a crash would have no tombstone any more.
    retry_interrupted(|| store.files.disk.sync_dir(Path::new(SEGMENTS)))
        .map_err(|error| store.gate.sync_failed(SEGMENTS, error))?;
    if !batch.is_empty() {
        batch.set_unsynced();
        for outcome in store.commit_all([batch]) {
            outcome?;
        }
    }
    Ok(())
}
