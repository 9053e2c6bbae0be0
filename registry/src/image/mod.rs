//! Images (repositories), artifacts (manifests) and tags as people look at them: lists, searches, details, and what an administrator does to
//! a tag without a push.
//!
//! What is shown of content that clients pushed is read tolerantly and up to a bound: a config that is odd makes no detail
//! fail, it only says less.

mod artifact;
mod config;
mod content;
mod list;
mod tag;

pub(crate) use artifact::platforms;
pub use artifact::{Artifact, ArtifactDetail, ArtifactPage, Child, Content, Layer, Referrer};
pub use config::{HistoryEntry, ImageConfig, Platform};
pub use list::{Image, ImageDetail, ImagePage, ImageQuery};
pub use tag::{TagDetail, TagEntry, TagEntryPage, TagExpectation, TagMove, TagMovePage};

/// Most rows that one request looks through for what it searches; a search that finds few of many is answered in several pages.
const ROWS_MAX: usize = 10_000;
/// Rows that are read at once.
const ROWS_AT_ONCE: usize = 256;
/// Most entries of a page.
pub const IMAGES_PAGE_MAX: usize = 1000;

/// Whether a text holds another one, whatever the case of its letters.
fn contains(text: &str, wanted: &str) -> bool {
    let wanted = wanted.as_bytes();
    wanted.is_empty() || text.as_bytes().windows(wanted.len()).any(|part| part.eq_ignore_ascii_case(wanted))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_parts_whatever_their_case() {
        for (text, wanted, found) in [
            ("hy/Busybox", "busy", true),
            ("hy/busybox", "", true),
            ("", "", true),
            ("v1.2-RC", "-rc", true),
            ("a", "aa", false),
            ("", "a", false),
            ("latest", "later", false),
        ] {
            assert_eq!(contains(text, wanted), found, "{text} {wanted}");
        }
    }
}
