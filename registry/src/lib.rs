//! The service layer: one use case, one function on [`Registry`].
//!
//! Knows the rules of a registry; knows no HTTP, no disk. Frontends parse, call one use case and render; the engine below
//! keeps bytes and edges. A use case reads top to bottom: authorize → gates → validate → references → one transaction → answer.

#![expect(
    clippy::unused_async,
    reason = "a use case is async by contract, whether or not today's store answers it at once"
)]

mod access;
mod audit;
mod backup;
mod blob;
mod catalog;
mod config;
mod content;
mod context;
mod credential;
mod deleted;
mod directory;
mod error;
mod feed;
mod figures;
mod gc;
mod health;
mod image;
mod manifest;
mod page;
mod pulled;
mod quota;
mod referrer;
mod registry;
mod removal;
mod retry;
mod scrub;
mod secret;
mod standing;
mod status;
mod tag;
mod token;
mod upload;

pub use access::{
    Access, AccessKind, Actions, Challenge, Grants, Narrowing, PATTERN_BYTES_MAX, PATTERNS_MAX, Reading,
    Role, TokenFault,
};
pub use audit::{AUDIT_ENTRIES_MAX, AuditEntry, AuditFilter, AuditPage};
pub use backup::BACKUP_HOLD_DEFAULT;
pub use blob::{BlobBody, BlobFile, BlobRead, BlobStat, FIND_BLOBS_MAX, IdleBlobFile};
pub use config::{AuditConfig, AuthConfig, AuthMode, ContentConfig, RegistryConfig, TOKEN_LIFE_MAX};
pub use content::{
    CONTENT_REPOSITORY, CommittedContent, ContentFilter, ContentInfo, ContentPage, ContentRead, ContentSpace,
    ContentWriter, FILTER_BYTES_MAX, FILTERS_MAX, INGESTS_LISTED_MAX, IngestStatus, LABEL_BYTES_MAX,
    LABELS_BYTES_MAX, LABELS_MAX, LabelChange, Labels, REFERENCE_BYTES_MAX,
};
pub use context::{Context, Identity, Principal, Scope};
pub use credential::Credentials;
pub use deleted::{DELETIONS_MAX, Deletion, DeletionPage, QUARANTINED_NAMED_MAX, Restored};
pub use directory::{
    Account, AccountChange, AccountKind, AccountPage, CreatedKey, DIRECTORY_PAGE_MAX, FIRST_ACCOUNT,
    FirstAdministratorError, KEY_AGE_ADVISED, KEYS_MAX, Key, KeyChange, KeyEntry, KeyStatus, MemberPage,
    NewAccount, NewKey, NewRegistry, RegistryChange, RegistryEntry, RegistryKind, RegistryPage, RoleOn,
    Snapshot, State, WhoAmI,
};
pub use error::{BodyError, ErrorEntry, MissingReference, RegistryError};
pub use feed::{EventFilter, EventPage, FEED_EVENTS_MAX, FeedEvent};
pub use figures::{Figure, FigureKind};
pub use health::Health;
pub use image::{
    Artifact, ArtifactDetail, ArtifactPage, Child, Content, HistoryEntry, IMAGES_PAGE_MAX, Image,
    ImageConfig, ImageDetail, ImagePage, ImageQuery, Layer, Platform, Referrer, TagDetail, TagEntry,
    TagEntryPage, TagExpectation, TagMove, TagMovePage,
};
pub use manifest::{
    ManifestPutDone, ManifestRead, ManifestStat, PUBLISH_BYTES_MAX, PUBLISH_MANIFESTS_MAX, PUBLISH_TAGS_MAX,
    Publish, Published, PublishedManifest, PublishedTag, PutManifest, ResolvedContent, ResolvedImage,
    ResolvedManifest, Wanted,
};
pub use page::{Page, ReferrerPage, RepositoryPage, TagPage};
pub use registry::Registry;
pub use removal::Removed;
pub use scrub::{QuarantinedBlob, REPOSITORIES_COUNTED_MAX, REPOSITORIES_NAMED_MAX, RecheckTally};
pub use secret::Secret;
pub use standing::Standing;
pub use status::Status;
pub use strata_engine::Backup;
pub use strata_engine::meta::{Damage, Quarantine, StoredBlob, Usage};
pub use strata_engine::quarantine::Rechecked;
pub use strata_engine::scrub::{FindingKind, ScrubFinding, ScrubRound, ScrubStatus, ScrubTally};
pub use strata_engine::{GcCounts, GcKind, GcPlan, GcRemoval, GcReport, GcStatus, GcTally, UnixMillis};
pub use strata_types::RepositoryName;
pub use token::{IssuedToken, ScopeError, SigningKeyDocument, TokenJudge, parse_scopes, scope_text};
pub use upload::{ChunkRange, Piece, UploadBody, UploadStatus};
