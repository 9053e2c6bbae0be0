//! Why a use case failed, by meaning, and the one mapping from there to what a client sees.
//!
//! Engine errors are mapped by hand where their meaning is known (see [`crate::Registry`]); what is left is the server's fault.

mod entry;

pub use entry::ErrorEntry;

use crate::access::{Challenge, TokenFault};
use crate::deleted::lost_name;
use std::time::Duration;
use strata_engine::EngineError;
use strata_engine::meta::Lost;
use strata_types::manifest::{ManifestError, ReferenceRole};
use strata_types::{Digest, ErrorCode, Failure, Outcome, Reference, RepositoryName, Tag, UploadId};

/// Why a body ended before it should have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BodyError {
    /// The client went away in the middle.
    #[error("the body was cut off")]
    Cut,
    /// The client sent nothing for too long.
    #[error("the body made no progress for too long")]
    TooSlow,
    /// The client sent more or less than it had declared.
    #[error("the body has not the length that was declared")]
    LengthMismatch,
    /// The client sent more than is accepted.
    #[error("the body is larger than the limit")]
    TooLarge,
}

/// A reference of a manifest to content that is not in the repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MissingReference {
    /// What it is to the manifest.
    pub role: ReferenceRole,
    /// What is missing.
    pub digest: Digest,
}

