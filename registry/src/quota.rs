//! How much a registry may hold: looked at when an upload begins, so that nobody sends gigabytes in vain, and kept exactly by the commit
//! that ends it. What a registry holds already costs it nothing, however often it is pushed.

use crate::error::RegistryError;
use crate::registry::{Registry, Result};
use strata_engine::meta::{Batch, Held};
use strata_types::{Digest, RepositoryName};

/// How many bytes one upload may hold, so that one of unknown length does not fill the disk before its commit finds it too large.
#[derive(Debug, Clone)]
pub(crate) struct Room {
    most: u64,
    /// The registry with the quota, its limit and what it held when the upload was admitted, both in bytes.
    quota: Option<(String, u64, u64)>,
}

impl Room {
    /// No quota.
    pub(crate) const ENDLESS: Self = Self { most: u64::MAX, quota: None };

    /// How many bytes may still come of an upload that holds so many.
    pub(crate) const fn left(&self, held: u64) -> u64 {
        self.most.saturating_sub(held)
    }

    /// Refuses an upload of so many bytes.
    ///
    /// # Errors
    /// [`Room::exceeded`].
    pub(crate) fn admit(&self, bytes: u64) -> Result<()> {
        if bytes > self.most { Err(self.exceeded()) } else { Ok(()) }
    }

    /// What one is told who sends more.
    pub(crate) fn exceeded(&self) -> RegistryError {
        let (registry, limit, used) = self.quota.clone().unwrap_or_default();
        RegistryError::QuotaExceeded { registry, limit, used }
    }
}

impl Registry {
    /// The most bytes that the registry of a repository may hold.
    fn quota(&self, repository: &RepositoryName) -> Option<u64> {
        self.snapshot().registry(repository.registry())?.quota
    }

    /// Refuses an upload for which there is no room: the registry is full, or would be more than that with a blob of as many bytes as are
    /// announced, unless it holds that blob already. Tells how much may come of one that announced less than it sends.
    pub(crate) fn admit_upload(
        &self,
        repository: &RepositoryName,
        announced: Option<(&Digest, u64)>,
    ) -> Result<Room> {
        let Some(limit) = self.quota(repository) else { return Ok(Room::ENDLESS) };
        let (view, registry) = (self.view()?, repository.registry());
        let used = view.usage(registry).map_err(RegistryError::store)?.unique_bytes;
        let room = |most| Room { most, quota: Some((registry.to_owned(), limit, used)) };
        if let Some((digest, bytes)) = announced
            && view.registry_holds(registry, Held::Blob, digest).map_err(RegistryError::store)?
        {
            // No blob is longer than all that there is: more than that is not what its digest names.
            let room = room(used);
            return room.admit(bytes).map(|()| room);
        }
        let free = limit.saturating_sub(used);
        let (wanted, most) = announced.map_or((0, limit), |(_, bytes)| (bytes, free));
        if free == 0 || wanted > free { Err(room(most).exceeded()) } else { Ok(room(most)) }
    }

    /// How much an upload without a digest may hold: what the registry could hold if it were empty. Whether there is room for less is known only
    /// when the digest is: the registry may hold it already.
    pub(crate) fn room(&self, repository: &RepositoryName) -> Result<Room> {
        let Some(limit) = self.quota(repository) else { return Ok(Room::ENDLESS) };
        let registry = repository.registry();
        let used = self.view()?.usage(registry).map_err(RegistryError::store)?.unique_bytes;
        Ok(Room { most: limit, quota: Some((registry.to_owned(), limit, used)) })
    }

