//! The page: targets, servers, and for each phase its chart, its table and what failed.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::Value;

use super::bars::{Bar, Panel, bars};
use super::curve::{Series, curve};
use super::results::{Phase, Results, ServerFacts, Workload};
use super::targets::targets;
use super::{figure, span};

const INTRODUCTION: &str = include_str!("introduction.md");
/// In which order servers stand.
const SERVERS: [&str; 7] =
    ["strata", "docker-registry", "distribution", "zot", "nginx", "nginx-unpaced", "limits"];

pub(super) struct Document<'r> {
    results: &'r Results,
    pub(super) text: String,
    /// Name and content.
    pub(super) charts: Vec<(String, String)>,
}

impl<'r> Document<'r> {
    pub(super) fn new(results: &'r Results) -> Document<'r> {
        Document { results, text: INTRODUCTION.to_owned(), charts: Vec::new() }
    }

    pub(super) fn write(&mut self) {
        let results = self.results;
        if results.phases.is_empty() {
            self.text.push_str("\n## Results\n\nNo run is recorded yet.\n");
            return;
        }
        self.machine();
        self.targets();
        self.servers();
        for phase in &results.phases {
            let _ = write!(self.text, "\n## {}\n\n", phase.title);
            self.bars(phase);
            self.curves(phase);
            self.table(phase);
            self.failures(phase);
        }
        self.commands();
    }

    fn machine(&mut self) {
        let phases = &self.results.phases;
        let Some(first) = phases.iter().min_by_key(|phase| &phase.started) else { return };
        let of = |field: &str| match first.machine.get(field) {
            Some(Value::String(text)) => text.clone(),
            Some(value) if !value.is_null() => value.to_string(),
            _ => "unknown".to_owned(),
        };
        let memory = first.machine.get("memory_bytes").and_then(Value::as_f64).unwrap_or(0.0) / 1e9;
        let took: f64 = phases.iter().map(|phase| phase.took_seconds).sum();
        let _ = write!(
            self.text,
            "\n## The run\n\n{}, {} cores, {} GB of memory, Linux {}, {}, TCP congestion control {}. {} minutes in all. \
             The server on core {}, the load generator on core {}.\n",
            of("cpu"),
            of("cores"),
            figure(memory),
            of("kernel"),
            of("file_system"),
            of("tcp_congestion_control"),
            figure(took / 60.0),
            phases
                .iter()
                .map(|phase| phase.server_cores.as_str())
                .find(|cores| !cores.contains(','))
                .unwrap_or("any"),
            first.client_core,
        );
        // Phases can be measured again one by one, so they need not be of one day, nor of one build.
        self.text.push_str("\n| phase | begun | rounds |\n|---|---|--:|\n");
        for phase in phases {
            let (title, begun) = (cell(&phase.title), &phase.started);
            let _ = writeln!(self.text, "| {title} | {begun} | {} of {} s |", phase.rounds, phase.seconds);
        }
        if phases.iter().any(|phase| phase.quick) {
            self.text
                .push_str("\n**A quick run: its figures show that everything works, and nothing else.**\n");
        }
    }

    fn targets(&mut self) {
        self.text.push_str("\n## Targets\n\n| load | target | reached | met |\n|---|--:|--:|---|\n");
        for row in targets(self.results) {
            let met = match row.met {
                Some(true) => "yes",
                Some(false) => "**no**",
                None => "–",
            };
            let _ = writeln!(
                self.text,
                "| {} | {} | {} | {met} |",
                cell(&row.work),
                row.target,
                cell(&row.shown)
            );
        }
    }

    fn servers(&mut self) {
        let mut all: BTreeMap<&str, &ServerFacts> = BTreeMap::new();
        for phase in &self.results.phases {
            all.extend(phase.servers.iter().map(|(key, facts)| (key.as_str(), facts)));
        }
        self.text.push_str(
            "\n## Servers\n\n| | version | when it has answered a push | settings |\n|---|---|---|---|\n",
        );
        for key in SERVERS {
            let Some(facts) = all.get(key) else { continue };
            let version = if facts.missing.is_empty() {
                cell(&facts.version)
            } else {
                format!("not available: {}", cell(&facts.missing))
            };
            let _ = writeln!(
                self.text,
                "| {} | {version} | {} | {} |",
                facts.title,
                cell(&facts.durability),
                cell(&facts.settings)
            );
        }
    }

    fn bars(&mut self, phase: &Phase) {
        let rated: Vec<&Workload> = phase
            .workloads
            .iter()
            .filter(|one| matches!(one.unit.as_str(), "requests" | "bytes" | "images"))
            .collect();
        let panels: Vec<Panel> = rated.iter().filter_map(|workload| self.rates(phase, workload)).collect();
        if !panels.is_empty() {
            self.chart(
                &phase.key,
                &phase.title,
                bars(
                    &format!("{}: rate", phase.title),
                    "Longer is better. The thin line reaches from the smallest to the largest round.",
                    &panels,
                ),
            );
        }
        let panels: Vec<Panel> = rated.iter().filter_map(|workload| self.costs(phase, workload)).collect();
        if phase.key == "blobs" && !panels.is_empty() {
            let name = format!("{}-cpu", phase.key);
            self.chart(
                &name,
                "Processor time",
                bars(
                    &format!("{}: processor time of the server", phase.title),
                    "Shorter is better.",
                    &panels,
                ),
            );
        }
    }

    fn chart(&mut self, name: &str, alternative: &str, svg: String) {
        let _ = writeln!(self.text, "![{alternative}](performance/{name}.svg)\n");
        self.charts.push((name.to_owned(), svg));
    }

    /// The servers of a phase that have a figure for a workload, or a reason for having none.
    fn bars_of(
        &self,
        phase: &Phase,
        workload: &Workload,
        values: impl Fn(&str) -> Option<[f64; 3]>,
        text: impl Fn(f64) -> String,
    ) -> Option<Panel> {
        let mut found = Vec::new();
        for key in SERVERS {
            let Some(facts) = phase.servers.get(key) else { continue };
            let class = if key == "strata" {
                "own"
            } else if key.starts_with("nginx") {
                "other"
            } else {
                "peer"
            };
            let (values, reason) = (values(key), self.results.reason(&workload.key, key));
            let text = match (values, reason) {
                (Some([_, median, _]), _) => text(median),
                (None, Some(reason)) => format!("none: {reason}"),
                (None, None) => continue,
            };
            found.push(Bar { label: facts.title.clone(), class, values, text });
        }
        if workload.key.starts_with("push-1g") || workload.key.starts_with("push-8x") {
            let hash = self.results.median("limits", "limits", "sha256_bytes_per_second");
            found.extend(hash.map(|rate| Bar {
                label: "SHA-256, one core".to_owned(),
                class: "bound",
                values: Some([rate; 3]),
                text: text(rate),
            }));
        }
        found
            .iter()
            .any(|bar| bar.values.is_some())
            .then(|| Panel { title: workload.title.clone(), bars: found })
    }

    fn rates(&self, phase: &Phase, workload: &Workload) -> Option<Panel> {
        self.bars_of(
            phase,
            workload,
            |server| self.results.rates(&workload.key, server),
            |rate| rate_text(workload, rate),
        )
    }

    fn costs(&self, phase: &Phase, workload: &Workload) -> Option<Panel> {
        let values = |server: &str| self.results.cpu(&workload.key, server).map(|cost| [cost; 3]);
        self.bars_of(phase, workload, values, |cost| cost_text(workload, cost))
    }

    fn curves(&mut self, phase: &Phase) {
        let mut lines = Vec::new();
        match phase.key.as_str() {
            "cold" => {
                for (server, classes) in [("strata", ["own", "bound"]), ("nginx", ["other", "peer"])] {
                    for (workload, class, word) in
                        [("hot-alone", classes[1], "alone"), ("hot-beside-cold", classes[0], "beside cold")]
                    {
                        lines.extend(self.series(workload, server, class, &format!("{server}, {word}")));
                    }
                }
                if !lines.is_empty() {
                    let note = "GET 4 KiB at 1000/s, alone and beside 8 streams of cold blobs; counted from when each request was due.";
                    self.chart("cold-latency", "Latency", curve("Latency of hot reads", note, &lines));
                }
            }
            "herd" => {
                lines.extend(self.series("herd", "strata", "own", "Strata"));
                lines.extend(self.series("herd", "nginx", "other", "nginx (files)"));
                if !lines.is_empty() {
                    let note = "Time until a client has the whole image: the fastest, half of them, nine of ten, all.";
                    self.chart(
                        "herd-clients",
                        "Time of each client",
                        curve("Thundering herd: time of each client", note, &lines),
                    );
                }
            }
            _ => {}
        }
    }

    /// The latencies of the first run.
    fn series(&self, workload: &str, server: &str, class: &'static str, label: &str) -> Option<Series> {
        let run = self.results.runs(workload, server).into_iter().next()?;
        let pair = |point: &Value| Some((point.get(0)?.as_f64()?, point.get(1)?.as_f64()?));
        let points = run.get("curve_us")?.as_array()?.iter().map(pair).collect::<Option<_>>()?;
        Some(Series { label: label.to_owned(), class, points })
    }

    fn table(&mut self, phase: &Phase) {
        let head = "| load | server | rate | smallest … largest | of Strata's | p50 | p99 | server CPU | peak memory | client core |\n|---|---|--:|--:|--:|--:|--:|--:|--:|--:|\n";
        let mut begun = false;
        for workload in &phase.workloads {
            for key in SERVERS {
                if self.results.runs(&workload.key, key).is_empty() {
                    continue;
                }
                match workload.unit.as_str() {
                    "requests" | "bytes" | "images" | "latency" if phase.key != "zb" => {
                        if !begun {
                            self.text.push_str(head);
                            begun = true;
                        }
                        self.rated_row(phase, workload, key);
                    }
                    _ => self.plain_row(phase, workload, key),
                }
            }
        }
    }

    fn rated_row(&mut self, phase: &Phase, workload: &Workload, server: &str) {
        let results = self.results;
        let Some([smallest, median, largest]) = results.rates(&workload.key, server) else { return };
        let own =
            results.rate(&workload.key, "strata").map_or_else(|| "–".to_owned(), |own| figure(median / own));
        let time = |field| results.median(&workload.key, server, field).map_or_else(|| "–".to_owned(), span);
        let cost = results
            .cpu(&workload.key, server)
            .map_or_else(|| "–".to_owned(), |cost| cost_text(workload, cost));
        let peak = results
            .largest(&workload.key, server, "peak")
            .map_or_else(|| "–".to_owned(), |bytes| format!("{} MiB", figure(bytes / 1_048_576.0)));
        let busy = results.median(&workload.key, server, "client_cpu").zip(results.median(
            &workload.key,
            server,
            "seconds",
        ));
        let busy = busy.map_or_else(
            || "–".to_owned(),
            |(cpu, seconds)| format!("{:.0} %", (cpu / seconds * 100.0).min(100.0)),
        );
        let title = phase.servers.get(server).map_or(server, |facts| facts.title.as_str());
        let _ = writeln!(
            self.text,
            "| {} | {title} | {} | {} … {} | {own} | {} | {} | {cost} | {peak} | {busy} |",
            cell(&workload.title),
            rate_text(workload, median),
            figure(in_unit(workload, smallest)),
            figure(in_unit(workload, largest)),
            time("p50_us"),
            time("p99_us"),
        );
    }

    /// What has no rate: a sentence for each server.
    fn plain_row(&mut self, phase: &Phase, workload: &Workload, server: &str) {
        let results = self.results;
        let of = |field| results.median(&workload.key, server, field);
        let title = phase.servers.get(server).map_or(server, |facts| facts.title.as_str());
        let _ = match workload.unit.as_str() {
            "memory" => writeln!(
                self.text,
                "- {title}: {} KiB for each of {} connections, {} MiB in all",
                figure(of("each").unwrap_or(0.0) / 1024.0),
                figure(of("connections").unwrap_or(0.0)),
                figure(of("resident").unwrap_or(0.0) / 1_048_576.0)
            ),
            "start" => writeln!(
                self.text,
                "- {title}: {} ms, {} MiB at rest",
                figure(of("seconds").unwrap_or(0.0) * 1000.0),
                figure(of("resident").unwrap_or(0.0) / 1_048_576.0)
            ),
            "limits" => writeln!(
                self.text,
                "\nOne core hashes {} GB/s; the disk takes {} GB/s in one synced file ({} GB/s by direct I/O).\n",
                figure(of("sha256_bytes_per_second").unwrap_or(0.0) / 1e9),
                figure(of("write_sync_bytes_per_second").unwrap_or(0.0) / 1e9),
                figure(of("direct_write_sync_bytes_per_second").unwrap_or(0.0) / 1e9)
            ),
            "scale" => self.scale(),
            _ => self.named_tests(title, workload, server),
        };
    }

    fn scale(&mut self) -> std::fmt::Result {
        let Some(run) = self.results.runs("scale", "strata").into_iter().next().cloned() else {
            return Ok(());
        };
        writeln!(self.text, "| request | p50, empty store | p50, large store | ratio |\n|---|--:|--:|--:|")?;
        for request in run.get("requests").and_then(Value::as_array).into_iter().flatten() {
            let at = |path: &str| request.pointer(path).and_then(Value::as_f64).unwrap_or(0.0);
            let (small, large) = (at("/p50_us/0"), at("/p50_us/1"));
            let name = request.get("request").and_then(Value::as_str).unwrap_or_default();
            writeln!(
                self.text,
                "| {} | {} | {} | {} |",
                cell(name),
                span(small),
                span(large),
                figure(large / small)
            )?;
        }
        Ok(())
    }

    fn named_tests(&mut self, title: &str, workload: &Workload, server: &str) -> std::fmt::Result {
        let Some(run) = self.results.runs(&workload.key, server).into_iter().next() else { return Ok(()) };
        for test in run.get("tests").and_then(Value::as_array).into_iter().flatten() {
            let name = test.get("name").and_then(Value::as_str).unwrap_or_default();
            let number = |field| test.get(field).and_then(Value::as_f64).unwrap_or(0.0);
            writeln!(
                self.text,
                "- {title}, {name}: {}/s, {} failed",
                figure(number("rate")),
                number("failed")
            )?;
        }
        Ok(())
    }

    fn failures(&mut self, phase: &Phase) {
        let mut lines = Vec::new();
        for failure in &phase.failures {
            let workload = phase.workloads.iter().find(|workload| workload.key == failure.workload);
            let title = phase
                .servers
                .get(&failure.server)
                .map_or(failure.server.as_str(), |facts| facts.title.as_str());
            lines.push(format!(
                "- {title} fails “{}”: {}",
                workload.map_or("", |workload| &workload.title),
                cell(&failure.reason)
            ));
        }
        for facts in phase.servers.values().filter(|facts| !facts.missing.is_empty()) {
            lines.push(format!("- {} did not take part: {}", facts.title, cell(&facts.missing)));
        }
        if !lines.is_empty() {
            let _ = write!(self.text, "\n{}\n", lines.join("\n"));
        }
    }

    fn commands(&mut self) {
        self.text.push_str("\n## Commands\n\nThe load generator was called so, each server at its own address; paths to read came from `strata-load fill` on standard input.\n\n| load | command |\n|---|---|\n");
        for workload in self.results.phases.iter().flat_map(|phase| &phase.workloads) {
            let run =
                SERVERS.iter().find_map(|server| self.results.runs(&workload.key, server).into_iter().next());
            let command = run.and_then(|run| run.get("command")).and_then(Value::as_str).unwrap_or("–");
            let _ = writeln!(self.text, "| {} | `{}` |", cell(&workload.title), cell(command));
        }
    }
}

fn in_unit(workload: &Workload, rate: f64) -> f64 {
    if workload.unit == "bytes" { rate / 1e9 } else { rate }
}

fn rate_text(workload: &Workload, rate: f64) -> String {
    let unit = match workload.unit.as_str() {
        "bytes" => " GB/s",
        "images" => " images/s",
        _ => "/s",
    };
    format!("{}{unit}", figure(in_unit(workload, rate)))
}

fn cost_text(workload: &Workload, seconds: f64) -> String {
    if workload.unit == "bytes" { format!("{} s/GB", figure(seconds * 1e9)) } else { span(seconds * 1e6) }
}

/// Text that keeps a table whole.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}
