//! Figures of the process, read from `/proc` when `/metrics` is asked for. What cannot be read is left out.

use super::encode;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use std::fmt;

#[derive(Debug)]
pub(super) struct Process;

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        if let Some(bytes) = resident_bytes() {
            encode::gauge(&mut encoder, "process_resident_memory_bytes", "Memory that is in use", bytes)?;
        }
        if let Some(count) = open_files() {
            encode::gauge(&mut encoder, "process_open_fds", "File descriptors that are open", count)?;
        }
        if let Some(count) = threads() {
            encode::gauge(&mut encoder, "process_threads", "Threads of the process", count)?;
        }
        let version = std::iter::once((env!("CARGO_PKG_VERSION"), 1));
        encode::gauges(&mut encoder, "strata_build_info", "The version that runs", "version", version)?;
        let seconds = ConstCounter::new(cpu_seconds());
        let name = "process_cpu_seconds";
        let metric = encoder.encode_descriptor(name, "Processor time used", None, seconds.metric_type())?;
        seconds.encode(metric)
    }
}

/// The second number of `statm` counts resident pages.
fn resident_bytes() -> Option<u64> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split(' ').nth(1)?.parse().ok()?;
    Some(pages * u64::try_from(rustix::param::page_size()).ok()?)
}

/// One is the descriptor of the listing itself.
fn open_files() -> Option<u64> {
    let count = std::fs::read_dir("/proc/self/fd").ok()?.count();
    u64::try_from(count).ok()?.checked_sub(1)
}

fn threads() -> Option<u64> {
    let count = std::fs::read_dir("/proc/self/task").ok()?.count();
    u64::try_from(count).ok()
}

fn cpu_seconds() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    let seconds = u32::try_from(time.tv_sec).map_or(0.0, f64::from);
    seconds + u32::try_from(time.tv_nsec).map_or(0.0, f64::from) / 1e9
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_process() {
        assert!(resident_bytes().unwrap() > 100_000);
        assert!(open_files().unwrap() >= 3);
        assert!(threads().unwrap() >= 1);
        assert!(cpu_seconds() > 0.0);
    }
}
