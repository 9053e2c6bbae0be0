//! The verbs of a [`super::Batch`]: each writes all rows that belong together, so that the tables always agree.
//!
//! A verb that must know what is there takes the [`super::View`] it decides on and adds the expectation that it has not
//! changed; the caller retries on [`crate::EngineError::Conflict`]. One batch touches a tag or a manifest at most once.

mod blob;
mod content;
mod event;
mod gc;
mod manifest;
mod quarantine;
mod repository;
mod setting;
mod tag;
mod trash;
mod upload;

pub use manifest::ManifestPut;
pub use repository::RepositoryRemoved;
pub use trash::{Lost, Restore};

use super::batch::Batch;
use super::record::{Event, EventKind};
use strata_types::{Digest, RepositoryName, Tag};

impl Batch {
    /// An event of this batch's moment and detail.
    fn event(
        &self,
        kind: EventKind,
        repository: &RepositoryName,
        digest: Option<Digest>,
        tag: Option<&Tag>,
    ) -> Event {
        Event {
            at: self.at,
            kind,
            repository: Some(repository.clone()),
            digest,
            tag: tag.cloned(),
            detail: self.detail.clone(),
        }
    }
}
