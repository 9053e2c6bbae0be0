//! Content of programs that look after it themselves: ingests that come in pieces and are gone on with, what they become, labels, lists,
//! and the end of all of it.

use crate::world::{World, noise, repo, sha256, sha512, told};
use bytes::Bytes;
use std::collections::BTreeMap;
use strata_registry::{
    BlobBody, ContentFilter, ContentInfo, ContentSpace, ContentWriter, LabelChange, Labels, RegistryConfig,
    RegistryError,
};
use strata_types::Digest;

fn space(world: &World) -> ContentSpace {
    world.registry.content_space(Some("default")).unwrap()
}

fn labels(text: &str) -> Labels {
    let entries = text.split(' ').filter_map(|entry| entry.split_once('='));
    entries.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

async fn open(
    world: &World,
    reference: &str,
    total: usize,
    expected: Option<&Digest>,
) -> Result<ContentWriter, RegistryError> {
    world.registry.open_ingest(&world.ctx, &space(world), reference, total as u64, expected).await
}

/// Brings content in, in pieces of 30,000 bytes.
async fn bring(world: &World, content: &[u8], with: &str) -> Digest {
    let mut writer = open(world, "bring", 0, None).await.unwrap();
    for (number, piece) in content.chunks(30_000).enumerate() {
        let at = number as u64 * 30_000;
        let stands = writer.write(at, Bytes::copy_from_slice(piece)).await.unwrap();
        assert_eq!(stands, at + piece.len() as u64);
    }
    let done = writer.commit(labels(with)).await.unwrap();
    assert_eq!((done.digest, done.size), (sha256(content), content.len() as u64));
    done.digest
}

async fn info(world: &World, digest: &Digest) -> Result<ContentInfo, RegistryError> {
    world.registry.content_info(&world.ctx, &space(world), digest).await
}

async fn read(world: &World, digest: &Digest) -> Result<Bytes, RegistryError> {
    let content = world.registry.open_content(&world.ctx, &space(world), digest).await?;
    Ok(match content.body {
        BlobBody::Bytes(bytes) => bytes,
        BlobBody::File(file) => {
            let mut whole = Vec::new();
            while (whole.len() as u64) < content.size {
                whole.extend_from_slice(&file.read_at(whole.len() as u64, 1 << 20).await.unwrap());
            }
            whole.into()
        }
    })
}

/// All that a filter wants, page by page.
async fn list(world: &World, space: &ContentSpace, filters: &[&str]) -> Vec<ContentInfo> {
    let filters: Vec<String> = filters.iter().map(|text| (*text).to_owned()).collect();
    let filter = ContentFilter::parse(&filters).unwrap();
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let page = world.registry.list_content(&world.ctx, space, &filter, after.as_ref()).await.unwrap();
        all.extend(page.content);
        after = page.next;
        if after.is_none() {
            return all;
        }
    }
}

async fn references(world: &World, filters: &[&str]) -> Vec<String> {
    let filters: Vec<String> = filters.iter().map(|text| (*text).to_owned()).collect();
    let filter = ContentFilter::parse(&filters).unwrap();
    let listed = world.registry.list_ingests(&world.ctx, &space(world), &filter).await.unwrap();
    let mut names: Vec<String> = listed.into_iter().map(|status| status.reference).collect();
    names.sort_unstable();
    names
}

/// No ingest and no session is left.
async fn assert_no_ingest(world: &World) {
    assert_eq!(references(world, &[]).await, Vec::<String>::new());
    assert_eq!(world.engine.view().unwrap().uploads(None, 9).unwrap(), []);
}

#[tokio::test]
async fn what_comes_in_is_there_with_its_labels_and_stays() {
    let world = World::new();
    let contents = [Vec::new(), noise(1000, 1), noise(300_000, 2)];
    for content in &contents {
        let digest = bring(&world, content, "a=1 empty= b.c=2").await;
        let found = info(&world, &digest).await.unwrap();
        assert_eq!((found.digest, found.size), (digest, content.len() as u64));
        assert_eq!(found.labels, labels("a=1 b.c=2"));
        assert!(found.created_at == found.updated_at && found.created_at <= world.engine.now());
        assert_eq!(read(&world, &digest).await.unwrap(), content.as_slice());
        // Also as what it is: a blob of a repository.
        assert_eq!(world.read_blob(&repo("default/content"), &digest).await.unwrap(), content.as_slice());
    }
    assert_no_ingest(&world).await;
    assert_eq!(list(&world, &space(&world), &[]).await.len(), 3);
    assert_eq!(world.engine.view().unwrap().gc_queue(None, 9).unwrap(), [], "no candidate");
    let world = world.reopened();
    assert_eq!(read(&world, &sha256(&contents[2])).await.unwrap(), contents[2]);
    // A blob that was pushed as one is no content.
    let pushed = world.push_blob(&repo("default/content"), b"pushed").await;
    assert!(matches!(info(&world, &pushed).await, Err(RegistryError::ContentUnknown { .. })));
    assert_eq!(told(read(&world, &pushed).await), "BLOB_UNKNOWN");
}

