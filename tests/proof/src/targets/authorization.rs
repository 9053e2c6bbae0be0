//! The `Authorization` field: no panic, an id without a colon, and nothing of a secret in what is logged.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use strata_frontend_http::authorization::Authorization;

pub(super) fn run(data: &[u8]) {
    let shown = format!("{:?}", Authorization::parse(data));
    assert!(["None", "Basic", "Bearer", "Unreadable"].contains(&shown.as_str()), "{shown}");
    match Authorization::parse(data) {
        Authorization::Bearer(token) => {
            assert!(!token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic() && byte != b','));
        }
        Authorization::Basic { id, secret } => {
            assert!(!id.contains(':'));
            assert!(!id.is_empty() || !secret.is_empty());
            assert!(!id.chars().chain(secret.chars()).any(char::is_control));
            // What was read says the same when it is written again.
            let field = format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")));
            assert_eq!(Authorization::parse(field.as_bytes()), Authorization::Basic { id, secret });
        }
        Authorization::None | Authorization::Unreadable => {}
    }
}
