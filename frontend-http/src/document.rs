//! What goes over the wire of the admin API, as types: requests as they are read, answers as they are written.
//!
//! The handlers fill them from what use cases answer; the command line reads them back, or fills them itself where it works on a
//! data directory without a server, so that both print the same. Requests refuse members that nobody knows; readers of answers
//! ignore them, so that an older command line goes with a newer server.

mod account;
mod audit;
mod backup;
mod deleted;
mod gc;
mod image;
mod problem;
mod quarantine;
mod registry;
mod scrub;
mod session;
mod signing_key;
mod status;
mod tag;

pub use account::{
    Account, AccountChangeRequest, AccountKind, AccountRequest, Accounts, Key, KeyChangeRequest, KeyRequest,
    Keys, Narrowing, NarrowingRequest, NewKey, Role, RoleRequest, Roles, State,
};
pub use audit::{Audit, AuditEntry};
pub use backup::{Backup, BackupRequest, Backups};
pub use deleted::{Deletion, Deletions, Removed, RestoreRequest, Restored};
pub use gc::{GcAnswer, GcCounts, GcPlan, GcRemoval, GcReport, GcRequest, GcStatus, GcTally, REMOVALS_MAX};
pub use image::{
    Artifact, ArtifactDetail, Artifacts, Child, Content, HistoryEntry, Image, ImageConfig, ImageDetail,
    Images, Layer, Platform, Referrer,
};
pub use problem::Problem;
pub use quarantine::{Quarantine, QuarantinedBlob, Rechecked, RecheckedAll, Repaired};
pub use registry::{
    Figures, Member, Members, Registries, Registry, RegistryChangeRequest, RegistryKind, RegistryRequest,
};
pub use scrub::{ScrubFinding, ScrubRequest, ScrubRound, ScrubStarted, ScrubStatus, ScrubTally};
pub use session::{Session, Who};
pub use signing_key::{SigningKey, SigningKeys};
pub use status::{Health, Status};
pub use tag::{Tag, TagDetail, TagHistory, TagMove, TagRequest, Tags};

/// A request that says nothing.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(deny_unknown_fields)]
pub struct Nothing {}
