//! Tokens and refresh tokens: no panic, and none that this store has not signed is taken, whatever it looks like.
//!
//! The first byte says what the rest is: a whole token; the parts of one, cut at `\0` and put into the form of a token; a good token with
//! bytes of it changed; a refresh token.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::sync::LazyLock;
use strata_registry::TokenJudge;

static JUDGE: LazyLock<TokenJudge> = LazyLock::new(|| TokenJudge::new().expect("keys can be made"));

/// Whether a text is taken for a token; what is refused is not remembered.
fn takes(text: &str) -> bool {
    let is_taken = JUDGE.takes(text);
    assert_eq!(JUDGE.remembers(text), is_taken);
    is_taken
}

pub(super) fn run(data: &[u8]) {
    let Some((kind, rest)) = data.split_first() else { return };
    match kind % 4 {
        0 => assert!(!takes(&String::from_utf8_lossy(rest))),
        1 => {
            let parts: Vec<String> =
                rest.split(|byte| *byte == 0).map(|part| URL_SAFE_NO_PAD.encode(part)).collect();
            assert!(!takes(&parts.join(".")));
        }
        2 => {
            let mut text = JUDGE.good().as_bytes().to_vec();
            for change in rest.chunks_exact(2) {
                let at = usize::from(change[0]) * text.len() / 256;
                text[at] ^= change[1] & 0x7f;
            }
            let text = String::from_utf8_lossy(&text);
            assert_eq!(takes(&text), text == JUDGE.good(), "{text}");
        }
        _ => {
            let text = format!("strata_refresh_{}", URL_SAFE_NO_PAD.encode(rest));
            assert!(!JUDGE.takes_refresh(&text) && !JUDGE.takes_refresh(&String::from_utf8_lossy(rest)));
        }
    }
}
