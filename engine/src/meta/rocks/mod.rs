//! The embedded store: RocksDB, one column family, behind the commit queue.
//!
//! In its directory: `rocksdb/` belongs to the library, `synced` is the watermark that tells a damaged write-ahead log from
//! a torn tail ([`watermark`]). `docs/format.md` has both.

mod failure;
mod options;
mod view;
mod watermark;

pub use options::RocksConfig;

use super::batch::Batch;
use super::feed::EventFeed;
use super::freshness::Freshness;
use super::queue::{Backend, Changes, CommitQueue};
use super::store::{CommitDone, MetaStore, MetaView};
use crate::background;
use crate::error::EngineError;
use bytes::Bytes;
use rocksdb::checkpoint::Checkpoint;
use rocksdb::{DB, WriteBatch, WriteOptions};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use view::{Keep, OwnedSnapshot};
use watermark::Watermark;

/// Names of the library's threads that merge tables and that write them.
const BACKGROUND_THREADS: [&str; 2] = ["rocksdb:low", "rocksdb:high"];

/// Name of the library's directory.
const LIBRARY_DIR: &str = "rocksdb";

/// A [`MetaStore`] on RocksDB.
#[derive(Debug)]
pub struct RocksStore {
    db: Arc<DB>,
    /// `None` where the store was opened for reading only.
    queue: Option<CommitQueue>,
    /// Of a store that is only read.
    unchanging: Arc<Freshness>,
    ended: Arc<EventFeed>,
    /// Whether tables are not merged, because space is short.
    spares: AtomicBool,
}

impl RocksStore {
    /// Opens the store in `directory`, or makes one where the directory is empty or missing. The caller holds the lock on
    /// the data directory.
    ///
    /// # Errors
    /// [`EngineError::StoreUnreadable`] where files are damaged, missing or not permitted, or where the write-ahead log
    /// lost acknowledged commits; nothing was changed then.
    pub fn open(directory: &Path, config: &RocksConfig) -> Result<Self, EngineError> {
        let library = directory.join(LIBRARY_DIR);
        let options = options::database(config);
        watermark::verify(directory, &library, &options)?;
        std::fs::create_dir_all(&library)
            .map_err(|error| EngineError::io(format!("creating {}", library.display()), error))?;
        failure::refuse_headless(&library)?;
        let db = DB::open(&options, &library).map_err(|error| failure::on_open(&library, &error))?;
        // The library started them with the store; another store of this process has the same ones.
        BACKGROUND_THREADS.into_iter().for_each(background::give_way_named);
        let db = Arc::new(db);
        let watermark = Watermark::open(directory, &library, db.latest_sequence_number())?;
        let queue = CommitQueue::start(Arc::new(RocksBackend { db: db.clone(), watermark }))?;
        Ok(Self {
            db,
            queue: Some(queue),
            unchanging: Freshness::new(),
            ended: Arc::new(EventFeed::new(0)),
            spares: AtomicBool::new(false),
        })
    }

    /// Opens an existing store without changing a file; batches are answered [`EngineError::ReadOnly`].
    ///
    /// # Errors
    /// As [`RocksStore::open`].
    pub fn open_read_only(directory: &Path, config: &RocksConfig) -> Result<Self, EngineError> {
        let library = directory.join(LIBRARY_DIR);
        failure::refuse_headless(&library)?;
        let options = options::database(config);
        watermark::verify(directory, &library, &options)?;
        let db = DB::open_for_read_only(&options, &library, false)
            .map_err(|error| failure::on_open(&library, &error))?;
        Ok(Self {
            db: Arc::new(db),
            queue: None,
            unchanging: Freshness::new(),
            ended: Arc::new(EventFeed::new(0)),
            spares: AtomicBool::new(false),
        })
    }

    /// Bytes of memory that the library uses for memtables and cached blocks, roughly.
    pub fn memory_bytes(&self) -> u64 {
        ["rocksdb.cur-size-all-mem-tables", "rocksdb.block-cache-usage", "rocksdb.estimate-table-readers-mem"]
            .into_iter()
            .filter_map(|property| self.db.property_int_value(property).ok().flatten())
            .sum()
    }
}

impl MetaStore for RocksStore {
    fn view(&self) -> Result<Arc<dyn MetaView>, EngineError> {
        Ok(Arc::new(OwnedSnapshot::of(self.db.clone(), Keep::Blocks)))
    }

