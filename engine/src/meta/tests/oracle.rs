//! What the verbs mean, in the plainest words: maps of maps, and a list of events.

mod shown;

use crate::clock::UnixMillis;
use crate::error::EngineError;
use crate::meta::{
    Batch, BlobRecord, Edge, EdgeRole, Edges, EventKind, GcItem, ManifestPut, PinRecord, Placement, Restore,
    View, digest_of,
};
use bytes::Bytes;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use strata_types::{Algorithm, Digest, RepositoryName, Tag};

pub(super) const REPOSITORIES: [&str; 3] = ["a", "a/b", "b"];
pub(super) const TAGS: [&str; 3] = ["latest", "v1", "v1.0"];
const BLOBS: usize = 4;
const MANIFESTS: usize = 4;

pub(super) fn name(number: usize) -> RepositoryName {
    RepositoryName::parse(REPOSITORIES[number % REPOSITORIES.len()]).unwrap()
}

pub(super) fn tag(number: usize) -> Tag {
    Tag::parse(TAGS[number % TAGS.len()]).unwrap()
}

pub(super) fn blob(number: usize) -> Digest {
    digest_of(Algorithm::Sha256, format!("blob {}", number % BLOBS).as_bytes())
}

pub(super) fn manifest_bytes(number: usize) -> Bytes {
    format!("manifest {}", number % MANIFESTS).into()
}

pub(super) fn manifest(number: usize) -> Digest {
    let algorithm = if number.is_multiple_of(2) { Algorithm::Sha256 } else { Algorithm::Sha512 };
    digest_of(algorithm, &manifest_bytes(number))
}

/// Something that a client asks for. Numbers name repositories, blobs, manifests and tags.
#[derive(Debug, Clone)]
pub(super) enum Operation {
    PushBlob {
        to: usize,
        blob: usize,
    },
    Mount {
        to: usize,
        from: Option<usize>,
        blob: usize,
    },
    Unlink {
        from: usize,
        blob: usize,
        unless_held: bool,
    },
    /// Pushes a blob and pins it with a label.
    Pin {
        to: usize,
        blob: usize,
        label: usize,
    },
    Relabel {
        of: usize,
        blob: usize,
        label: usize,
    },
    Unpin {
        from: usize,
        blob: usize,
    },
    PutManifest(Put),
    SetTag {
        repository: usize,
        tag: usize,
        manifest: usize,
    },
    DeleteTag {
        repository: usize,
        tag: usize,
    },
    DeleteManifest {
        repository: usize,
        manifest: usize,
    },
    DeleteRepository {
        repository: usize,
    },
    /// Undoes one of the deletions; `number` is known once a view was looked at.
    Restore {
        pick: usize,
        number: Option<u64>,
        force: bool,
    },
}

#[derive(Debug, Clone)]
pub(super) struct Put {
    repository: usize,
    manifest: usize,
    config: Option<usize>,
    layers: Vec<usize>,
    children: Vec<usize>,
    /// Children that must be there; others may be missing.
    strict: bool,
    subject: Option<usize>,
    tags: Vec<usize>,
    media_type: bool,
}

impl Put {
    pub(super) fn build(&self) -> ManifestPut {
        let edge = |role, digest| Edge { role, digest };
        let config = self.config.iter().map(|config| edge(EdgeRole::Config, blob(*config)));
        let layers = self.layers.iter().map(|layer| edge(EdgeRole::Layer, blob(*layer)));
        let children = self.children.iter().map(|child| edge(EdgeRole::Child, manifest(*child)));
        let descriptor = Bytes::from(format!("descriptor {} {}", self.manifest, self.media_type));
        ManifestPut {
            repository: name(self.repository),
            digest: manifest(self.manifest),
            media_type: if self.media_type { "application/one" } else { "application/other" }.into(),
            bytes: manifest_bytes(self.manifest),
            edges: config.chain(layers).chain(children).collect(),
            required_blobs: self.layers.iter().chain(&self.config).map(|number| blob(*number)).collect(),
            required_manifests: self
                .children
                .iter()
                .filter(|_| self.strict)
                .map(|child| manifest(*child))
                .collect(),
            subject: self.subject.map(|subject| (manifest(subject), descriptor)),
            tags: self.tags.iter().map(|number| tag(*number)).collect(),
            attributes: Bytes::new(),
            seen: vec![],
        }
    }
}

