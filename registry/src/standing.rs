//! Answers that may be given again: a frontend that keeps one in memory asks, before each use, whether it still stands.

use crate::pulled::Mark;
use crate::registry::Registry;
use std::sync::Arc;
use std::time::Instant;
use strata_engine::meta::Proof;

/// Goes with an answer about a manifest or a blob: as long as it [stands](Standing::stands), the same question has the same answer from whoever
/// may ask it. Whether somebody may is [`Registry::permits`]' to say.
#[derive(Debug, Clone)]
pub struct Standing {
    registry: Registry,
    proof: Proof,
    kind: Kind,
    /// Until when it may be given again at most.
    until: Option<Instant>,
    /// Where the time of a pull is noted.
    mark: Option<Arc<Mark>>,
}

/// What a pull of the answer counts as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Manifest,
    Blob,
}

impl Standing {
    pub(crate) fn new(registry: &Registry, proof: Proof, kind: Kind) -> Self {
        Self { registry: registry.clone(), proof, kind, until: None, mark: None }
    }

    /// Of an answer that may be given again for a while, and must be looked up anew then.
    pub(crate) fn until(registry: &Registry, proof: Proof, kind: Kind, until: Instant) -> Self {
        Self { until: Some(until), ..Self::new(registry, proof, kind) }
    }

    /// Of an answer whose pulls leave a time.
    pub(crate) fn marked(self, mark: Option<Arc<Mark>>) -> Self {
        Self { mark, ..self }
    }

    /// Notes the time of a pull.
    pub(crate) fn note(&self) {
        if let Some(mark) = &self.mark {
            self.registry.note_pull(mark);
        }
    }

    /// Whether nothing that the answer rests on has changed. Costs a few loads from memory, takes no lock and reads nothing.
    ///
    /// Once a change was acknowledged, to anybody, this is `false`.
    pub fn stands(&self) -> bool {
        self.proof.holds() && self.until.is_none_or(|until| Instant::now() < until)
    }

    /// Tells the store that the answer was given again, to a pull or to another question.
    pub fn given(&self) {
        self.registry.engine().note_kept_answer();
    }

    /// Counts a pull that was answered with what is kept, as the use case would have.
    pub fn pulled(&self) {
        let counters = self.registry.counters();
        match self.kind {
            Kind::Manifest => counters.manifests_pulled.add(1),
            Kind::Blob => counters.blobs_pulled.add(1),
        }
        self.note();
    }
}
