//! The side-by-side comparison (`benches/compare`) starts the server that it measures: with a configuration that it takes, on both of its listeners.
#![allow(clippy::expect_used, clippy::panic, reason = "a failed expectation is a failed test")]

use std::fs;
use std::process::Command;

use strata_benches::wire::make_certificate;

/// Starts Strata as the comparison does and asks it over plain HTTP and over TLS.
const START: &str = r#"
import contextlib, http.client, ssl, sys
sys.path.insert(0, "benches/compare")
import servers

strata = servers.Strata(sys.argv[1], servers.all_cores())
try:
    strata.start()
    strata.wait_answer()
    trust = ssl.create_default_context(cafile=sys.argv[1] + "/tls/certificate.pem")
    trust.check_hostname = False
    with contextlib.closing(http.client.HTTPSConnection(strata.tls_address, context=trust, timeout=30)) as connection:
        connection.request("GET", "/v2/")
        print("plain 200, TLS", connection.getresponse().status)
finally:
    strata.stop()
"#;

#[test]
fn the_comparison_starts_the_server_that_it_measures() {
    let folder = tempfile::tempdir().expect("a folder");
    let tls = folder.path().join("tls");
    fs::create_dir(&tls).expect("a folder");
    make_certificate(&tls).expect("a certificate");
    let done = Command::new("python3")
        .args(["-B", "-c", START])
        .arg(folder.path())
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env("STRATA_BIN", env!("CARGO_BIN_EXE_strata"))
        .output()
        .expect("python3 runs");
    let (said, why) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    assert_eq!(said, "plain 200, TLS 200\n", "{why}");
}
