//! Threads or the ring? The same work through both sides of the engine's disk seam, with equal buffers and direct writes.
//!
//! A plain program: it compares rates and processor time, in interleaved rounds, and prints the medians. `STRATA_DISK_ROUNDS`
//! sets the rounds, an argument names the only workloads to run. The files are in the target folder.

#![allow(clippy::cast_precision_loss, clippy::print_stdout, reason = "figures for people, on the terminal")]

use bytes::Bytes;
use rustix::fs::Advice;
use rustix::time::{ClockId, clock_gettime};
use sha2::{Digest as _, Sha256};
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::sync::{Arc, Barrier};
use std::time::Instant;
use strata_benches::content::Noise;
use strata_engine::disk::{
    Disk, DiskFile, OpenMode, Pool, RealDisk, Request, RingDisk, RingUse, Work, begin,
};
use tokio::sync::oneshot;

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

const MIB: usize = 1 << 20;
/// Extents of one stream that are under way at a time, as in the engine.
const IN_FLIGHT: usize = 4;
/// Threads of the pool: the engine's default on a small machine.
const THREADS: usize = 8;
/// The file that is read from.
const READ_FILE_BYTES: usize = 256 * MIB;

/// One side of the comparison.
#[derive(Clone)]
struct Side {
    name: &'static str,
    disk: Arc<dyn Disk>,
    threads: Arc<Pool>,
}

impl Side {
    fn begin(&self, file: &Arc<dyn DiskFile>, request: Request) {
        begin(&self.threads, file, request);
    }
}

type Run = Box<dyn Fn(&Side, &Path) -> Outcome<Measure>>;

/// A workload, with what it counts: bytes or operations.
struct Workload {
    name: String,
    unit: Unit,
    run: Run,
}

#[derive(Clone, Copy)]
enum Unit {
    Gigabytes,
    Operations,
}

/// What one run took.
#[derive(Clone, Copy)]
struct Measure {
    seconds: f64,
    cpu: f64,
    amount: f64,
    /// Bytes that came from the device: whether a cold run was cold.
    device: f64,
}

fn measured(amount: f64, work: impl FnOnce() -> Outcome<()>) -> Outcome<Measure> {
    let (started, cpu, device) = (Instant::now(), cpu_seconds(), device_bytes());
    work()?;
    let (seconds, cpu) = (started.elapsed().as_secs_f64(), cpu_seconds() - cpu);
    Ok(Measure { seconds, cpu, amount, device: device_bytes() - device })
}

/// Processor time of the whole process, the kernel's threads for the ring included.
fn cpu_seconds() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// Bytes that the process has read from devices so far.
fn device_bytes() -> f64 {
    let figures = std::fs::read_to_string("/proc/self/io").unwrap_or_default();
    let line = figures.lines().find_map(|line| line.strip_prefix("read_bytes: "));
    line.and_then(|bytes| bytes.parse().ok()).unwrap_or_default()
}

/// Noise that starts at a multiple of 4096.
fn aligned_noise(len: usize) -> Bytes {
    let mut noise = Noise::new(7);
    let memory = Bytes::from(noise.bytes(len + 4096));
    let start = memory.as_ptr().align_offset(4096);
    memory.slice(start..start + len)
}

/// `streams` uploads of `extents` MiB each: every extent is hashed by the stream's thread while it is written, then one sync.
fn write_streams(side: &Side, root: &Path, streams: usize, extents: usize) -> Outcome<Measure> {
    let source = aligned_noise(16 * MIB);
    measured((streams * extents * MIB) as f64 / 1e9, || {
        std::thread::scope(|scope| {
            let streams: Vec<_> = (0..streams)
                .map(|number| {
                    let source = source.clone();
                    scope.spawn(move || {
                        write_stream(side, root, number, &source, extents).map_err(|e| e.to_string())
                    })
                })
                .collect();
            for stream in streams {
                stream.join().map_err(|_| "a stream panicked")??;
            }
            Ok(())
        })
    })
}