#[tokio::test]
async fn an_ingest_is_gone_on_with_where_it_stands() {
    let world = World::new();
    let content = Bytes::from(noise(400_000, 3));
    let digest = sha256(&content);
    let mut writer = open(&world, "layer", content.len(), None).await.unwrap();
    writer.write(0, content.slice(..150_000)).await.unwrap();
    let live = world.registry.ingest_status(&world.ctx, &space(&world), "layer").await.unwrap();
    assert_eq!((live.offset, live.total, live.expected), (150_000, 400_000, None));
    let second = open(&world, "layer", 0, None).await;
    assert!(matches!(second, Err(RegistryError::IngestLocked { .. })), "{second:?}");
    assert_eq!(told(second), "UNAVAILABLE");
    // The client is cut off.
    drop(writer);
    let world = world.reopened();
    let mut writer = open(&world, "layer", content.len(), Some(&digest)).await.unwrap();
    let status = writer.status();
    assert_eq!((status.offset, status.started_at), (150_000, live.started_at));
    for wrong in [1, 149_999, 150_001, 400_000, u64::MAX] {
        let refused = writer.write(wrong, content.slice(..1)).await;
        assert!(
            matches!(refused, Err(RegistryError::ChunkOutOfOrder { offset: 150_000, .. })),
            "{wrong}: {refused:?}"
        );
        assert_eq!(told(refused), "RANGE_INVALID");
    }
    writer.write(150_000, content.slice(150_000..)).await.unwrap();
    assert_eq!(writer.commit(Labels::new()).await.unwrap().digest, digest);
    assert_eq!(read(&world, &digest).await.unwrap(), content);
    assert_no_ingest(&world).await;
}

#[tokio::test]
async fn a_write_at_the_beginning_begins_anew() {
    let world = World::new();
    for size in [100, 200_000] {
        let content = Bytes::from(noise(size, 4));
        let mut writer = open(&world, "layer", 0, None).await.unwrap();
        let begun = writer.status().started_at;
        for _ in 0..2 {
            writer.write(0, Bytes::from(noise(size + 7, 5))).await.unwrap();
        }
        assert_eq!(writer.write(0, content.slice(..50)).await.unwrap(), 50);
        assert_eq!(writer.write(50, content.slice(50..)).await.unwrap(), size as u64);
        assert_eq!(writer.status().started_at, begun);
        assert_eq!(writer.commit(Labels::new()).await.unwrap().digest, sha256(&content));
    }
    // As containerd does: also a commit at 0 drops what came, and what is left is nothing.
    let mut writer = open(&world, "layer", 0, None).await.unwrap();
    writer.write(0, "something".into()).await.unwrap();
    assert_eq!(writer.write(0, Bytes::new()).await.unwrap(), 0);
    assert_eq!(writer.commit(Labels::new()).await.unwrap().digest, sha256(b""));
    assert_no_ingest(&world).await;
}