/// Why a use case failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// The blob is not in this repository.
    #[error("blob {digest} is not in repository {repository}")]
    BlobUnknown {
        /// Where it was looked for.
        repository: RepositoryName,
        /// What was looked for.
        digest: Digest,
    },
    /// The store does not have the blob, in whatever repository.
    #[error("blob {digest} is not in the store")]
    NotStored {
        /// What was looked for.
        digest: Digest,
    },
    /// No such content is kept for the one who asks.
    #[error("there is no content {digest}")]
    ContentUnknown {
        /// What was looked for.
        digest: Digest,
    },
    /// The content is there already.
    #[error("content {digest} exists already")]
    ContentExists {
        /// The content.
        digest: Digest,
    },
    /// What came has not the length that its client said. The ingest stays.
    #[error("{declared} bytes were announced, but {received} came")]
    ContentSizeMismatch {
        /// What the client said.
        declared: u64,
        /// What came.
        received: u64,
    },
    /// What came is not what its client said.
    #[error("what came has the digest {actual}, not {expected}")]
    ContentDigestMismatch {
        /// What the client said.
        expected: Digest,
        /// What came.
        actual: Digest,
    },
    /// There is no such ingest, or no longer.
    #[error("there is no ingest {reference:?}")]
    IngestUnknown {
        /// Its name.
        reference: String,
    },
    /// Somebody else writes to the ingest.
    #[error("ingest {reference:?} is locked: somebody is writing to it")]
    IngestLocked {
        /// Its name.
        reference: String,
    },
    /// The namespace is nobody's.
    #[error(
        "namespace {namespace:?} has no registry; name one for it with grpc.content-namespaces = [\"{namespace}=REGISTRY\"]"
    )]
    NamespaceUnmapped {
        /// Its name.
        namespace: String,
    },
    /// What is asked for is a matter of one namespace, and none is named.
    #[error(
        "a namespace is needed: name a registry for the namespace \"default\", or say another with containerd-namespace"
    )]
    NamespaceMissing,
    /// The blob is not in quarantine.
    #[error("blob {digest} is not in quarantine")]
    NotQuarantined {
        /// What was looked for.
        digest: Digest,
    },
    /// The blob cannot be removed while a manifest of the repository needs it.
    #[error("blob {digest} is needed by manifest {by} of this repository; delete the manifest first")]
    BlobReferenced {
        /// The blob.
        digest: Digest,
        /// One of the manifests that refer to it.
        by: Digest,
    },
    /// There is no such session, or it belongs to another repository, or it has expired.
    #[error("there is no upload session {id} in repository {repository}")]
    UploadUnknown {
        /// Where it was looked for.
        repository: RepositoryName,
        /// What was looked for.
        id: UploadId,
    },
    /// The chunk does not start at the session's next byte. The session goes on.
    #[error("the chunk starts at byte {start}, but the next byte of the upload is {offset}")]
    ChunkOutOfOrder {
        /// Where the chunk starts.
        start: u64,
        /// Where the session stands.
        offset: u64,
    },
    /// Another request is writing to the session. The session goes on.
    #[error("another request is writing to this upload session, which stands at byte {offset}")]
    UploadBusy {
        /// Where the session stands, as far as is known.
        offset: u64,
    },
    /// A body has not the length that the request declared. What came is kept in the session.
    #[error("{declared} bytes were declared, but {received} were sent")]
    SizeMismatch {
        /// What the request said.
        declared: u64,
        /// What came; one more than `declared` where the rest was not looked at.
        received: u64,
    },
    /// The body ended before it should have. What came is kept in the session.
    #[error(transparent)]
    Body(#[from] BodyError),
    /// The content is not what the digest names.
    #[error("the content has the digest {actual}, not {expected}")]
    DigestMismatch {
        /// The digest that the client named.
        expected: Digest,
        /// The digest of what it sent.
        actual: Digest,
    },
    /// The body is not an acceptable manifest.
    #[error(transparent)]
    ManifestInvalid(#[from] ManifestError),
    /// A reference of the manifest declares another size than the content in the repository has.
    #[error("{role} {digest}: the manifest declares {declared} bytes, but it has {stored}", role = role_name(*role))]
    ReferenceSize {
        /// What it is to the manifest.
        role: ReferenceRole,
        /// The content.
        digest: Digest,
        /// What the manifest says.
        declared: u64,
        /// What is stored.
        stored: u64,
    },
    /// The manifest refers to content that is not in the repository; at least one entry.
    #[error("{} references of the manifest are not in this repository, the first is {}", .0.len(), first(.0))]
    ReferencesUnknown(Vec<MissingReference>),
    /// The manifest is larger than is accepted.
    #[error("a manifest has at most {max} bytes")]
    ManifestTooLarge {
        /// The limit, bytes.
        max: usize,
    },
    /// More tags are named for one push than are accepted.
    #[error("{sent} tags were named for one manifest, at most {max} are accepted")]
    TooManyTags {
        /// How many were named.
        sent: usize,
        /// The limit.
        max: usize,
    },
    /// More is to be published together than can be.
    #[error("at most {max} {what} are published together")]
    PublishTooLarge {
        /// Of what there are too many.
        what: &'static str,
        /// The limit.
        max: usize,
    },
    /// One tag is to stand for two manifests at once.
    #[error("tag {tag} of repository {repository} is to stand for two manifests at once")]
    TagTwice {
        /// Where.
        repository: RepositoryName,
        /// The tag.
        tag: Tag,
    },
    /// There is no such manifest or tag in the repository.
    #[error("there is no manifest {reference} in repository {repository}")]
    ManifestUnknown {
        /// Where it was looked for.
        repository: RepositoryName,
        /// What was looked for.
        reference: Reference,
    },
    /// A tag is not what the one who sets it expects it to be.
    #[error("tag {tag} {}, which is not what the request expects", stands_for(digest.as_ref()))]
    TagMoved {
        /// The tag.
        tag: Tag,
        /// What it stands for; `None` where it is not there.
        digest: Option<Digest>,
    },
    /// There is no such deletion to be undone, or it was too long ago.
    #[error("there is no deletion {number} that can be undone")]
    DeletionUnknown {
        /// What was looked for.
        number: u64,
    },
    /// A deletion cannot be undone, as something that it needs is gone; at least one entry.
    #[error(
        "deletion {number} cannot be undone, as this is gone: {}{}",
        lost_text(lost),
        restore_first(lost)
    )]
    RestoreIncomplete {
        /// The deletion.
        number: u64,
        /// What is gone.
        lost: Vec<Lost>,
    },
    /// A deletion is not undone, as tags stand for something else by now; at least one entry.
    #[error(
        "deletion {number} would move tags that stand for other manifests by now ({}); say so with force",
        taken_text(tags)
    )]
    TagsTaken {
        /// The deletion.
        number: u64,
        /// The tags, and what they stand for.
        tags: Vec<(Tag, Digest)>,
    },
    /// There is no repository of that registry.
    #[error("there is no registry {name}")]
    RegistryUnknown {
        /// What was looked for.
        name: String,
    },
    /// More would have to go than can go at once.
    #[error("this is too large to be deleted at once (more than {max} rows); delete parts of it first")]
    RemovalTooLarge {
        /// The limit, rows.
        max: usize,
    },
    /// There is no such repository.
    #[error("there is no repository {0}")]
    NameUnknown(RepositoryName),
    /// The place to go on from in a list is not one that this list has given.
    #[error("\"{last}\" is not a place in this list")]
    PageInvalid {
        /// What the client sent.
        last: String,
    },
    /// Whoever asks has to show who he is, or a token that carries more.
    #[error("{}", unauthorized(challenge))]
    Unauthorized {
        /// What to come back with.
        challenge: Challenge,
    },
    /// The principal may not do this, whatever token he shows.
    #[error("{why}")]
    Denied {
        /// Why, in a sentence for him.
        why: String,
    },
    /// Too many attempts with wrong credentials.
    #[error("too many attempts to log in have failed; try again in {} seconds", .retry_after.as_secs().max(1))]
    TooManyAttempts {
        /// When to try again.
        retry_after: Duration,
    },
    /// There is no such account.
    #[error("there is no account {name}")]
    AccountUnknown {
        /// What was looked for.
        name: String,
    },
    /// There is such an account already.
    #[error("there is an account {name} already")]
    AccountExists {
        /// Its name.
        name: String,
    },
    /// The account has no such key.
    #[error("there is no key {id}")]
    KeyUnknown {
        /// What was looked for.
        id: String,
    },
    /// The account has as many keys as it may have.
    #[error("an account has at most {max} keys; delete one first")]
    KeysExhausted {
        /// How many it may have.
        max: usize,
    },
    /// There is such a registry already.
    #[error("there is a registry {name} already")]
    RegistryExists {
        /// Its name.
        name: String,
    },
    /// The registry still holds content.
    #[error("registry {name} still holds repositories; delete them first, or say so with force")]
    RegistryNotEmpty {
        /// Its name.
        name: String,
    },
    /// The event log does not reach back so far any more: whoever follows it has missed something.
    #[error("the event log begins at event {begins} by now; look at everything anew and follow from there")]
    CursorGone {
        /// The number of the first event that is there.
        begins: u64,
    },
    /// What was to be changed was changed by somebody else meanwhile.
    #[error("this was changed meanwhile: it is revision {actual} by now, not {expected}; look at it again")]
    RevisionMismatch {
        /// What the one who asks has seen.
        expected: u64,
        /// What it is now.
        actual: u64,
    },
    /// The registry may hold no more.
    #[error(
        "registry {registry} may hold {limit} bytes, and would hold more with this; delete something, or have its quota raised"
    )]
    QuotaExceeded {
        /// Its name.
        registry: String,
        /// Its quota, bytes.
        limit: u64,
        /// What it holds now, bytes, each digest once.
        used: u64,
    },
    /// A field of what was asked for is not acceptable.
    #[error("{field}: {why}")]
    FieldInvalid {
        /// Its name.
        field: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// Nobody could look after the instance any more.
    #[error(
        "{name} is the last account with a key that can look after this instance; make another one an administrator first, or give it another key"
    )]
    LastAdministrator {
        /// The account.
        name: String,
    },
    /// The principal may not look after the store.
    #[error("only operators may do this, from the machine of the registry itself")]
    OperatorsOnly,
    /// There is no such backup under way: it has ended, or was not renewed in time.
    #[error("there is no backup {id} under way; it has ended, or was not renewed in time")]
    BackupUnknown {
        /// What was looked for.
        id: String,
    },
    /// No more backups can be begun now.
    #[error("{max} backups are under way already; wait for one to end")]
    BackupsUnderWay {
        /// How many there may be.
        max: usize,
    },
    /// A hold cannot live so long.
    #[error("a hold lives from {min_seconds} to {max_seconds} seconds")]
    HoldInvalid {
        /// The shortest, seconds.
        min_seconds: u64,
        /// The longest, seconds.
        max_seconds: u64,
    },
    /// The same things were changed by others again and again while this was tried.
    #[error("too many concurrent changes of the same content; try again")]
    Contended,
    /// The store has no room.
    #[error(
        "the disk of this registry is nearly full, so that it does not take this; it takes no pushes, pulls go on, and deletions as long as a little space \
         is left. Delete what is not needed, or have its operator make room"
    )]
    NoSpace,
    /// The store takes no writes at present. The source, for the log, says why and what to do.
    #[error("the registry takes no writes at present; its operator finds the reason in its log")]
    Unavailable(#[source] EngineError),
    /// The server's fault. The source is for the log, not for the client.
    #[error("internal error")]
    Internal(#[source] EngineError),
}

impl RegistryError {
    /// What a frontend puts on its wire. The one place where meaning becomes a code.
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::BlobUnknown { .. }
            | Self::NotStored { .. }
            | Self::NotQuarantined { .. }
            | Self::ContentUnknown { .. } => ErrorCode::BlobUnknown.into(),
            // The spec has no code for "still needed". 405 UNSUPPORTED is what its conformance suite accepts of a delete that is refused.
            Self::BlobReferenced { .. } => ErrorCode::Unsupported.into(),
            Self::UploadUnknown { .. } | Self::IngestUnknown { .. } => ErrorCode::BlobUploadUnknown.into(),
            Self::ChunkOutOfOrder { .. } | Self::UploadBusy { .. } | Self::CursorGone { .. } => {
                Failure::RangeInvalid.into()
            }
            Self::SizeMismatch { .. } | Self::Body(BodyError::Cut | BodyError::LengthMismatch) => {
                ErrorCode::SizeInvalid.into()
            }
            Self::Body(BodyError::TooSlow) => Failure::Timeout.into(),
            Self::Body(BodyError::TooLarge)
            | Self::ManifestTooLarge { .. }
            | Self::TooManyTags { .. }
            | Self::PublishTooLarge { .. }
            | Self::RemovalTooLarge { .. } => Failure::TooLarge.into(),
            Self::DigestMismatch { .. } => ErrorCode::DigestInvalid.into(),
            // SIZE_INVALID is about the length of a request's body; a manifest that lies is an invalid manifest.
            Self::ManifestInvalid(_) | Self::ReferenceSize { .. } => ErrorCode::ManifestInvalid.into(),
            Self::ReferencesUnknown(_) => ErrorCode::ManifestBlobUnknown.into(),
            Self::ManifestUnknown { .. } => ErrorCode::ManifestUnknown.into(),
            Self::RestoreIncomplete { .. }
            | Self::TagsTaken { .. }
            | Self::AccountExists { .. }
            | Self::KeysExhausted { .. }
            | Self::RegistryExists { .. }
            | Self::RegistryNotEmpty { .. }
            | Self::ContentExists { .. }
            | Self::ContentSizeMismatch { .. }
            | Self::ContentDigestMismatch { .. }
            | Self::NamespaceUnmapped { .. }
            | Self::NamespaceMissing
            | Self::LastAdministrator { .. } => Failure::Conflict.into(),
            Self::RegistryUnknown { .. } | Self::NameUnknown(_) => ErrorCode::NameUnknown.into(),
            Self::BackupUnknown { .. }
            | Self::DeletionUnknown { .. }
            | Self::AccountUnknown { .. }
            | Self::KeyUnknown { .. } => Failure::NotFound.into(),
            Self::BackupsUnderWay { .. } | Self::TooManyAttempts { .. } => ErrorCode::TooManyRequests.into(),
            Self::HoldInvalid { .. } | Self::FieldInvalid { .. } | Self::TagTwice { .. } => {
                Failure::RequestInvalid.into()
            }
            Self::PageInvalid { .. } => Failure::PaginationInvalid.into(),
            Self::Unauthorized { .. } => ErrorCode::Unauthorized.into(),
            // Clients give up on a denial and show its words; the spec has no code for a quota.
            Self::Denied { .. } | Self::OperatorsOnly | Self::QuotaExceeded { .. } => {
                ErrorCode::Denied.into()
            }
            Self::RevisionMismatch { .. } | Self::TagMoved { .. } => Failure::RevisionMismatch.into(),
            Self::Contended | Self::Unavailable(_) | Self::IngestLocked { .. } => Failure::Unavailable.into(),
            Self::NoSpace => Failure::NoSpace.into(),
            Self::Internal(_) => Failure::Internal.into(),
        }
    }
}