fn write_stream(side: &Side, root: &Path, number: usize, source: &Bytes, extents: usize) -> Outcome<()> {
    let name = PathBuf::from(format!("{}-{number}", side.name));
    drop(std::fs::remove_file(root.join(&name)));
    let buffered = side.disk.open(&name, OpenMode::Create)?;
    let direct = side.disk.open(&name, OpenMode::Direct)?;
    let (slots, free) = mpsc::channel();
    for _ in 0..IN_FLIGHT {
        slots.send(Ok(0))?;
    }
    let (hash, extents_to_hash) = mpsc::channel::<Bytes>();
    let hasher = std::thread::spawn(move || {
        let mut hasher = Sha256::new();
        for extent in extents_to_hash {
            hasher.update(&extent);
        }
        hasher.finalize()
    });
    for extent in 0..extents {
        free.recv()??;
        let from = extent * MIB % source.len();
        let bytes = source.slice(from..from + MIB);
        hash.send(bytes.clone())?;
        let slots = slots.clone();
        let work = Work::Write { bytes, offset: (extent * MIB) as u64, alignment: 4096 };
        side.begin(&direct, Request::new(work, move |ended| drop(slots.send(ended.outcome))));
    }
    for _ in 0..IN_FLIGHT {
        free.recv()??;
    }
    drop(hash);
    hasher.join().map_err(|_| "the hash panicked")?;
    side.begin(&buffered, Request::new(Work::Sync, move |ended| drop(slots.send(ended.outcome))));
    free.recv()??;
    std::fs::remove_file(root.join(&name))?;
    Ok(())
}

/// `count` reads of `len` bytes at random places, `tasks` at a time, awaited on a runtime of two threads.
fn reads(side: &Side, len: usize, tasks: usize, count: usize, cold: bool) -> Outcome<Measure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build()?;
    let file = side.disk.open(Path::new("read"), OpenMode::Read)?;
    if cold {
        let fd: BorrowedFd<'_> = file.as_fd().ok_or("no descriptor")?;
        rustix::fs::fadvise(fd, 0, None, Advice::DontNeed)?;
        rustix::fs::fadvise(fd, 0, None, Advice::Random)?;
    }
    let places = (READ_FILE_BYTES / len) as u64;
    measured(count as f64, || {
        runtime.block_on(async {
            let mut running = tokio::task::JoinSet::new();
            for task in 0..tasks {
                let (side, file) = (side.clone(), Arc::clone(&file));
                running.spawn(async move {
                    let mut place = task as u64 + 1;
                    for _ in 0..count / tasks {
                        place = place
                            .wrapping_mul(6_364_136_223_846_793_005)
                            .wrapping_add(1_442_695_040_888_963_407);
                        let offset = (place >> 20) % places * len as u64;
                        let (sender, receiver) = oneshot::channel();
                        let work = Work::Read { buffer: vec![0; len], offset };
                        side.begin(&file, Request::new(work, move |ended| drop(sender.send(ended.outcome))));
                        assert!(receiver.await.is_ok_and(|outcome| outcome.is_ok_and(|count| count == len)));
                    }
                });
            }
            while let Some(outcome) = running.join_next().await {
                outcome?;
            }
            Ok(())
        })
    })
}

/// `writers` threads, each on a file of its own: 4 KiB appended, synced, `count` times in all.
fn syncs(side: &Side, root: &Path, writers: usize, count: usize) -> Outcome<Measure> {
    let start = Barrier::new(writers);
    measured(count as f64, || {
        std::thread::scope(|scope| {
            let writers: Vec<_> = (0..writers)
                .map(|number| {
                    let start = &start;
                    scope.spawn(move || {
                        let name = PathBuf::from(format!("{}-sync-{number}", side.name));
                        drop(std::fs::remove_file(root.join(&name)));
                        let file = side.disk.open(&name, OpenMode::Create).map_err(|e| e.to_string())?;
                        let bytes = Bytes::from(vec![7; 4096]);
                        start.wait();
                        for round in 0..count / writers {
                            for work in [
                                Work::Write {
                                    bytes: bytes.clone(),
                                    offset: round as u64 * 4096,
                                    alignment: 1,
                                },
                                Work::Sync,
                            ] {
                                let (sender, receiver) = mpsc::channel();
                                side.begin(
                                    &file,
                                    Request::new(work, move |ended| drop(sender.send(ended.outcome))),
                                );
                                let ended = receiver.recv().map_err(|e| e.to_string())?;
                                ended.map_err(|e| e.to_string())?;
                            }
                        }
                        std::fs::remove_file(root.join(&name)).map_err(|e| e.to_string())
                    })
                })
                .collect();
            for writer in writers {
                writer.join().map_err(|_| "a writer panicked")??;
            }
            Ok(())
        })
    })
}

