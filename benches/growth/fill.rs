//! Fills a store with small blobs through the engine's own ingest, and with manifests that hold 99 of every hundred of them.

use crate::Outcome;
use std::sync::Arc;

use bytes::Bytes;
use strata_benches::content::{MANIFEST_TYPE, Noise};
use strata_engine::gc::GcConfig;
use strata_engine::meta::{Batch, Edge, EdgeRole, GcItem, ManifestPut, View, digest_of};
use strata_engine::{Engine, EngineConfig, EngineError};
use strata_types::{Algorithm, Digest, RepositoryName, Tag};
use tokio::runtime::Runtime;
use tokio::sync::Semaphore;

/// Bytes of a blob.
const BLOB_BYTES: usize = 100;
/// Pushes at once: as many share one sync.
const PUSHES: usize = 1024;
/// Blobs to a manifest, with the one that it does not hold.
const EACH: usize = 100;
/// Tags of one commit.
const TAGS: usize = 1000;

/// How a store is opened here: garbage goes when it is told to, without any grace.
pub(crate) fn config(directory: &std::path::Path) -> EngineConfig {
    let mut config = EngineConfig::new(directory);
    let none = std::time::Duration::ZERO;
    // Bytes in segments are given back by another step, whose cost is that of what lives in them.
    let segment_dead_bytes_min = u64::MAX;
    config.gc =
        GcConfig { grace: none, interval: none, rate: 0, segment_dead_bytes_min, ..GcConfig::default() };
    config.scrub.interval = none;
    config
}

/// The repository that a manifest of this number is in; a hundred manifests to each.
pub(crate) fn repository(manifest: usize) -> Outcome<RepositoryName> {
    Ok(RepositoryName::parse(&format!("team/app-{:05}", manifest / 100))?)
}

/// A store that is being filled.
#[derive(Debug)]
pub(crate) struct Filler {
    pub(crate) engine: Engine,
    pub(crate) runtime: Runtime,
}

impl Filler {
    /// An engine on a directory.
    pub(crate) fn open(directory: &std::path::Path) -> Outcome<Filler> {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        Ok(Filler { engine: Engine::open(config(directory))?, runtime })
    }

    /// Pushes so many blobs; one of every hundred is held by nothing.
    pub(crate) fn blobs(&self, count: usize) -> Outcome<()> {
        for first in (0..count).step_by(EACH * EACH) {
            let numbers = first..count.min(first + EACH * EACH);
            self.push(numbers.clone())?;
            for group in numbers.step_by(EACH) {
                self.manifest(group / EACH)?;
            }
            if first.is_multiple_of(100 * EACH * EACH) {
                eprintln!("  {first} of {count} blobs");
            }
        }
        Ok(())
    }

    fn push(&self, numbers: std::ops::Range<usize>) -> Outcome<()> {
        self.runtime.block_on(async {
            let gate = Arc::new(Semaphore::new(PUSHES));
            let mut running = tokio::task::JoinSet::new();
            for number in numbers {
                let permit = Arc::clone(&gate).acquire_owned().await?;
                let (engine, repository) = (self.engine.clone(), repository(number / EACH)?);
                running.spawn(async move {
                    let bytes = content(number);
                    let digest = digest_of(Algorithm::Sha256, &bytes);
                    let mut batch = Batch::new(engine.now());
                    batch.link_blob(&repository, &digest);
                    let mut writer = engine.ingest(Algorithm::Sha256, Some(bytes.len() as u64))?;
                    writer.write(bytes).await?;
                    writer.finish(&digest, batch).await?;
                    drop(permit);
                    Ok::<(), EngineError>(())
                });
            }
            while let Some(done) = running.join_next().await {
                done??;
            }
            Ok(())
        })
    }

    /// Puts the manifest of this number, which holds all of its hundred blobs but the last.
    fn manifest(&self, number: usize) -> Outcome<()> {
        let held: Vec<Digest> = (number * EACH..(number + 1) * EACH - 1).map(digest).collect();
        let tag = Tag::parse(&format!("v{number:07}"))?;
        let put = image(&self.engine.view()?, repository(number)?, &held, tag, number)?;
        self.commit(|view, batch| batch.put_manifest(view, &put))
    }

    /// Makes a repository with so many tags, on a handful of manifests.
    pub(crate) fn tags(&self, name: &RepositoryName, count: usize) -> Outcome<()> {
        let mut targets = Vec::new();
        for number in 0..10 {
            let put = image(&self.engine.view()?, name.clone(), &[], tag(number)?, usize::MAX - number)?;
            self.commit(|view, batch| batch.put_manifest(view, &put))?;
            targets.push(put.digest);
        }
        for first in (10..count).step_by(TAGS) {
            let numbers = first..count.min(first + TAGS);
            self.commit(|view, batch| {
                for (number, target) in numbers.zip(targets.iter().cycle()) {
                    let Ok(tag) = tag(number) else { continue };
                    batch.set_tag(view, name, &tag, target)?;
                }
                Ok(())
            })?;
        }
        Ok(())
    }

    /// Commits what `fill` puts into a batch, durably.
    pub(crate) fn commit(
        &self,
        fill: impl FnOnce(&View, &mut Batch) -> Result<(), EngineError>,
    ) -> Outcome<()> {
        let mut batch = Batch::new(self.engine.now());
        fill(&self.engine.view()?, &mut batch)?;
        self.runtime.block_on(self.engine.commit(batch))?;
        Ok(())
    }
}

/// Tag of this number.
pub(crate) fn tag(number: usize) -> Outcome<Tag> {
    Ok(Tag::parse(&format!("v{number:07}"))?)
}

fn content(number: usize) -> Bytes {
    Noise::new(number as u64).bytes(BLOB_BYTES).into()
}

fn digest(number: usize) -> Digest {
    digest_of(Algorithm::Sha256, &content(number))
}

fn image(
    view: &View,
    repository: RepositoryName,
    held: &[Digest],
    tag: Tag,
    number: usize,
) -> Outcome<ManifestPut> {
    let bytes = Bytes::from(format!("{number} holds {held:?}"));
    let mut seen = Vec::new();
    for digest in held {
        let link = view.link(&repository, digest)?.ok_or("a blob is not linked")?;
        seen.push((link.created_at, GcItem::Link { repository: repository.clone(), digest: *digest }));
    }
    Ok(ManifestPut {
        repository,
        digest: digest_of(Algorithm::Sha256, &bytes),
        media_type: MANIFEST_TYPE.to_owned(),
        bytes,
        edges: held.iter().map(|digest| Edge { role: EdgeRole::Layer, digest: *digest }).collect(),
        required_blobs: held.to_vec(),
        required_manifests: Vec::new(),
        subject: None,
        tags: vec![tag],
        attributes: Bytes::new(),
        seen,
    })
}
