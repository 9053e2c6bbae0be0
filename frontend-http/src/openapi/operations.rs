//! All operations of the admin API, each once.

use super::operation::{Operation, operation, text};
use crate::document::{
    Account, AccountChangeRequest, AccountRequest, Accounts, ArtifactDetail, Artifacts, Audit, Backup,
    BackupRequest, Backups, Deletions, GcAnswer, GcRequest, GcStatus, ImageDetail, Images, Key,
    KeyChangeRequest, KeyRequest, Keys, Members, NewKey, Nothing, Quarantine, Rechecked, RecheckedAll,
    Registries, Registry, RegistryChangeRequest, RegistryRequest, Removed, Repaired, RestoreRequest,
    Restored, RoleRequest, Roles, ScrubRequest, ScrubStarted, ScrubStatus, Session, SigningKey, SigningKeys,
    Status, TagDetail, TagHistory, TagRequest, Tags,
};
use crate::route::Endpoint;
use serde_json::Value;

/// The operations, in the order of the documentation.
pub fn operations() -> impl Iterator<Item = &'static Operation> {
    [ACCOUNTS, REGISTRIES, IMAGES, AUDIT, STORE].into_iter().flatten()
}

/// Accounts, their keys and their roles.
const ACCOUNTS: &[Operation] = &[
    operation("GET", Endpoint::Session, "getSession", "who one is to the server").answers::<Session>(),
    operation("GET", Endpoint::Accounts, "listAccounts", "the accounts, by name")
        .with(&[text("search", "Only those whose name or address holds this")])
        .in_pages()
        .answers::<Accounts>(),
    operation("POST", Endpoint::Accounts, "createAccount", "makes an account, without a key")
        .takes::<AccountRequest>()
        .answers::<Account>()
        .under(201),
    operation("GET", Endpoint::Account, "getAccount", "an account").answers::<Account>(),
    operation("PATCH", Endpoint::Account, "changeAccount", "changes an account; what is not said stays")
        .takes::<AccountChangeRequest>()
        .answers::<Account>(),
    operation("DELETE", Endpoint::Account, "deleteAccount", "deletes an account with its keys and roles"),
    operation("GET", Endpoint::AccountKeys, "listKeys", "the keys of an account, oldest first")
        .answers::<Keys>(),
    operation(
        "POST",
        Endpoint::AccountKeys,
        "createKey",
        "makes a key; the only answer that holds its secret",
    )
    .takes::<KeyRequest>()
    .answers::<NewKey>()
    .under(201),
    operation("GET", Endpoint::AccountKey, "getKey", "a key").answers::<Key>(),
    operation("PATCH", Endpoint::AccountKey, "changeKey", "changes a key; what is not said stays")
        .takes::<KeyChangeRequest>()
        .answers::<Key>(),
    operation("DELETE", Endpoint::AccountKey, "deleteKey", "deletes a key"),
    operation("GET", Endpoint::AccountRoles, "getRoles", "the roles of an account").answers::<Roles>(),
    operation("PUT", Endpoint::InstanceRole, "setInstanceRole", "gives an account a role on the instance")
        .takes::<RoleRequest>()
        .answers::<Roles>(),
    operation("DELETE", Endpoint::InstanceRole, "takeInstanceRole", "takes it").answers::<Roles>(),
    operation(
        "GET",
        Endpoint::SigningKeys,
        "listSigningKeys",
        "the keys that tokens are signed with, newest first",
    )
    .answers::<SigningKeys>(),
    operation(
        "POST",
        Endpoint::SigningKeys,
        "rotateSigningKey",
        "makes a new key sign; tokens of the one before count to their end",
    )
    .takes::<Nothing>()
    .answers::<SigningKey>()
    .under(201),
];

/// Registries, and who has a role in them.
const REGISTRIES: &[Operation] = &[
    operation("GET", Endpoint::Registries, "listRegistries", "registries that one may see, by name")
        .with(&[text("search", "Only those whose name holds this")])
        .in_pages()
        .answers::<Registries>(),
    operation("POST", Endpoint::Registries, "createRegistry", "makes a registry")
        .takes::<RegistryRequest>()
        .answers::<Registry>()
        .under(201),
    operation("GET", Endpoint::Registry, "getRegistry", "a registry").answers::<Registry>(),
    operation("PATCH", Endpoint::Registry, "changeRegistry", "changes a registry; what is not said stays")
        .takes::<RegistryChangeRequest>()
        .answers::<Registry>(),
    operation(
        "DELETE",
        Endpoint::Registry,
        "deleteRegistry",
        "deletes a registry; one that holds images only with `force=true`, with all of them",
    )
    .with(&[text("force", "`true`: with all that it holds")])
    .answers::<Removed>(),
    operation(
        "GET",
        Endpoint::RegistryMembers,
        "listMembers",
        "the accounts with a role in a registry, by name",
    )
    .in_pages()
    .answers::<Members>(),
    operation("PUT", Endpoint::RegistryMember, "setMember", "gives an account a role in a registry")
        .takes::<RoleRequest>()
        .answers::<Roles>(),
    operation("DELETE", Endpoint::RegistryMember, "removeMember", "takes it").answers::<Roles>(),
];

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

/// The audit log.
const AUDIT: &[Operation] = &[operation(
    "GET",
    Endpoint::Audit,
    "listAudit",
    "who did what, newest first; as JSON lines with `format=jsonl`, oldest first",
)
.with(&[
    text("account", "Only of this account"),
    text("action", "Only of this action, `tag.set`, or any of a thing, `tag`"),
    text("repository", "Only about this image"),
    text("registry", "Only about this registry and its images"),
    text("result", "Only with this result"),
    text("from", "Not before this moment, milliseconds since 1970"),
    text("until", "Before this moment, milliseconds since 1970"),
    text("format", "`json` (the default), or `jsonl` for an entry a line"),
])
.in_pages()
.answers::<Audit>()];

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
];
