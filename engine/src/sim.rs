//! A store on simulated ports that outlive it: it can be killed, robbed of its power, given faults, and opened again.
//!
//! For tests only: those of this crate, those above it, and the fuzzer.

use crate::check::{CheckOptions, Verify, check_with};
use crate::clock::ManualClock;
use crate::disk::faulty::FaultyDisk;
use crate::disk::sim::{Cut, SimDisk};
use crate::entropy::SeededEntropy;
use crate::gc::{GcReport, Pace};
use crate::limits::PAGE_ROWS;
use crate::meta::check::Severity;
use crate::meta::record::Record;
use crate::meta::{
    Batch, CommitDone, EventFeed, Freshness, GenerationOwner, MemoryStore, MetaStore, MetaView, Placement,
    TombstoneItem, UploadRecord, View,
};
use crate::scrub::{ScrubFinding, Scrubber};
use crate::segment::{SEGMENTS, parse_name};
use crate::{Engine, EngineConfig, EngineError, Ports, UnixMillis};
use bytes::Bytes;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use strata_types::{Digest, UploadId};

/// A metadata store whose commits are steps of the simulated disk: a power cut stops both at the same moment.
#[derive(Debug)]
pub struct StepMeta {
    /// The rows.
    pub memory: MemoryStore,
    /// Lets commits happen and answers that nobody knows whether they did.
    pub lose_answers: AtomicBool,
    disk: SimDisk,
}

impl StepMeta {
    fn new(memory: MemoryStore, disk: &SimDisk) -> Arc<Self> {
        Arc::new(Self { memory, lose_answers: AtomicBool::new(false), disk: disk.clone() })
    }
}

impl MetaStore for StepMeta {
    fn view(&self) -> Result<Arc<dyn MetaView>, EngineError> {
        self.memory.view()
    }

    fn submit(&self, batch: Batch, done: CommitDone) {
        if !self.disk.step_outside() {
            return done(Err(EngineError::poisoned("the simulated power is off")));
        }
        if self.lose_answers.load(Ordering::SeqCst) {
            let lost = |_| done(Err(EngineError::poisoned("the answer of the log was lost")));
            return self.memory.submit(batch, Box::new(lost));
        }
        self.memory.submit(batch, done);
    }

    fn freshness(&self) -> &Arc<Freshness> {
        self.memory.freshness()
    }

    fn events(&self) -> &Arc<EventFeed> {
        self.memory.events()
    }

    fn poisoned(&self) -> Option<Arc<str>> {
        self.memory.poisoned()
    }

    fn close(&self) {
        self.memory.close();
    }
}

/// Ports that outlive the engine on them.
#[derive(Debug)]
pub struct World {
    /// The disk, which knows what is durable.
    pub disk: SimDisk,
    /// The same disk as the engine sees it: it fails on order.
    pub faults: FaultyDisk,
    /// The metadata.
    pub meta: Arc<StepMeta>,
    /// The time, which only moves when it is told to.
    pub clock: Arc<ManualClock>,
    /// How the next engine is opened.
    pub config: EngineConfig,
    entropy: Arc<SeededEntropy>,
}

impl World {
    /// An empty disk and no rows.
    ///
    /// # Errors
    /// [`EngineError::Io`] where the system gives no thread.
    pub fn make() -> Result<Self, EngineError> {
        let disk = SimDisk::new();
        let mut config = EngineConfig::new("unused");
        config.reserve_bytes = 64 * 1024;
        config.hash_threads = 2;
        config.io_threads = 3;
        // Runs are steps of the tests.
        config.gc.interval = std::time::Duration::ZERO;
        Ok(Self {
            faults: FaultyDisk::new(Arc::new(disk.clone())),
            meta: StepMeta::new(MemoryStore::new()?, &disk),
            disk,
            clock: Arc::new(ManualClock::new(UnixMillis(1_800_000_000_000))),
            config,
            entropy: Arc::new(SeededEntropy::new(7)),
        })
    }

    /// The ports of an engine on this world.
    pub fn ports(&self) -> Ports {
        Ports {
            disk: Arc::new(self.faults.clone()),
            meta: self.meta.clone(),
            clock: self.clock.clone(),
            entropy: self.entropy.clone(),
        }
    }

    /// Opens the store.
    ///
    /// # Errors
    /// As [`Engine::open_with`].
    pub fn open(&self) -> Result<Engine, EngineError> {
        Engine::open_with(self.config.clone(), self.ports())
    }

    /// Ends the process of `engine`, whose handles are dead from now on; what it wrote is there.
    ///
    /// # Errors
    /// As [`World::make`].
    pub fn end(&mut self, engine: Engine) -> Result<(), EngineError> {
        // A killed process takes no step any more, so the power is off for it until it is gone.
        self.disk.cut_at(self.disk.steps() + 1);
        let memory = self.meta.memory.kill()?;
        drop(engine);
        self.disk.kill();
        self.meta = StepMeta::new(memory, &self.disk);
        Ok(())
    }

    /// Puts an empty metadata store in place of the present one, which is returned.
    ///
    /// # Errors
    /// As [`World::make`].
    pub fn exchange_metadata(&mut self) -> Result<Arc<StepMeta>, EngineError> {
        Ok(std::mem::replace(&mut self.meta, StepMeta::new(MemoryStore::new()?, &self.disk)))
    }

    /// Cuts the power of `engine`; `survivors` of the unsynced commits are found again.
    ///
    /// # Errors
    /// As [`World::make`].
    pub fn cut(&mut self, engine: Option<Engine>, cut: Cut, survivors: usize) -> Result<(), EngineError> {
        self.disk.cut_at(self.disk.steps() + 1);
        let memory = self.meta.memory.power_cut(survivors)?;
        drop(engine);
        self.disk.power_cut(cut);
        self.meta = StepMeta::new(memory, &self.disk);
        Ok(())
    }

