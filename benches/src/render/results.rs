//! The saved figures, and what is asked of them.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::wire::bad;

/// The figures of one phase, as `benches/compare` saves them.
#[derive(Debug, Clone, Deserialize, Serialize)]
pub(crate) struct Phase {
    pub(crate) key: String,
    pub(crate) title: String,
    /// When it began (RFC 3339).
    pub(crate) started: String,
    pub(crate) took_seconds: f64,
    pub(crate) machine: Map<String, Value>,
    pub(crate) server_cores: String,
    pub(crate) client_core: String,
    pub(crate) rounds: u64,
    pub(crate) seconds: f64,
    pub(crate) quick: bool,
    pub(crate) servers: BTreeMap<String, ServerFacts>,
    pub(crate) workloads: Vec<Workload>,
    pub(crate) runs: Vec<Map<String, Value>>,
    pub(crate) failures: Vec<Failure>,
}

/// What a server is.
#[derive(Debug, Clone, Deserialize, Serialize)]
pub(crate) struct ServerFacts {
    pub(crate) title: String,
    pub(crate) version: String,
    pub(crate) durability: String,
    pub(crate) settings: String,
    /// Why it did not take part, if it did not.
    pub(crate) missing: String,
}

#[derive(Debug, Clone, Deserialize, Serialize)]
pub(crate) struct Workload {
    pub(crate) key: String,
    pub(crate) title: String,
    /// What its rate counts: requests, bytes, images; or what else it measures.
    pub(crate) unit: String,
}

#[derive(Debug, Clone, Deserialize, Serialize)]
pub(crate) struct Failure {
    pub(crate) workload: String,
    pub(crate) server: String,
    pub(crate) reason: String,
}

/// The figures of all phases.
#[derive(Debug, Default)]
pub struct Results {
    pub(crate) phases: Vec<Phase>,
}

/// In which order phases are told.
const ORDER: [&str; 12] = [
    "blobs",
    "manifests",
    "tls",
    "push-large",
    "push-images",
    "herd",
    "idle",
    "cold",
    "scale",
    "start",
    "traffic",
    "zb",
];

impl Results {
    /// Reads every `.json` file of a folder; a folder that is not there holds none.
    ///
    /// # Errors
    /// When one cannot be read, or is not what it should be.
    pub fn read(folder: &Path) -> io::Result<Results> {
        let mut phases: Vec<Phase> = Vec::new();
        for entry in if folder.is_dir() { Some(fs::read_dir(folder)?) } else { None }.into_iter().flatten() {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "json") {
                let text = fs::read_to_string(&path)?;
                phases.push(
                    serde_json::from_str(&text).map_err(|why| bad(format!("{}: {why}", path.display())))?,
                );
            }
        }
        phases.sort_by_key(|phase| ORDER.iter().position(|key| *key == phase.key).unwrap_or(ORDER.len()));
        Ok(Results { phases })
    }

    pub(crate) fn workload(&self, key: &str) -> Option<&Workload> {
        self.phases.iter().flat_map(|phase| &phase.workloads).find(|workload| workload.key == key)
    }

    /// The runs of a workload against a server.
    pub(crate) fn runs(&self, workload: &str, server: &str) -> Vec<&Map<String, Value>> {
        let is = |run: &&Map<String, Value>, field: &str, value: &str| {
            run.get(field).and_then(Value::as_str) == Some(value)
        };
        let all = self.phases.iter().flat_map(|phase| &phase.runs);
        all.filter(|run| is(run, "workload", workload) && is(run, "server", server)).collect()
    }

    /// What `of` makes of each run, in order of size.
    fn sorted(
        &self,
        workload: &str,
        server: &str,
        of: impl Fn(&Map<String, Value>) -> Option<f64>,
    ) -> Vec<f64> {
        let mut values: Vec<f64> = self
            .runs(workload, server)
            .into_iter()
            .filter_map(of)
            .filter(|value| value.is_finite())
            .collect();
        values.sort_by(f64::total_cmp);
        values
    }

    /// The median of a field over a workload's runs.
    pub(crate) fn median(&self, workload: &str, server: &str, field: &str) -> Option<f64> {
        median(&self.sorted(workload, server, |run| run.get(field)?.as_f64()))
    }

    /// The largest value of a field over a workload's runs.
    pub(crate) fn largest(&self, workload: &str, server: &str, field: &str) -> Option<f64> {
        self.sorted(workload, server, |run| run.get(field)?.as_f64()).last().copied()
    }

    /// The rate: smallest, median, largest; in bytes or things a second.
    pub(crate) fn rates(&self, workload: &str, server: &str) -> Option<[f64; 3]> {
        let amount = self.amount(workload)?;
        let rates = self
            .sorted(workload, server, |run| Some(run.get(amount)?.as_f64()? / run.get("seconds")?.as_f64()?));
        Some([*rates.first()?, median(&rates)?, *rates.last()?])
    }

    /// The median rate.
    pub(crate) fn rate(&self, workload: &str, server: &str) -> Option<f64> {
        self.rates(workload, server).map(|[_, median, _]| median)
    }

    /// The server's processor time, in seconds, for each byte or thing.
    pub(crate) fn cpu(&self, workload: &str, server: &str) -> Option<f64> {
        let amount = self.amount(workload)?;
        let costs =
            self.sorted(workload, server, |run| Some(run.get("cpu")?.as_f64()? / run.get(amount)?.as_f64()?));
        median(&costs)
    }

    fn amount(&self, workload: &str) -> Option<&'static str> {
        let unit = self.workload(workload)?.unit.as_str();
        Some(if unit == "bytes" { "bytes" } else { "count" })
    }

    /// Why a server did not do a workload.
    pub(crate) fn reason(&self, workload: &str, server: &str) -> Option<&str> {
        let phase = self.phases.iter().find(|phase| phase.workloads.iter().any(|one| one.key == workload))?;
        let failed =
            phase.failures.iter().find(|failure| failure.workload == workload && failure.server == server);
        let missing = || {
            phase
                .servers
                .get(server)
                .map(|facts| facts.missing.as_str())
                .filter(|missing| !missing.is_empty())
        };
        failed.map(|failure| failure.reason.as_str()).or_else(missing)
    }
}

fn median(sorted: &[f64]) -> Option<f64> {
    let middle = sorted.len() / 2;
    let upper = *sorted.get(middle)?;
    if sorted.len() % 2 == 1 { Some(upper) } else { Some(f64::midpoint(upper, *sorted.get(middle - 1)?)) }
}
