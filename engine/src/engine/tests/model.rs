//! Random sequences of everything that can happen to a store, against a model of what it has promised.

use super::world::{World, audit, block_on, content, digest, link, pull, push, repository, write};
use crate::disk::sim::Cut;
use crate::{Engine, EngineError, UploadWriter};
use bytes::Bytes;
use proptest::prelude::*;
use strata_types::{Algorithm, Digest, UploadId};

/// Length of the blob that every session is on its way to.
const WHOLE: usize = 3_300_000;

#[derive(Debug, Clone)]
enum Step {
    Push {
        seed: u64,
        size: usize,
    },
    Start,
    /// Resumes a session, writes so many bytes in pieces, then leaves it in one of the ways.
    Append {
        session: usize,
        bytes: usize,
        piece: usize,
        leave: Leave,
    },
    Finish {
        session: usize,
        wrong: bool,
    },
    Cancel {
        session: usize,
    },
    Restart,
    Kill,
    PowerCut {
        seed: u64,
        survivors: usize,
    },
}

#[derive(Debug, Clone, Copy)]
enum Leave {
    Suspend,
    Drop,
    ParkAndSuspend,
}

fn sizes() -> impl Strategy<Value = usize> {
    prop_oneof![Just(0), 1..5000_usize, 60_000..70_000_usize, Just(65_536), 100_000..1_200_000_usize]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let leave = prop_oneof![Just(Leave::Suspend), Just(Leave::Drop), Just(Leave::ParkAndSuspend)];
    let session = 0..4_usize;
    let append = (session.clone(), sizes(), 900..200_000_usize, leave)
        .prop_map(|(session, bytes, piece, leave)| Step::Append { session, bytes, piece, leave });
    let step = prop_oneof![
        2 => (0..6_u64, sizes()).prop_map(|(seed, size)| Step::Push { seed, size }),
        2 => Just(Step::Start),
        8 => append,
        3 => (session.clone(), prop::bool::weighted(0.2)).prop_map(|(session, wrong)| Step::Finish { session, wrong }),
        1 => session.prop_map(|session| Step::Cancel { session }),
        1 => Just(Step::Restart),
        1 => Just(Step::Kill),
        1 => (any::<u64>(), 0..6_usize).prop_map(|(seed, survivors)| Step::PowerCut { seed, survivors }),
    ];
    prop::collection::vec(step, 1..30)
}

/// A session as its client remembers it.
#[derive(Debug)]
struct Remembered {
    id: UploadId,
    seed: u64,
    /// What the store said last that it holds.
    offset: u64,
}

struct Model {
    world: World,
    engine: Option<Engine>,
    blobs: Vec<Digest>,
    sessions: Vec<Remembered>,
    next_seed: u64,
}

impl Model {
    fn new(begins: bool) -> Self {
        let world = World::with_begins(begins);
        let engine = Some(world.open().unwrap());
        Self { world, engine, blobs: Vec::new(), sessions: Vec::new(), next_seed: 1000 }
    }

    fn engine(&self) -> &Engine {
        self.engine.as_ref().unwrap()
    }

    async fn step(&mut self, step: &Step) {
        match *step {
            Step::Push { seed, size } => {
                let pushed = push(self.engine(), &content(seed, size), 50_000).await.unwrap();
                self.blobs.push(pushed);
            }
            Step::Start => {
                let id = self.engine().start_upload(&repository(), Algorithm::Sha256).await.unwrap().id;
                self.next_seed += 1;
                self.sessions.push(Remembered { id, seed: self.next_seed, offset: 0 });
            }
            Step::Append { session, bytes, piece, leave } => self.append(session, bytes, piece, leave).await,
            Step::Finish { session, wrong } => self.finish(session, wrong).await,
            Step::Cancel { session } => {
                if session < self.sessions.len() {
                    let gone = self.sessions.remove(session);
                    self.engine().cancel_upload(&repository(), &gone.id).await.unwrap();
                    let unknown = self.engine().upload_status(&repository(), &gone.id).await;
                    assert!(matches!(unknown, Err(EngineError::UploadUnknown)));
                }
            }
            Step::Restart => {
                let engine = self.engine.take().unwrap();
                engine.close();
                self.world.kill(engine);
                self.engine = Some(self.world.open().unwrap());
            }
            Step::Kill => {
                let engine = self.engine.take().unwrap();
                engine.parts().pending.wait_for_none();
                self.world.kill(engine);
                self.engine = Some(self.world.open().unwrap());
            }
            Step::PowerCut { seed, survivors } => {
                let engine = self.engine.take().unwrap();
                engine.parts().pending.wait_for_none();
                self.world.power_cut(Some(engine), Cut::Tear(seed), survivors);
                self.engine = Some(self.world.open().unwrap());
                self.forget().await;
            }
        }
    }

    /// After a power cut a session may be younger than it said, or gone, never older.
    async fn forget(&mut self) {
        let engine = self.engine.clone().unwrap();
        let mut kept = Vec::new();
        for mut session in self.sessions.drain(..) {
            match engine.upload_status(&repository(), &session.id).await {
                Ok(status) => {
                    assert!(status.offset <= session.offset, "{} bytes of {}", status.offset, session.offset);
                    session.offset = status.offset;
                    kept.push(session);
                }
                Err(EngineError::UploadUnknown) => {}
                Err(error) => panic!("{error}"),
            }
        }
        self.sessions = kept;
    }

    async fn resume(&self, session: &Remembered) -> (UploadWriter, Bytes) {
        let writer = self.engine().resume_upload(&repository(), &session.id).await.unwrap();
        assert_eq!(writer.offset(), session.offset, "what was said is held");
        (writer, content(session.seed, WHOLE).slice(session.offset as usize..))
    }

    async fn append(&mut self, session: usize, bytes: usize, piece: usize, leave: Leave) {
        let Some(remembered) = self.sessions.get(session) else { return };
        let (mut writer, rest) = self.resume(remembered).await;
        write(&mut writer, &rest.slice(..rest.len().min(bytes)), piece).await.unwrap();
        let offset = writer.offset();
        match leave {
            Leave::Drop => drop(writer),
            Leave::Suspend => assert_eq!(writer.suspend().await.unwrap().offset, offset),
            Leave::ParkAndSuspend => {
                writer.park().await.unwrap();
                assert_eq!(writer.suspend().await.unwrap().offset, offset);
            }
        }
        self.sessions[session].offset = offset;
    }

    async fn finish(&mut self, session: usize, wrong: bool) {
        if session >= self.sessions.len() {
            return;
        }
        let remembered = self.sessions.remove(session);
        let (mut writer, rest) = self.resume(&remembered).await;
        write(&mut writer, &rest, 150_000).await.unwrap();
        let bytes = content(remembered.seed, WHOLE);
        let said = if wrong { digest(b"other") } else { digest(&bytes) };
        let outcome = writer.finish(&said, link(self.engine(), &said)).await;
        if wrong {
            assert!(matches!(outcome, Err(EngineError::DigestMismatch { .. })));
        } else {
            outcome.unwrap();
            assert_eq!(pull(self.engine(), &said).await.unwrap().unwrap(), bytes);
            self.blobs.push(said);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 40, ..ProptestConfig::default() })]
    #[test]
    fn every_sequence_keeps_what_was_promised(steps in steps(), begins in any::<bool>()) {
        let mut model = Model::new(begins);
        block_on(async {
            for step in &steps {
                model.step(step).await;
            }
            while !model.sessions.is_empty() {
                model.finish(0, false).await;
            }
            audit(&model.world, model.engine(), &model.blobs).await;
        });
    }
}
