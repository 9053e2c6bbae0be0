//! What Strata has to reach, and whether it did. All are ratios within one run, or bounds.

use super::{Results, figure};

/// One target.
#[derive(Debug, Clone, PartialEq)]
pub struct Reached {
    /// The load, and what of it is compared with what.
    pub work: String,
    /// What is to be reached.
    pub target: String,
    /// What was.
    pub value: Option<f64>,
    /// How the value is written.
    pub shown: String,
    /// Whether that is enough; none if it was not measured.
    pub met: Option<bool>,
}

enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

struct Table<'r> {
    results: &'r Results,
    rows: Vec<Reached>,
}

impl Table<'_> {
    /// A row whose value is written with this unit behind it; `why_not` tells why there is none.
    fn row(&mut self, work: String, bound: &Bound, value: Option<f64>, unit: &str, why_not: Option<&str>) {
        let (sign, limit) = match bound {
            Bound::AtLeast(limit) => ("≥", *limit),
            Bound::AtMost(limit) => ("≤", *limit),
        };
        let met = value.map(|value| match bound {
            Bound::AtLeast(limit) => value >= *limit,
            Bound::AtMost(limit) => value <= *limit,
        });
        let shown = value.map_or_else(
            || format!("not measured{}", why_not.map(|why| format!(": {why}")).unwrap_or_default()),
            |value| format!("{}{unit}", figure(value)),
        );
        self.rows.push(Reached { work, target: format!("{sign} {limit}{unit}"), value, shown, met });
    }

    fn title(&self, workload: &str) -> String {
        self.results.workload(workload).map_or_else(|| workload.to_owned(), |found| found.title.clone())
    }

    /// Strata's rate beside that of another server.
    fn rate(&mut self, workload: &str, other: &str, least: f64) {
        let value = ratio(self.results.rate(workload, "strata"), self.results.rate(workload, other));
        let why_not = self
            .results
            .reason(workload, "strata")
            .or_else(|| self.results.reason(workload, other))
            .map(str::to_owned);
        let work = format!("{}: rate beside {}", self.title(workload), name(other));
        self.row(work, &Bound::AtLeast(least), value, " ×", why_not.as_deref());
    }

    /// Strata's processor time beside that of another server.
    fn cpu(&mut self, workload: &str, other: &str, most: f64) {
        let value = ratio(self.results.cpu(workload, "strata"), self.results.cpu(workload, other));
        let work = format!("{}: CPU beside {}", self.title(workload), name(other));
        self.row(work, &Bound::AtMost(most), value, " ×", None);
    }

    /// What serves the same bytes as files: nginx, and nginx without pacing where it took part.
    fn files(&self, workload: &str) -> impl Iterator<Item = &'static str> + use<> {
        let unpaced = "nginx-unpaced";
        let took_part = self.results.rate(workload, unpaced).is_some();
        [Some("nginx"), took_part.then_some(unpaced)].into_iter().flatten()
    }

    fn blobs(&mut self) {
        for (workload, registries) in
            [("blob-4k", 20.0), ("blob-64k", 20.0), ("blob-1m", 5.0), ("blob-64m", 1.5)]
        {
            for nginx in self.files(workload) {
                self.rate(workload, nginx, 1.2);
                self.cpu(workload, nginx, 0.85);
            }
            for other in ["docker-registry", "distribution", "zot"] {
                self.rate(workload, other, registries);
            }
        }
        for workload in
            ["manifest-get", "manifest-head", "tls-h1-1m", "tls-h1-64m", "tls-h2-1m", "tls-h2-64m"]
        {
            for nginx in self.files(workload) {
                self.rate(workload, nginx, 1.0);
            }
        }
    }

    fn pushes(&mut self) {
        let hash = self.results.median("limits", "limits", "sha256_bytes_per_second");
        for (workload, least) in [("push-1g", 0.75), ("push-8x256m", 0.9)] {
            let value = ratio(self.results.rate(workload, "strata"), hash);
            let work = format!("{}: rate beside SHA-256 of one core", self.title(workload));
            let why_not = self.results.reason(workload, "strata").map(str::to_owned);
            self.row(work, &Bound::AtLeast(least), value, " ×", why_not.as_deref());
            let cpu = self.results.cpu(workload, "strata").map(|seconds| seconds * 1e9);
            self.row(format!("{}: CPU", self.title(workload)), &Bound::AtMost(0.85), cpu, " s/GB", None);
        }
        for (other, least) in [("docker-registry", 20.0), ("distribution", 15.0), ("zot", 5.0)] {
            self.rate("push-images-32", other, least);
        }
    }

    fn crowds(&mut self) {
        const MEBIBYTE: f64 = 1_048_576.0;
        for nginx in self.files("herd") {
            self.rate("herd", nginx, 1.0);
        }
        let title = self.title("herd");
        let peak = self.results.largest("herd", "strata", "peak").map(|bytes| bytes / MEBIBYTE);
        self.row(format!("{title}: peak memory"), &Bound::AtMost(150.0), peak, " MiB", None);
        let slowest = self.results.median("herd", "strata", "max_to_median");
        self.row(
            format!("{title}: slowest client beside the median"),
            &Bound::AtMost(2.0),
            slowest,
            " ×",
            None,
        );
        let each = self.results.median("idle", "strata", "each").map(|bytes| bytes / 1024.0);
        let title = self.title("idle");
        let why_not = self.results.reason("idle", "strata").map(str::to_owned);
        self.row(format!("{title}: memory of each"), &Bound::AtMost(16.0), each, " KiB", why_not.as_deref());
        let p99 = |workload| self.results.median(workload, "strata", "p99_us");
        let (beside, alone) = (p99("hot-beside-cold"), p99("hot-alone"));
        let work = format!("{}: p99 beside that without them", self.title("hot-beside-cold"));
        let why_not = self.results.reason("hot-beside-cold", "strata").map(str::to_owned);
        self.row(work, &Bound::AtMost(2.0), ratio(beside, alone), " ×", why_not.as_deref());
        self.scale();
        let start = self.results.median("start", "strata", "seconds").map(|seconds| seconds * 1000.0);
        self.row(
            "start to the first answer, empty store".to_owned(),
            &Bound::AtMost(150.0),
            start,
            " ms",
            None,
        );
        let rest = self.results.median("start", "strata", "resident").map(|bytes| bytes / MEBIBYTE);
        self.row("memory at rest, empty store".to_owned(), &Bound::AtMost(40.0), rest, " MiB", None);
    }

    fn scale(&mut self) {
        let why_not = self.results.reason("scale", "strata").map(str::to_owned);
        let work = "metadata at 1,000,000 manifests";
        let run = self.results.runs("scale", "strata").into_iter().next().cloned().unwrap_or_default();
        let at =
            |value: &serde_json::Value, path: &str| value.pointer(path).and_then(serde_json::Value::as_f64);
        let requests =
            run.get("requests").and_then(|requests| requests.as_array()).cloned().unwrap_or_default();
        for request in &requests {
            let name = request.get("request").and_then(|name| name.as_str()).unwrap_or_default();
            let value = ratio(at(request, "/p50_us/1"), at(request, "/p50_us/0"));
            self.row(
                format!("{work}: p50 of {name} beside an empty store"),
                &Bound::AtMost(1.3),
                value,
                " ×",
                None,
            );
        }
        if requests.is_empty() {
            self.row(
                format!("{work}: p50 beside an empty store"),
                &Bound::AtMost(1.3),
                None,
                " ×",
                why_not.as_deref(),
            );
        }
        let store = run.get("stores").and_then(|stores| stores.get(1)).cloned().unwrap_or_default();
        let peak = at(&store, "/rss_peak_kib").map(|kibibytes| kibibytes / 1024.0);
        self.row(format!("{work}: memory"), &Bound::AtMost(512.0), peak, " MiB", why_not.as_deref());
        let open = at(&store, "/start_ms").map(|milliseconds| milliseconds / 1000.0);
        self.row(format!("{work}: open"), &Bound::AtMost(2.0), open, " s", why_not.as_deref());
    }
}

fn ratio(of: Option<f64>, to: Option<f64>) -> Option<f64> {
    Some(of? / to.filter(|to| *to > 0.0)?)
}

/// How a server is named in a sentence.
fn name(server: &str) -> &str {
    match server {
        "docker-registry" => "docker-registry 2.8",
        "distribution" => "distribution 3.1",
        "zot" => "zot 2.1 (no sync)",
        other => other,
    }
}

/// Every target with what was reached.
pub fn targets(results: &Results) -> Vec<Reached> {
    let mut table = Table { results, rows: Vec::new() };
    table.blobs();
    table.pushes();
    table.crowds();
    table.rows
}
