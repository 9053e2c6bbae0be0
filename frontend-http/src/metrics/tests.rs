//! Counting, and what the counts look like when rendered.

use super::*;
use crate::connection_metrics::ListenerMetrics;
use std::net::SocketAddr;

fn finished(status: Option<u16>, millis: u64) -> Finished<'static> {
    Finished {
        endpoint: Endpoint::Blob,
        method: &Method::GET,
        status: status.map(|status| StatusCode::from_u16(status).unwrap()),
        duration: Duration::from_millis(millis),
        received: 1,
        sent: 1000,
        cut: status.is_none(),
    }
}

fn rendered(collector: impl Collector) -> String {
    let mut exposition = prometheus_client::registry::Registry::default();
    exposition.register_collector(Box::new(collector));
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &exposition).unwrap();
    text
}

fn assert_has(text: &str, line: &str) {
    assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
}

#[test]
fn requests_are_counted_by_route_method_and_class() {
    let metrics = Arc::new(Metrics::default());
    for request in
        [finished(Some(200), 1), finished(Some(206), 60), finished(Some(404), 999_999), finished(None, 0)]
    {
        metrics.request_started();
        metrics.request_finished(&request);
    }
    metrics.request_started();
    let text = rendered(Http { metrics, body_memory: 2048, hot_bytes: 5, hot_answers: 6 });
    let blob = r#"route="/v2/{name}/blobs/{digest}""#;
    for line in [
        format!("strata_http_requests_total{{{blob},method=\"GET\",status=\"2xx\"}} 2"),
        format!("strata_http_requests_total{{{blob},method=\"GET\",status=\"4xx\"}} 1"),
        format!("strata_http_requests_total{{{blob},method=\"GET\",status=\"aborted\"}} 1"),
        format!("strata_http_request_duration_seconds_bucket{{le=\"0.0005\",{blob}}} 1"),
        format!("strata_http_request_duration_seconds_bucket{{le=\"0.001\",{blob}}} 2"),
        format!("strata_http_request_duration_seconds_bucket{{le=\"300.0\",{blob}}} 3"),
        format!("strata_http_request_duration_seconds_bucket{{le=\"+Inf\",{blob}}} 4"),
        format!("strata_http_request_duration_seconds_count{{{blob}}} 4"),
        format!("strata_http_request_body_bytes_total{{{blob}}} 4"),
        format!("strata_http_response_body_bytes_total{{{blob}}} 4000"),
        "strata_http_requests_in_flight 1".to_owned(),
        "strata_http_body_memory_bytes 2048".to_owned(),
        "strata_http_transfers_cut_total 1".to_owned(),
    ] {
        assert_has(&text, &line);
    }
    assert!(!text.contains("method=\"PUT\""), "series that never happened are left out\n{text}");
    assert!(text.ends_with("# EOF\n"));
}

#[test]
fn unknown_methods_and_odd_statuses_have_a_place() {
    let propfind = Method::from_bytes(b"PROPFIND").unwrap();
    assert_eq!(METHODS[method_index(&propfind)], "other");
    assert_eq!(METHODS[method_index(&Method::PATCH)], "PATCH");
    for (status, class) in [(100, "1xx"), (204, "2xx"), (304, "3xx"), (507, "5xx"), (999, "5xx")] {
        assert_eq!(CLASSES[class_index(StatusCode::from_u16(status).ok())], class);
    }
    assert_eq!(CLASSES[class_index(None)], "aborted");
}

#[test]
fn listeners_are_told_apart() {
    let listener =
        |port: u16| Arc::new(ListenerMetrics::new(SocketAddr::from(([127, 0, 0, 1], port)), false));
    let (one, other) = (listener(1), listener(2));
    one.accepted.add(3);
    other.open.add(2);
    let text = rendered(listener::Listeners(vec![one, other]));
    assert_has(&text, "strata_http_connections_total{listener=\"127.0.0.1:1\"} 3");
    assert_has(&text, "strata_http_connections_open{listener=\"127.0.0.1:2\"} 2");
}

#[test]
fn the_process_is_there() {
    let text = rendered(process::Process);
    for name in [
        "process_resident_memory_bytes ",
        "process_open_fds ",
        "process_cpu_seconds_total ",
        "strata_build_info{version=\"",
    ] {
        assert!(text.lines().any(|line| line.starts_with(name)), "{name} is not in\n{text}");
    }
}