    /// Lets a batch fail that would take the registry of a repository above its quota.
    pub(crate) fn limit(&self, batch: &mut Batch, repository: &RepositoryName) {
        if let Some(limit) = self.quota(repository) {
            batch.limit_usage(repository.registry(), limit);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::Context;
    use crate::directory::RegistryEntry;
    use crate::error::BodyError;
    use crate::manifest::PutManifest;
    use crate::registry::tests::empty;
    use crate::upload::ChunkRange;
    use bytes::Bytes;
    use futures_util::{StreamExt as _, stream};
    use strata_engine::UnixMillis;
    use strata_engine::meta::{Usage, digest_of};
    use strata_types::{Algorithm, Reference, Tag};
    use tempfile::TempDir;

    const QUOTA: u64 = 10_500;

    fn limited() -> (Registry, TempDir) {
        let (registry, directory) = empty();
        registry.directory_state().edit(|snapshot| {
            let mut entry = RegistryEntry::standard("hy", UnixMillis(1));
            entry.quota = Some(QUOTA);
            snapshot.put_registry(entry);
        });
        (registry, directory)
    }

    fn name(text: &str) -> RepositoryName {
        RepositoryName::parse(text).unwrap()
    }

    fn ctx() -> Context {
        Context::everyone("id", None)
    }

    fn content(number: usize, len: usize) -> (Bytes, Digest) {
        let bytes = Bytes::from(format!("{number:0len$}"));
        let digest = digest_of(Algorithm::Sha256, &bytes);
        (bytes, digest)
    }

    /// Pushes a blob in one request that announces no length.
    async fn push(registry: &Registry, to: &str, number: usize, len: usize) -> Result<Digest> {
        let (bytes, digest) = content(number, len);
        let body = stream::iter([Ok::<_, BodyError>(bytes)]);
        registry.put_blob(&ctx(), &name(to), &digest, None, body).await
    }

    fn used(registry: &Registry) -> Usage {
        registry.view().unwrap().usage("hy").unwrap()
    }

    fn is_exceeded<T>(outcome: &Result<T>) -> bool {
        matches!(outcome, Err(RegistryError::QuotaExceeded { registry, limit: QUOTA, used }) if registry == "hy" && *used <= QUOTA)
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn pushes_side_by_side_fill_a_quota_exactly() {
        let (registry, _directory) = limited();
        let pushes: Vec<_> = (0..32)
            .map(|number| {
                let registry = registry.clone();
                tokio::spawn(
                    async move { push(&registry, &format!("hy/box{}", number % 3), number, 1000).await },
                )
            })
            .collect();
        let mut refused = 0;
        for outcome in pushes {
            let outcome = outcome.await.unwrap();
            assert!(outcome.is_ok() || is_exceeded(&outcome), "{outcome:?}");
            refused += usize::from(outcome.is_err());
        }
        assert_eq!((refused, used(&registry).unique_bytes), (22, 10_000));
        registry.engine().close();
    }

    #[tokio::test]
    async fn a_session_takes_no_more_than_the_registry_could_ever_hold() {
        let (registry, _directory) = limited();
        let to = name("hy/box");
        let session = registry.start_upload(&ctx(), &to, Algorithm::Sha256).await.unwrap();
        let chunk = |start: u64, len: u64| Some(ChunkRange { start: Some(start), len: Some(len) });
        let part = stream::iter([Ok::<_, BodyError>(content(1, 6000).0)]);
        registry.append_upload(&ctx(), &to, &session.id, chunk(0, 6000), part).await.unwrap();
        let never = stream::pending::<std::result::Result<Bytes, BodyError>>();
        let more = registry.append_upload(&ctx(), &to, &session.id, chunk(6000, 6000), never).await;
        assert!(is_exceeded(&more), "{more:?}");
        let stands = registry.upload_status(&ctx(), &to, &session.id).await.unwrap();
        assert_eq!(stands.offset, 6000, "the session is as it was");
        registry.engine().close();
    }

    /// A body that never ends, as chunked ones of unknown length may.
    fn flood() -> impl stream::Stream<Item = std::result::Result<Bytes, BodyError>> + Send {
        stream::repeat_with(|| Ok::<_, BodyError>(Bytes::from_static(&[7; 4000])))
    }

    #[tokio::test]
    async fn a_body_without_a_length_is_cut_where_the_quota_ends() {
        let (registry, _directory) = limited();
        let to = name("hy/box");
        let session = registry.start_upload(&ctx(), &to, Algorithm::Sha256).await.unwrap();
        for range in [None, Some(ChunkRange { start: Some(QUOTA), len: None })] {
            let more = registry.append_upload(&ctx(), &to, &session.id, range, flood()).await;
            assert!(is_exceeded(&more), "{more:?}");
            let stands = registry.upload_status(&ctx(), &to, &session.id).await.unwrap();
            assert_eq!(stands.offset, QUOTA, "what came stays, and it is no more than the quota");
        }
        push(&registry, "hy/box", 1, 10_000).await.unwrap();
        // What the registry holds is welcome, and no longer for that.
        for digest in [content(2, 501).1, content(1, 10_000).1] {
            let put = registry.put_blob(&ctx(), &to, &digest, None, flood().take(20)).await;
            assert!(is_exceeded(&put), "{put:?}");
        }
        assert_eq!(used(&registry).unique_bytes, 10_000);
        registry.engine().close();
    }

    #[tokio::test]
    async fn an_ingest_takes_no_more_than_the_quota() {
        let (registry, _directory) = limited();
        push(&registry, "hy/box", 1, 10_000).await.unwrap();
        let space = registry.content_space(Some("hy")).unwrap();
        let absent = content(2, 501).1;
        for (expected, most) in [(None, 10_500), (Some(&absent), 500)] {
            let mut writer = registry.open_ingest(&ctx(), &space, "layer", 0, expected).await.unwrap();
            let written = writer.write(0, Bytes::from(vec![7; most])).await.unwrap();
            let beyond = writer.write(written, Bytes::from_static(b"x")).await;
            assert!(is_exceeded(&beyond), "{beyond:?}");
            assert_eq!(writer.status().offset, most as u64, "the ingest is as it was");
            writer.suspend().await.unwrap();
            registry.abort_ingest(&ctx(), &space, "layer").await.unwrap();
        }
        registry.engine().close();
    }

    #[tokio::test]
    async fn what_does_not_fit_is_refused_before_it_is_sent() {
        let (registry, _directory) = limited();
        push(&registry, "hy/box", 1, 10_000).await.unwrap();
        let (_, digest) = content(2, 501);
        let never = || stream::pending::<std::result::Result<Bytes, BodyError>>();
        let announced = registry.put_blob(&ctx(), &name("hy/box"), &digest, Some(501), never()).await;
        assert!(is_exceeded(&announced), "{announced:?}");
        // What the registry holds is welcome in any of its repositories, and what is elsewhere costs it nothing.
        push(&registry, "hy/other", 1, 10_000).await.unwrap();
        push(&registry, "other/box", 3, 20_000).await.unwrap();
        let session = registry.start_upload(&ctx(), &name("hy/box"), Algorithm::Sha256).await;
        assert!(session.is_ok(), "{session:?}");
        push(&registry, "hy/box", 4, 500).await.unwrap();
        let session = registry.start_upload(&ctx(), &name("hy/box"), Algorithm::Sha256).await;
        assert!(is_exceeded(&session), "{session:?}");
        registry.engine().close();
    }

    #[tokio::test]
    async fn a_session_that_does_not_fit_ends() {
        let (registry, _directory) = limited();
        push(&registry, "hy/box", 1, 10_000).await.unwrap();
        let to = name("hy/box");
        let session = registry.start_upload(&ctx(), &to, Algorithm::Sha256).await.unwrap();
        let (bytes, digest) = content(2, 501);
        let body = stream::iter([Ok::<_, BodyError>(bytes)]);
        let finished = registry.finish_upload(&ctx(), &to, &session.id, None, body, &digest).await;
        assert!(is_exceeded(&finished), "{finished:?}");
        let status = registry.upload_status(&ctx(), &to, &session.id).await;
        assert!(matches!(status, Err(RegistryError::UploadUnknown { .. })), "{status:?}");
        registry.engine().close();
    }

    #[tokio::test]
    async fn mounts_and_manifests_count_as_well() {
        let (registry, _directory) = limited();
        push(&registry, "hy/box", 1, 10_000).await.unwrap();
        push(&registry, "other/box", 2, 501).await.unwrap();
        let (near, far) = (content(1, 10_000).1, content(2, 501).1);
        let (box_, other) = (name("hy/box"), name("other/box"));
        assert!(registry.mount_blob(&ctx(), &name("hy/new"), &near, Some(&box_)).await.unwrap());
        assert!(!registry.mount_blob(&ctx(), &box_, &far, Some(&other)).await.unwrap());
        let manifest = |len: usize| {
            let text = format!(
                r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[],"annotations":{{"a":"{}"}}}}"#,
                "x".repeat(len)
            );
            let tag = Reference::Tag(Tag::parse("v1").unwrap());
            PutManifest { reference: tag, tags: Vec::new(), content_type: None, bytes: text.into() }
        };
        let refused = registry.put_manifest(&ctx(), &box_, manifest(500)).await;
        assert!(is_exceeded(&refused), "{refused:?}");
        assert_eq!((used(&registry).manifests, used(&registry).tags), (0, 0));
        registry.put_manifest(&ctx(), &box_, manifest(100)).await.unwrap();
        assert_eq!((used(&registry).manifests, used(&registry).tags), (1, 1));
        registry.engine().close();
    }
}