    /// Changes byte number `at` of what is stored of a blob, which is longer than that.
    ///
    /// # Errors
    /// Errors of the view; [`EngineError::NotFound`] where the blob is not there.
    pub fn damage_blob(&self, digest: &Digest, at: usize) -> Result<(), EngineError> {
        let view = View::new(self.meta.view()?);
        let record = view.blob(digest)?.ok_or(EngineError::NotFound)?;
        let (path, at) = match record.placement {
            Placement::File { generation } => (crate::blob::generation::file_path(generation), at),
            Placement::Segment { segment, offset, .. } => {
                (crate::segment::path(segment), offset as usize + crate::segment::HEADER_BYTES + at)
            }
        };
        let flipped = self.disk.damage(&path, |bytes| {
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 0x10;
            }
        });
        if flipped { Ok(()) } else { Err(EngineError::NotFound) }
    }

    /// What is wrong with the store of an idle engine: rows against each other, every blob against its digest, files and tombstones
    /// that nothing explains.
    ///
    /// # Errors
    /// Errors of the view.
    pub fn audit(&self, engine: &Engine) -> Result<Vec<String>, EngineError> {
        engine.settle();
        let view = engine.view()?;
        let options = CheckOptions { verify: Verify::Digest, threads: 1, ..CheckOptions::default() };
        let report = check_with(&self.disk, &view, &options)?;
        // A note is of what a client may do: an index, for one, may name what its repository does not have.
        let errors = report.findings.iter().filter(|finding| finding.severity == Severity::Error);
        let mut wrong: Vec<String> = errors.map(|finding| format!("{finding:?}")).collect();
        let mut dead = BTreeSet::new();
        for (item, _) in view.tombstones(None, PAGE_ROWS)? {
            match item {
                TombstoneItem::Frame { segment, .. } => drop(dead.insert(segment)),
                _ => wrong.push(format!("{item:?} is left")),
            }
        }
        for path in self.disk.files() {
            if path.starts_with(SEGMENTS) {
                let segment = path.file_name().and_then(|name| parse_name(name.to_str()?));
                let named = segment.map(|segment| view.frames(segment, None, 1)).transpose()?;
                if named.is_none_or(|named| named.is_empty()) && segment.is_none_or(|n| !dead.contains(&n)) {
                    wrong.push(format!("no row explains {}", path.display()));
                }
            } else if !rows_of_files(&view)?.contains(&path) {
                wrong.push(format!("no row names {}", path.display()));
            }
        }
        let metrics = engine.metrics();
        if (metrics.buffers_used, metrics.writers) != (0, 0) || engine.parts().sessions.count() != 0 {
            wrong.push(format!("a buffer, a writer or a session leaked: {metrics:?}"));
        }
        Ok(wrong)
    }
}

/// The files that blobs and upload sessions name.
fn rows_of_files(view: &View) -> Result<BTreeSet<PathBuf>, EngineError> {
    let rows = view.generations(0, PAGE_ROWS)?;
    Ok(rows.iter().map(|(generation, _)| crate::blob::generation::file_path(*generation)).collect())
}

impl Engine {
    /// Waits until no work runs in the background.
    pub fn settle(&self) {
        self.parts().pending.wait_for_none();
    }

    /// Reads every stored byte on this thread, and tells what is not as it should be.
    ///
    /// # Errors
    /// Those of a commit.
    pub fn scrub(&self) -> Result<Vec<ScrubFinding>, EngineError> {
        let mut scrubber = Scrubber::new(Arc::clone(self.parts()))?;
        scrubber.start()?;
        while !scrubber.step(u64::MAX)?.ended {}
        Ok(scrubber.findings().to_vec())
    }

    /// Collects garbage on this thread, until there is none or `steps` steps were made.
    ///
    /// # Errors
    /// As [`Engine::gc_run`].
    pub fn sweep(&self, steps: u64) -> Result<GcReport, EngineError> {
        crate::gc::run(self.parts(), &mut Steps(steps))
    }
}

/// Ends a run after so many steps.
struct Steps(u64);

impl Pace for Steps {
    fn go_on(&mut self, _: u64) -> bool {
        self.0 = self.0.saturating_sub(1);
        self.0 > 0
    }
}

/// The frame that holds a blob in a segment, and the blob's checksum.
pub fn frame_of(digest: &Digest, content: &[u8]) -> (Vec<u8>, u64) {
    let checksum = crate::blob::checksum(content);
    let mut frame = crate::segment::header(digest, content.len() as u32, checksum).to_vec();
    frame.extend_from_slice(content);
    (frame, checksum)
}

/// What a frame gives for a row that says `digest`, `size` and `checksum`.
///
/// # Errors
/// What is wrong with the frame, in words.
pub fn frame_payload(
    frame: &Bytes,
    digest: &Digest,
    size: u64,
    checksum: u64,
) -> Result<Bytes, &'static str> {
    crate::segment::payload(frame, digest, size, checksum)
}

/// The state of an upload session as its row says.
///
/// # Errors
/// [`EngineError::Corrupt`].
pub fn upload_record(value: Bytes) -> Result<UploadRecord, EngineError> {
    UploadRecord::decode(value)
}

/// Where the file of a generation lies, and the row that gives it to an upload session.
pub fn named_file(generation: u64, id: &UploadId) -> (PathBuf, Bytes) {
    (crate::blob::generation::file_path(generation), GenerationOwner::Upload(*id).encode())
}