pub(super) fn operation() -> impl Strategy<Value = Operation> {
    let (repository, blob, manifest, tag) = (0..3_usize, 0..BLOBS, 0..MANIFESTS, 0..3_usize);
    let some = proptest::option::of;
    let shape = (
        (
            repository.clone(),
            manifest.clone(),
            some(blob.clone()),
            proptest::collection::vec(blob.clone(), 0..3),
        ),
        (proptest::collection::vec(manifest.clone(), 0..3), any::<bool>(), some(manifest.clone())),
        (proptest::collection::vec(tag.clone(), 0..3), any::<bool>()),
    );
    let put = shape.prop_map(
        |((repository, manifest, config, layers), (children, strict, subject), (tags, media_type))| {
            Operation::PutManifest(Put {
                repository,
                manifest,
                config,
                layers,
                children,
                strict,
                subject,
                tags,
                media_type,
            })
        },
    );
    prop_oneof![
        4 => (repository.clone(), blob.clone()).prop_map(|(to, blob)| Operation::PushBlob { to, blob }),
        1 => (repository.clone(), some(repository.clone()), blob.clone())
            .prop_map(|(to, from, blob)| Operation::Mount { to, from, blob }),
        2 => (repository.clone(), blob.clone(), 0..3_usize)
            .prop_map(|(to, blob, label)| Operation::Pin { to, blob, label }),
        1 => (repository.clone(), blob.clone(), 0..3_usize)
            .prop_map(|(of, blob, label)| Operation::Relabel { of, blob, label }),
        1 => (repository.clone(), blob.clone()).prop_map(|(from, blob)| Operation::Unpin { from, blob }),
        1 => (repository.clone(), blob, any::<bool>())
            .prop_map(|(from, blob, unless_held)| Operation::Unlink { from, blob, unless_held }),
        5 => put,
        2 => (repository.clone(), tag.clone(), manifest.clone())
            .prop_map(|(repository, tag, manifest)| Operation::SetTag { repository, tag, manifest }),
        1 => (repository.clone(), tag).prop_map(|(repository, tag)| Operation::DeleteTag { repository, tag }),
        1 => (repository.clone(), manifest)
            .prop_map(|(repository, manifest)| Operation::DeleteManifest { repository, manifest }),
        1 => repository.prop_map(|repository| Operation::DeleteRepository { repository }),
        2 => (0..100_usize, any::<bool>())
            .prop_map(|(pick, force)| Operation::Restore { pick, number: None, force }),
    ]
}

impl Operation {
    /// The operation with all that it leaves to what the view shows.
    pub(super) fn resolved(&self, view: &View) -> Self {
        let mut resolved = self.clone();
        if let Self::Restore { pick, number, .. } = &mut resolved {
            let trash = view.trash_page(None, 1000).unwrap();
            *number = trash.get(*pick % trash.len().max(1)).map(|(number, _)| *number);
        }
        resolved
    }