#[tokio::test]
async fn a_commit_that_does_not_fit_leaves_the_ingest() {
    let world = World::new();
    let content = Bytes::from(noise(100_000, 6));
    let digest = sha256(&content);
    let mut writer = open(&world, "layer", 0, None).await.unwrap();
    writer.write(0, content.clone()).await.unwrap();
    writer.set_total(99_999);
    let refused = writer.commit(Labels::new()).await;
    assert!(matches!(
        refused,
        Err(RegistryError::ContentSizeMismatch { declared: 99_999, received: 100_000 })
    ));
    assert_eq!(told(refused), "CONFLICT");
    let mut writer = open(&world, "layer", 0, None).await.unwrap();
    assert_eq!(writer.status().offset, 100_000);
    writer.expect(&sha256(b"other")).await.unwrap();
    let refused = writer.commit(Labels::new()).await;
    assert!(matches!(refused, Err(RegistryError::ContentDigestMismatch { .. })), "{refused:?}");
    let writer = open(&world, "layer", 0, None).await.unwrap();
    let refused = writer.commit([("n".repeat(96), "v".repeat(4001))].into()).await;
    assert!(matches!(refused, Err(RegistryError::FieldInvalid { field: "labels", .. })), "{refused:?}");
    assert_eq!(references(&world, &[]).await, ["layer"]);
    assert!(info(&world, &digest).await.is_err());
    let mut writer = open(&world, "layer", 0, None).await.unwrap();
    writer.expect(&digest).await.unwrap();
    assert_eq!(writer.commit(Labels::new()).await.unwrap().digest, digest);
    // By a digest of the other algorithm, whether that was said before or not.
    for (reference, expected) in [("one", Some(sha512(&content))), ("other", None)] {
        let mut writer = open(&world, reference, 0, expected.as_ref()).await.unwrap();
        writer.write(0, content.clone()).await.unwrap();
        writer.expect(&sha512(&content)).await.unwrap_or_else(|_| panic!("{reference}"));
        assert_eq!(writer.commit(Labels::new()).await.unwrap().digest, sha512(&content));
        world.registry.delete_content(&world.ctx, &space(&world), &sha512(&content)).await.unwrap();
    }
    assert_no_ingest(&world).await;
}

#[tokio::test]
async fn what_is_there_already_is_said_to_be_and_its_ingest_goes() {
    let world = World::new();
    let content = Bytes::from(noise(100_000, 7));
    let digest = bring(&world, &content, "first=1").await;
    let exists = |outcome: Result<(), RegistryError>| {
        assert!(matches!(outcome, Err(RegistryError::ContentExists { .. })), "{outcome:?}");
    };
    // Before it begins.
    exists(open(&world, "layer", 0, Some(&digest)).await.map(drop));
    assert_no_ingest(&world).await;
    // When it is said in between, and when it shows at the end.
    let mut writer = open(&world, "layer", 0, None).await.unwrap();
    writer.write(0, content.slice(..10)).await.unwrap();
    exists(writer.expect(&digest).await);
    assert_no_ingest(&world).await;
    let mut writer = open(&world, "layer", 0, None).await.unwrap();
    writer.write(0, content.clone()).await.unwrap();
    exists(writer.commit(labels("second=2")).await.map(drop));
    assert_no_ingest(&world).await;
    // Of two at once, one.
    let other = Bytes::from(noise(80_000, 8));
    let mut writers = Vec::new();
    for reference in ["one", "two"] {
        let mut writer = open(&world, reference, 0, None).await.unwrap();
        writer.write(0, other.clone()).await.unwrap();
        writers.push(writer.commit(Labels::new()));
    }
    let second = writers.pop().unwrap();
    let (first, second) = tokio::join!(writers.pop().unwrap(), second);
    let lost = if first.is_ok() { second } else { first };
    exists(lost.map(drop));
    assert_no_ingest(&world).await;
    assert_eq!(info(&world, &digest).await.unwrap().labels, labels("first=1"));
}

#[tokio::test]
async fn an_ingest_that_is_given_up_leaves_nothing() {
    let world = World::new();
    let abort =
        async |reference: &str| world.registry.abort_ingest(&world.ctx, &space(&world), reference).await;
    assert!(matches!(abort("layer").await, Err(RegistryError::IngestUnknown { .. })));
    let mut writer = open(&world, "layer", 0, None).await.unwrap();
    writer.write(0, Bytes::from(noise(100_000, 9))).await.unwrap();
    writer.suspend().await.unwrap();
    abort("layer").await.unwrap();
    assert_no_ingest(&world).await;
    // While somebody writes.
    let mut writer = open(&world, "layer", 0, None).await.unwrap();
    writer.write(0, Bytes::from(noise(100_000, 9))).await.unwrap();
    abort("layer").await.unwrap();
    assert_eq!(references(&world, &[]).await, Vec::<String>::new());
    assert_eq!(told(writer.write(100_000, "x".into()).await), "BLOB_UPLOAD_UNKNOWN");
    assert!(matches!(writer.commit(Labels::new()).await, Err(RegistryError::IngestUnknown { .. })));
    let writer = open(&world, "layer", 0, None).await.unwrap();
    assert_eq!(writer.status().offset, 0);
    writer.suspend().await.unwrap();
    // A repository that is deleted takes its ingests along, and its content.
    bring(&world, b"content", "").await;
    world.registry.delete_repository(&world.ctx, &repo("default/content")).await.unwrap();
    assert_no_ingest(&world).await;
    assert_eq!(list(&world, &space(&world), &[]).await, []);
}

