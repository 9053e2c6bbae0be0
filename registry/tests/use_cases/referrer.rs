//! Referrers: what is listed, filtered, paged; fallback tags.

use crate::world::{
    CONFIG_TYPE, LAYER_TYPE, World, bytes_of, described, described_manifest, digest_of_manifest, image_of,
    index_of, repo, sha256, sha512, told, with,
};
use serde_json::{Value, json};
use strata_registry::{Page, ReferrerPage, RegistryError};
use strata_types::limits::REFERRERS_PAGE_BYTES_MAX;
use strata_types::media_type::OCI_IMAGE_MANIFEST;
use strata_types::{Digest, RepositoryName};

const SIGNATURE: &str = "application/vnd.example.signature";
const SBOM: &str = "application/vnd.example.sbom";

/// An artifact about `subject`, with its blob already pushed.
async fn artifact(
    world: &World,
    repository: &RepositoryName,
    subject: &Value,
    artifact_type: &str,
    note: &str,
) -> Value {
    world.push_blob(repository, b"{}").await;
    let manifest = image_of(described("application/vnd.oci.empty.v1+json", b"{}"), vec![]);
    let manifest = with(manifest, "artifactType", json!(artifact_type));
    with(with(manifest, "subject", subject.clone()), "annotations", json!({ "note": note }))
}

async fn list(
    world: &World,
    repository: &RepositoryName,
    subject: &Digest,
    artifact_type: Option<&str>,
    page: &Page,
) -> Result<ReferrerPage, RegistryError> {
    world.registry.list_referrers(&world.ctx, repository, subject, artifact_type, page).await
}

/// All descriptors, following the pages.
async fn all(
    world: &World,
    repository: &RepositoryName,
    subject: &Digest,
    artifact_type: Option<&str>,
) -> Vec<Value> {
    let mut found = Vec::new();
    let mut page = Page::default();
    loop {
        let answer = list(world, repository, subject, artifact_type, &page).await.unwrap();
        found.extend(answer.descriptors.iter().map(|bytes| serde_json::from_slice::<Value>(bytes).unwrap()));
        let Some(next) = answer.next else { return found };
        page.last = Some(next.to_string());
    }
}

#[tokio::test]
async fn lists_what_the_spec_says_of_each_referrer() {
    let world = World::new();
    let a = repo("a");
    let subject = described(OCI_IMAGE_MANIFEST, b"a subject that is not here");
    let signature = artifact(&world, &a, &subject, SIGNATURE, "é\n").await;
    let done = world.put(&a, "tagged", &signature).await.unwrap();
    assert_eq!(done.subject, Some(sha256(b"a subject that is not here")));

    world.push_blob(&a, b"config").await;
    let image = with(image_of(described(CONFIG_TYPE, b"config"), vec![]), "subject", subject.clone());
    let index = with(index_of(vec![]), "subject", subject);
    for manifest in [&image, &index] {
        let done = world.put(&a, digest_of_manifest(manifest), manifest).await.unwrap();
        assert!(done.subject.is_some());
    }
    let mut expected = vec![
        with(
            with(described_manifest(&signature), "artifactType", json!(SIGNATURE)),
            "annotations",
            json!({ "note": "é\n" }),
        ),
        with(described_manifest(&image), "artifactType", json!(CONFIG_TYPE)),
        described_manifest(&index),
    ];
    expected.sort_by_key(|descriptor| descriptor["digest"].to_string());
    assert_eq!(all(&world, &a, &done.subject.unwrap(), None).await, expected);
}

#[tokio::test]
async fn nothing_is_an_empty_list() {
    let world = World::new();
    let a = repo("a");
    world.push_blob(&a, b"x").await;
    for repository in [repo("nowhere"), a] {
        for digest in [sha256(b"x"), sha512(b"x")] {
            let page = list(&world, &repository, &digest, None, &Page::default()).await.unwrap();
            assert_eq!(page, ReferrerPage { descriptors: vec![], next: None });
        }
    }
}

#[tokio::test]
async fn filters_by_type_and_pages() {
    let world = World::new();
    let a = repo("a");
    let subject = described(OCI_IMAGE_MANIFEST, b"subject");
    let digest = sha256(b"subject");
    for n in 0..30 {
        let artifact_type = if n % 3 == 0 { SBOM } else { SIGNATURE };
        let manifest = artifact(&world, &a, &subject, artifact_type, &n.to_string()).await;
        world.put(&a, digest_of_manifest(&manifest), &manifest).await.unwrap();
    }
    assert_eq!(all(&world, &a, &digest, None).await.len(), 30);
    for (artifact_type, count) in [(SBOM, 10), (SIGNATURE, 20), ("application/none", 0)] {
        let found = all(&world, &a, &digest, Some(artifact_type)).await;
        assert_eq!(found.len(), count);
        assert!(found.iter().all(|descriptor| descriptor["artifactType"] == artifact_type));
    }
    let mut seen = Vec::new();
    let mut page = Page { n: Some(7), last: None };
    loop {
        let answer = list(&world, &a, &digest, Some(SIGNATURE), &page).await.unwrap();
        assert!(answer.descriptors.len() <= 7);
        seen.extend(answer.descriptors);
        let Some(next) = answer.next else { break };
        page.last = Some(next.to_string());
    }
    assert_eq!(seen.len(), 20);
    let none = list(&world, &a, &digest, None, &Page { n: Some(0), last: None }).await.unwrap();
    assert_eq!(none, ReferrerPage { descriptors: vec![], next: None });
    let wrong = list(&world, &a, &digest, None, &Page { n: None, last: Some("x".into()) }).await;
    assert_eq!(told(wrong), "PAGINATION_NUMBER_INVALID");
}