    /// Fills a batch by what the view shows. `false`: there is nothing to do.
    pub(super) fn fill(&self, batch: &mut Batch, view: &View) -> Result<bool, EngineError> {
        match self {
            Self::PushBlob { to, blob: number } => {
                let digest = blob(*number);
                if view.blob(&digest)?.is_none() {
                    batch.put_blob(&digest, &record(*number));
                }
                batch.link_blob(&name(*to), &digest);
            }
            Self::Mount { to, from, blob: number } => {
                batch.mount_blob(&name(*to), &blob(*number), from.map(name).as_ref());
            }
            Self::Unlink { from, blob: number, unless_held } => {
                if *unless_held {
                    batch.expect_not_held(&name(*from), &blob(*number));
                }
                batch.unlink_blob(&name(*from), &blob(*number));
            }
            Self::Pin { to, blob: number, label } => {
                let digest = blob(*number);
                if view.blob(&digest)?.is_none() {
                    batch.put_blob(&digest, &record(*number));
                }
                batch.link_blob(&name(*to), &digest);
                batch.pin_blob(&name(*to), &digest, &pin(*label));
                // Pins have no events of their own: whoever makes them tells of them.
                batch.note(Some(&name(*to)));
            }
            Self::Relabel { of, blob: number, label } => {
                let Some(seen) = view.pin(&name(*of), &blob(*number))? else { return Ok(false) };
                batch.update_pin(&name(*of), &blob(*number), &seen, &pin(*label));
                batch.note(Some(&name(*of)));
            }
            Self::Unpin { from, blob: number } => {
                if !batch.unpin_blob(view, &name(*from), &blob(*number))? {
                    return Ok(false);
                }
                batch.note(Some(&name(*from)));
            }
            Self::PutManifest(put) => {
                let mut put = put.build();
                put.seen = seen(view, &put)?;
                batch.put_manifest(view, &put)?;
            }
            Self::SetTag { repository, tag: number, manifest: target } => {
                batch.set_tag(view, &name(*repository), &tag(*number), &manifest(*target))?;
            }
            Self::DeleteTag { repository, tag: number } => {
                return batch.delete_tag(view, &name(*repository), &tag(*number));
            }
            Self::DeleteManifest { repository, manifest: target } => {
                return batch.delete_manifest(view, &name(*repository), &manifest(*target));
            }
            Self::DeleteRepository { repository } => {
                return Ok(batch.delete_repository(view, &name(*repository), UnixMillis(99))?.is_some());
            }
            Self::Restore { number, force, .. } => {
                let Some(number) = number else { return Ok(false) };
                let restored = batch.restore(view, *number, UnixMillis(0), *force)?;
                return Ok(matches!(restored, Restore::Done(_)));
            }
        }
        Ok(true)
    }
}

/// What the manifest holds, with the times of its rows, as the service layer finds them.
fn seen(view: &View, put: &ManifestPut) -> Result<Vec<(UnixMillis, GcItem)>, EngineError> {
    let mut seen = Vec::new();
    for Edge { digest, .. } in &put.edges {
        let (repository, digest) = (put.repository.clone(), *digest);
        if let Some(link) = view.link(&repository, &digest)? {
            seen.push((link.created_at, GcItem::Link { repository, digest }));
        } else if let Some(child) = view.manifest(&repository, &digest)? {
            seen.push((child.pushed_at, GcItem::Manifest { repository, digest }));
        }
    }
    Ok(seen)
}

/// A pin with a label of this number.
fn pin(label: usize) -> PinRecord {
    let labels = [(format!("label {label}"), String::new())].into();
    PinRecord { created_at: UnixMillis(1), updated_at: UnixMillis(2), labels }
}

fn record(number: usize) -> BlobRecord {
    let number = number as u64;
    let placement = if number.is_multiple_of(2) {
        Placement::File { generation: number }
    } else {
        Placement::Segment { segment: 1, offset: number * 1000, length: 1000 }
    };
    BlobRecord { size: 10 + number, placement, checksum: number, created_at: UnixMillis(1) }
}

/// What a manifest of a repository is, in the oracle's eyes.
type Stored = (String, Edges, Option<Bytes>);
/// An event, in the oracle's eyes.
pub(super) type Told = (EventKind, RepositoryName, Option<Digest>, Option<Tag>);

#[derive(Debug, Clone, Default)]
struct Repository {
    links: BTreeSet<Digest>,
    pins: BTreeMap<Digest, PinRecord>,
    manifests: BTreeMap<Digest, Stored>,
    tags: BTreeMap<Tag, Digest>,
    history: BTreeMap<Tag, Vec<Option<Digest>>>,
}

/// The bytes of what a registry holds, blobs (`true`) and manifests.
type Once = BTreeMap<(bool, Digest), u64>;

/// A deletion, in the oracle's eyes.
#[derive(Debug, Clone)]
struct Deletion {
    repository: RepositoryName,
    digest: Digest,
    what: Deleted,
}

