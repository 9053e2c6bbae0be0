//! Filters of content: no panic, whatever they match, and what is quoted is found by itself.

use strata_registry::{ContentFilter, ContentInfo, UnixMillis};
use strata_types::Digest;

pub(super) fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let lines: Vec<String> = text.split('\n').map(str::to_owned).collect();
    let at = UnixMillis(1);
    let digest = Digest::Sha256([7; 32]);
    let labels = lines.iter().map(|line| (line.clone(), line.clone())).collect();
    let content = ContentInfo { digest, size: 1, created_at: at, updated_at: at, labels };
    if let Ok(filter) = ContentFilter::parse(&lines) {
        // That it ends is what is asked.
        let _ = filter.takes(&content);
    }
    for line in &lines {
        let quoted = line.replace('\\', "\\\\").replace('"', "\\\"");
        // What no text has, and what is longer than a filter.
        if line.contains(['\0', '\u{fffd}']) || quoted.len() > 1900 {
            continue;
        }
        let takes =
            |filter: String| ContentFilter::parse(&[filter]).is_ok_and(|filter| filter.takes(&content));
        assert!(takes(format!("labels.\"{quoted}\"==\"{quoted}\"")), "{line:?} finds itself");
        assert!(!takes(format!("digest=={digest},labels.\"{quoted}\"!=\"{quoted}\"")), "{line:?}");
    }
}