/// The word for a reference in messages.
const fn role_name(role: ReferenceRole) -> &'static str {
    match role {
        ReferenceRole::Config => "config",
        ReferenceRole::Layer => "layer",
        ReferenceRole::Child => "manifest",
        ReferenceRole::Subject => "subject",
    }
}

/// What a tag is, in words.
fn stands_for(digest: Option<&Digest>) -> String {
    digest.map_or_else(|| "is not there".to_owned(), |digest| format!("stands for {digest}"))
}

fn first(missing: &[MissingReference]) -> String {
    missing.first().map(|m| m.digest.to_string()).unwrap_or_default()
}

/// What one who is not let in is told.
const fn unauthorized(challenge: &Challenge) -> &'static str {
    match challenge.why {
        None => "authentication is required",
        Some(TokenFault::InvalidToken) => "the credentials are not valid, or not any more",
        Some(TokenFault::InsufficientScope) => "the token does not carry what this needs",
    }
}

/// The first of what is gone, and how many more there are.
fn lost_text(lost: &[Lost]) -> String {
    let first = lost.first().map(lost_name);
    let first = first.map(|(kind, digest)| format!("{kind} {digest}")).unwrap_or_default();
    match lost.len() {
        0 | 1 => first,
        count => format!("{first} (and {} more)", count - 1),
    }
}

/// What to do where a manifest is missing, which may have been deleted later.
fn restore_first(lost: &[Lost]) -> &'static str {
    if lost.iter().any(|lost| matches!(lost, Lost::Manifest(_))) {
        ". A manifest that was deleted itself is restored first, as long as that deletion is listed"
    } else {
        ""
    }
}

fn taken_text(tags: &[(Tag, Digest)]) -> String {
    const NAMED_MAX: usize = 10;
    let mut named: Vec<&str> = tags.iter().take(NAMED_MAX).map(|(tag, _)| tag.as_str()).collect();
    if tags.len() > NAMED_MAX {
        named.push("…");
    }
    named.join(", ")
}