#[derive(Debug, Clone)]
enum Deleted {
    Tag(Tag),
    Manifest { stored: Stored, links: BTreeSet<Digest>, manifests: BTreeSet<Digest>, tags: Vec<Tag> },
}

#[derive(Debug, Clone, Default)]
pub(super) struct Oracle {
    trash: BTreeMap<u64, Deletion>,
    blobs: BTreeSet<Digest>,
    repositories: BTreeMap<RepositoryName, Repository>,
    pub(super) told: Vec<Told>,
}

impl Oracle {
    fn tell(
        &mut self,
        kind: EventKind,
        repository: &RepositoryName,
        digest: Option<Digest>,
        tag: Option<&Tag>,
    ) {
        self.told.push((kind, repository.clone(), digest, tag.cloned()));
    }

    fn links(&self, repository: &RepositoryName, digest: &Digest) -> bool {
        self.repositories.get(repository).is_some_and(|repository| repository.links.contains(digest))
    }

    fn has(&self, repository: &RepositoryName, digest: &Digest) -> bool {
        self.repositories.get(repository).is_some_and(|repository| repository.manifests.contains_key(digest))
    }

    fn holds(&self, repository: &RepositoryName, digest: &Digest) -> bool {
        let Some(repository) = self.repositories.get(repository) else { return false };
        repository.manifests.values().any(|(_, edges, _)| edges.held().iter().any(|(held, _)| held == digest))
    }

    fn create(&mut self, repository: &RepositoryName) {
        if !self.repositories.contains_key(repository) {
            self.repositories.insert(repository.clone(), Repository::default());
            self.tell(EventKind::RepositoryCreated, repository, None, None);
        }
    }

    fn link(&mut self, repository: &RepositoryName, digest: Digest, kind: EventKind) {
        self.create(repository);
        if self.repositories.get_mut(repository).unwrap().links.insert(digest) {
            self.tell(kind, repository, Some(digest), None);
        }
    }

    fn set_tag(&mut self, repository: &RepositoryName, tag: &Tag, digest: Digest) {
        let stored = self.repositories.get_mut(repository).unwrap();
        if stored.tags.insert(tag.clone(), digest) != Some(digest) {
            stored.history.entry(tag.clone()).or_default().push(Some(digest));
        }
        self.tell(EventKind::TagSet, repository, Some(digest), Some(tag));
    }

    fn remove_tag(&mut self, repository: &RepositoryName, tag: &Tag) {
        let stored = self.repositories.get_mut(repository).unwrap();
        let digest = stored.tags.remove(tag).unwrap();
        stored.history.get_mut(tag).unwrap().push(None);
        self.tell(EventKind::TagDeleted, repository, Some(digest), Some(tag));
    }

