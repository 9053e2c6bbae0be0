//! Fills a store with metadata as pushes would leave it, a few hundred images to a commit.

use crate::Outcome;
use crate::shape::{BLOB_BYTES, Image, Shape, blob};
use bytes::Bytes;
use std::collections::VecDeque;
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};
use strata_benches::content::MANIFEST_TYPE;
use strata_engine::meta::{Batch, BlobRecord, Edge, EdgeRole, GcItem, ManifestPut, Placement, View};
use strata_engine::{Engine, EngineConfig};
use tokio::runtime::Runtime;

/// Images of one commit.
const IMAGES: usize = 256;
/// Blobs of one commit.
const BLOBS: usize = 4096;
/// Commits that are made while others are written.
const AHEAD: usize = 3;
/// For the time of filling: fewer and larger tables at once.
const MEMORY_BYTES: u64 = 512 << 20;

/// Makes a store of this shape in `directory`.
pub(crate) fn store(directory: &Path, shape: &Shape) -> Outcome<()> {
    if directory.exists() {
        return Err(format!("{} exists already", directory.display()).into());
    }
    let mut config = EngineConfig::new(directory);
    config.metadata_memory_bytes = MEMORY_BYTES;
    // Blobs without files would all be found damaged.
    config.scrub.interval = Duration::ZERO;
    config.gc.interval = Duration::ZERO;
    let filler = Filler { engine: Engine::open(config)?, runtime: Runtime::new()? };
    let started = Instant::now();
    filler.all("blobs", shape.blobs(), BLOBS, |_, batch, number| {
        batch.put_blob(&blob(number), &record(batch, number));
        Ok(())
    })?;
    // Their files are not there; a store looks for those at and above this number only.
    filler.commit(|batch| batch.set_settled(shape.blobs() as u64 + 1))?;
    filler.all("images", shape.manifests, IMAGES, |view, batch, number| image(view, batch, shape, number))?;
    filler.engine.close();
    writeln!(
        std::io::stderr(),
        "{}: {} manifests in {:?}",
        directory.display(),
        shape.manifests,
        started.elapsed()
    )?;
    Ok(())
}

struct Filler {
    engine: Engine,
    runtime: Runtime,
}

impl Filler {
    /// Calls `put` for every number up to `count` on batches of `each`, and commits those.
    fn all(
        &self,
        what: &str,
        count: usize,
        each: usize,
        put: impl Fn(&View, &mut Batch, usize) -> Outcome<()>,
    ) -> Outcome<()> {
        let mut under_way = VecDeque::new();
        for first in (0..count).step_by(each) {
            let mut batch = self.batch();
            let view = self.engine.view()?;
            for number in first..count.min(first + each) {
                put(&view, &mut batch, number)?;
            }
            let engine = self.engine.clone();
            under_way.push_back(self.runtime.spawn(async move { engine.commit(batch).await }));
            if under_way.len() > AHEAD
                && let Some(oldest) = under_way.pop_front()
            {
                self.runtime.block_on(oldest)??;
            }
            if first.is_multiple_of(each * 256) {
                writeln!(std::io::stderr(), "  {what} {first} of {count}")?;
            }
        }
        for rest in under_way {
            self.runtime.block_on(rest)??;
        }
        Ok(())
    }

    fn commit(&self, fill: impl FnOnce(&mut Batch)) -> Outcome<()> {
        let mut batch = self.batch();
        fill(&mut batch);
        self.runtime.block_on(self.engine.commit(batch))?;
        Ok(())
    }

    fn batch(&self) -> Batch {
        let mut batch = Batch::new(self.engine.now());
        batch.set_detail(Bytes::from_static(b"anonymous 127.0.0.1 0123456789abcdef"));
        // The store is of use once it is whole; closing it syncs it.
        batch.set_unsynced();
        batch
    }
}

fn record(batch: &Batch, number: usize) -> BlobRecord {
    let placement = Placement::File { generation: number as u64 };
    BlobRecord { size: BLOB_BYTES, placement, checksum: number as u64, created_at: batch.at() }
}

fn image(view: &View, batch: &mut Batch, shape: &Shape, number: usize) -> Outcome<()> {
    let Image { repository, tag, blobs, subject } = shape.image(number);
    for digest in &blobs {
        batch.link_blob(&repository, digest);
    }
    let bytes = shape.manifest(number);
    let digest = strata_engine::meta::digest_of(strata_types::Algorithm::Sha256, &bytes);
    let subject = subject.map(|subject| {
        let descriptor = format!(
            r#"{{"mediaType":"{MANIFEST_TYPE}","digest":"{digest}","size":{},"artifactType":"application/vnd.example.signature"}}"#,
            bytes.len()
        );
        (shape.digest(subject), Bytes::from(descriptor))
    });
    let at = batch.at();
    let linked = |digest: &strata_types::Digest| {
        (at, GcItem::Link { repository: repository.clone(), digest: *digest })
    };
    let seen = blobs.iter().map(linked).collect();
    let role = |place| if place == 0 { EdgeRole::Config } else { EdgeRole::Layer };
    batch.put_manifest(
        view,
        &ManifestPut {
            repository,
            digest,
            media_type: MANIFEST_TYPE.to_owned(),
            bytes,
            edges: blobs
                .iter()
                .enumerate()
                .map(|(place, blob)| Edge { role: role(place), digest: *blob })
                .collect(),
            required_blobs: blobs.to_vec(),
            required_manifests: Vec::new(),
            subject,
            tags: vec![tag],
            attributes: Bytes::new(),
            seen,
        },
    )?;
    Ok(())
}
