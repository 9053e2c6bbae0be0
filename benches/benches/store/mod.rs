//! An engine on a temporary folder of the disk that the target folder is on, and content to put into it. Shared by the benches.
#![allow(dead_code, reason = "every bench compiles this file and uses its own part")]

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use strata_benches::content::Noise;
use strata_engine::meta::{Batch, BlobRecord, digest_of};
use strata_engine::{Engine, EngineConfig, EngineError};
use strata_types::{Algorithm, Digest, RepositoryName};
use tempfile::TempDir;
use tokio::runtime::Runtime;

pub(crate) type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// A store of its own for one bench.
pub(crate) struct Store {
    pub(crate) engine: Engine,
    pub(crate) runtime: Runtime,
    pub(crate) repository: RepositoryName,
    // Dropped last: the engine's files are in it.
    folder: TempDir,
}

impl Store {
    pub(crate) fn open() -> Outcome<Store> {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
        let engine = Engine::open(EngineConfig::new(folder.path()))?;
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let store = Store { engine, runtime, repository: RepositoryName::parse("bench/engine")?, folder };
        store.runtime.block_on(store.engine.commit(store.batch()))?;
        Ok(store)
    }

    /// A batch that makes sure of the repository.
    pub(crate) fn batch(&self) -> Batch {
        let mut batch = Batch::new(self.engine.now());
        batch.create_repository(&self.repository);
        batch
    }

    /// Pushes one blob, durably, and links it to the repository.
    pub(crate) async fn ingest(&self, blob: &Blob) -> Result<BlobRecord, EngineError> {
        let mut batch = self.batch();
        batch.link_blob(&self.repository, &blob.digest);
        let mut writer = self.engine.ingest(Algorithm::Sha256, Some(blob.bytes.len() as u64))?;
        for start in (0..blob.bytes.len()).step_by(CHUNK_BYTES) {
            let end = blob.bytes.len().min(start + CHUNK_BYTES);
            writer.write(blob.bytes.slice(start..end)).await?;
        }
        writer.finish(&blob.digest, batch).await
    }

    /// The time that `count` runs of `work` take, `writers` of them at a time.
    pub(crate) fn timed<F>(&self, count: u64, writers: u64, work: impl Fn(u64) -> F) -> Duration
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.runtime.block_on(async {
            let gate = std::sync::Arc::new(tokio::sync::Semaphore::new(writers as usize));
            let started = Instant::now();
            let mut running = tokio::task::JoinSet::new();
            for number in 0..count {
                let Ok(permit) = std::sync::Arc::clone(&gate).acquire_owned().await else { break };
                let one = work(number);
                running.spawn(async move {
                    one.await;
                    drop(permit);
                });
            }
            while running.join_next().await.is_some() {}
            started.elapsed()
        })
    }
}

/// How the frontend hands bodies over: what one read of a socket gives.
const CHUNK_BYTES: usize = 256 << 10;

/// Bytes and their digest.
#[derive(Clone)]
pub(crate) struct Blob {
    pub(crate) bytes: Bytes,
    pub(crate) digest: Digest,
}

/// A blob that was never there before.
pub(crate) fn fresh(length: usize) -> Blob {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let seed = NEXT.fetch_add(1, Ordering::Relaxed) << 32 | u64::from(std::process::id());
    let bytes = Bytes::from(Noise::new(seed).bytes(length));
    Blob { digest: digest_of(Algorithm::Sha256, &bytes), bytes }
}

/// Ends the bench with the reason when something of the store failed.
pub(crate) fn must<T, E: std::fmt::Display>(outcome: Result<T, E>) -> T {
    outcome.unwrap_or_else(|error| {
        eprintln!("the store failed: {error}");
        std::process::exit(1)
    })
}