#[tokio::test]
async fn names_of_ingests_are_bounded_and_listed_by_filters() {
    let world = World::new();
    for reference in ["", &"x".repeat(1025)] {
        let refused = open(&world, reference, 0, None).await;
        assert!(matches!(refused, Err(RegistryError::FieldInvalid { field: "ref", .. })), "{refused:?}");
    }
    let long = "x".repeat(1024);
    let mut named: Vec<String> = (0..70).map(|number| format!("default/{number}/layer-ü")).collect();
    named.push(long.clone());
    for reference in &named {
        open(&world, reference, 0, None).await.unwrap().suspend().await.unwrap();
    }
    named.sort_unstable();
    assert_eq!(references(&world, &[]).await, named);
    assert_eq!(references(&world, &["ref~=/^default.[67]$/", "ref~=\"^x+$\""]).await, [long]);
    assert_eq!(references(&world, &["ref==\"default/7/layer-ü\""]).await, ["default/7/layer-ü"]);
    assert_eq!(references(&world, &["size"]).await, Vec::<String>::new());
}

#[tokio::test]
async fn labels_are_changed_and_found_again() {
    let world = World::new();
    let (one, two) = (bring(&world, b"one", "a=1 b=2").await, bring(&world, b"two", "b=3").await);
    let update = async |given: &str, paths: &str| {
        let paths = paths.split_whitespace().map(str::to_owned).collect();
        let change = LabelChange { labels: labels(given), paths };
        world.registry.update_content(&world.ctx, &space(&world), &one, &change).await
    };
    let before = info(&world, &one).await.unwrap();
    let after = update("a=9 c=7", "labels.a").await.unwrap();
    assert_eq!((&after.labels, after.size), (&labels("a=9 b=2"), 3));
    assert_eq!(after.created_at, before.created_at);
    assert_eq!(info(&world, &one).await.unwrap(), after);
    assert_eq!(told(update("a=1", "size").await), "REQUEST_INVALID");
    assert_eq!(update("x=1", "").await.unwrap().labels, labels("x=1"));
    let found = async |filters: &[&str]| -> Vec<Digest> {
        list(&world, &space(&world), filters).await.into_iter().map(|info| info.digest).collect()
    };
    assert_eq!(found(&["labels.x==1"]).await, [one]);
    assert_eq!(found(&["labels.\"b\""]).await, [two]);
    assert_eq!(found(&[&format!("digest=={two}")]).await, [two]);
    assert_eq!(found(&["digest~=sha512"]).await, []);
    assert_eq!(found(&["size==3"]).await, [], "size is no field, as in containerd");
    let mut both = vec![one, two];
    both.sort_unstable();
    assert_eq!(found(&["labels.x", "labels.b"]).await, both);
    let change = LabelChange { labels: Labels::new(), paths: Vec::new() };
    let nowhere = world.registry.update_content(&world.ctx, &space(&world), &sha256(b"x"), &change).await;
    assert!(matches!(nowhere, Err(RegistryError::ContentUnknown { .. })));
}

#[tokio::test]
async fn what_is_deleted_is_gone_at_once_and_can_come_again() {
    let world = World::new();
    let digest = bring(&world, b"content", "a=1").await;
    let delete = async || world.registry.delete_content(&world.ctx, &space(&world), &digest).await;
    delete().await.unwrap();
    assert!(matches!(delete().await, Err(RegistryError::ContentUnknown { .. })));
    assert_eq!(told(info(&world, &digest).await), "BLOB_UNKNOWN");
    assert_eq!(world.engine.view().unwrap().gc_queue(None, 9).unwrap().len(), 1, "now the collector's");
    bring(&world, b"content", "b=2").await;
    assert_eq!(info(&world, &digest).await.unwrap().labels, labels("b=2"));
    let told: Vec<_> = world.events().into_iter().filter(|event| !event.detail.is_empty()).collect();
    let is_told = told.iter().any(|event| {
        let text = String::from_utf8_lossy(&event.detail);
        text.contains("content.delete") && text.contains(&digest.to_string())
    });
    assert!(is_told, "the audit log has it");
    // Taken out of its repository as a blob, it is no content any more.
    world.registry.delete_blob(&world.ctx, &repo("default/content"), &digest).await.unwrap();
    assert!(info(&world, &digest).await.is_err());
}