    fn passing_view(&self) -> Result<Arc<dyn MetaView>, EngineError> {
        Ok(Arc::new(OwnedSnapshot::of(self.db.clone(), Keep::Nothing)))
    }

    fn submit(&self, batch: Batch, done: CommitDone) {
        match &self.queue {
            Some(queue) => queue.submit(batch, done),
            None => done(Err(EngineError::ReadOnly)),
        }
    }

    fn freshness(&self) -> &Arc<Freshness> {
        self.queue.as_ref().map_or(&self.unchanging, CommitQueue::freshness)
    }

    fn events(&self) -> &Arc<EventFeed> {
        self.queue.as_ref().map_or(&self.ended, CommitQueue::events)
    }

    fn poisoned(&self) -> Option<Arc<str>> {
        self.queue.as_ref().and_then(CommitQueue::poisoned)
    }

    fn checkpoint(&self, directory: &Path) -> Result<(), EngineError> {
        // Tables are written of all that is in memory, so what was committed by now will be in the copy.
        let sequence = self.db.latest_sequence_number();
        let made = Checkpoint::new(&*self.db).and_then(|checkpoint| {
            // Zero: without exception, so that the copy does not rest on a log that is still being written.
            checkpoint.create_checkpoint_with_log_size(directory.join(LIBRARY_DIR), 0)
        });
        made.map_err(|error| failure::on_write(&error))?;
        watermark::write(directory, sequence)
    }

    fn spare_space(&self, is_short: bool) {
        if self.spares.swap(is_short, Ordering::Relaxed) == is_short {
            return;
        }
        // A merge needs as much again as what it merges, for a while, and fails the store where it does not get it.
        let value = if is_short { "true" } else { "false" };
        match self.db.set_options(&[("disable_auto_compactions", value)]) {
            Ok(()) if is_short => tracing::warn!("free space is below the reserve: pushes are refused"),
            Ok(()) => tracing::info!("free space is above the reserve again: pushes are taken"),
            Err(error) => tracing::warn!(%error, is_short, "merging of tables was not switched"),
        }
    }

    fn close(&self) {
        let Some(queue) = &self.queue else { return };
        queue.close();
        if queue.poisoned().is_some() {
            return;
        }
        // Not needed for durability of what was promised: it makes the next open fast and syncs what was not.
        if let Err(error) = self.db.flush_wal(true).and_then(|()| self.db.flush()) {
            tracing::warn!(%error, "flushing the metadata store at close");
        }
    }
}

impl Drop for RocksStore {
    fn drop(&mut self) {
        self.close();
    }
}

#[derive(Debug)]
struct RocksBackend {
    db: Arc<DB>,
    watermark: Watermark,
}

impl Backend for RocksBackend {
    fn write(&self, changes: &Changes, synced: bool) -> Result<(), EngineError> {
        if changes.is_empty() {
            if synced {
                self.db.flush_wal(true).map_err(|error| failure::on_write(&error))?;
                self.watermark.advance(self.db.latest_sequence_number());
            }
            return Ok(());
        }
        let bytes =
            changes.iter().map(|(key, value)| key.len() + value.as_ref().map_or(0, Bytes::len) + 16).sum();
        let mut batch = WriteBatch::with_capacity_bytes(bytes);
        for (key, value) in changes {
            match value {
                Some(value) => batch.put(key, value),
                None => batch.delete(key),
            }
        }
        let mut options = WriteOptions::default();
        options.set_sync(synced);
        self.db.write_opt(batch, &options).map_err(|error| failure::on_write(&error))?;
        if synced {
            self.watermark.advance(self.db.latest_sequence_number());
        }
        Ok(())
    }
}

impl MetaView for RocksBackend {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, EngineError> {
        let value = self.db.get(key).map_err(|error| failure::on_read(&error))?;
        Ok(value.map(Bytes::from))
    }

    fn scan(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<(Bytes, Bytes)>, EngineError> {
        view::scan(|options| self.db.raw_iterator_opt(options), prefix, after, limit)
    }

    fn last(&self, prefix: &[u8]) -> Result<Option<(Bytes, Bytes)>, EngineError> {
        view::last(|options| self.db.raw_iterator_opt(options), prefix)
    }
}

#[cfg(test)]
mod tests;
