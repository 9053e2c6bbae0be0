//! The flow of tokens, as clients see it: challenges, the realm, documents of tokens.

use crate::{Endpoint, Request, Response};
use serde_json::Value;

/// What forms are sent as.
pub const FORM: &str = "application/x-www-form-urlencoded";

/// The challenge of an answer that let nobody in.
#[track_caller]
pub fn challenge(response: Response) -> String {
    response.expect_error(401, "UNAUTHORIZED").header("www-authenticate").expect("a challenge").to_owned()
}

/// Where tokens are, as it is told whoever reaches the server by this endpoint.
pub fn realm(endpoint: Endpoint) -> String {
    format!("http://{}/token", endpoint.address)
}

/// The document of a token.
#[track_caller]
pub fn document(response: &Response) -> Value {
    assert_eq!(response.status, 200, "{response:?}");
    assert_eq!(response.header("cache-control"), Some("no-store"));
    response.json()
}

/// A field of a document.
#[track_caller]
pub fn text(document: &Value, name: &str) -> String {
    document[name].as_str().unwrap_or_else(|| panic!("{name} of {document}")).to_owned()
}

/// A token for these scopes, for whoever the endpoint is.
#[track_caller]
pub fn token(endpoint: Endpoint, scopes: &[&str]) -> String {
    let scopes: Vec<String> = scopes.iter().map(|scope| format!("&scope={scope}")).collect();
    text(&document(&endpoint.get(format!("/token?service=strata{}", scopes.concat()))), "token")
}

/// Asks for a token by a form.
pub fn post(endpoint: Endpoint, form: &str) -> Response {
    endpoint.send(&Request::post("/token").header("content-type", FORM).body(form.to_owned()))
}