fn workloads() -> Vec<Workload> {
    let mut all = Vec::new();
    for (streams, extents) in [(1, 512), (8, 64)] {
        all.push(Workload {
            name: format!("write_1_mib_direct_hashed/{streams}_streams"),
            unit: Unit::Gigabytes,
            run: Box::new(move |side, root| write_streams(side, root, streams, extents)),
        });
    }
    for (temperature, cold) in [("cached", false), ("cold", true)] {
        for (size, len) in [("4_kib", 4 << 10), ("64_kib", 64 << 10), ("256_kib", 256 << 10), ("1_mib", MIB)]
        {
            for tasks in [1, 32] {
                let count = match (cold, len) {
                    (false, 4096) => 32_768,
                    (false, 65_536) | (true, 4096) => 8192,
                    (true, 65_536) => 2048,
                    (_, 262_144) => 1024,
                    _ => 256,
                };
                all.push(Workload {
                    name: format!("read_{size}_{temperature}/{tasks}_at_a_time"),
                    unit: Unit::Operations,
                    run: Box::new(move |side, _| reads(side, len, tasks, count, cold)),
                });
            }
        }
    }
    for (writers, count) in [(1, 512), (8, 2048), (32, 4096)] {
        all.push(Workload {
            name: format!("append_4_kib_and_sync/{writers}_files"),
            unit: Unit::Operations,
            run: Box::new(move |side, root| syncs(side, root, writers, count)),
        });
    }
    all
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

fn compare(sides: &[Side], root: &Path, rounds: usize, filter: Option<&str>) -> Outcome<()> {
    println!("{:<46} {:>9} {:>12} {:>16} {:>12}", "workload", "side", "rate", "processor time", "device");
    for workload in workloads() {
        if filter.is_some_and(|filter| !workload.name.contains(filter)) {
            continue;
        }
        let mut runs: Vec<Vec<Measure>> = vec![Vec::new(); sides.len()];
        for _ in 0..rounds {
            for (side, runs) in sides.iter().zip(&mut runs) {
                runs.push((workload.run)(side, root)?);
            }
        }
        for (side, runs) in sides.iter().zip(&runs) {
            let rate = median(runs.iter().map(|run| run.amount / run.seconds).collect());
            let cpu = median(runs.iter().map(|run| run.cpu / run.amount).collect());
            let device = median(runs.iter().map(|run| run.device / 1e6).collect());
            let (rate, cpu) = match workload.unit {
                Unit::Gigabytes => (format!("{rate:.2} GB/s"), format!("{cpu:.3} s/GB")),
                Unit::Operations => (format!("{rate:.0}/s"), format!("{:.1} us/op", cpu * 1e6)),
            };
            println!("{:<46} {:>9} {rate:>12} {cpu:>16} {device:>9.0} MB", workload.name, side.name);
        }
    }
    Ok(())
}

fn main() -> Outcome<()> {
    let root = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let rounds = std::env::var("STRATA_DISK_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(5);
    // Cargo passes `--bench` along.
    let filter = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    let threads = Arc::new(Pool::start("bench", THREADS)?);
    let pool =
        Side { name: "threads", disk: Arc::new(RealDisk::new(root.path())), threads: Arc::clone(&threads) };
    let mut sides = vec![pool];
    match RingDisk::start(root.path(), RingUse::ALL) {
        Ok(disk) => sides.push(Side { name: "ring", disk: Arc::new(disk), threads }),
        Err(error) => println!("no ring here: {error}"),
    }
    std::fs::write(root.path().join("read"), Noise::new(1).bytes(READ_FILE_BYTES))?;
    std::fs::File::open(root.path().join("read"))?.sync_all()?;
    compare(&sides, root.path(), rounds, filter.as_deref())
}
