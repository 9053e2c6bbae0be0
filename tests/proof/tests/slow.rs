//! A disk that hangs: one operation of each kind, at every place where one is met, does not come back for as long as it likes. Reads of other
//! blobs go on meanwhile, and so do pushes of the other size; nothing is acknowledged that a power cut at that moment would take; and when
//! the disk comes back, all is as if it had been fast.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a failed expectation is a failed test"
)]

use bytes::Bytes;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;
use strata_engine::disk::faulty::{OPERATIONS, Operation};
use strata_engine::disk::sim::Cut;
use strata_engine::meta::{Batch, Edge, EdgeRole, GcItem, ManifestPut, View, digest_of};
use strata_engine::sim::World;
use strata_engine::{BlobBody, Engine, EngineError, UploadWriter};
use strata_proof::universe::noise;
use strata_types::{Algorithm, Digest, RepositoryName};

/// What does not come back within this hangs as well. Nobody waits for it in a run that passes.
const BOUND: Duration = Duration::from_mins(1);
/// More than any action meets of a kind.
const PLACES_MAX: u64 = 60;

/// What meets the operation that hangs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    PushSmall,
    PushLarge,
    Session,
    PullSmall,
    PullLarge,
    /// Removes blobs of both sizes and moves what lives in a segment.
    Collect,
}

const ACTIONS: [Action; 6] = [
    Action::PushSmall,
    Action::PushLarge,
    Action::Session,
    Action::PullSmall,
    Action::PullLarge,
    Action::Collect,
];

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

fn repository() -> RepositoryName {
    strata_proof::universe::repository(0)
}

fn digest(bytes: &[u8]) -> Digest {
    digest_of(Algorithm::Sha256, bytes)
}

fn link(engine: &Engine, digest: &Digest) -> Batch {
    let mut batch = Batch::new(engine.now());
    batch.link_blob(&repository(), digest);
    batch
}

async fn write(writer: &mut UploadWriter, bytes: &Bytes) -> Result<(), EngineError> {
    for start in (0..bytes.len()).step_by(60_000) {
        writer.write(bytes.slice(start..bytes.len().min(start + 60_000))).await?;
    }
    Ok(())
}

async fn push(engine: &Engine, bytes: &Bytes) -> Result<Digest, EngineError> {
    let digest = digest(bytes);
    let mut writer = engine.ingest(Algorithm::Sha256, None)?;
    write(&mut writer, bytes).await?;
    writer.finish(&digest, link(engine, &digest)).await.map(|_| digest)
}

async fn pull(engine: &Engine, digest: &Digest) -> Result<Option<Bytes>, EngineError> {
    match engine.open_blob(digest).await? {
        None => Ok(None),
        Some(BlobBody::Bytes(bytes)) => Ok(Some(bytes)),
        Some(BlobBody::File(file)) => {
            let len = file.len() as usize;
            file.read_at(0, len).await.map(Some).map_err(|error| EngineError::io("reading", error))
        }
    }
}

/// A manifest that holds blobs.
fn holder<'a>(view: &View, blobs: impl Iterator<Item = &'a Bytes>) -> ManifestPut {
    let held: Vec<Digest> = blobs.map(|bytes| digest(bytes)).collect();
    let queued = |digest: &Digest| {
        let at = view.link(&repository(), digest).unwrap().unwrap().created_at;
        (at, GcItem::Link { repository: repository(), digest: *digest })
    };
    let bytes = Bytes::from_static(b"holds what is read");
    ManifestPut {
        repository: repository(),
        digest: digest(&bytes),
        media_type: "application/vnd.oci.image.manifest.v1+json".into(),
        bytes,
        edges: held.iter().map(|digest| Edge { role: EdgeRole::Layer, digest: *digest }).collect(),
        required_blobs: held.clone(),
        required_manifests: Vec::new(),
        subject: None,
        tags: Vec::new(),
        attributes: Bytes::new(),
        seen: held.iter().map(queued).collect(),
    }
}

