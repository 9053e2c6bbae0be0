//! The registry as a store of content for programs that look after their content themselves, as containerd does: blobs that are pinned, with
//! labels, and ingests under names that such a program chooses.
//!
//! A namespace of such a program is a repository, `REGISTRY/content`, so that roles, quotas, figures and the audit log are those of every
//! repository. What a client may ask of it, and with which outcome, follows containerd's content service.

mod change;
mod filter;
mod ingest;
mod labels;
mod read;
mod space;
mod writer;

pub use change::LabelChange;
pub use filter::{ContentFilter, FILTER_BYTES_MAX, FILTERS_MAX};
pub use ingest::{INGESTS_LISTED_MAX, IngestStatus, REFERENCE_BYTES_MAX};
pub use labels::{LABEL_BYTES_MAX, LABELS_BYTES_MAX, LABELS_MAX, Labels};
pub use read::{ContentInfo, ContentPage, ContentRead};
pub use space::{CONTENT_REPOSITORY, ContentSpace};
pub use writer::{CommittedContent, ContentWriter};
