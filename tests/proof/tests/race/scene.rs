//! A store in which something has become garbage, and actors that want it all the same.

use crate::port::Yielding;
use bytes::Bytes;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use strata_engine::gc::GcConfig;
use strata_engine::sim::World;
use strata_engine::{Engine, Ports};
use strata_proof::universe;
use strata_registry::{BlobBody, BodyError, Context, PutManifest, Registry, RegistryConfig, RegistryError};
use strata_types::{Algorithm, Reference};

/// What one actor does. Numbers are those of the universe.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Actor {
    /// Collects garbage, twice.
    Sweep,
    /// Pushes a blob in one request.
    Push(usize, usize),
    /// Pushes a blob through a session.
    Session(usize, usize),
    /// Mounts a blob from one repository into another.
    Mount(usize, usize, usize),
    /// Asks for all blobs of a manifest, and pushes those that are not there, then the manifest: as clients do.
    Image(usize, usize),
    /// Pushes a manifest whose blobs may be there or not.
    Put(usize, usize),
    /// Points a tag to a manifest by pushing it again.
    Tag(usize, usize),
    /// Deletes a manifest.
    Delete(usize, usize),
    /// Takes a blob out of a repository.
    Unlink(usize, usize),
    /// Reads a blob that it was told of.
    Read(usize, usize),
}

/// What was acknowledged, and must hold at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Promise {
    Blob(usize, usize),
    Manifest(usize, usize),
}

/// A store and what it has promised.
pub(crate) struct Scene {
    world: World,
    meta: Arc<Yielding>,
    engine: Engine,
    registry: Registry,
    promises: Mutex<Vec<Promise>>,
    /// Whether an actor takes something away on purpose: then a blob may be gone that was there.
    takes: bool,
}

fn ctx() -> Context {
    Context::everyone("race", None)
}

fn body(bytes: Bytes) -> impl futures_util::Stream<Item = Result<Bytes, BodyError>> + Send {
    futures_util::stream::iter([Ok(bytes)])
}

impl Scene {
    /// Images pushed into repositories long ago, some deleted since.
    pub(crate) fn set(
        pushed: &[(usize, usize)],
        deleted: &[(usize, usize)],
        actors: &[Actor],
        engine_waits: bool,
    ) -> Arc<Self> {
        let mut world = World::make().unwrap();
        world.config.gc = GcConfig {
            interval: Duration::ZERO,
            untagged: Some(Duration::from_mins(30)),
            undo: Duration::ZERO,
            rate: 0,
            segment_dead_bytes_min: 1,
            ..GcConfig::default()
        };
        let ports = world.ports();
        let meta = Yielding::new(ports.meta, engine_waits);
        let engine = Engine::open_with(world.config.clone(), Ports { meta: meta.clone(), ..ports }).unwrap();
        let registry = Registry::open(engine.clone(), RegistryConfig::default()).unwrap();
        let takes = actors.iter().any(|actor| matches!(actor, Actor::Delete(..) | Actor::Unlink(..)));
        let scene = Arc::new(Self { world, meta, engine, registry, promises: Mutex::default(), takes });
        for (repository, number) in pushed {
            scene.image(*repository, *number).unwrap();
        }
        for (repository, number) in deleted {
            scene.act(Actor::Delete(*repository, *number));
        }
        scene.promises.lock().unwrap().clear();
        scene.world.clock.advance(Duration::from_hours(48));
        scene.meta.set(true);
        scene
    }

    fn promise(&self, promise: Promise) {
        self.promises.lock().unwrap().push(promise);
    }

    /// Does what the actor does; what is refused must be refused for a reason.
    pub(crate) fn act(&self, actor: Actor) {
        match actor {
            Actor::Sweep => {
                for _ in 0..2 {
                    self.engine.sweep(u64::MAX).unwrap();
                }
            }
            Actor::Push(to, blob) => self.push(to, blob),
            Actor::Session(to, blob) => self.session(to, blob),
            Actor::Mount(to, from, blob) => {
                let (name, from) = (universe::repository(to), universe::repository(from));
                let mounted = self
                    .registry
                    .mount_blob(&ctx(), &name, &universe::blob(blob), Some(&from))
                    .boxed_in(self);
                if mounted.unwrap() {
                    self.promise(Promise::Blob(to, blob));
                }
            }
            Actor::Image(to, number) => match self.image(to, number) {
                Ok(()) => {}
                Err(RegistryError::ReferencesUnknown(missing)) => {
                    assert!(self.takes, "a blob that a client was told of is gone: {missing:?}");
                }
                Err(error) => panic!("{error:?}"),
            },
            Actor::Put(to, number) => match self.put(to, number, None) {
                Ok(()) | Err(RegistryError::ReferencesUnknown(_)) => {}
                Err(error) => panic!("{error:?}"),
            },
            Actor::Tag(to, number) => match self.put(to, number, Some(0)) {
                Ok(()) | Err(RegistryError::ReferencesUnknown(_)) => {}
                Err(error) => panic!("{error:?}"),
            },
            Actor::Delete(of, number) => {
                let (name, digest) = (universe::repository(of), universe::manifest(number).digest);
                let reference = Reference::Digest(digest);
                let deleted = self.registry.delete_manifest(&ctx(), &name, &reference).boxed_in(self);
                assert!(
                    matches!(deleted, Ok(()) | Err(RegistryError::ManifestUnknown { .. })),
                    "{deleted:?}"
                );
            }
            Actor::Unlink(of, blob) => {
                let (name, digest) = (universe::repository(of), universe::blob(blob));
                let deleted = self.registry.delete_blob(&ctx(), &name, &digest).boxed_in(self);
                let known = matches!(
                    deleted,
                    Ok(()) | Err(RegistryError::BlobUnknown { .. } | RegistryError::BlobReferenced { .. })
                );
                assert!(known, "{deleted:?}");
            }
            Actor::Read(of, blob) => match self.read(of, blob) {
                Ok(bytes) => assert!(bytes == universe::content(blob), "other bytes"),
                Err(RegistryError::BlobUnknown { .. }) => {}
                Err(error) => panic!("{error:?}"),
            },
        }
    }

