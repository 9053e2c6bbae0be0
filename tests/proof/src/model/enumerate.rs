//! One scenario, disturbed at one place after another: the power goes at each step of the disk and each commit, or an operation of the
//! disk fails. The scenario is a list of steps of the model, which knows what must be there afterwards.

use super::oracle::Oracle;
use super::run::Model;
use super::step::Step;
use crate::universe::{self, BLOBS, MANIFESTS, REPOSITORIES, TAGS};
use strata_engine::disk::sim::Cut;

/// What a store was through before the scenario, and the scenario.
#[derive(Debug, Clone, Copy)]
pub struct Scenario {
    /// How the store is set up.
    pub kind: usize,
    /// Steps that nothing disturbs; the store is closed and opened behind them.
    pub before: &'static [Step],
    /// Steps that are disturbed.
    pub steps: &'static [Step],
}

impl Scenario {
    fn set(&self) -> Model {
        let mut model = Model::new(self.kind);
        for step in self.before {
            model.step(*step);
        }
        model.step(Step::Restart);
        model
    }

    /// How many bytes of live frames move from segment to segment, if nothing disturbs the scenario.
    pub fn bytes_moved(&self) -> u64 {
        let mut model = self.set();
        let before = model.bytes_moved;
        for step in self.steps {
            model.step(*step);
        }
        let moved = model.bytes_moved - before;
        model.finish();
        moved
    }

    /// Cuts the power at disk operation or commit number `at` of the scenario, and again in the recovery after it. Whether the scenario
    /// came to its end before.
    pub fn cut_at(&self, at: u64, cut: Cut) -> bool {
        let mut model = self.set();
        model.world.disk.cut_at(model.world.disk.steps() + at);
        model.faulty = true;
        let mut under_way = None;
        for step in self.steps {
            // What a step that was not answered would have done, if it was done.
            let mut done = model.oracle.clone();
            model.apply(&mut done, *step);
            model.dispatch(*step);
            if model.world.disk.is_off() {
                under_way = Some(done);
                break;
            }
        }
        let finished = !model.world.disk.is_off();
        model.lose_power(cut, at);
        model.settle_on(under_way);
        // Whatever happened, the store takes the same again, and is whole in the end.
        for step in self.steps {
            model.step(*step);
        }
        model.finish();
        finished
    }

    /// A blob of the first two repositories goes bad; the power is cut while it is found, set aside and healed by a push. Whether all
    /// of that came to its end before.
    pub fn cut_quarantine_at(&self, blob: usize, at: u64, cut: Cut) -> bool {
        let mut model = self.set();
        model.world.damage_blob(&universe::blob(blob), 77).expect("rows");
        model.world.disk.cut_at(model.world.disk.steps() + at);
        model.faulty = true;
        let found = model.engine().scrub();
        if !model.world.disk.is_off() {
            assert!(found.is_ok_and(|found| !found.is_empty()), "damage is found");
            model.expect_unserved(blob);
            model.dispatch(Step::Push { repository: 0, blob });
        }
        let finished = !model.world.disk.is_off();
        model.lose_power(cut, at);
        model.engine().scrub().expect("a scrub");
        // Whatever the power took: bad bytes are not served, and a push heals.
        if !model.read(1, blob).is_ok_and(|bytes| bytes == universe::content(blob)) {
            model.expect_unserved(blob);
        }
        model.step(Step::Push { repository: 0, blob });
        model.step(Step::Pull { repository: 1, blob });
        let found = model.engine().scrub().expect("a scrub");
        assert!(found.is_empty(), "{found:#?}");
        model.finish();
        finished
    }

    /// Lets an operation of the disk fail in the course of the scenario. Whether it did.
    pub fn fault(&self, fault: Step) -> bool {
        let mut model = self.set();
        model.world.faults.heal();
        model.step(fault);
        for step in self.steps {
            model.step(*step);
        }
        let engine = model.engine();
        engine.settle();
        drop(engine);
        let struck = model.world.faults.heal() > 0 || !model.faulty;
        model.step(Step::Restart);
        for step in self.steps {
            model.step(*step);
        }
        model.finish();
        struck
    }
}

impl Model {
    /// What a step makes of what was promised, if it is done.
    fn apply(&self, oracle: &mut Oracle, step: Step) {
        let now = self.now();
        let shelf =
            |oracle: &mut Oracle, number: usize| std::mem::take(&mut oracle.shelves[number % REPOSITORIES]);
        match step {
            Step::Push { repository, blob } | Step::Mount { repository, blob, .. } => {
                oracle.shelves[repository % REPOSITORIES].link(blob % BLOBS, now);
            }
            Step::Unlink { repository, blob } => {
                oracle.shelves[repository % REPOSITORIES].links.remove(&(blob % BLOBS));
            }
            Step::PutManifest { repository, manifest, tag } => {
                oracle.shelves[repository % REPOSITORIES].put(
                    manifest % MANIFESTS,
                    tag.map(|tag| tag % TAGS),
                    now,
                );
            }
            Step::DeleteManifest { repository, manifest } => {
                oracle.shelves[repository % REPOSITORIES].delete(manifest % MANIFESTS, now);
            }
            Step::DeleteRepository { repository } => drop(shelf(oracle, repository)),
            Step::Untag { repository, tag } => {
                oracle.shelves[repository % REPOSITORIES].untag(tag % TAGS, now);
            }
            Step::Finish { session, .. } => {
                if let Some((repository, blob)) = self.target(session) {
                    let mut with = shelf(oracle, repository);
                    with.link(blob, now);
                    oracle.shelves[repository] = with;
                }
            }
            _ => {}
        }
    }

    /// The power goes now, if it has not; and once more while the store is opened again.
    fn lose_power(&mut self, cut: Cut, seed: u64) {
        let (engine, registry) = self.open.take().expect("it is open");
        drop(registry);
        self.world.cut(Some(engine), cut, (seed % 5) as usize).expect("threads");
        self.world.disk.cut_at(1 + seed % 4);
        let interrupted = self.world.open();
        self.world.cut(interrupted.ok(), Cut::Tear(seed), 9).expect("threads");
        self.faulty = false;
        self.reopen();
        self.remember(true);
    }

    /// The store shows what was promised, or that and what was under way, never a part of it.
    fn settle_on(&mut self, under_way: Option<Oracle>) {
        if let Some(done) = under_way
            && self.shows(&done)
        {
            self.oracle = done;
        }
        self.reconcile();
        self.compare();
        let wrong = self.world.audit(&self.engine()).expect("a check");
        assert!(wrong.is_empty(), "{wrong:#?}");
    }
}
