//! The contract that every disk keeps, and what the simulated and the faulty one add to it.

use super::faulty::{Fault, FaultyDisk, Operation};
use super::ring::tests::{Waiting, ring, wait};
use super::sim::{Cut, SimDisk};
use super::*;
use std::io::ErrorKind;

fn write_all_at(file: &dyn DiskFile, bytes: &[u8], offset: u64) -> io::Result<()> {
    write_all_vectored_at(file, &mut [IoSlice::new(bytes)], offset)
}

/// What everybody may rely on.
fn contract(disk: &dyn Disk) {
    let (dir, path) = (Path::new("dir"), Path::new("dir/file"));
    assert_eq!(disk.open(path, OpenMode::Create).unwrap_err().kind(), ErrorKind::NotFound);
    disk.create_dir(dir).unwrap();
    disk.create_dir(dir).unwrap();
    assert_eq!(disk.create_dir(Path::new("no/dir")).unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(disk.open(path, OpenMode::Read).unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(disk.open(path, OpenMode::Write).unwrap_err().kind(), ErrorKind::NotFound);
    let file = disk.open(path, OpenMode::Create).unwrap();
    assert_eq!(disk.open(path, OpenMode::Create).unwrap_err().kind(), ErrorKind::AlreadyExists);
    write_all_at(&*file, b"behind a hole", 10).unwrap();
    write_all_vectored_at(&*file, &mut [IoSlice::new(b""), IoSlice::new(b"in "), IoSlice::new(b"parts")], 1)
        .unwrap();
    assert_eq!(file.len().unwrap(), 23);
    let reader = disk.open(path, OpenMode::Read).unwrap();
    let mut whole = [9; 23];
    read_exact_at(&*reader, &mut whole, 0).unwrap();
    assert_eq!(&whole, b"\0in parts\0behind a hole");
    let mut cached = [9; 13];
    if read_exact_at_cached(&*reader, &mut cached, 10).unwrap() {
        assert_eq!(&cached, b"behind a hole");
    }
    assert_eq!(read_exact_at(&*reader, &mut whole, 1).unwrap_err().kind(), ErrorKind::UnexpectedEof);
    assert_eq!(reader.read_at(&mut whole, 23).unwrap(), 0);
    assert!(reader.write_at(b"x", 0).is_err(), "opened for reading");
    file.set_len(5).unwrap();
    assert_eq!(reader.len().unwrap(), 5);
    file.sync().unwrap();
    disk.sync_dir(dir).unwrap();
    disk.sync_dir(Path::new("")).unwrap();
    assert_eq!(disk.list(dir).unwrap(), [DirEntry { name: "file".into(), is_dir: false }]);
    assert_eq!(disk.list(Path::new("")).unwrap(), [DirEntry { name: "dir".into(), is_dir: true }]);
    assert_eq!(disk.list(Path::new("none")).unwrap_err().kind(), ErrorKind::NotFound);
    disk.remove(path).unwrap();
    assert_eq!(disk.remove(path).unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(reader.len().unwrap(), 5, "an open handle outlives the name");
    assert!(disk.list(dir).unwrap().is_empty());
    let space = disk.space().unwrap();
    assert!(space.available > 0 && space.total >= space.available);
}

#[test]
fn every_disk_keeps_the_contract() {
    let dir = tempfile::tempdir().unwrap();
    contract(&RealDisk::new(dir.path()));
    contract(&SimDisk::new());
    contract(&FaultyDisk::new(Arc::new(SimDisk::new())));
    let begins = SimDisk::new();
    begins.set_begins(true);
    contract(&Waiting(FaultyDisk::new(Arc::new(Waiting(begins)))));
}

#[test]
fn the_ring_keeps_the_contract() {
    let dirs = [(); 3].map(|()| tempfile::tempdir().unwrap());
    let Some(disks) = dirs.iter().map(ring).collect::<Option<Vec<_>>>() else { return };
    let [begun, faulty, plain] = <[RingDisk; 3]>::try_from(disks).unwrap();
    contract(&plain);
    contract(&Waiting(begun));
    contract(&Waiting(FaultyDisk::new(Arc::new(faulty))));
}

#[test]
fn many_slices_take_many_writes() {
    let dir = tempfile::tempdir().unwrap();
    let disk = RealDisk::new(dir.path());
    let path = Path::new("file");
    let file = disk.open(path, OpenMode::Create).unwrap();
    let parts: Vec<[u8; 3]> = (0..3000_u32).map(|n| [n as u8, (n >> 8) as u8, 7]).collect();
    let mut slices: Vec<IoSlice<'_>> = parts.iter().map(|part| IoSlice::new(part)).collect();
    write_all_vectored_at(&*file, &mut slices, 0).unwrap();
    let mut whole = vec![0; 9000];
    read_exact_at(&*file, &mut whole, 0).unwrap();
    assert_eq!(whole, parts.concat());
}

#[test]
fn direct_writes_meet_buffered_reads() {
    let dir = tempfile::tempdir().unwrap();
    let disk = RealDisk::new(dir.path());
    let path = Path::new("file");
    let file = disk.open(path, OpenMode::Create).unwrap();
    write_all_at(&*file, &[1; 4096], 0).unwrap();
    // A file system without direct writes refuses the open, which is part of the contract.
    let Ok(direct) = disk.open(path, OpenMode::Direct) else { return };
    let memory = vec![2_u8; 3 * DIRECT_ALIGNMENT];
    let start = memory.as_ptr().align_offset(DIRECT_ALIGNMENT);
    write_all_at(&*direct, &memory[start..start + 2 * DIRECT_ALIGNMENT], 4096).unwrap();
    let mut whole = vec![0; 3 * DIRECT_ALIGNMENT];
    read_exact_at(&*file, &mut whole, 0).unwrap();
    assert!(whole[..4096].iter().all(|byte| *byte == 1) && whole[4096..].iter().all(|byte| *byte == 2));
}

#[test]
fn a_power_cut_takes_what_was_not_synced() {
    for (cut, file_there, content) in [(Cut::Lose, false, &b"old"[..]), (Cut::Keep, true, &b"new"[..])] {
        let disk = SimDisk::new();
        let old = disk.open(Path::new("old"), OpenMode::Create).unwrap();
        write_all_at(&*old, b"old", 0).unwrap();
        old.sync().unwrap();
        disk.sync_dir(Path::new("")).unwrap();
        write_all_at(&*old, b"new", 0).unwrap();
        disk.open(Path::new("unsynced"), OpenMode::Create).unwrap().sync().unwrap();
        disk.power_cut(cut);
        assert!(old.sync().is_err(), "a handle of before");
        assert_eq!(disk.files().contains(&"unsynced".into()), file_there);
        let mut found = [0; 3];
        read_exact_at(&*disk.open(Path::new("old"), OpenMode::Read).unwrap(), &mut found, 0).unwrap();
        assert_eq!(found, content);
        disk.remove(Path::new("old")).unwrap();
        disk.power_cut(Cut::Lose);
        assert!(disk.files().contains(&"old".into()), "the removal was not synced");
    }
}

#[test]
fn a_torn_write_is_torn_between_sectors() {
    let mut mixed = 0;
    for seed in 1..40 {
        let disk = SimDisk::new();
        let file = disk.open(Path::new("f"), OpenMode::Create).unwrap();
        write_all_at(&*file, &[1; 4096], 0).unwrap();
        file.sync().unwrap();
        disk.sync_dir(Path::new("")).unwrap();
        write_all_at(&*file, &[2; 4096], 0).unwrap();
        disk.power_cut(Cut::Tear(seed));
        let mut found = [0; 4096];
        read_exact_at(&*disk.open(Path::new("f"), OpenMode::Read).unwrap(), &mut found, 0).unwrap();
        for sector in found.chunks(512) {
            assert!(sector.iter().all(|byte| *byte == sector[0]));
        }
        mixed += u32::from(found.contains(&1) && found.contains(&2));
    }
    assert!(mixed > 10, "{mixed}");
}

#[test]
fn the_power_goes_at_the_step_that_was_asked_for() {
    let disk = SimDisk::new();
    disk.cut_at(2);
    let file = disk.open(Path::new("f"), OpenMode::Create).unwrap();
    assert!(file.write_at(b"x", 0).is_err() && disk.is_off());
    assert!(file.sync().is_err() && !disk.step_outside());
    disk.kill();
    assert!(!disk.is_off() && disk.steps() == 0);
}

#[test]
fn a_full_disk_takes_no_more() {
    let disk = SimDisk::new();
    disk.set_capacity(Some(100));
    let file = disk.open(Path::new("f"), OpenMode::Create).unwrap();
    assert_eq!(file.write_at(&[1; 101], 0).unwrap_err().kind(), ErrorKind::StorageFull);
    write_all_at(&*file, &[1; 100], 0).unwrap();
    write_all_at(&*file, &[2; 50], 50).unwrap();
    assert_eq!(disk.space().unwrap().available, 0);
}

#[test]
fn faults_come_when_they_are_ordered() {
    faults(&FaultyDisk::new(Arc::new(SimDisk::new())));
    let dir = tempfile::tempdir().unwrap();
    let Some(ring) = ring(&dir) else { return };
    faults(&FaultyDisk::new(Arc::new(Waiting(ring))));
}

fn faults(disk: &FaultyDisk) {
    let file = disk.open(Path::new("f"), OpenMode::Create).unwrap();
    disk.order(Operation::Write, Fault::Enospc, 1, 1);
    assert_eq!(file.write_at(b"ab", 0).unwrap(), 2);
    assert_eq!(file.write_at(b"ab", 0).unwrap_err().kind(), ErrorKind::StorageFull);
    assert_eq!(file.write_at(b"ab", 0).unwrap(), 2);
    disk.order(Operation::Write, Fault::Short, 0, 2);
    disk.order(Operation::Write, Fault::Eintr, 0, 1);
    write_all_at(&*file, b"12345678", 0).unwrap();
    disk.order(Operation::Read, Fault::Short, 0, 2);
    let mut found = [0; 8];
    read_exact_at(&*file, &mut found, 0).unwrap();
    assert_eq!(&found, b"12345678");
    disk.order(Operation::Sync, Fault::Eio, 0, 1);
    assert_eq!(file.sync().unwrap_err().raw_os_error(), Some(libc::EIO));
    assert_eq!(disk.heal(), 7);
    file.sync().unwrap();
    begun_faults(disk);
}

/// As above, where requests are begun: errors come with the end, what is to be taken up again is given back.
fn begun_faults(disk: &FaultyDisk) {
    let file = disk.open(Path::new("f"), OpenMode::Write).unwrap();
    let write = || Work::Write { bytes: bytes::Bytes::from_static(b"abcdefgh"), offset: 0, alignment: 1 };
    for (fault, code) in [(Fault::Eio, libc::EIO), (Fault::Enospc, libc::ENOSPC)] {
        disk.order(Operation::Write, fault, 1, 1);
        assert_eq!(wait(&*file, write()).outcome.unwrap(), 8);
        assert_eq!(wait(&*file, write()).outcome.unwrap_err().raw_os_error(), Some(code));
        assert_eq!(wait(&*file, write()).outcome.unwrap(), 8);
    }
    disk.order(Operation::Sync, Fault::Eintr, 0, 3);
    disk.order(Operation::Read, Fault::Short, 0, 3);
    assert_eq!(wait(&*file, Work::Sync).outcome.unwrap(), 0);
    assert_eq!(wait(&*file, Work::Read { buffer: vec![0; 8], offset: 0 }).outcome.unwrap(), 8);
    assert_eq!(disk.heal(), 8);
}
