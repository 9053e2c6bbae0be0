//! The thread that appends: it takes all frames that wait, writes and syncs them together, then hands each its place.
//!
//! A place is handed on only after the sync, so no row can name bytes that a crash may take. A failed append leaves the
//! position where it was: its bytes are overwritten by the next one.

use super::frame::{HEADER_BYTES, header};
use super::{SEGMENTS, path};
use crate::disk::{Disk, DiskFile, OpenMode, retry_interrupted, write_all_vectored_at};
use crate::error::EngineError;
use crate::gate::{Gate, failed};
use crate::limits::APPEND_BYTES_MAX;
use crate::meta::Placement;
use crate::metrics::Counters;
use crate::sync::lock;
use bytes::Bytes;
use crossbeam_channel::{Receiver, Sender, unbounded};
use std::collections::BTreeMap;
use std::io::{self, IoSlice};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::mpsc::{self, SyncSender};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use strata_types::Digest;

/// Receives the place of a frame that is durable. Runs on the appending thread: short, never blocking.
pub(crate) type Placed = Box<dyn FnOnce(Result<Place, EngineError>) + Send>;

/// Where a frame is. As long as this lives, a row may come to name it.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) placement: Placement,
    segment: u32,
    flights: Arc<Flights>,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut known = lock(&self.flights.0);
        if let Some(count) = known.flying.get_mut(&self.segment) {
            *count -= 1;
            if *count == 0 {
                known.flying.remove(&self.segment);
            }
        }
    }
}

/// Which segment is being filled, and how many frames of each are on the way to their row.
#[derive(Debug)]
struct Flights(Mutex<Known>);

#[derive(Debug)]
struct Known {
    active: u32,
    flying: BTreeMap<u32, usize>,
}

impl Flights {
    /// Notes frames that were written to a segment, which is the one that is being filled.
    fn begin(self: &Arc<Self>, segment: u32, placements: Vec<Placement>) -> Vec<Place> {
        let mut known = lock(&self.0);
        known.active = segment;
        if !placements.is_empty() {
            *known.flying.entry(segment).or_default() += placements.len();
        }
        drop(known);
        let place = |placement| Place { placement, segment, flights: Arc::clone(self) };
        placements.into_iter().map(place).collect()
    }
}

/// What the thread is asked for.
enum Message {
    Append(Append),
    /// Begins another segment if this one is being filled and has any bytes.
    Roll(u32, SyncSender<()>),
}

/// A small blob to append.
pub(crate) struct Append {
    pub(crate) digest: Digest,
    pub(crate) payload: Bytes,
    /// The payload's blob checksum.
    pub(crate) checksum: u64,
    pub(crate) placed: Placed,
}

/// Where the next frame goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Position {
    /// The segment; it need not exist yet if `offset` is 0.
    pub(crate) segment: u32,
    /// The offset in it, bytes.
    pub(crate) offset: u64,
}

/// The appending thread.
#[derive(Debug)]
pub(crate) struct Appender {
    queue: Mutex<Option<Sender<Message>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    flights: Arc<Flights>,
}

impl Appender {
    /// Starts the thread; the first frame goes to `position`.
    ///
    /// # Errors
    /// As the operating system.
    pub(crate) fn start(
        disk: Arc<dyn Disk>,
        gate: Arc<Gate>,
        counters: Arc<Counters>,
        position: Position,
        segment_bytes_max: u64,
    ) -> io::Result<Self> {
        let (sender, queue) = unbounded();
        let known = Known { active: position.segment, flying: BTreeMap::new() };
        let flights = Arc::new(Flights(Mutex::new(known)));
        let same = Arc::clone(&flights);
        let mut segment = Segment { disk, gate, position, file: None, bytes_max: segment_bytes_max };
        let thread = std::thread::Builder::new().name("strata-segment".into());
        let thread = thread.spawn(move || work(&queue, &mut segment, &counters, &same))?;
        Ok(Self { queue: Mutex::new(Some(sender)), thread: Mutex::new(Some(thread)), flights })
    }

    /// Queues a blob. Its `placed` is always called, or dropped where the store was closed.
    pub(crate) fn append(&self, append: Append) {
        if let Some(queue) = lock(&self.queue).as_ref() {
            // The thread leaves only when the sender is dropped.
            drop(queue.send(Message::Append(append)));
        }
    }

    /// Closes a segment: no frame is written to it from here on. Blocks.
    pub(crate) fn roll(&self, segment: u32) {
        let (done, rolled) = mpsc::sync_channel(1);
        let sent =
            lock(&self.queue).as_ref().is_some_and(|queue| queue.send(Message::Roll(segment, done)).is_ok());
        if sent {
            // An error means that the thread is gone, and nothing is written at all.
            let _ = rolled.recv();
        }
    }

    /// Whether a segment is closed and no frame of it is on the way to its row.
    pub(crate) fn is_settled(&self, segment: u32) -> bool {
        let known = lock(&self.flights.0);
        segment != known.active && !known.flying.contains_key(&segment)
    }

