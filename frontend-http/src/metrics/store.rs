//! The figures of the registry and the store behind it, and whether it takes writes.

use super::encode;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use std::fmt;
use strata_registry::{Figure, FigureKind, Registry};

/// The figures at the time of one scrape.
#[derive(Debug)]
pub(super) struct Store {
    figures: Vec<Figure>,
    read_only: bool,
}

impl Store {
    pub(super) fn new(registry: &Registry) -> Self {
        let read_only = !registry.health().is_ready();
        Self { figures: registry.figures(), read_only }
    }
}

impl Collector for Store {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for figure in &self.figures {
            let name = format!("strata_{}", figure.name);
            // The other helps are no sentences either.
            let help = figure.help.trim_end_matches('.');
            match figure.kind {
                FigureKind::Counter => encode::counter(&mut encoder, &name, help, figure.value)?,
                FigureKind::Gauge => encode::gauge(&mut encoder, &name, help, figure.value)?,
            }
        }
        let help = "1 while the store refuses pushes: free space is below the reserve, or a write failed and it waits for a restart";
        encode::gauge(&mut encoder, "strata_store_read_only", help, u64::from(self.read_only))
    }
}
