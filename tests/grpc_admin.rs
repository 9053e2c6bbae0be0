//! The admin API over gRPC: it has what the one over HTTP has, and does the same.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is a failed test"
)]

use bytes::Bytes;
use std::collections::BTreeSet;
use std::os::unix::fs::FileExt as _;
use strata_harness::grpc::tonic::{Code, Status};
use strata_harness::grpc::{Grpc, refusal, run, stream, v1};
use strata_harness::random::noise;
use strata_harness::{ADMIN, TestRegistry, registry, sha256};
use v1::admin_repair_blob_request::Part;

/// Where each operation of the admin API over HTTP is found over gRPC: a method of a service of `strata.registry.v1`.
const SAME: [(&str, &str); 53] = [
    ("getSession", "Admin/WhoAmI"),
    ("listAccounts", "Admin/ListAccounts"),
    ("createAccount", "Admin/CreateAccount"),
    ("getAccount", "Admin/GetAccount"),
    ("changeAccount", "Admin/ChangeAccount"),
    ("deleteAccount", "Admin/DeleteAccount"),
    ("listKeys", "Admin/ListKeys"),
    ("createKey", "Admin/CreateKey"),
    ("getKey", "Admin/GetKey"),
    ("changeKey", "Admin/ChangeKey"),
    ("deleteKey", "Admin/DeleteKey"),
    // An account is told with its roles, and a role is taken by setting none.
    ("getRoles", "Admin/GetAccount"),
    ("setInstanceRole", "Admin/SetRole"),
    ("takeInstanceRole", "Admin/SetRole"),
    ("setMember", "Admin/SetRole"),
    ("removeMember", "Admin/SetRole"),
    ("listMembers", "Admin/ListMembers"),
    ("listSigningKeys", "Admin/ListSigningKeys"),
    ("rotateSigningKey", "Admin/RotateSigningKey"),
    ("listRegistries", "Admin/ListRegistries"),
    ("createRegistry", "Admin/CreateRegistry"),
    ("getRegistry", "Admin/GetRegistry"),
    ("changeRegistry", "Admin/ChangeRegistry"),
    ("deleteRegistry", "Admin/DeleteRegistry"),
    ("listImages", "Admin/ListImages"),
    ("getImage", "Admin/GetImage"),
    ("deleteImage", "Admin/DeleteImage"),
    ("listArtifacts", "Admin/ListArtifacts"),
    ("getArtifact", "Admin/GetArtifact"),
    ("deleteArtifact", "Manifests/Delete"),
    ("listTags", "Admin/ListTags"),
    ("getTag", "Admin/GetTag"),
    ("putTag", "Tags/Set"),
    ("deleteTag", "Tags/Delete"),
    ("getTagHistory", "Admin/GetTagHistory"),
    ("listAudit", "Admin/ListAudit"),
    // gRPC is described by reflection.
    ("describe", ""),
    ("getStatus", "Admin/GetStatus"),
    ("getGc", "Admin/GetGc"),
    ("runGc", "Admin/RunGc"),
    ("getScrub", "Admin/GetScrub"),
    ("startScrub", "Admin/StartScrub"),
    ("listQuarantine", "Admin/ListQuarantine"),
    ("recheckBlobs", "Admin/RecheckQuarantine"),
    ("recheckBlob", "Admin/RecheckQuarantine"),
    ("repairBlob", "Admin/RepairBlob"),
    ("discardBlob", "Admin/DiscardBlob"),
    ("listBackups", "Admin/ListBackups"),
    ("startBackup", "Admin/StartBackup"),
    ("renewBackup", "Admin/RenewBackup"),
    ("endBackup", "Admin/EndBackup"),
    ("listDeleted", "Admin/ListDeleted"),
    ("restore", "Admin/Restore"),
];

