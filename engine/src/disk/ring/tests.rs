//! The ring beside the other disks: same contract, same errors, and nobody left waiting. Where the system has no ring the tests
//! say so and pass.

use super::*;
use crate::disk::DIRECT_ALIGNMENT;
use crate::disk::request::Ended;
use bytes::Bytes;
use std::io::{ErrorKind, Write as _};
use std::sync::atomic::{AtomicUsize, Ordering};
use tempfile::TempDir;

/// A disk with a ring for everything; `None` where there can be none.
pub(in crate::disk) fn ring(dir: &TempDir) -> Option<RingDisk> {
    match RingDisk::start(dir.path(), RingUse::ALL) {
        Ok(disk) => Some(disk),
        Err(error) => {
            println!("skipped: no ring here: {error}");
            None
        }
    }
}

/// Begins work and waits for its end.
pub(in crate::disk) fn wait(file: &dyn DiskFile, work: Work) -> Ended {
    let (sender, receiver) = mpsc::channel();
    let request = Request::new(work, move |ended| sender.send(ended).unwrap());
    if let Err(request) = file.begin(request) {
        request.run(file);
    }
    receiver.recv().unwrap()
}

/// A disk whose files begin all reads, writes and syncs, and wait for their ends.
#[derive(Debug)]
pub(in crate::disk) struct Waiting<D>(pub(in crate::disk) D);

#[derive(Debug)]
struct WaitingFile(Arc<dyn DiskFile>);

impl<D: Disk> Disk for Waiting<D> {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(WaitingFile(self.0.open(path, mode)?)))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.0.remove(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        self.0.list(dir)
    }

    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        self.0.create_dir(dir)
    }

    fn remove_dir(&self, dir: &Path) -> io::Result<()> {
        self.0.remove_dir(dir)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.0.sync_dir(dir)
    }

    fn space(&self) -> io::Result<Space> {
        self.0.space()
    }
}

impl DiskFile for WaitingFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let ended = wait(&*self.0, Work::Read { buffer: buffer.to_vec(), offset });
        let Work::Read { buffer: read, .. } = ended.work else { panic!("the work comes back") };
        buffer.copy_from_slice(&read);
        ended.outcome
    }

    fn read_at_cached(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.read_at_cached(buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        wait(&*self.0, Work::Write { bytes: Bytes::copy_from_slice(bytes), offset, alignment: 1 }).outcome
    }

    fn write_vectored_at(&self, slices: &[IoSlice<'_>], offset: u64) -> io::Result<usize> {
        let bytes: Vec<u8> = slices.iter().flat_map(|slice| slice.iter().copied()).collect();
        self.write_at(&bytes, offset)
    }

    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn sync(&self) -> io::Result<()> {
        wait(&*self.0, Work::Sync).outcome.map(drop)
    }

    fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        self.0.as_fd()
    }

    fn begin(&self, request: Request) -> Result<(), Request> {
        self.0.begin(request)
    }

    fn begins_writes(&self) -> bool {
        self.0.begins_writes()
    }
}

fn write(byte: u8, len: usize, offset: u64) -> Work {
    Work::Write { bytes: vec![byte; len].into(), offset, alignment: 1 }
}

fn read(len: usize, offset: u64) -> Work {
    Work::Read { buffer: vec![9; len], offset }
}

#[test]
fn the_probe_leaves_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join(PROBE), "of an interrupted start").unwrap();
    let Some(disk) = ring(&dir) else { return };
    assert_eq!(disk.list(Path::new("")).unwrap(), []);
    drop(disk);
    assert!(RingDisk::start(dir.path().join("none"), RingUse::ALL).is_err());
}

#[test]
fn reads_end_with_the_file_and_large_ones_are_whole() {
    let dir = tempfile::tempdir().unwrap();
    let Some(disk) = ring(&dir) else { return };
    let file = disk.open(Path::new("file"), OpenMode::Create).unwrap();
    assert_eq!(wait(&*file, write(7, 5_000_001, 3)).outcome.unwrap(), 5_000_001);
    assert_eq!(wait(&*file, Work::Sync).outcome.unwrap(), 0);
    let ended = wait(&*file, read(5_000_010, 0));
    assert_eq!(ended.outcome.unwrap(), 5_000_004);
    let Work::Read { buffer, .. } = ended.work else { panic!("the work comes back") };
    assert!(buffer[..3] == [0; 3] && buffer[3..5_000_004].iter().all(|byte| *byte == 7));
    assert_eq!(wait(&*file, read(10, 5_000_004)).outcome.unwrap(), 0);
    assert_eq!(wait(&*file, read(0, 0)).outcome.unwrap(), 0);
    assert_eq!(wait(&*file, write(1, 0, 0)).outcome.unwrap(), 0);
}

