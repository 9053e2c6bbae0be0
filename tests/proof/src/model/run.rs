//! The registry under test, and what each step does to it and to the model.

use super::oracle::Oracle;
use super::session::Session;
use super::step::Step;
use crate::universe::{self, BLOBS, MANIFESTS, REPOSITORIES, TAGS};
use bytes::Bytes;
use std::time::Duration;
use strata_engine::disk::sim::Cut;
use strata_engine::gc::GcConfig;
use strata_engine::sim::World;
use strata_engine::{Engine, Health};
use strata_registry::{BodyError, Context, PutManifest, Registry, RegistryConfig, RegistryError};
use strata_types::Reference;
use tokio::runtime::Runtime;

/// A store, its model, and what clients remember.
#[derive(Debug)]
pub struct Model {
    pub(super) world: World,
    pub(super) runtime: Runtime,
    pub(super) ctx: Context,
    pub(super) open: Option<(Engine, Registry)>,
    pub(super) oracle: Oracle,
    /// Until when blobs of a repository that was deleted may stay, for a restore.
    pub(super) kept: std::collections::BTreeMap<usize, u64>,
    pub(super) sessions: Vec<Session>,
    /// Whether the disk has been told to fail: requests may then be refused.
    pub(super) faulty: bool,
    /// Bytes that garbage collection has moved from segment to segment.
    pub(super) bytes_moved: u64,
    /// When the store was last opened: what it told clients before, it does not know any more.
    pub(super) opened_at: u64,
}

/// A body in pieces.
pub(super) fn body(
    bytes: &Bytes,
) -> impl futures_util::Stream<Item = Result<Bytes, BodyError>> + Send + use<> {
    let bytes = bytes.clone();
    let starts = (0..bytes.len()).step_by(50_000);
    futures_util::stream::iter(
        starts.map(move |start| Ok(bytes.slice(start..bytes.len().min(start + 50_000)))).collect::<Vec<_>>(),
    )
}