#[test]
fn each_operation_over_http_has_a_method_over_grpc() {
    let registry = registry!().grpc().start();
    let description = registry.endpoint().get("/api/v1/openapi.json").json();
    let paths = description["paths"].as_object().expect("paths");
    let operations = paths.values().flat_map(|path| path.as_object().expect("operations").values());
    let http: BTreeSet<&str> =
        operations.map(|operation| operation["operationId"].as_str().expect("a name")).collect();
    let listed: BTreeSet<&str> = SAME.iter().map(|(operation, _)| *operation).collect();
    assert_eq!(http, listed, "what HTTP has, and what is listed here with its method of gRPC");
    let (grpc, admin) = run(async {
        let client = registry.grpc();
        let mut all = BTreeSet::from([String::new()]);
        for service in ["Admin", "Manifests", "Tags"] {
            let methods = client.methods(&format!("strata.registry.v1.{service}")).await;
            all.extend(methods.into_iter().map(|method| format!("{service}/{method}")));
        }
        let admin = all.iter().filter(|method| method.starts_with("Admin/")).cloned();
        let admin: BTreeSet<String> = admin.collect();
        (all, admin)
    });
    let named: BTreeSet<String> = SAME.iter().map(|(_, method)| (*method).to_owned()).collect();
    assert!(named.is_subset(&grpc), "not there: {:?}", named.difference(&grpc));
    assert!(admin.is_subset(&named), "not over HTTP: {:?}", admin.difference(&named));
}

async fn start_backup(grpc: &Grpc, hold: u64) -> Result<v1::Backup, Status> {
    let asked = v1::AdminStartBackupRequest { hold_seconds: Some(hold) };
    Ok(grpc.admin().start_backup(asked).await?.into_inner().backup.expect("a backup"))
}

async fn under_way(grpc: &Grpc) -> Vec<String> {
    let found = grpc.admin().list_backups(v1::AdminListBackupsRequest {}).await.expect("a list");
    found.into_inner().backups.into_iter().map(|backup| backup.id).collect()
}

#[test]
fn a_backup_is_held_renewed_and_ended() {
    let registry = registry!().accounts().grpc().start();
    run(async {
        let stranger = registry.grpc();
        assert_eq!(refusal(start_backup(&stranger, 60).await).0, Code::Unauthenticated);
        let grpc = registry.grpc_admin();
        for hold in [0, 3601] {
            let outcome = refusal(start_backup(&grpc, hold).await);
            assert_eq!(outcome, (Code::InvalidArgument, "REQUEST_INVALID".to_owned()), "{hold}");
        }
        let first = start_backup(&grpc, 3600).await.expect("a checkpoint");
        assert_eq!(first.directory, registry.data().to_str().expect("UTF-8"));
        assert!(first.expires_in_millis > 3_500_000, "{first:?}");
        assert!(registry.data().join("backups").join(&first.id).exists());
        for _ in 1..4 {
            start_backup(&grpc, 3600).await.expect("another one");
        }
        let fifth = refusal(start_backup(&grpc, 3600).await);
        assert_eq!(fifth, (Code::ResourceExhausted, "TOOMANYREQUESTS".to_owned()));
        let listed = registry.admin().get("/api/v1/backups").json();
        assert_eq!(listed["backups"].as_array().map(Vec::len), Some(4), "HTTP shows the same");
        let renew = |id: &str| v1::AdminRenewBackupRequest { id: id.to_owned(), hold_seconds: None };
        let renewed = grpc.admin().renew_backup(renew(&first.id)).await.expect("renewed").into_inner();
        let renewed = renewed.backup.expect("a backup");
        assert!(renewed.id == first.id && renewed.expires_in_millis <= 60_000, "{renewed:?}");
        for id in under_way(&grpc).await {
            let end = v1::AdminEndBackupRequest { id: id.clone() };
            grpc.admin().end_backup(end.clone()).await.expect("ended");
            let again = (Code::NotFound, "NOT_FOUND".to_owned());
            assert_eq!(refusal(grpc.admin().end_backup(end).await), again);
            assert_eq!(refusal(grpc.admin().renew_backup(renew(&id)).await), again);
        }
        for id in ["", "../../meta", "0000000000000000"] {
            assert_eq!(refusal(grpc.admin().renew_backup(renew(id)).await).0, Code::NotFound, "{id}");
        }
        assert_eq!(under_way(&grpc).await, Vec::<String>::new());
    });
    let folder = registry.data().join("backups");
    assert_eq!(std::fs::read_dir(folder).expect("a directory").count(), 0);
}