#[test]
fn errors_are_those_of_the_system_calls() {
    let dir = tempfile::tempdir().unwrap();
    let Some(disk) = ring(&dir) else { return };
    let file = disk.open(Path::new("file"), OpenMode::Create).unwrap();
    let reader = disk.open(Path::new("file"), OpenMode::Read).unwrap();
    let directory = RingFile {
        target: Arc::new(Target::new(File::open(dir.path()).unwrap())),
        ring: Arc::clone(&disk.ring),
    };
    let full = File::options().write(true).open("/dev/full").unwrap();
    let full = RingFile { target: Arc::new(Target::new(full)), ring: Arc::clone(&disk.ring) };
    let cases: [(&dyn DiskFile, Work); 5] = [
        (&*reader, write(1, 10, 0)),
        (&*file, write(1, 10, u64::MAX / 2)),
        (&*file, read(10, u64::MAX / 2)),
        (&directory, read(10, 0)),
        (&full, write(1, 10, 0)),
    ];
    for (file, work) in cases {
        let of_system = match &work {
            Work::Read { offset, .. } => file.read_at(&mut [0; 10], *offset),
            Work::Write { bytes, offset, .. } => file.write_at(bytes, *offset),
            Work::Sync => panic!("no such case"),
        };
        let ended = wait(file, work);
        let codes = [of_system, ended.outcome].map(|outcome| outcome.map_err(|error| error.raw_os_error()));
        assert_eq!(codes[0], codes[1], "{:?}", ended.work);
    }
    assert_eq!(wait(&full, write(1, 10, 0)).outcome.unwrap_err().kind(), ErrorKind::StorageFull);
}

#[test]
fn direct_writes_go_through_the_ring() {
    let dir = tempfile::tempdir().unwrap();
    let Some(disk) = ring(&dir) else { return };
    let file = disk.open(Path::new("file"), OpenMode::Create).unwrap();
    // A file system without direct writes refuses the open, which is part of the contract.
    let Ok(direct) = disk.open(Path::new("file"), OpenMode::Direct) else { return };
    let memory = Bytes::from(vec![2_u8; 4 * DIRECT_ALIGNMENT]);
    let start = memory.as_ptr().align_offset(DIRECT_ALIGNMENT);
    let aligned = |len: usize| Work::Write {
        bytes: memory.slice(start..start + len),
        offset: 4096,
        alignment: DIRECT_ALIGNMENT,
    };
    assert_eq!(wait(&*direct, aligned(3 * DIRECT_ALIGNMENT)).outcome.unwrap(), 3 * DIRECT_ALIGNMENT);
    assert_eq!(wait(&*direct, aligned(100)).outcome.unwrap_err().kind(), ErrorKind::InvalidInput);
    let ended = wait(&*file, read(4 * DIRECT_ALIGNMENT, 0));
    let Work::Read { buffer, .. } = ended.work else { panic!("the work comes back") };
    assert!(buffer[..4096].iter().all(|byte| *byte == 0) && buffer[4096..].iter().all(|byte| *byte == 2));
}

#[test]
fn a_sync_covers_the_writes_begun_before_it() {
    let dir = tempfile::tempdir().unwrap();
    let Some(disk) = ring(&dir) else { return };
    let file = disk.open(Path::new("file"), OpenMode::Create).unwrap();
    let (sender, receiver) = mpsc::channel();
    for round in 0..50_u64 {
        for work in [write(1, 100_000, round * 300_000), write(2, 50, round * 300_000 + 200_000), Work::Sync]
        {
            let sender = sender.clone();
            let what = (round, matches!(work, Work::Sync));
            let request = Request::new(work, move |ended| {
                ended.outcome.unwrap();
                sender.send(what).unwrap();
            });
            assert!(file.begin(request).is_ok());
        }
    }
    drop(sender);
    let mut written = [0; 50];
    for (round, is_sync) in receiver {
        if is_sync {
            assert!(written[..=round as usize].iter().all(|writes| *writes == 2), "{round}: {written:?}");
        } else {
            written[round as usize] += 1;
        }
    }
    assert_eq!(written, [2; 50]);
}

