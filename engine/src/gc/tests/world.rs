//! A store with images, and runs over it.

use crate::engine::tests::world::{World, block_on as run, content, digest, repository};
use crate::gc::report::{GcKind, GcPlan, GcReport};
use crate::gc::run::run as collect;
use crate::gc::sweeper::Pace;
use crate::gc::{GcConfig, plan};
use crate::meta::{Batch, Edge, EdgeRole, GcItem, ManifestPut, View, digest_of};
use crate::{Engine, EngineError};
use bytes::Bytes;
use std::time::Duration;
use strata_types::{Algorithm, Digest, RepositoryName, Tag};

/// As fast as it goes.
pub(super) struct Unlimited;

impl Pace for Unlimited {
    fn go_on(&mut self, _removed: u64) -> bool {
        true
    }
}

/// An open store on simulated ports.
pub(super) struct Garden {
    pub(super) world: World,
    pub(super) engine: Engine,
}

impl Garden {
    pub(super) fn new(gc: GcConfig) -> Self {
        let mut world = World::new();
        world.config.gc = GcConfig { interval: Duration::ZERO, ..gc };
        let engine = world.open().unwrap();
        Self { world, engine }
    }

    pub(super) fn later(&self, by: Duration) {
        self.world.clock.advance(by);
    }

    pub(super) fn push(&self, bytes: &Bytes) -> Digest {
        run(crate::engine::tests::world::push(&self.engine, bytes, 30_000)).unwrap()
    }

    /// Pushes a blob of a size; its content follows from `seed`.
    pub(super) fn blob(&self, seed: u64, len: usize) -> Digest {
        self.push(&content(seed, len))
    }

    pub(super) fn view(&self) -> View {
        self.engine.view().unwrap()
    }

    pub(super) fn has(&self, digest: &Digest) -> bool {
        self.view().blob(digest).unwrap().is_some()
    }

    pub(super) fn commit(&self, fill: impl FnOnce(&mut Batch, &View)) -> Result<(), EngineError> {
        let mut batch = Batch::new(self.engine.now());
        fill(&mut batch, &self.view());
        run(self.engine.commit(batch)).map(drop)
    }

    /// Puts a manifest named by its text.
    pub(super) fn manifest(
        &self,
        text: &str,
        held: &[(EdgeRole, Digest)],
        subject: Option<Digest>,
        tags: &[&str],
    ) -> Digest {
        let put = put(&self.view(), text, held, subject, tags);
        let digest = put.digest;
        self.commit(|batch, view| batch.put_manifest(view, &put).unwrap()).unwrap();
        digest
    }

    pub(super) fn delete_manifest(&self, digest: &Digest) {
        self.commit(|batch, view| assert!(batch.delete_manifest(view, &repository(), digest).unwrap()))
            .unwrap();
    }

    pub(super) fn plan(&self, limit: usize) -> GcPlan {
        plan::make(self.engine.parts(), limit).unwrap()
    }

    pub(super) fn collect(&self) -> GcReport {
        let outcome = collect(self.engine.parts(), &mut Unlimited).unwrap();
        self.engine.parts().pending.wait_for_none();
        outcome.report
    }

    /// Runs, and verifies that the plan had told all of it.
    pub(super) fn collect_as_planned(&self) -> GcReport {
        let planned = self.plan(1000);
        assert!(!planned.cut);
        let report = self.collect();
        for kind in GcKind::ALL.into_iter().filter(|kind| !matches!(kind, GcKind::File | GcKind::Segment)) {
            assert_eq!(report.removed.of(kind), planned.counts.of(kind), "{kind:?}");
        }
        assert_eq!(report.removed.of(GcKind::File).objects, Self::files_of(&planned));
        report
    }

    fn files_of(planned: &GcPlan) -> u64 {
        let large = |bytes: u64| bytes > crate::limits::SMALL_BLOB_BYTES_MAX as u64 + 96;
        planned.removals.iter().filter(|gone| gone.kind == GcKind::Blob && large(gone.bytes)).count() as u64
    }

    pub(super) fn audit(&self, acknowledged: &[Digest]) {
        run(crate::engine::tests::world::audit(&self.world, &self.engine, acknowledged));
    }
}

pub(super) fn put(
    view: &View,
    text: &str,
    held: &[(EdgeRole, Digest)],
    subject: Option<Digest>,
    tags: &[&str],
) -> ManifestPut {
    let bytes = Bytes::copy_from_slice(text.as_bytes());
    let mut seen = Vec::new();
    for (_, digest) in held {
        let (repository, digest) = (repository(), *digest);
        if let Some(link) = view.link(&repository, &digest).unwrap() {
            seen.push((link.created_at, GcItem::Link { repository, digest }));
        } else if let Some(child) = view.manifest(&repository, &digest).unwrap() {
            seen.push((child.pushed_at, GcItem::Manifest { repository, digest }));
        }
    }
    ManifestPut {
        repository: repository(),
        digest: digest_of(Algorithm::Sha256, &bytes),
        media_type: "application/vnd.oci.image.manifest.v1+json".into(),
        bytes,
        edges: held.iter().map(|(role, digest)| Edge { role: *role, digest: *digest }).collect(),
        required_blobs: Vec::new(),
        required_manifests: Vec::new(),
        subject: subject.map(|subject| (subject, Bytes::from_static(b"{}"))),
        tags: tags.iter().map(|tag| Tag::parse(tag).unwrap()).collect(),
        attributes: Bytes::new(),
        seen,
    }
}

pub(super) fn name() -> RepositoryName {
    repository()
}

pub(super) fn named(text: &str) -> Digest {
    digest(text.as_bytes())
}
