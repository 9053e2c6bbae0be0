//! Figures made up here, through to the page and its charts.

use std::fs;

use serde_json::{Value, json};

use super::*;

fn run(workload: &str, server: &str, count: u64, bytes: u64, cpu: f64) -> Value {
    json!({
        "workload": workload, "server": server, "round": 1, "count": count, "bytes": bytes, "seconds": 2.0, "cpu": cpu,
        "peak": 50 << 20, "client_cpu": 1.0, "p50_us": 100.0, "p99_us": 2000.0, "command": "strata-load get ADDRESS",
        "curve_us": [[0.0, 50.0], [0.5, 100.0], [0.99, 2000.0], [1.0, 9000.0]],
    })
}

fn phase(key: &str, workloads: &Value, runs: &[Value], failures: &Value) -> Value {
    json!({
        "key": key, "title": format!("Phase <{key}>"), "started": "2026-01-01T00:00:00+00:00", "took_seconds": 60.0,
        "machine": { "cpu": "A|B & <C>", "cores": 2, "memory_bytes": 8e9, "kernel": "6.1", "file_system": "ext4", "tcp_congestion_control": null },
        "server_cores": "0", "client_core": "1", "rounds": 3, "seconds": 1.5, "quick": false,
        "servers": {
            "strata": { "title": "Strata", "version": "1", "durability": "all", "settings": "defaults", "missing": "" },
            "nginx": { "title": "nginx", "version": "2", "durability": "none", "settings": "sendfile", "missing": "" },
            "zot": { "title": "zot", "version": "", "durability": "none", "settings": "-", "missing": "403 Forbidden" },
        },
        "workloads": workloads, "runs": runs, "failures": failures,
    })
}

fn write_all(phases: &[Value]) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let results = folder.path().join("results");
    fs::create_dir(&results).unwrap();
    for (number, phase) in phases.iter().enumerate() {
        fs::write(results.join(format!("{number}.json")), phase.to_string()).unwrap();
    }
    write(&results, &folder.path().join("docs")).unwrap();
    let text = fs::read_to_string(folder.path().join("docs/performance.md")).unwrap();
    (folder, text)
}

fn examples() -> [Value; 2] {
    let blobs = json!([{ "key": "blob-4k", "title": "GET 4 KiB", "unit": "requests" }, { "key": "blob-1m", "title": "GET 1 MiB", "unit": "bytes" }]);
    let runs = [
        run("blob-4k", "strata", 240_000, 1_000, 1.0),
        run("blob-4k", "strata", 260_000, 1_000, 1.0),
        run("blob-4k", "strata", 100_000, 1_000, 1.0),
        run("blob-4k", "nginx", 200_000, 1_000, 2.0),
        run("blob-1m", "strata", 10, 4_000_000_000, 1.0),
    ];
    let failures = json!([{ "workload": "blob-1m", "server": "nginx", "reason": "answers 500 | <sorry>" }]);
    let herd = json!([{ "key": "herd", "title": "herd", "unit": "bytes" }]);
    [
        phase("blobs", &blobs, &runs, &failures),
        phase("herd", &herd, &[run("herd", "strata", 500, 9, 1.0)], &json!([])),
    ]
}

#[test]
fn each_phase_says_when_it_was_measured() {
    let [blobs, mut herd] = examples();
    herd["started"] = json!("2026-01-02T00:00:00+00:00");
    herd["rounds"] = json!(2);
    let (_folder, text) = write_all(&[blobs, herd]);
    for row in ["2026-01-01T00:00:00+00:00 | 3 of 1.5 s |", "2026-01-02T00:00:00+00:00 | 2 of 1.5 s |"] {
        assert!(text.contains(row), "{row} in {text}");
    }
}

#[test]
fn targets_are_judged_by_the_medians() {
    let (folder, _) = write_all(&examples());
    let results = Results::read(&folder.path().join("results")).unwrap();
    let rows = targets(&results);
    let of = |work: &str| rows.iter().find(|row| row.work == work).unwrap_or_else(|| panic!("{work}"));
    // The median of 120,000, 130,000 and 50,000 a second beside 100,000.
    let rate = of("GET 4 KiB: rate beside nginx");
    assert_eq!((rate.value, rate.shown.as_str(), rate.met), (Some(1.2), "1.20 ×", Some(true)));
    let cpu = of("GET 4 KiB: CPU beside nginx");
    assert!(cpu.value.is_some_and(|value| (value - 1.0 / 2.4).abs() < 1e-9));
    assert_eq!(cpu.met, Some(true));
    let failed = of("GET 1 MiB: rate beside nginx");
    assert_eq!((failed.met, failed.shown.as_str()), (None, "not measured: answers 500 | <sorry>"));
    assert_eq!(of("GET 4 KiB: rate beside zot 2.1 (no sync)").shown, "not measured: 403 Forbidden");
    assert_eq!(of("herd: peak memory").met, Some(true));
    assert_eq!(of("memory at rest, empty store").met, None);
}

