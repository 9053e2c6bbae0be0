//! Answers of the admin API and of the command line: what a test expects of them. The API is no part of the distribution
//! protocol, so that its answers lack that protocol's headers, and [`Response::expect`] does not fit them.

use crate::{Response, TestRegistry};
use serde_json::Value;
use std::process::Output;

/// Asserts that the server did as it was asked, and gives the document that it answered.
#[track_caller]
pub fn done(answer: &Response) -> Value {
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

/// Asserts that the server refuses, and how, and gives the whole answer.
#[track_caller]
pub fn told(answer: &Response, status: u16, code: &str) -> Value {
    assert_eq!((answer.status, answer.problem().as_str()), (status, code), "{answer:?}");
    answer.json()
}

/// The address of a server as the command line takes it.
pub fn url(registry: &TestRegistry) -> String {
    let endpoint = registry.endpoint();
    format!("{}://{}", if endpoint.tls { "https" } else { "http" }, endpoint.address)
}

/// Asserts how a command ended, and gives what it printed: its answer, or where it could not do it, its complaint.
#[track_caller]
pub fn expect_text(output: &Output, code: i32) -> String {
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "stdout:\n{out}\nstderr:\n{err}");
    if code == 0 { out.into_owned() } else { err.into_owned() }
}