#[test]
fn more_than_it_takes_is_given_back_and_nothing_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let Some(disk) = ring(&dir) else { return };
    let file = disk.open(Path::new("file"), OpenMode::Create).unwrap();
    wait(&*file, write(5, 4096, 0)).outcome.unwrap();
    let (sender, receiver) = mpsc::channel();
    let mut given_back = 0;
    for _ in 0..20 * REQUESTS_MAX {
        let sender = sender.clone();
        let request = Request::new(read(4096, 0), move |ended| sender.send(ended.outcome.unwrap()).unwrap());
        if let Err(request) = file.begin(request) {
            given_back += 1;
            request.run(&*file);
        }
    }
    drop(sender);
    // Dropped with requests under way: they come to their end.
    drop((file, disk));
    assert_eq!(
        receiver.iter().filter(|count| *count == 4096).count(),
        20 * REQUESTS_MAX,
        "{given_back} given back"
    );
}

#[test]
fn what_the_ring_is_not_for_is_given_back() {
    let dir = tempfile::tempdir().unwrap();
    let takes = RingUse { read_bytes_max: 100, writes: false };
    let Ok(disk) = RingDisk::start(dir.path(), takes) else { return };
    let file = disk.open(Path::new("file"), OpenMode::Create).unwrap();
    assert!(!file.begins_writes());
    for (work, taken) in
        [(read(100, 0), true), (read(101, 0), false), (write(1, 1, 0), false), (Work::Sync, false)]
    {
        assert_eq!(file.begin(Request::new(work, drop)).is_ok(), taken);
    }
}

#[test]
fn a_panic_in_what_follows_costs_one_request() {
    let dir = tempfile::tempdir().unwrap();
    let Some(disk) = ring(&dir) else { return };
    let file = disk.open(Path::new("file"), OpenMode::Create).unwrap();
    let (sender, receiver) = mpsc::channel::<()>();
    let panics = Request::new(Work::Sync, move |_| {
        let _held = sender;
        panic!("expected by this test");
    });
    assert!(file.begin(panics).is_ok());
    assert!(receiver.recv().is_err(), "who waits is told by the drop");
    assert!(wait(&*file, Work::Sync).outcome.is_ok(), "the ring goes on");
}

/// Counts that it is dropped.
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// A thread with a ring that ends at once, by a panic, with requests in every state.
#[test]
fn a_dead_ring_leaves_nobody_waiting() {
    let Ok(kernel) = Kernel::new(8) else { return println!("skipped: no ring here") };
    drop(kernel);
    let target = Arc::new(Target::new(tempfile::tempfile().unwrap()));
    let dropped = Arc::new(AtomicUsize::new(0));
    let operation = |work| {
        let counted = Counted(Arc::clone(&dropped));
        let request = Request::new(work, move |_| drop(counted));
        Operation { target: Arc::clone(&target), request, may_wait: false }
    };
    let (sender, receiver) = mpsc::channel();
    let operations = [write(1, 10, 0), write(2, 10, 20), Work::Sync, read(10, 0)].map(operation);
    let thread = std::thread::spawn(move || {
        let mut kernel = Kernel::new(8).unwrap();
        let [first, second, third, fourth] = operations;
        assert!(kernel.push(first).is_ok() && kernel.push(second).is_ok());
        kernel.submit(false).unwrap();
        let reactor = Reactor::new(kernel);
        let inbox = reactor.inbox();
        assert!(inbox.bring(third).is_ok() && inbox.bring(fourth).is_ok());
        sender.send(inbox).unwrap();
        panic!("expected by this test");
    });
    let inbox = receiver.recv().unwrap();
    assert!(thread.join().is_err());
    assert_eq!(dropped.load(Ordering::SeqCst), 4);
    let refused = inbox.bring(operation(read(10, 0)));
    assert!(refused.is_err(), "it goes to threads from now on");
    drop(refused);
    inbox.close();
}

#[test]
fn memory_is_kept_until_the_kernel_is_done_with_it() {
    let Ok(mut kernel) = Kernel::new(8) else { return println!("skipped: no ring here") };
    let (reader, mut writer) = std::io::pipe().unwrap();
    let target = Arc::new(Target::new(File::from(std::os::fd::OwnedFd::from(reader))));
    let (sender, ended) = mpsc::channel::<()>();
    let request = Request::new(read(4, 0), move |_| drop(sender));
    // A pipe has no offset.
    let operation = Operation { target, request, may_wait: false };
    assert!(kernel.push(operation).is_ok());
    kernel.submit(false).unwrap();
    assert_eq!(kernel.under_way(), 1);
    kernel.arm_wake();
    std::thread::scope(|scope| {
        let going = scope.spawn(move || {
            assert!(ended.recv().is_err());
        });
        scope.spawn(move || writer.write_all(b"last").unwrap());
        drop(kernel);
        going.join().unwrap();
    });
}