#[test]
fn a_key_is_told_by_its_id() {
    let registry = registry!().accounts().grpc().start();
    run(async {
        let grpc = registry.grpc_admin();
        let account = grpc.admin().who_am_i(v1::AdminWhoAmIRequest {}).await.expect("it is known");
        let account = account.into_inner().account.expect("an account").name;
        let asked = |key: &str| v1::AdminGetKeyRequest { account: account.clone(), key: key.to_owned() };
        let key = grpc.admin().get_key(asked(ADMIN.0)).await.expect("it is there").into_inner().key;
        assert_eq!(key.expect("a key").id, ADMIN.0);
        let none = (Code::NotFound, "NOT_FOUND".to_owned());
        assert_eq!(refusal(grpc.admin().get_key(asked("SKNOBODY")).await), none);
    });
}

/// Changes a bit in the middle of the only blob that is a file.
fn flip(registry: &TestRegistry, len: usize) {
    let files = registry.blob_files();
    assert_eq!(files.len(), 1, "{files:?}");
    let path = registry.data().join(&files[0]);
    let file = std::fs::OpenOptions::new().read(true).write(true).open(path).expect("the file");
    let mut byte = [0];
    file.read_exact_at(&mut byte, len as u64 / 2).expect("it is as long as the blob");
    file.write_all_at(&[byte[0] ^ 0x10], len as u64 / 2).expect("it can be written");
}

async fn repair(grpc: &Grpc, parts: Vec<Option<Part>>) -> Result<bool, Status> {
    let messages: Vec<_> = parts.into_iter().map(|part| v1::AdminRepairBlobRequest { part }).collect();
    Ok(grpc.admin().repair_blob(stream::iter(messages)).await?.into_inner().healed)
}

#[test]
fn a_blob_is_mended_with_its_bytes() {
    let registry = registry!().damaged_at_end().grpc().start();
    let (bytes, other) = (noise(1, 700_000), noise(2, 700_000));
    let digest = registry.repository("a/b").push_blob(&bytes);
    run(async {
        let grpc = registry.grpc();
        let start = |digest: &str, size| {
            let start = v1::AdminRepairBlobStart { digest: digest.to_owned(), size };
            Some(Part::Start(start))
        };
        let data = |bytes: &Bytes, at: std::ops::Range<usize>| Some(Part::Data(bytes.slice(at)));
        let whole = |size, bytes: &Bytes| {
            let (front, back) = (data(bytes, 0..300_000), data(bytes, 300_000..700_000));
            vec![start(&digest, size), front, data(bytes, 0..0), back]
        };
        assert!(!repair(&grpc, whole(None, &bytes)).await.expect("nothing is wrong with it"));
        flip(&registry, bytes.len());
        let asked = v1::AdminRecheckQuarantineRequest { digest: digest.clone() };
        let looked = grpc.admin().recheck_quarantine(asked).await.expect("a look").into_inner();
        assert_eq!((looked.released, looked.damaged), (0, 1));
        let cases = [
            (vec![], "REQUEST_INVALID"),
            (vec![data(&bytes, 0..9)], "REQUEST_INVALID"),
            (vec![None], "REQUEST_INVALID"),
            (vec![start("sha256:no", None)], "DIGEST_INVALID"),
            (vec![start(&digest, None), start(&digest, None)], "REQUEST_INVALID"),
            (vec![start(&digest, None), data(&bytes, 0..9), None], "REQUEST_INVALID"),
            (whole(None, &other), "DIGEST_INVALID"),
            (vec![start(&digest, None), data(&bytes, 0..9)], "DIGEST_INVALID"),
            (whole(Some(699_999), &bytes), "SIZE_INVALID"),
            (whole(Some(700_001), &bytes), "SIZE_INVALID"),
        ];
        for (number, (parts, reason)) in cases.into_iter().enumerate() {
            let outcome = refusal(repair(&grpc, parts).await);
            assert_eq!(outcome, (Code::InvalidArgument, reason.to_owned()), "case {number}");
        }
        let unknown = vec![start(&sha256(b"nobody has it"), None), data(&bytes, 0..9)];
        let none = (Code::NotFound, "BLOB_UNKNOWN".to_owned());
        assert_eq!(refusal(repair(&grpc, unknown).await), none);
        let asked = v1::BlobsStatRequest { repository: "a/b".into(), digest: digest.clone() };
        assert_eq!(refusal(grpc.blobs().stat(asked).await), none, "it is still in quarantine");
        assert!(repair(&grpc, whole(Some(700_000), &bytes)).await.expect("it is mended"));
        assert!(!repair(&grpc, whole(None, &bytes)).await.expect("it is sound"));
    });
    registry.repository("a/b").expect_blob(&digest, &bytes);
}