impl Model {
    /// An empty store. `kind` chooses how it is set up.
    pub fn new(kind: usize) -> Self {
        let mut world = World::make().expect("threads");
        world.disk.set_begins(kind & 1 == 1);
        world.config.upload_expiry = Duration::from_hours(1);
        world.config.segment_bytes_max = 100_000;
        world.config.gc = GcConfig {
            grace: Duration::from_mins([60, 0, 20][kind % 3]),
            interval: Duration::ZERO,
            untagged: (kind & 2 == 2).then_some(Duration::from_mins(30)),
            rate: 0,
            segment_dead_bytes_min: 1,
            ..GcConfig::default()
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        let ctx = Context::everyone("model", None);
        let mut model = Self {
            world,
            runtime,
            ctx,
            open: None,
            oracle: Oracle::default(),
            kept: std::collections::BTreeMap::new(),
            sessions: Vec::new(),
            faulty: false,
            bytes_moved: 0,
            opened_at: 0,
        };
        model.reopen();
        model
    }

    pub(super) fn engine(&self) -> Engine {
        self.open.as_ref().expect("it is open").0.clone()
    }

    pub(super) fn registry(&self) -> Registry {
        self.open.as_ref().expect("it is open").1.clone()
    }

    pub(super) fn now(&self) -> u64 {
        self.engine().now().0
    }

    pub(super) fn reopen(&mut self) {
        let engine = self.world.open().expect("what was left opens");
        let registry =
            Registry::open(engine.clone(), RegistryConfig::default()).expect("the directory is read");
        self.open = Some((engine, registry));
        self.opened_at = self.now();
    }

    /// Does one step, and looks at what came of it.
    pub fn step(&mut self, step: Step) {
        self.dispatch(step);
        self.after();
    }

    pub(super) fn dispatch(&mut self, step: Step) {
        match step {
            Step::Push { repository, blob } => self.push(repository % REPOSITORIES, blob % BLOBS),
            Step::Mount { repository, from, blob } => {
                self.mount(repository % REPOSITORIES, from.map(|from| from % REPOSITORIES), blob % BLOBS);
            }
            Step::Stat { repository, blob } => self.stat(repository % REPOSITORIES, blob % BLOBS),
            Step::Pull { repository, blob } => self.pull(repository % REPOSITORIES, blob % BLOBS),
            Step::Unlink { repository, blob } => self.unlink(repository % REPOSITORIES, blob % BLOBS),
            Step::PutManifest { repository, manifest, tag } => {
                self.put_manifest(repository % REPOSITORIES, manifest % MANIFESTS, tag.map(|tag| tag % TAGS));
            }
            Step::Get { repository, tag } => self.get(repository % REPOSITORIES, tag % TAGS),
            Step::DeleteManifest { repository, manifest } => {
                self.delete_manifest(repository % REPOSITORIES, manifest % MANIFESTS);
            }
            Step::Untag { repository, tag } => self.untag(repository % REPOSITORIES, tag % TAGS),
            Step::Start { .. } | Step::Append { .. } | Step::Finish { .. } | Step::Cancel { .. } => {
                self.session_step(step);
            }
            Step::Wait { minutes } => self.world.clock.advance(Duration::from_mins(minutes)),
            Step::Housekeep => self.housekeep(),
            Step::Collect { steps } => self.collect(steps),
            Step::Restore { number, force } => self.restore(number, force),
            Step::DeleteRepository { repository } => self.delete_repository(repository % REPOSITORIES),
            Step::Scrub => self.scrub(),
            Step::Damage { blob, then } => self.damage(blob % BLOBS, then),
            Step::Fault { operation, fault, countdown, times } => {
                self.world.faults.order(operation, fault, countdown, times);
                self.faulty = true;
            }
            Step::Restart | Step::Kill | Step::PowerCut { .. } => self.end(step),
        }
    }

    /// A poisoned store is started again, as its message says; then the store is compared with the model.
    fn after(&mut self) {
        if let Health::Poisoned { why } = self.engine().health() {
            assert!(self.faulty, "poisoned without a fault: {why}");
            self.end(Step::Kill);
        }
        self.compare();
    }

    /// Ends the process in the way told, and opens the store again. A disk that failed is exchanged for a good one.
    pub(super) fn end(&mut self, how: Step) {
        self.world.faults.heal();
        self.faulty = false;
        let (engine, registry) = self.open.take().expect("it is open");
        drop(registry);
        match how {
            Step::PowerCut { seed, survivors } => {
                let cut = match seed % 3 {
                    0 => Cut::Lose,
                    1 => Cut::Keep,
                    _ => Cut::Tear(seed),
                };
                self.world.cut(Some(engine), cut, survivors).expect("threads");
            }
            Step::Kill => self.world.end(engine).expect("threads"),
            _ => {
                engine.close();
                self.world.end(engine).expect("threads");
            }
        }
        self.reopen();
        self.remember(matches!(how, Step::PowerCut { .. }));
    }

    /// Whether a request may have failed for the disk's sake. It has then done nothing.
    pub(super) fn excused(&self, error: &RegistryError) -> bool {
        let store = matches!(
            error,
            RegistryError::Internal(_) | RegistryError::Unavailable(_) | RegistryError::NoSpace
        );
        assert!(self.faulty && store, "{error:?}");
        true
    }

    pub(super) fn push(&mut self, to: usize, blob: usize) {
        let (content, digest, name) =
            (universe::content(blob), universe::blob(blob), universe::repository(to));
        let (registry, size) = (self.registry(), Some(content.len() as u64));
        let pushed =
            self.runtime.block_on(registry.put_blob(&self.ctx, &name, &digest, size, body(&content)));
        match pushed {
            Ok(pushed) => {
                assert_eq!(pushed, digest);
                let now = self.now();
                self.oracle.shelves[to].link(blob, now);
            }
            Err(error) => assert!(self.excused(&error)),
        }
    }

    fn mount(&mut self, to: usize, from: Option<usize>, blob: usize) {
        let has = |number: usize| self.oracle.shelves[number].links.contains_key(&blob);
        let expected = match from {
            Some(from) => has(from) || has(to),
            None => (0..REPOSITORIES).any(has),
        };
        let (name, source) = (universe::repository(to), from.map(universe::repository));
        let (registry, digest) = (self.registry(), universe::blob(blob));
        let mounted = self.runtime.block_on(registry.mount_blob(&self.ctx, &name, &digest, source.as_ref()));
        let mounted = mounted.expect("a mount never fails");
        assert!(mounted == expected || (self.faulty && !mounted), "{mounted}, expected {expected}");
        if mounted {
            let now = self.now();
            self.oracle.shelves[to].link(blob, now);
        }
    }

    fn stat(&mut self, of: usize, blob: usize) {
        let expected = self.oracle.shelves[of].links.contains_key(&blob);
        let (registry, name, digest) = (self.registry(), universe::repository(of), universe::blob(blob));
        match self.runtime.block_on(registry.stat_blob(&self.ctx, &name, &digest)) {
            Ok(stat) => {
                assert!(expected, "a blob that is not there");
                assert_eq!(stat.size, universe::content(blob).len() as u64);
                let now = self.now();
                self.oracle.shelves[of].see(blob, now);
            }
            Err(RegistryError::BlobUnknown { .. }) => assert!(!expected || self.faulty, "a blob is gone"),
            Err(error) => assert!(self.excused(&error)),
        }
    }

    fn pull(&mut self, of: usize, blob: usize) {
        let expected = self.oracle.shelves[of].links.contains_key(&blob);
        match self.read(of, blob) {
            Ok(bytes) => {
                assert!(expected, "a blob that is not there");
                assert!(bytes == universe::content(blob), "other bytes than were pushed");
                let now = self.now();
                self.oracle.shelves[of].see(blob, now);
            }
            Err(RegistryError::BlobUnknown { .. }) => assert!(!expected, "a blob is gone"),
            Err(error) => assert!(self.excused(&error)),
        }
    }

    fn unlink(&mut self, of: usize, blob: usize) {
        let shelf = &self.oracle.shelves[of];
        let (linked, held) = (shelf.links.contains_key(&blob), shelf.holds_blob(blob));
        let (registry, name, digest) = (self.registry(), universe::repository(of), universe::blob(blob));
        match self.runtime.block_on(registry.delete_blob(&self.ctx, &name, &digest)) {
            Ok(()) => {
                assert!(linked && !held, "linked {linked}, held {held}");
                self.oracle.shelves[of].links.remove(&blob);
            }
            Err(RegistryError::BlobUnknown { .. }) => assert!(!linked),
            Err(RegistryError::BlobReferenced { .. }) => assert!(held),
            Err(error) => assert!(self.excused(&error)),
        }
    }

    fn put_manifest(&mut self, to: usize, number: usize, tag: Option<usize>) {
        let picture = universe::manifest(number);
        let reference = match tag {
            Some(tag) => Reference::Tag(universe::tag(tag)),
            None => Reference::Digest(picture.digest),
        };
        let put =
            PutManifest { reference, tags: Vec::new(), content_type: None, bytes: picture.bytes.clone() };
        let complete = picture.blobs.iter().all(|blob| self.oracle.shelves[to].links.contains_key(blob));
        let (registry, name) = (self.registry(), universe::repository(to));
        match self.runtime.block_on(registry.put_manifest(&self.ctx, &name, put)) {
            Ok(done) => {
                assert!(complete, "a manifest without its blobs");
                assert_eq!(done.digest, picture.digest);
                let now = self.now();
                self.oracle.shelves[to].put(number, tag, now);
            }
            Err(RegistryError::ReferencesUnknown(_)) => assert!(!complete, "its blobs are there"),
            Err(error) => assert!(self.excused(&error)),
        }
    }

    fn get(&mut self, of: usize, tag: usize) {
        let expected = self.oracle.shelves[of].tags.get(&tag).copied();
        let (registry, name) = (self.registry(), universe::repository(of));
        let reference = Reference::Tag(universe::tag(tag));
        match self.runtime.block_on(registry.get_manifest(&self.ctx, &name, &reference)) {
            Ok(read) => {
                let picture = universe::manifest(expected.expect("a tag that is not there"));
                assert_eq!((read.digest, read.bytes), (picture.digest, picture.bytes.clone()));
            }
            Err(RegistryError::ManifestUnknown { .. } | RegistryError::NameUnknown(_)) => {
                assert_eq!(expected, None, "a tag is gone");
            }
            Err(error) => assert!(self.excused(&error)),
        }
    }

    fn delete_manifest(&mut self, of: usize, number: usize) {
        let there = self.oracle.shelves[of].manifests.contains_key(&number);
        let reference = Reference::Digest(universe::manifest(number).digest);
        if self.delete(of, &reference, there) {
            let now = self.now();
            self.oracle.shelves[of].delete(number, now);
        }
    }

    fn untag(&mut self, of: usize, tag: usize) {
        let there = self.oracle.shelves[of].tags.contains_key(&tag);
        if self.delete(of, &Reference::Tag(universe::tag(tag)), there) {
            let now = self.now();
            self.oracle.shelves[of].untag(tag, now);
        }
    }

    /// Whether it was deleted.
    fn delete(&self, of: usize, reference: &Reference, there: bool) -> bool {
        let (registry, name) = (self.registry(), universe::repository(of));
        match self.runtime.block_on(registry.delete_manifest(&self.ctx, &name, reference)) {
            Ok(()) => {
                assert!(there, "something was deleted that is not there");
                true
            }
            Err(RegistryError::ManifestUnknown { .. } | RegistryError::NameUnknown(_)) => {
                assert!(!there, "something is gone");
                false
            }
            Err(error) => !self.excused(&error),
        }
    }
}