/// Asserts that the store is whole, and that what was acknowledged is in it.
fn audit(world: &World, engine: &Engine, acknowledged: &[Digest], what: &str) {
    let wrong = world.audit(engine).unwrap();
    assert!(wrong.is_empty(), "{what}: {wrong:#?}");
    for digest in acknowledged {
        let bytes = block_on(pull(engine, digest)).unwrap();
        assert!(bytes.is_some_and(|bytes| self::digest(&bytes) == *digest), "{what}: {digest} is gone");
        assert!(
            engine.view().unwrap().link(&repository(), digest).unwrap().is_some(),
            "{what}: its link is gone"
        );
    }
}

enum Event {
    Hangs,
    Answered(Result<Option<Digest>, EngineError>),
    /// And nothing goes on behind the answer.
    Ended,
}

/// A store with blobs that are read, some that are garbage, and no file open.
struct Setting {
    world: World,
    engine: Engine,
    kept: Vec<Bytes>,
    /// Read by the actions, and by nobody else.
    cold: [Bytes; 2],
}

impl Setting {
    fn new(begins: bool) -> Self {
        let mut world = World::make().unwrap();
        world.disk.set_begins(begins);
        world.config.segment_bytes_max = 20_000;
        world.config.gc.grace = Duration::ZERO;
        world.config.gc.undo = Duration::ZERO;
        world.config.gc.segment_dead_bytes_min = 1;
        let engine = world.open().unwrap();
        let kept = vec![noise(1, 900), noise(2, 70_000)];
        let cold = [noise(3, 900), noise(4, 80_000)];
        let garbage = [noise(5, 30_000), noise(6, 90_000)];
        block_on(async {
            // A blob that is kept shares its segment with one that is garbage; the last one is alone in the next.
            for bytes in [&kept[0], &garbage[0], &cold[0], &kept[1], &cold[1], &garbage[1]] {
                push(&engine, bytes).await.unwrap();
            }
            for bytes in &garbage {
                let mut batch = Batch::new(engine.now());
                batch.unlink_blob(&repository(), &digest(bytes));
                engine.commit(batch).await.unwrap();
            }
            let view = engine.view().unwrap();
            let mut batch = Batch::new(engine.now());
            batch.put_manifest(&view, &holder(&view, kept.iter().chain(&cold))).unwrap();
            engine.commit(batch).await.unwrap();
        });
        world.clock.advance(Duration::from_secs(1));
        world.end(engine).unwrap();
        let engine = world.open().unwrap();
        engine.settle();
        Self { world, engine, kept, cold }
    }

    fn begin(&self, action: Action, tell: Sender<Event>) -> std::thread::JoinHandle<()> {
        let (engine, cold) = (self.engine.clone(), self.cold.clone());
        std::thread::spawn(move || {
            drop(tell.send(Event::Answered(act(&engine, action, &cold))));
            engine.settle();
            drop(tell.send(Event::Ended));
        })
    }
}

fn act(engine: &Engine, action: Action, cold: &[Bytes; 2]) -> Result<Option<Digest>, EngineError> {
    let [small, large] = cold;
    match action {
        Action::PushSmall => block_on(push(engine, &noise(11, 5000))).map(Some),
        Action::PushLarge => block_on(push(engine, &noise(12, 200_000))).map(Some),
        Action::Session => block_on(in_session(engine)).map(Some),
        Action::PullSmall | Action::PullLarge => {
            let bytes = if action == Action::PullSmall { small } else { large };
            assert!(block_on(pull(engine, &digest(bytes)))?.as_ref() == Some(bytes), "other bytes");
            Ok(None)
        }
        Action::Collect => engine.sweep(u64::MAX).map(|_| None),
    }
}

async fn in_session(engine: &Engine) -> Result<Digest, EngineError> {
    let bytes = noise(13, 150_000);
    let id = engine.start_upload(&repository(), Algorithm::Sha256).await?.id;
    let mut writer = engine.resume_upload(&repository(), &id).await?;
    write(&mut writer, &bytes.slice(..100_000)).await?;
    writer.suspend().await?;
    let mut writer = engine.resume_upload(&repository(), &id).await?;
    write(&mut writer, &bytes.slice(100_000..)).await?;
    let digest = digest(&bytes);
    writer.finish(&digest, link(engine, &digest)).await.map(|_| digest)
}

/// Does something that must come to its end although the disk hangs.
fn in_time<T: Send + 'static>(what: &str, work: impl FnOnce() -> T + Send + 'static) -> T {
    let (tell, told) = channel();
    std::thread::spawn(move || drop(tell.send(work())));
    told.recv_timeout(BOUND).unwrap_or_else(|_| panic!("{what} waits for the operation that hangs"))
}