#[tokio::test]
async fn long_lists_come_in_pages_each_entry_once() {
    let world = World::new();
    let other = world.registry.content_space(Some("k8s.io")).unwrap();
    let mut all = BTreeMap::new();
    for number in 0..230 {
        let content = format!("content {number}");
        let digest = bring(&world, content.as_bytes(), &format!("n={number}")).await;
        all.insert(digest, number);
        if number % 3 == 0 {
            let mut writer = world.registry.open_ingest(&world.ctx, &other, "x", 0, None).await.unwrap();
            writer.write(0, content.into()).await.unwrap();
            writer.commit(Labels::new()).await.unwrap();
        }
    }
    let digests: Vec<Digest> = all.keys().copied().collect();
    let of = |listed: Vec<ContentInfo>| listed.into_iter().map(|info| info.digest).collect::<Vec<_>>();
    assert_eq!(of(list(&world, &space(&world), &[]).await), digests);
    assert_eq!(list(&world, &other, &[]).await.len(), 77);
    // Without a namespace: those of all of them, each once, and deleted everywhere.
    let everywhere = world.registry.content_space(None).unwrap();
    assert_eq!(of(list(&world, &everywhere, &[]).await), digests);
    for digest in &digests {
        world.registry.delete_content(&world.ctx, &everywhere, digest).await.unwrap();
    }
    assert_eq!(list(&world, &everywhere, &[]).await, []);
    // What is new goes into the default one.
    let writer = world.registry.open_ingest(&world.ctx, &everywhere, "x", 0, None).await.unwrap();
    writer.suspend().await.unwrap();
    assert_eq!(references(&world, &[]).await, ["x"]);
}

#[tokio::test]
async fn a_namespace_is_the_registry_that_is_named_for_it() {
    let mut settings = RegistryConfig::default();
    settings.content.namespaces.insert("k8s.io".to_owned(), "kube".to_owned());
    settings.content.namespaces.insert("Big".to_owned(), "kube".to_owned());
    let world = World::with(settings);
    let kube = world.registry.content_space(Some("k8s.io")).unwrap();
    let mut writer = world.registry.open_ingest(&world.ctx, &kube, "x", 0, None).await.unwrap();
    writer.write(0, "content".into()).await.unwrap();
    let digest = writer.commit(Labels::new()).await.unwrap().digest;
    assert_eq!(world.read_blob(&repo("kube/content"), &digest).await.unwrap(), "content");
    for same in [Some("Big"), None] {
        let space = world.registry.content_space(same).unwrap();
        assert_eq!(list(&world, &space, &[]).await.len(), 1);
    }
    let anywhere = world.registry.content_space(None).unwrap();
    let writer = world.registry.open_ingest(&world.ctx, &anywhere, "y", 0, None).await.unwrap();
    writer.suspend().await.unwrap();
    world.registry.ingest_status(&world.ctx, &kube, "y").await.unwrap();
    for unmapped in ["default", "kube", "", "a/b", "ä"] {
        let refused = world.registry.content_space(Some(unmapped)).unwrap_err();
        assert!(matches!(refused, RegistryError::NamespaceUnmapped { .. }), "{unmapped}");
        assert!(refused.to_string().contains("grpc.content-namespaces"), "{refused}");
    }
    let mut settings = RegistryConfig::default();
    settings.content.namespaces.insert("k8s.io".to_owned(), "kube".to_owned());
    settings.content.namespaces.insert("other".to_owned(), "other".to_owned());
    let two = World::with(settings);
    let anywhere = two.registry.content_space(None).unwrap();
    let refused = two.registry.open_ingest(&two.ctx, &anywhere, "x", 0, None).await;
    assert!(matches!(refused, Err(RegistryError::NamespaceMissing)), "{refused:?}");
    let free = World::new();
    let anywhere = free.registry.content_space(None).unwrap();
    let writer = free.registry.open_ingest(&free.ctx, &anywhere, "x", 0, None).await.unwrap();
    writer.suspend().await.unwrap();
    let found = free.registry.ingest_status(&free.ctx, &anywhere, "x").await;
    assert_eq!(found.unwrap().reference, "x", "before there is a repository");
    for invalid in ["", "a/b", "ä", "Default", "..", "a b"] {
        assert!(free.registry.content_space(Some(invalid)).is_err(), "{invalid}");
    }
}
