//! Writing on the threads that wait for the disk: the buffers of one upload in order and one write at a time, different uploads
//! side by side.
//!
//! A file that grows is locked by the system for each write, so writes of one file side by side would only wait for each
//! other. Those that queue up meanwhile go out together instead. Where the disk takes writes, no thread waits for them, and each
//! goes out alone.

use super::extent::Extent;
use crate::blob::NewFile;
use crate::disk::{self, DiskFile, Ended, Pool, Request, Work};
use crate::limits::WRITE_EXTENTS_MAX;
use crate::sync::lock;
use bytes::Bytes;
use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::sync::{Arc, Mutex};

/// A buffer on its way to a file.
#[derive(Debug)]
struct Item {
    file: Arc<NewFile>,
    extent: Arc<Extent>,
    direct: bool,
}

/// The bytes of an extent, kept alive by whoever has them.
struct Shared(Arc<Extent>);

impl AsRef<[u8]> for Shared {
    fn as_ref(&self) -> &[u8] {
        self.0.bytes()
    }
}

impl Item {
    /// Where this is to be begun, if it can be.
    fn begins(&self) -> Option<(Arc<dyn DiskFile>, usize)> {
        if self.extent.flow().has_failed() {
            return None;
        }
        self.file.begins(self.extent.bytes(), self.extent.offset(), self.direct)
    }

    fn end(&self) -> u64 {
        self.extent.offset() + self.extent.bytes().len() as u64
    }
}

#[derive(Debug, Default)]
struct State {
    /// Whether a job of this lane runs or waits for a thread.
    busy: bool,
    queue: VecDeque<Item>,
}

/// The buffers of one upload that wait to be written.
#[derive(Debug)]
pub(crate) struct WriteLane {
    threads: Arc<Pool>,
    state: Mutex<State>,
}

/// The lane's turn on a thread. One that is lost (a panic, a stopped pool) gives up what waits, which fails the upload.
#[derive(Debug)]
struct Turn(Option<Arc<WriteLane>>);

impl Drop for Turn {
    fn drop(&mut self) {
        let Some(lane) = self.0.take() else { return };
        let mut state = lock(&lane.state);
        state.busy = false;
        let lost = std::mem::take(&mut state.queue);
        drop(state);
        // Outside of the lock: an upload may come to its end with this.
        drop(lost);
    }
}

impl WriteLane {
    /// A lane on `threads`.
    pub(crate) fn new(threads: Arc<Pool>) -> Arc<Self> {
        Arc::new(Self { threads, state: Mutex::default() })
    }

    /// Queues the next buffer. `direct`: it is to go past the page cache.
    pub(crate) fn push(self: &Arc<Self>, file: &Arc<NewFile>, extent: Arc<Extent>, direct: bool) {
        let mut state = lock(&self.state);
        state.queue.push_back(Item { file: Arc::clone(file), extent, direct });
        if !std::mem::replace(&mut state.busy, true) {
            drop(state);
            self.run(Turn(Some(Arc::clone(self))));
        }
    }

    /// The buffers that make one write.
    fn next(&self) -> Vec<Item> {
        let mut state = lock(&self.state);
        let mut items: Vec<Item> = state.queue.pop_front().into_iter().collect();
        while items.len() < WRITE_EXTENTS_MAX
            && let (Some(last), Some(next)) = (items.last(), state.queue.front())
            && next.direct == last.direct
            && next.extent.offset() == last.end()
            && let Some(next) = state.queue.pop_front()
        {
            items.push(next);
        }
        items
    }

    fn run(&self, turn: Turn) {
        let Some(turn) = turn.begin() else { return };
        self.threads.run(move || turn.take());
    }
}

impl Turn {
    /// Writes what follows one another, then queues up again behind other uploads.
    fn take(self) {
        let Some(lane) = self.0.clone() else { return };
        let items = lane.next();
        write(&items);
        self.over(&lane, items);
    }

    /// Leaves the next buffer to the disk if that takes it; else gives the turn back, for a thread.
    fn begin(self) -> Option<Self> {
        let lane = self.0.clone()?;
        let mut state = lock(&lane.state);
        let Some((handle, alignment)) = state.queue.front().and_then(Item::begins) else { return Some(self) };
        let item = state.queue.pop_front();
        drop(state);
        let item = item?;
        let (bytes, offset) = (Bytes::from_owner(Shared(Arc::clone(&item.extent))), item.extent.offset());
        let work = Work::Write { bytes, offset, alignment };
        let request = Request::new(work, move |ended| self.begun(item, ended));
        disk::begin(&lane.threads, &handle, request);
        None
    }

    fn begun(self, item: Item, ended: Ended) {
        let Some(lane) = self.0.clone() else { return };
        let Ended { work, outcome } = ended;
        drop(work);
        match outcome {
            Ok(count) if count == item.extent.bytes().len() => {}
            Err(error) if error.kind() != io::ErrorKind::InvalidInput => {
                item.extent.flow().fail(item.file.write_failed(error));
            }
            // The file system cut it short off the alignment, or takes no direct writes after all: once more from its front.
            Ok(_) | Err(_) => {
                let threads = Arc::clone(&lane.threads);
                return threads.run(move || {
                    write(std::slice::from_ref(&item));
                    self.over(&lane, vec![item]);
                });
            }
        }
        self.over(&lane, vec![item]);
    }

    /// Goes on after a write.
    fn over(mut self, lane: &Arc<WriteLane>, items: Vec<Item>) {
        let mut state = lock(&lane.state);
        if state.queue.is_empty() {
            // From here on a buffer begins another turn.
            state.busy = false;
            self.0 = None;
            drop(state);
        } else {
            drop(state);
            lane.run(self);
        }
        for Item { file, extent, .. } in items {
            // The file first: an upload of which nothing is under way has no hand on it any more.
            drop(file);
            extent.written();
        }
    }
}