/// What can be done while the operation hangs. The blobs that were pushed.
fn meanwhile(setting: &Setting, action: Action, operation: Operation, what: &str) -> Vec<Digest> {
    for bytes in &setting.kept {
        let (engine, wanted) = (setting.engine.clone(), bytes.clone());
        let read = in_time(what, move || block_on(pull(&engine, &digest(&wanted))));
        assert!(read.unwrap().as_ref() == Some(bytes), "{what}: other bytes");
    }
    // Small blobs are appended one after another by one thread; the names in a directory of files become durable together.
    let names = matches!(operation, Operation::Create | Operation::CreateDir | Operation::SyncDir);
    let others: &[usize] = match action {
        Action::PushLarge | Action::Session | Action::PullSmall | Action::PullLarge if !names => {
            &[300, 100_000]
        }
        Action::PushLarge | Action::Session => &[300],
        Action::PushSmall => &[100_000],
        _ => &[],
    };
    let push_one = |size: &usize| {
        let (engine, size) = (setting.engine.clone(), *size);
        in_time(what, move || block_on(push(&engine, &noise(20, size)))).unwrap()
    };
    others.iter().map(push_one).collect()
}

/// Whether the action met the operation once more than `countdown` times. Then the disk comes back, or the power goes.
fn hang(action: Action, operation: Operation, countdown: u64, begins: bool, cut: Option<Cut>) -> bool {
    let mut setting = Setting::new(begins);
    let what = format!("{action:?} at {operation:?} {countdown}, begins {begins}");
    let (tell, told): (_, Receiver<Event>) = channel();
    let reached = tell.clone();
    let faults = setting.world.faults.clone();
    let hanging = faults.hang(operation, countdown, move || drop(reached.send(Event::Hangs)));
    let acting = setting.begin(action, tell);
    let mut acknowledged: Vec<Digest> =
        setting.kept.iter().chain(&setting.cold).map(|bytes| digest(bytes)).collect();
    let mut met = false;
    loop {
        match told.recv_timeout(BOUND).unwrap_or_else(|_| panic!("{what}: it never ends")) {
            Event::Hangs => {
                met = true;
                acknowledged.extend(meanwhile(&setting, action, operation, &what));
                if cut.is_some() {
                    // From here on nothing reaches the disk any more, and what hangs fails.
                    setting.world.disk.cut_at(setting.world.disk.steps() + 1);
                }
                hanging.let_go();
            }
            // Whatever is answered well is there after a cut, of which side of it the answer may be.
            Event::Answered(Ok(pushed)) => acknowledged.extend(pushed),
            Event::Answered(Err(error)) => assert!(met && cut.is_some(), "{what}: {error}"),
            Event::Ended => break,
        }
    }
    acting.join().unwrap();
    // If nothing hung, nothing shall any more.
    setting.world.faults.heal();
    if let Some(cut) = cut {
        setting.world.cut(Some(setting.engine), cut, 0).unwrap();
    } else {
        audit(&setting.world, &setting.engine, &acknowledged, &what);
        setting.world.end(setting.engine).unwrap();
    }
    let engine = setting.world.open().unwrap();
    audit(&setting.world, &engine, &acknowledged, &what);
    // And the store takes everything again.
    for action in ACTIONS {
        act(&engine, action, &setting.cold).unwrap();
    }
    met
}

#[test]
fn an_operation_that_hangs_holds_up_nobody_else_and_nothing_is_lost_by_it() {
    let mut places = 0;
    for begins in [false, true] {
        for action in ACTIONS {
            for operation in OPERATIONS {
                for countdown in 0..=PLACES_MAX {
                    assert!(countdown < PLACES_MAX, "{action:?} goes on and on at {operation:?}");
                    let kinds = [None, Some(Cut::Lose), Some(Cut::Keep), Some(Cut::Tear(countdown + 1))];
                    if kinds.map(|cut| hang(action, operation, countdown, begins, cut)) == [false; 4] {
                        break;
                    }
                    places += 1;
                }
            }
        }
    }
    assert!(places > 40, "only {places} operations hung");
    println!("{places} operations hung, each met in four ways");
}
