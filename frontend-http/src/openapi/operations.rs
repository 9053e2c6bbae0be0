//! All operations of the admin API, each once.

use super::operation::{Operation, operation, text};
use crate::document::{
    ArtifactDetail, Artifacts, Backup, BackupRequest, Backups, Deletions, GcAnswer, GcRequest, GcStatus,
    ImageDetail, Images, Nothing, Quarantine, Rechecked, RecheckedAll, Removed, Repaired, RestoreRequest,
    Restored, ScrubRequest, ScrubStarted, ScrubStatus, Status, TagDetail, TagHistory, TagRequest, Tags,
};
use crate::route::Endpoint;
use serde_json::Value;

/// The operations, in the order of the documentation.
pub fn operations() -> impl Iterator<Item = &'static Operation> {
    [IMAGES, STORE].into_iter().flatten()
}

/// Images, artifacts and tags.
const IMAGES: &[Operation] = &[
    operation("GET", Endpoint::Images, "listImages", "images that one may see, by name")
        .with(&[
            text("registry", "Only those of this registry"),
            text("search", "Only those whose name holds this"),
        ])
        .in_pages()
        .answers::<Images>(),
    operation("GET", Endpoint::Image, "getImage", "an image, and how much it has").answers::<ImageDetail>(),
    operation("DELETE", Endpoint::Image, "deleteImage", "deletes an image with all that it has")
        .answers::<Removed>(),
    operation(
        "GET",
        Endpoint::ImageArtifacts,
        "listArtifacts",
        "the manifests of an image, in the order of digests",
    )
    .in_pages()
    .answers::<Artifacts>(),
    operation(
        "GET",
        Endpoint::ImageArtifact,
        "getArtifact",
        "a manifest with its config, platforms, layers, history and referrers",
    )
    .answers::<ArtifactDetail>(),
    operation(
        "DELETE",
        Endpoint::ImageArtifact,
        "deleteArtifact",
        "deletes a manifest, named by its digest, with its tags",
    ),
    operation("GET", Endpoint::ImageTags, "listTags", "the tags of an image, by name")
        .with(&[text("search", "Only those whose name holds this")])
        .in_pages()
        .answers::<Tags>(),
    operation("GET", Endpoint::ImageTag, "getTag", "what a tag stands for").answers::<TagDetail>(),
    operation(
        "PUT",
        Endpoint::ImageTag,
        "putTag",
        "points a tag to a manifest that is there; 201 where the tag is new",
    )
    .takes::<TagRequest>(),
    operation("DELETE", Endpoint::ImageTag, "deleteTag", "deletes a tag"),
    operation(
        "GET",
        Endpoint::ImageTagHistory,
        "getTagHistory",
        "what a tag stood for, oldest first; also of one that was deleted",
    )
    .in_pages()
    .answers::<TagHistory>(),
];

/// What looks after the store.
const STORE: &[Operation] = &[
    operation("GET", Endpoint::OpenApi, "describe", "this description").answers::<Value>(),
    operation("GET", Endpoint::Status, "getStatus", "how the store is").answers::<Status>(),
    operation("GET", Endpoint::Gc, "getGc", "where garbage collection stands").answers::<GcStatus>(),
    operation("POST", Endpoint::Gc, "runGc", "collects garbage, or says what would be collected")
        .takes::<GcRequest>()
        .answers::<GcAnswer>(),
    operation("GET", Endpoint::Scrub, "getScrub", "where the scrub stands and what it found")
        .answers::<ScrubStatus>(),
    operation("POST", Endpoint::Scrub, "startScrub", "begins a round, unless one is under way")
        .takes::<ScrubRequest>()
        .answers::<ScrubStarted>()
        .under(202),
    operation("GET", Endpoint::Quarantine, "listQuarantine", "blobs in quarantine, in the order of digests")
        .in_pages()
        .answers::<Quarantine>(),
    operation(
        "POST",
        Endpoint::QuarantineRecheckAll,
        "recheckBlobs",
        "looks at all blobs in quarantine again",
    )
    .takes::<Nothing>()
    .answers::<RecheckedAll>(),
    operation("PUT", Endpoint::QuarantinedBlob, "repairBlob", "mends a blob with its bytes")
        .takes_bytes()
        .answers::<Repaired>(),
    operation("DELETE", Endpoint::QuarantinedBlob, "discardBlob", "gives a blob in quarantine up"),
    operation("POST", Endpoint::QuarantineRecheck, "recheckBlob", "looks at a blob again")
        .takes::<Nothing>()
        .answers::<Rechecked>(),
    operation("GET", Endpoint::Backups, "listBackups", "the backups under way").answers::<Backups>(),
    operation("POST", Endpoint::Backups, "startBackup", "makes a checkpoint and holds what it names")
        .takes::<BackupRequest>()
        .answers::<Backup>(),
    operation("PUT", Endpoint::Backup, "renewBackup", "lets the hold live on")
        .takes::<BackupRequest>()
        .answers::<Backup>(),
    operation("DELETE", Endpoint::Backup, "endBackup", "ends the hold"),
    operation(
        "GET",
        Endpoint::Deletions,
        "listDeleted",
        "what was deleted and can be restored, oldest first",
    )
    .with(&[text("repository", "Only what was deleted there")])
    .in_pages()
    .answers::<Deletions>(),
    operation("POST", Endpoint::Restore, "restore", "undoes a deletion")
        .takes::<RestoreRequest>()
        .answers::<Restored>(),
    operation("DELETE", Endpoint::Registry, "deleteRegistry", "deletes all repositories of a registry")
        .answers::<Removed>(),
];