    /// Does what was asked. `Some(true)`: done; `Some(false)`: there was nothing to do; `None`: it cannot be done.
    pub(super) fn apply(&mut self, operation: &Operation) -> Option<bool> {
        match operation {
            Operation::PushBlob { to, blob: number } => {
                self.blobs.insert(blob(*number));
                self.link(&name(*to), blob(*number), EventKind::BlobPushed);
            }
            Operation::Mount { to, from, blob: number } => {
                let digest = blob(*number);
                if !self.blobs.contains(&digest) || from.is_some_and(|from| !self.links(&name(from), &digest))
                {
                    // A mount onto itself brings the link that it asks for, and needs no more than the blob.
                    let onto_itself = from.is_some_and(|from| name(from) == name(*to));
                    if !self.blobs.contains(&digest) || !onto_itself {
                        return None;
                    }
                }
                self.link(&name(*to), digest, EventKind::BlobMounted);
            }
            Operation::Unlink { from, blob: number, unless_held } => {
                let (repository, digest) = (name(*from), blob(*number));
                if !self.links(&repository, &digest) || (*unless_held && self.holds(&repository, &digest)) {
                    return None;
                }
                let stored = self.repositories.get_mut(&repository).unwrap();
                stored.links.remove(&digest);
                stored.pins.remove(&digest);
                self.tell(EventKind::BlobDeleted, &repository, Some(digest), None);
            }
            Operation::Pin { .. } | Operation::Relabel { .. } | Operation::Unpin { .. } => {
                return self.apply_pin(operation);
            }
            Operation::PutManifest(put) => return self.put(&put.build()),
            Operation::SetTag { repository, tag: number, manifest: target } => {
                if !self.has(&name(*repository), &manifest(*target)) {
                    return None;
                }
                self.set_tag(&name(*repository), &tag(*number), manifest(*target));
            }
            Operation::DeleteTag { repository, tag: number } => {
                let (repository, tag) = (name(*repository), tag(*number));
                if !self.repositories.get(&repository).is_some_and(|stored| stored.tags.contains_key(&tag)) {
                    return Some(false);
                }
                let digest = self.repositories[&repository].tags[&tag];
                self.remove_tag(&repository, &tag);
                self.discard(repository, digest, Deleted::Tag(tag));
            }
            Operation::DeleteManifest { repository, manifest: target } => {
                return Some(self.delete_manifest(&name(*repository), &manifest(*target)));
            }
            Operation::DeleteRepository { repository } => {
                return Some(self.delete_repository(&name(*repository)));
            }
            // What cannot be undone adds nothing to its batch.
            Operation::Restore { number, force, .. } => {
                return Some(number.is_some_and(|number| self.restore(number, *force)));
            }
        }
        Some(true)
    }

    /// What is done about a pin.
    fn apply_pin(&mut self, operation: &Operation) -> Option<bool> {
        let (repository, done) = match operation {
            Operation::Pin { to, blob: number, label } => {
                let (repository, digest) = (name(*to), blob(*number));
                if self.repositories.get(&repository).is_some_and(|stored| stored.pins.contains_key(&digest))
                {
                    return None;
                }
                self.blobs.insert(digest);
                self.link(&repository, digest, EventKind::BlobPushed);
                self.repositories.get_mut(&repository).unwrap().pins.insert(digest, pin(*label));
                (repository, true)
            }
            Operation::Relabel { of, blob: number, label } => {
                let stored = self.repositories.get_mut(&name(*of));
                let kept = stored.and_then(|stored| stored.pins.get_mut(&blob(*number)));
                (name(*of), kept.map(|kept| *kept = pin(*label)).is_some())
            }
            Operation::Unpin { from, blob: number } => {
                let stored = self.repositories.get_mut(&name(*from));
                let unpinned = stored.and_then(|stored| stored.pins.remove(&blob(*number)));
                (name(*from), unpinned.is_some())
            }
            other => panic!("{other:?} is about no pin"),
        };
        if done {
            self.tell(EventKind::Noted, &repository, None, None);
        }
        Some(done)
    }

    fn put(&mut self, put: &ManifestPut) -> Option<bool> {
        let repository = &put.repository;
        let lacks_blob = put.required_blobs.iter().any(|digest| !self.links(repository, digest));
        // A manifest that names itself would satisfy its own requirement: no digest does, but the oracle need not know.
        let lacks = |digest: &Digest| *digest != put.digest && !self.has(repository, digest);
        if lacks_blob || put.required_manifests.iter().any(lacks) {
            return None;
        }
        let subject = put.subject.iter().map(|(digest, _)| Edge { role: EdgeRole::Subject, digest: *digest });
        let edges = Edges::new(put.edges.iter().copied().chain(subject).collect());
        let descriptor = put.subject.as_ref().map(|(_, descriptor)| descriptor.clone());
        self.create(repository);
        let stored = self.repositories.get_mut(repository).unwrap();
        stored.manifests.insert(put.digest, (put.media_type.clone(), edges, descriptor));
        self.tell(EventKind::ManifestPushed, repository, Some(put.digest), None);
        for tag in put.tags.iter().collect::<BTreeSet<_>>() {
            self.set_tag(repository, tag, put.digest);
        }
        Some(true)
    }

