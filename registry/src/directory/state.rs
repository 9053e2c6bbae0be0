//! The directory of an open registry: read from the store once, then kept in memory.

use super::registry::RegistryEntry;
use super::row::{self, ACCOUNTS, CLOSING, REGISTRIES, USES};
use super::snapshot::Snapshot;
use crate::error::RegistryError;
use crate::registry::Result;
use arc_swap::{ArcSwap, Guard};
use bytes::Bytes;
use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use strata_engine::Engine;
use strata_engine::meta::{Batch, View};

/// Rows read at once: one weighs up to 64 KiB.
const PAGE: usize = 64;

/// The directory in memory, and whose turn it is to change it.
#[derive(Debug)]
pub(crate) struct Directory {
    snapshot: ArcSwap<Snapshot>,
    editing: Mutex<()>,
    /// Held while a change of accounts or registries is decided and committed.
    pub(super) changing: tokio::sync::Mutex<()>,
}

impl Directory {
    /// Reads the directory. Mends what an older release or a crash left: a registry that was being deleted is there again, and one that has
    /// repositories has a row.
    pub(crate) fn load(engine: &Engine) -> Result<Self> {
        let view = engine.view().map_err(RegistryError::store)?;
        let mut snapshot = Snapshot::default();
        for_each(&view, ACCOUNTS, |name, bytes| {
            snapshot.put_account(row::decode_account(name, bytes)?);
            Ok(())
        })?;
        for_each(&view, REGISTRIES, |name, bytes| {
            snapshot.put_registry(row::decode_registry(name, bytes)?);
            Ok(())
        })?;
        for_each(&view, USES, |id, bytes| {
            if let (Some(entry), Some(at)) = (snapshot.key(id), row::decode_use(bytes)) {
                entry.uses.load(at);
            }
            Ok(())
        })?;
        mend(engine, &view, &mut snapshot)?;
        Ok(Self {
            snapshot: ArcSwap::from_pointee(snapshot),
            editing: Mutex::default(),
            changing: tokio::sync::Mutex::default(),
        })
    }

    /// The directory as it is now.
    pub(crate) fn snapshot(&self) -> Guard<Arc<Snapshot>> {
        self.snapshot.load()
    }

    /// The same, to be held.
    pub(crate) fn held(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }

    /// Puts another snapshot in the place of the present one.
    pub(crate) fn edit(&self, edit: impl FnOnce(&mut Snapshot)) {
        let _turn = self.editing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut snapshot = Snapshot::clone(&self.snapshot.load());
        edit(&mut snapshot);
        self.snapshot.store(Arc::new(snapshot));
    }
}

/// Hands over the rows of one kind, by name.
fn for_each(view: &View, prefix: &[u8], mut take: impl FnMut(&str, &[u8]) -> Result<()>) -> Result<()> {
    let mut after: Option<Bytes> = None;
    loop {
        let page = view.settings(prefix, after.as_deref(), PAGE).map_err(RegistryError::store)?;
        let is_last = page.len() < PAGE;
        for (key, value) in page {
            take(row::name_of(prefix, &key)?, &value)?;
            after = Some(key);
        }
        if is_last {
            return Ok(());
        }
    }
}

/// Gives rows to registries that have none and should.
fn mend(engine: &Engine, view: &View, snapshot: &mut Snapshot) -> Result<()> {
    let mut batch = Batch::new(engine.now());
    let mut mended: Vec<RegistryEntry> = Vec::new();
    for_each(view, CLOSING, |name, bytes| {
        batch.delete_setting(&row::key(CLOSING, name));
        mended.push(row::decode_registry(name, bytes)?);
        Ok(())
    })?;
    for name in registries_with_content(view)? {
        if mended.iter().all(|entry| *entry.name != *name) {
            mended.push(RegistryEntry::standard(&name, batch.at()));
        }
    }
    for entry in mended {
        if snapshot.registry(&entry.name).is_none() {
            batch.put_setting_if_absent(&row::key(REGISTRIES, &entry.name), row::encode_registry(&entry)?);
            snapshot.put_registry(entry);
        }
    }
    if batch.is_empty() {
        return Ok(());
    }
    wait(engine.commit(batch)).map_err(RegistryError::store)?;
    Ok(())
}

/// The registries of all repositories. Passes over the repositories of one but the first.
fn registries_with_content(view: &View) -> Result<Vec<String>> {
    let mut found: Vec<String> = Vec::new();
    let mut has_default = false;
    let mut after: Option<String> = None;
    loop {
        let page = view.repositories(after.as_deref(), 1).map_err(RegistryError::store)?;
        let Some((name, _)) = page.first() else { break };
        after = Some(if let Some((registry, _)) = name.as_str().split_once('/') {
            found.push(registry.to_owned());
            behind(registry)
        } else {
            has_default = true;
            name.to_string()
        });
    }
    if has_default {
        found.push(strata_types::DEFAULT_REGISTRY.to_owned());
    }
    Ok(found)
}

/// A text behind the names of all repositories that begin with the segment, and before all others that are behind them: no name has a
/// tilde.
pub(crate) fn behind(segment: &str) -> String {
    format!("{segment}/~")
}

/// Waits for a future where nothing else can be done meanwhile: while the store is opened.
pub(crate) fn wait<F: Future>(future: F) -> F::Output {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut cx = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut cx) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}