    /// Appends what waits, then ends the thread. Idempotent.
    pub(crate) fn stop(&self) {
        drop(lock(&self.queue).take());
        if let Some(thread) = lock(&self.thread).take() {
            drop(thread.join());
        }
    }
}

fn work(queue: &Receiver<Message>, segment: &mut Segment, counters: &Counters, flights: &Arc<Flights>) {
    let mut group = Vec::new();
    while let Ok(first) = queue.recv() {
        let (mut weight, mut next) = (0, Some(first));
        let mut roll = None;
        while let Some(message) = next.take() {
            match message {
                Message::Append(append) => {
                    weight += append.payload.len() + HEADER_BYTES;
                    group.push(append);
                    if weight < APPEND_BYTES_MAX {
                        next = queue.try_recv().ok();
                    }
                }
                Message::Roll(number, done) => roll = Some((number, done)),
            }
        }
        // A panic must not end the thread, or all later pushes would wait for ever; those of this group see their
        // continuation dropped.
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            if !group.is_empty() {
                let places =
                    segment.append(&group).map(|places| flights.begin(segment.position.segment, places));
                if let Ok(places) = &places {
                    counters.segment_appends.add(1);
                    counters.segment_frames.add(places.len() as u64);
                }
                answer(&mut group, places);
            }
            if let Some((number, done)) = roll {
                if segment.position.segment == number && segment.position.offset > 0 && segment.next().is_ok()
                {
                    drop(flights.begin(segment.position.segment, Vec::new()));
                }
                // Whoever asked waits.
                let _ = done.send(());
            }
        }));
        if outcome.is_err() {
            drop(segment.gate.poison("the segment thread panicked"));
        }
        group.clear();
    }
}

fn answer(group: &mut Vec<Append>, places: Result<Vec<Place>, EngineError>) {
    match places {
        Ok(places) => {
            for (append, place) in group.drain(..).zip(places) {
                (append.placed)(Ok(place));
            }
        }
        Err(error) => {
            for append in group.drain(..) {
                (append.placed)(Err(error.clone()));
            }
        }
    }
}

/// The segment that is being filled.
struct Segment {
    disk: Arc<dyn Disk>,
    gate: Arc<Gate>,
    position: Position,
    file: Option<Arc<dyn DiskFile>>,
    bytes_max: u64,
}

impl Segment {
    /// Makes all of `group` durable and returns their places, in order.
    fn append(&mut self, group: &[Append]) -> Result<Vec<Placement>, EngineError> {
        self.gate.pass()?;
        if self.position.offset >= self.bytes_max {
            self.next()?;
        }
        let Position { segment, offset } = self.position;
        let file = self.file()?;
        let headers: Vec<[u8; HEADER_BYTES]> = group
            .iter()
            .map(|append| header(&append.digest, append.payload.len() as u32, append.checksum))
            .collect();
        let mut slices = Vec::with_capacity(group.len() * 2);
        let mut places = Vec::with_capacity(group.len());
        let mut end = offset;
        for (append, header) in group.iter().zip(&headers) {
            slices.push(IoSlice::new(header));
            slices.push(IoSlice::new(&append.payload));
            let length = (HEADER_BYTES + append.payload.len()) as u32;
            places.push(Placement::Segment { segment, offset: end, length });
            end += u64::from(length);
        }
        write_all_vectored_at(&*file, &mut slices, offset)
            .map_err(|error| failed(path(segment).display().to_string(), error))?;
        // DURABILITY: the rows that name these frames are written after this.
        retry_interrupted(|| file.sync())
            .map_err(|error| self.gate.sync_failed(&path(segment).display().to_string(), error))?;
        self.position.offset = end;
        Ok(places)
    }

    /// Goes on to the next segment, whose file is made with its first frame.
    fn next(&mut self) -> Result<(), EngineError> {
        let next = self.position.segment.checked_add(1);
        let segment = next.ok_or_else(|| self.gate.poison("all segment numbers are used up"))?;
        self.file = None;
        self.position = Position { segment, offset: 0 };
        Ok(())
    }

    fn file(&mut self) -> Result<Arc<dyn DiskFile>, EngineError> {
        if let Some(file) = &self.file {
            return Ok(Arc::clone(file));
        }
        let path = path(self.position.segment);
        let name = || path.display().to_string();
        let file = match self.disk.open(&path, OpenMode::Write) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && self.position.offset == 0 => {
                self.disk.open(&path, OpenMode::Create)
            }
            other => other,
        };
        let file = file.map_err(|error| failed(name(), error))?;
        // DURABILITY: also for a file that was there, because an earlier attempt may have failed between create and sync.
        retry_interrupted(|| self.disk.sync_dir(Path::new(SEGMENTS)))
            .map_err(|error| self.gate.sync_failed(SEGMENTS, error))?;
        self.file = Some(Arc::clone(&file));
        Ok(file)
    }
}