#[tokio::test]
async fn a_page_stays_below_what_clients_read() {
    let world = World::new();
    let a = repo("a");
    let subject = described(OCI_IMAGE_MANIFEST, b"subject");
    for n in 0..9 {
        let manifest = artifact(&world, &a, &subject, SBOM, &n.to_string().repeat(1_000_000)).await;
        world.put(&a, digest_of_manifest(&manifest), &manifest).await.unwrap();
    }
    let (mut pages, mut found, mut page) = (0, 0, Page::default());
    loop {
        let answer = list(&world, &a, &sha256(b"subject"), None, &page).await.unwrap();
        let bytes: usize = answer.descriptors.iter().map(|descriptor| descriptor.len() + 1).sum();
        assert!(bytes <= REFERRERS_PAGE_BYTES_MAX, "{bytes}");
        pages += 1;
        found += answer.descriptors.len();
        let Some(next) = answer.next else { break };
        page.last = Some(next.to_string());
    }
    assert_eq!((pages, found), (3, 9));
}

#[tokio::test]
async fn a_deleted_referrer_is_not_listed_and_a_deleted_subject_keeps_them() {
    let world = World::new();
    let a = repo("a");
    let image = world.image(&a, "x").await;
    let subject = world.put(&a, "latest", &image).await.unwrap().digest;
    let manifest = artifact(&world, &a, &described_manifest(&image), SBOM, "x").await;
    let referrer = world.put(&a, "sbom", &manifest).await.unwrap().digest;
    world.delete(&a, "sbom").await.unwrap();
    assert_eq!(all(&world, &a, &subject, None).await.len(), 1, "without a tag it is still there");
    world.delete(&a, subject).await.unwrap();
    assert_eq!(all(&world, &a, &subject, None).await.len(), 1);
    world.delete(&a, referrer).await.unwrap();
    assert!(all(&world, &a, &subject, None).await.is_empty());
    world.put(&a, referrer, &manifest).await.unwrap();
    assert_eq!(all(&world, &a, &subject, None).await.len(), 1);
}

#[tokio::test]
async fn referrers_are_of_one_repository() {
    let world = World::new();
    let (a, b) = (repo("a"), repo("b"));
    let subject = described(OCI_IMAGE_MANIFEST, b"subject");
    let manifest = artifact(&world, &a, &subject, SBOM, "x").await;
    world.put(&a, "x", &manifest).await.unwrap();
    assert_eq!(all(&world, &a, &sha256(b"subject"), None).await.len(), 1);
    assert!(all(&world, &b, &sha256(b"subject"), None).await.is_empty());
}

/// A client that knows no referrers API also lists its artifacts in an index under a tag that it makes of the subject's digest.
#[tokio::test]
async fn shows_what_a_fallback_tag_lists_whichever_came_first() {
    for index_first in [false, true] {
        let world = World::new();
        let a = repo("a");
        let image = world.image(&a, "x").await;
        let subject = world.put(&a, "latest", &image).await.unwrap().digest;
        let manifest = artifact(&world, &a, &described_manifest(&image), SBOM, "x").await;
        let stranger = artifact(&world, &a, &described(LAYER_TYPE, b"another subject"), SBOM, "y").await;
        let index = index_of(vec![
            with(described_manifest(&manifest), "artifactType", json!(SBOM)),
            described_manifest(&stranger),
            described_manifest(&image),
            described(OCI_IMAGE_MANIFEST, b"never pushed"),
        ]);
        let fallback = subject.to_string().replace(':', "-");
        if index_first {
            world.put(&a, fallback.as_str(), &index).await.unwrap();
        }
        for manifest in [&manifest, &stranger] {
            world.put(&a, digest_of_manifest(manifest), manifest).await.unwrap();
        }
        if !index_first {
            world.put(&a, fallback.as_str(), &index).await.unwrap();
        }
        let found = all(&world, &a, &subject, None).await;
        let digests: Vec<&Value> = found.iter().map(|descriptor| &descriptor["digest"]).collect();
        assert_eq!(
            digests,
            [&json!(digest_of_manifest(&manifest))],
            "only what has the subject; index first: {index_first}"
        );
        assert_eq!(world.get(&a, fallback.as_str()).await.unwrap(), bytes_of(&index));
        world.delete(&a, fallback.as_str()).await.unwrap();
        assert_eq!(all(&world, &a, &subject, None).await.len(), 1, "the tag can go");
    }
}
