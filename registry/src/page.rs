//! Pages of lists: what is asked for and what is answered.

use bytes::Bytes;
use strata_types::limits::{PAGE_ENTRIES_DEFAULT, PAGE_ENTRIES_MAX};
use strata_types::{Digest, RepositoryName, Tag};

/// Which part of a list is wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    /// Most entries wanted; `None` leaves it to the registry, which also has a limit of its own. `Some(0)` is answered with an empty page
    /// that says nothing of a next one.
    pub n: Option<usize>,
    /// Only entries that sort after this text, which need not be an entry itself.
    pub last: Option<String>,
}

impl Page {
    /// Most entries of the answer.
    pub(crate) fn entries(&self) -> usize {
        self.n.unwrap_or(PAGE_ENTRIES_DEFAULT).min(PAGE_ENTRIES_MAX)
    }
}

/// A page of the tags of a repository, in the order of their bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagPage {
    /// The tags.
    pub tags: Vec<Tag>,
    /// Whether more follow after the last one of this page.
    pub more: bool,
}

/// A page of the catalog, in the order of the names' bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepositoryPage {
    /// The repositories.
    pub repositories: Vec<RepositoryName>,
    /// Whether more follow after the last one of this page.
    pub more: bool,
}

/// A page of the referrers of a manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReferrerPage {
    /// The descriptors, each one JSON object, to be joined by commas into the `manifests` of an index.
    pub descriptors: Vec<Bytes>,
    /// Where more may follow: ask again with this as [`Page::last`]. The next page can be empty.
    pub next: Option<Digest>,
}