fn write(items: &[Item]) {
    let Some(first) = items.first() else { return };
    if first.extent.flow().has_failed() {
        return;
    }
    let mut slices: Vec<IoSlice<'_>> = items.iter().map(|item| IoSlice::new(item.extent.bytes())).collect();
    if let Err(error) = first.file.write(&mut slices, first.extent.offset(), first.direct) {
        first.extent.flow().fail(error);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blob::Files;
    use crate::disk::faulty::{Fault, FaultyDisk, Operation};
    use crate::disk::sim::SimDisk;
    use crate::disk::{Disk, OpenMode, read_exact_at};
    use crate::error::EngineError;
    use crate::gate::{Gate, Marks};
    use crate::ingest::{Buffer, BufferPool, Flow};
    use std::path::Path;
    use std::sync::mpsc;
    use tokio::sync::Semaphore;

    struct World {
        disk: SimDisk,
        threads: Arc<Pool>,
        files: Arc<Files>,
        buffers: Arc<BufferPool>,
        flow: Arc<Flow>,
    }

    impl World {
        fn new(disk: SimDisk, seen: Arc<dyn Disk>) -> Self {
            disk.create_dir(Path::new("blobs")).unwrap();
            let threads = Arc::new(Pool::start("test", 2).unwrap());
            let gate = Arc::new(Gate::new(Arc::clone(&seen), Marks::new(0, 0)));
            let files = Files::new(seen, gate, Arc::clone(&threads), Arc::default(), Arc::default(), 1, true);
            let buffers = BufferPool::new(64 * 1024 * 1024);
            Self { disk, threads, files, buffers, flow: Arc::default() }
        }

        fn extent(&self, offset: u64, fill: u8, len: usize) -> Arc<Extent> {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let mut buffer: Buffer = runtime.block_on(self.buffers.take()).unwrap();
            buffer.fill(&vec![fill; len]);
            let slot = Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap();
            let passages = [self.flow.enter(), self.flow.enter()];
            let extent = Extent::new(buffer, offset, passages, None, Arc::default(), slot);
            extent.hashed();
            Arc::new(extent)
        }

        fn wait(&self) {
            let (sender, receiver) = mpsc::channel();
            self.flow.when_idle(move || sender.send(()).unwrap());
            receiver.recv().unwrap();
        }
    }

    #[test]
    fn what_queues_up_is_written_in_its_place() {
        for begins in [false, true] {
            expect_written_in_place(begins);
        }
    }

    fn expect_written_in_place(begins: bool) {
        let disk = SimDisk::new();
        disk.set_begins(begins);
        let faulty = FaultyDisk::new(Arc::new(disk.clone()));
        let world = World::new(disk, Arc::new(faulty.clone()));
        let file = Arc::new(world.files.create().unwrap());
        let lane = WriteLane::new(Arc::clone(&world.threads));
        faulty.order(Operation::Write, Fault::Short, 0, 3);
        // Buffered, then direct, with a hole before the last one: three writes at least.
        for (number, direct) in [(0, false), (1, false), (2, true), (3, true), (4, true), (9, true)] {
            lane.push(&file, world.extent(number * 8192, number as u8 + 1, 8192), direct);
        }
        world.wait();
        world.flow.check().unwrap();
        assert_eq!(Arc::strong_count(&file), 1, "nobody has a hand on the file any more");
        let mut content = vec![0; 10 * 8192];
        file.read(&mut content, 0).unwrap();
        let fills: Vec<u8> = content.chunks(8192).map(|block| block[0]).collect();
        assert_eq!(fills, [1, 2, 3, 4, 5, 0, 0, 0, 0, 10]);
        assert!(content.chunks(8192).all(|block| block.iter().all(|byte| *byte == block[0])));
        file.set_named();
        world.threads.stop();
        let path = crate::blob::generation::file_path(file.generation());
        let read = world.disk.open(&path, OpenMode::Read).unwrap();
        assert!(
            read_exact_at(&*read, &mut [0; 8], 10 * 8192 - 8).is_ok() && read.len().unwrap() == 10 * 8192
        );
    }

    #[test]
    fn a_failed_write_fails_the_upload_and_ends() {
        for begins in [false, true] {
            expect_failure(begins);
        }
    }

    fn expect_failure(begins: bool) {
        let disk = SimDisk::new();
        disk.set_begins(begins);
        let faulty = FaultyDisk::new(Arc::new(disk.clone()));
        let world = World::new(disk, Arc::new(faulty.clone()));
        let file = Arc::new(world.files.create().unwrap());
        let lane = WriteLane::new(Arc::clone(&world.threads));
        faulty.order(Operation::Write, Fault::Enospc, 0, 1);
        for number in 0..4 {
            lane.push(&file, world.extent(number * 4096, 7, 4096), false);
        }
        world.wait();
        assert!(matches!(world.flow.check(), Err(EngineError::NoSpace)), "{:?}", world.flow.check());
        world.threads.stop();
    }

    #[test]
    fn a_stopped_pool_fails_the_upload_instead_of_losing_it() {
        let disk = SimDisk::new();
        let world = World::new(disk.clone(), Arc::new(disk));
        let file = Arc::new(world.files.create().unwrap());
        let lane = WriteLane::new(Arc::clone(&world.threads));
        world.threads.stop();
        lane.push(&file, world.extent(0, 1, 4096), false);
        lane.push(&file, world.extent(4096, 1, 4096), false);
        world.wait();
        assert!(world.flow.check().is_err());
    }
}
