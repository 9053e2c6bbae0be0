//! What an open store consists of: the parts that the engine's verbs share. No verb lives here.

use crate::backup::Holds;
use crate::blob::{Files, Handles, Reader};
use crate::clock::{Clock, UnixMillis};
use crate::config::EngineConfig;
use crate::disk::Pool;
use crate::entropy::Entropy;
use crate::error::EngineError;
use crate::gate::Gate;
use crate::gc::Seen;
use crate::ingest::{BufferPool, Hashing};
use crate::meta::{Batch, Committed, MetaStore, View};
use crate::metrics::Counters;
use crate::segment::{Appender, Dead};
use crate::sync::Pending;
use crate::upload::Sessions;
use std::sync::Arc;

/// The parts of an open store.
#[derive(Debug)]
pub(crate) struct Store {
    pub(crate) config: EngineConfig,
    pub(crate) meta: Arc<dyn MetaStore>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) gate: Arc<Gate>,
    pub(crate) counters: Arc<Counters>,
    /// Reads blobs, on threads that nothing else can fill.
    pub(crate) reader: Reader,
    /// Write and sync files.
    pub(crate) writers: Arc<Pool>,
    /// Hash uploads.
    pub(crate) hashing: Arc<Hashing>,
    pub(crate) buffers: Arc<BufferPool>,
    pub(crate) files: Arc<Files>,
    pub(crate) handles: Arc<Handles>,
    pub(crate) appender: Appender,
    pub(crate) sessions: Arc<Sessions>,
    /// What keeps files from being removed.
    pub(crate) holds: Arc<Holds>,
    /// What clients were told of lately, for the collection of garbage.
    pub(crate) seen: Seen,
    /// How much of each segment is dead.
    pub(crate) dead: Dead,
    /// Work in the background that the close of the store waits for.
    pub(crate) pending: Arc<Pending>,
}

impl Store {
    pub(crate) fn now(&self) -> UnixMillis {
        self.clock.now()
    }

    pub(crate) fn view(&self) -> Result<View, EngineError> {
        self.meta.view().map(View::new)
    }

    pub(crate) fn passing_view(&self) -> Result<View, EngineError> {
        self.meta.passing_view().map(View::new)
    }

    /// Hands a batch to the commit queue; `done` runs on the queue's thread. Asks no gate: the caller has.
    pub(crate) fn submit(
        self: &Arc<Self>,
        batch: Batch,
        done: impl FnOnce(Result<Committed, EngineError>) + Send + 'static,
    ) {
        let gate = Arc::clone(&self.gate);
        self.meta.submit(
            batch,
            Box::new(move |outcome| {
                if let Err(error) = &outcome {
                    gate.commit_failed(error);
                }
                done(outcome);
            }),
        );
    }

    /// Commits batches as one group where the queue can, and waits for all answers, which are in order. Blocks. Asks no gate: the
    /// caller has.
    pub(crate) fn commit_all(
        self: &Arc<Self>,
        batches: impl IntoIterator<Item = Batch>,
    ) -> Vec<Result<Committed, EngineError>> {
        let submit = |batch| {
            let (answer, answered) = std::sync::mpsc::sync_channel(1);
            self.submit(batch, move |outcome| drop(answer.send(outcome)));
            answered
        };
        let answers: Vec<_> = batches.into_iter().map(submit).collect();
        answers.into_iter().map(|answered| answered.recv().unwrap_or_else(|_| Err(closed()))).collect()
    }

    /// Commits a batch. Dropping the future does not undo it. Asks no gate: the caller has.
    pub(crate) async fn commit(self: &Arc<Self>, batch: Batch) -> Result<Committed, EngineError> {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        self.submit(batch, move |outcome| drop(sender.send(outcome)));
        receiver.await.unwrap_or_else(|_| Err(closed()))
    }
}

/// What a caller is told whose work was dropped with the store's threads.
pub(crate) const fn closed() -> EngineError {
    EngineError::Closed
}