    fn delete_manifest(&mut self, repository: &RepositoryName, digest: &Digest) -> bool {
        if !self.has(repository, digest) {
            return false;
        }
        let tags = self.repositories[repository].tags.clone();
        let tags: Vec<Tag> =
            tags.into_iter().filter(|(_, target)| target == digest).map(|(tag, _)| tag).collect();
        for tag in &tags {
            self.remove_tag(repository, tag);
        }
        let held: Vec<Digest> =
            self.repositories[repository].manifests[digest].1.held().iter().map(|(held, _)| *held).collect();
        let (links, others): (BTreeSet<Digest>, BTreeSet<Digest>) =
            held.into_iter().partition(|held| self.links(repository, held));
        let manifests =
            others.into_iter().filter(|held| held != digest && self.has(repository, held)).collect();
        let stored = self.repositories.get_mut(repository).unwrap().manifests.remove(digest).unwrap();
        self.tell(EventKind::ManifestDeleted, repository, Some(*digest), None);
        self.discard(repository.clone(), *digest, Deleted::Manifest { stored, links, manifests, tags });
        true
    }

    fn delete_repository(&mut self, repository: &RepositoryName) -> bool {
        let Some(stored) = self.repositories.get(repository).cloned() else { return false };
        for (tag, digest) in &stored.tags {
            self.tell(EventKind::TagDeleted, repository, Some(*digest), Some(tag));
        }
        for link in &stored.links {
            self.tell(EventKind::BlobDeleted, repository, Some(*link), None);
        }
        for (digest, manifest) in &stored.manifests {
            let held = manifest.1.held().into_iter().map(|(held, _)| held);
            let (links, others): (BTreeSet<Digest>, BTreeSet<Digest>) =
                held.partition(|held| stored.links.contains(held));
            let is_there = |held: &Digest| held != digest && stored.manifests.contains_key(held);
            let manifests = others.into_iter().filter(is_there).collect();
            let tags = stored.tags.iter().filter(|(_, target)| *target == digest);
            let tags = tags.map(|(tag, _)| tag.clone()).collect();
            self.tell(EventKind::ManifestDeleted, repository, Some(*digest), None);
            let what = Deleted::Manifest { stored: manifest.clone(), links, manifests, tags };
            self.discard(repository.clone(), *digest, what);
        }
        self.repositories.remove(repository);
        self.tell(EventKind::RepositoryDeleted, repository, None, None);
        true
    }

    /// Keeps what the last event told was deleted.
    fn discard(&mut self, repository: RepositoryName, digest: Digest, what: Deleted) {
        self.trash.insert(self.told.len() as u64, Deletion { repository, digest, what });
    }

    /// `false`: it cannot be undone.
    fn restore(&mut self, number: u64, force: bool) -> bool {
        let Some(Deletion { repository, digest, what }) = self.trash.get(&number).cloned() else {
            return false;
        };
        let stands_for = |oracle: &Self, tag: &Tag| {
            oracle.repositories.get(&repository).and_then(|stored| stored.tags.get(tag)).copied()
        };
        let taken = |oracle: &Self, tag: &Tag| stands_for(oracle, tag).is_some_and(|now| now != digest);
        match what {
            Deleted::Tag(tag) => {
                if !self.has(&repository, &digest) || (taken(self, &tag) && !force) {
                    return false;
                }
                self.set_tag(&repository, &tag, digest);
            }
            Deleted::Manifest { stored, links, manifests, tags } => {
                let is_lost = |child: &Digest| *child != digest && !self.has(&repository, child);
                if manifests.iter().any(is_lost) || (!force && tags.iter().any(|tag| taken(self, tag))) {
                    return false;
                }
                for link in links {
                    if !self.links(&repository, &link) {
                        self.link(&repository, link, EventKind::BlobMounted);
                    }
                }
                self.create(&repository);
                self.repositories.get_mut(&repository).unwrap().manifests.insert(digest, stored);
                self.tell(EventKind::ManifestPushed, &repository, Some(digest), None);
                let free = tags.into_iter().filter(|tag| stands_for(self, tag) != Some(digest));
                for tag in free.collect::<BTreeSet<_>>() {
                    self.set_tag(&repository, &tag, digest);
                }
            }
        }
        self.trash.remove(&number);
        true
    }
}