#[test]
fn the_page_tells_figures_failures_and_who_is_missing() {
    let (_folder, text) = write_all(&examples());
    for expected in [
        "| GET 4 KiB | Strata | 120,000/s | 50,000 … 130,000 | 1.00 | 100 µs | 2.00 ms | 4.17 µs | 50.0 MiB | 50 % |",
        "| GET 1 MiB | Strata | 2.00 GB/s |",
        "- nginx fails “GET 1 MiB”: answers 500 \\| <sorry>",
        "- zot did not take part: 403 Forbidden",
        "![Phase <blobs>](performance/blobs.svg)",
        "(performance/herd-clients.svg)",
    ] {
        assert!(text.contains(expected), "{expected} is not in\n{text}");
    }
}

#[test]
fn every_chart_is_well_formed_and_says_what_it_shows() {
    let (folder, text) = write_all(&examples());
    let mut charts = 0;
    for entry in fs::read_dir(folder.path().join("docs/performance")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "svg") {
            let svg = fs::read_to_string(&path).unwrap();
            let parsed =
                roxmltree::Document::parse(&svg).unwrap_or_else(|why| panic!("{}: {why}", path.display()));
            assert!(parsed.root_element().has_tag_name(("http://www.w3.org/2000/svg", "svg")));
            assert!(
                text.contains(path.file_name().unwrap().to_str().unwrap()),
                "{} is not shown",
                path.display()
            );
            for number in parsed
                .descendants()
                .flat_map(|node| node.attributes())
                .filter(|one| ["x", "y", "width", "height"].contains(&one.name()))
            {
                assert!(
                    number.value().ends_with('%') || number.value().parse::<f64>().is_ok_and(f64::is_finite),
                    "{number:?}"
                );
            }
            charts += 1;
        }
    }
    assert_eq!(charts, 4);
}

#[test]
fn bars_are_as_long_as_their_values() {
    let bar = |label: &str, value: f64| Bar {
        label: label.to_owned(),
        class: "own",
        values: Some([value; 3]),
        text: format!("{value} a&b"),
    };
    let none =
        Bar { label: "<none>".to_owned(), class: "peer", values: None, text: "none: \"why\"".to_owned() };
    let panel = Panel {
        title: "one".to_owned(),
        bars: vec![bar("half", 5.0), bar("whole", 10.0), bar("zero", 0.0), none],
    };
    let svg = bars("title", "note", &[panel]);
    let parsed = roxmltree::Document::parse(&svg).unwrap();
    let widths: Vec<f64> = parsed
        .descendants()
        .filter(|node| node.attribute("class") == Some("own"))
        .map(|node| node.attribute("width").unwrap().parse().unwrap())
        .collect();
    assert_eq!(widths, [190.0, 380.0, 1.0]);
    assert!(parsed.descendants().any(|node| node.text() == Some("none: \"why\"")));
}

#[test]
fn curves_rise_to_the_right_and_empty_ones_are_no_harm() {
    let series = Series {
        label: "a".to_owned(),
        class: "own",
        points: vec![(0.0, 10.0), (0.5, 100.0), (1.0, 10_000.0)],
    };
    let svg = curve("title", "note", &[series]);
    let parsed = roxmltree::Document::parse(&svg).unwrap();
    let line = parsed.descendants().find(|node| node.has_tag_name("polyline")).unwrap();
    let points: Vec<(f64, f64)> = line
        .attribute("points")
        .unwrap()
        .split(' ')
        .map(|point| point.split_once(',').map(|(x, y)| (x.parse().unwrap(), y.parse().unwrap())).unwrap())
        .collect();
    assert!(points.windows(2).all(|two| two[0].0 < two[1].0 && two[0].1 > two[1].1), "{points:?}");
    assert!(roxmltree::Document::parse(&curve("title", "note", &[])).is_ok());
}

#[test]
fn without_figures_the_page_is_the_introduction() {
    let (_folder, text) = write_all(&[]);
    assert!(text.starts_with("# Performance") && text.ends_with("No run is recorded yet.\n"));
}

#[test]
fn numbers_keep_the_digits_that_mean_something() {
    for (value, expected) in [
        (1_234_567.0, "1,234,567"),
        (999.6, "1,000"),
        (100.0, "100"),
        (99.96, "100"),
        (12.34, "12.3"),
        (9.999, "10.0"),
        (1.234, "1.23"),
        (0.0123, "0.012"),
        (0.0, "0.00"),
    ] {
        assert_eq!(figure(value), expected);
    }
    for (value, expected) in [(12.0, "12.0 µs"), (1500.0, "1.50 ms"), (2_500_000.0, "2.50 s")] {
        assert_eq!(span(value), expected);
    }
}