    fn push(&self, to: usize, blob: usize) {
        let (name, digest, content) =
            (universe::repository(to), universe::blob(blob), universe::content(blob));
        let size = Some(content.len() as u64);
        self.registry.put_blob(&ctx(), &name, &digest, size, body(content)).boxed_in(self).unwrap();
        self.promise(Promise::Blob(to, blob));
    }

    fn session(&self, to: usize, blob: usize) {
        let (name, digest, content) =
            (universe::repository(to), universe::blob(blob), universe::content(blob));
        let id = self.registry.start_upload(&ctx(), &name, Algorithm::Sha256).boxed_in(self).unwrap().id;
        let half = content.len() / 2;
        let front = body(content.slice(..half));
        self.registry.append_upload(&ctx(), &name, &id, None, front).boxed_in(self).unwrap();
        let back = body(content.slice(half..));
        self.registry.finish_upload(&ctx(), &name, &id, None, back, &digest).boxed_in(self).unwrap();
        self.promise(Promise::Blob(to, blob));
    }

    /// As a client pushes an image: what a `HEAD` finds is not sent again.
    fn image(&self, to: usize, number: usize) -> Result<(), RegistryError> {
        let name = universe::repository(to);
        for blob in &universe::manifest(number).blobs {
            match self.registry.stat_blob(&ctx(), &name, &universe::blob(*blob)).boxed_in(self) {
                Ok(_) => {}
                Err(RegistryError::BlobUnknown { .. }) => self.push(to, *blob),
                Err(error) => return Err(error),
            }
        }
        self.put(to, number, None)
    }

    fn put(&self, to: usize, number: usize, tag: Option<usize>) -> Result<(), RegistryError> {
        let picture = universe::manifest(number);
        let reference = match tag {
            Some(tag) => Reference::Tag(universe::tag(tag)),
            None => Reference::Digest(picture.digest),
        };
        let put =
            PutManifest { reference, tags: Vec::new(), content_type: None, bytes: picture.bytes.clone() };
        self.registry.put_manifest(&ctx(), &universe::repository(to), put).boxed_in(self)?;
        self.promise(Promise::Manifest(to, number));
        Ok(())
    }

    fn read(&self, of: usize, blob: usize) -> Result<Bytes, RegistryError> {
        let (name, digest) = (universe::repository(of), universe::blob(blob));
        let read = self.registry.open_blob(&ctx(), &name, &digest).boxed_in(self)?;
        match read.body {
            BlobBody::Bytes(bytes) => Ok(bytes),
            BlobBody::File(file) => {
                let len = file.len() as usize;
                Ok(file.read_at(0, len).boxed_in(self).unwrap())
            }
        }
    }

    /// Asserts that what was acknowledged is there, and that the store is whole.
    pub(crate) fn judge(&self) {
        self.meta.set(false);
        // Nothing new may go: the clock stands, and whoever was told something was told it just now.
        self.engine.sweep(u64::MAX).unwrap();
        self.engine.settle();
        let view = self.engine.view().unwrap();
        for promise in self.promises.lock().unwrap().clone() {
            match promise {
                Promise::Blob(of, blob) if !self.takes => {
                    let read = self.read(of, blob);
                    assert!(read.is_ok_and(|bytes| bytes == universe::content(blob)), "{promise:?} is gone");
                }
                Promise::Blob(..) => {}
                Promise::Manifest(of, number) => {
                    let (name, picture) = (universe::repository(of), universe::manifest(number));
                    let there = view.has_manifest(&name, &picture.digest).unwrap();
                    assert!(there || self.takes, "{promise:?} is gone");
                    for blob in picture.blobs.iter().filter(|_| there) {
                        let read = self.read(of, *blob);
                        assert!(
                            read.is_ok_and(|bytes| bytes == universe::content(*blob)),
                            "{promise:?} lacks {blob}"
                        );
                    }
                }
            }
        }
        let wrong = self.world.audit(&self.engine).unwrap();
        assert!(wrong.is_empty(), "{wrong:#?}");
        self.engine.close();
    }
}

/// Waits for a future under the scheduler of a scene.
trait InScene: Future + Sized {
    fn boxed_in(self, scene: &Scene) -> Self::Output {
        scene.meta.block_on(self)
    }
}

impl<F: Future> InScene for F {}
