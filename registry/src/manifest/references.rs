//! Do the references of a manifest exist in its repository?

use crate::blob::linked;
use crate::config::RegistryConfig;
use crate::error::{MissingReference, RegistryError};
use crate::registry::Result;
use std::collections::{HashMap, HashSet};
use strata_engine::UnixMillis;
use strata_engine::meta::{Edge, EdgeRole, GcItem, View};
use strata_types::manifest::ReferenceRole;
use strata_types::{Descriptor, Digest, Manifest, RepositoryName};

/// What was found in one view.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Blobs that must still be linked when the manifest is committed.
    pub(super) required_blobs: Vec<Digest>,
    /// Manifests that must still be in the repository then.
    pub(super) required_manifests: Vec<Digest>,
    /// What is there, with the times of the rows: what a manifest holds need not be looked at by the sweeper.
    pub(super) seen: Vec<(UnixMillis, GcItem)>,
    missing: Vec<MissingReference>,
}

/// Manifests that come into their repositories by the same commit.
#[derive(Debug)]
pub(super) struct Pending {
    at: UnixMillis,
    sizes: HashMap<(RepositoryName, Digest), u64>,
}

impl Pending {
    /// None yet, in a commit whose rows carry the moment `at`.
    pub(super) fn at(at: UnixMillis) -> Self {
        Self { at, sizes: HashMap::new() }
    }

    /// One more, of so many bytes.
    pub(super) fn comes(&mut self, repository: &RepositoryName, digest: Digest, size: u64) {
        self.sizes.insert((repository.clone(), digest), size);
    }

    /// The length of one that comes, bytes.
    pub(super) fn size(&self, repository: &RepositoryName, digest: &Digest) -> Option<u64> {
        if self.sizes.is_empty() {
            return None;
        }
        self.sizes.get(&(repository.clone(), *digest)).copied()
    }
}

/// The edges of a manifest without its subject. What may be missing has an edge too: if it comes later, it is held from its first moment.
pub(super) fn edges(manifest: &Manifest) -> Vec<Edge> {
    manifest
        .references()
        .filter_map(|(role, descriptor)| {
            let role = match role {
                ReferenceRole::Config => EdgeRole::Config,
                ReferenceRole::Layer => EdgeRole::Layer,
                ReferenceRole::Child => EdgeRole::Child,
                ReferenceRole::Subject => return None,
            };
            Some(Edge { role, digest: descriptor.digest })
        })
        .collect()
}

/// Checks every reference against a view.
///
/// What comes with the same commit counts as there. A config or layer must be linked in the repository. Exceptions: a layer that is fetched elsewhere (`urls`) or may not be
/// distributed, any layer where sparse images are accepted, the children of an index (a mirror may hold one platform only) and the
/// subject. A child may be a manifest or a blob (BuildKit's cache index). Whatever is there must have the size that is declared; a subject
/// is not looked at, since the spec lets it be anything.
///
/// # Errors
/// [`RegistryError::ReferencesUnknown`] with all that is missing; [`RegistryError::ReferenceSize`].
pub(super) fn check(
    view: &View,
    config: &RegistryConfig,
    repository: &RepositoryName,
    manifest: &Manifest,
    pending: &Pending,
) -> Result<Found> {
    let mut found = Found::default();
    // A digest can stand for several things here, at different sizes: each pair is looked at once.
    let mut seen = HashSet::new();
    for (role, descriptor) in manifest.references() {
        let optional = match role {
            ReferenceRole::Config => false,
            ReferenceRole::Layer => descriptor.may_be_elsewhere() || config.sparse_images,
            ReferenceRole::Child => true,
            ReferenceRole::Subject => continue,
        };
        if seen.insert((descriptor.digest, descriptor.size, optional, role)) {
            found.look_up(view, repository, (role, descriptor), optional, pending)?;
        }
    }
    if found.missing.is_empty() { Ok(found) } else { Err(RegistryError::ReferencesUnknown(found.missing)) }
}

impl Found {
    fn look_up(
        &mut self,
        view: &View,
        repository: &RepositoryName,
        (role, descriptor): (ReferenceRole, &Descriptor),
        optional: bool,
        pending: &Pending,
    ) -> Result<()> {
        let digest = descriptor.digest;
        let in_repository = || repository.clone();
        let link = linked(view, repository, &digest)?;
        let is_blob = link.is_some();
        let stored = match (role, link) {
            (_, Some((link, size))) => {
                self.seen.push((link.created_at, GcItem::Link { repository: in_repository(), digest }));
                Some(size)
            }
            (ReferenceRole::Child, None) => {
                let child = view.manifest(repository, &digest).map_err(RegistryError::store)?;
                self.seen.extend(child.as_ref().map(|child| {
                    (child.pushed_at, GcItem::Manifest { repository: in_repository(), digest })
                }));
                let comes = pending.size(repository, &digest);
                // Its row may have the time of this commit by then.
                self.seen.extend(
                    comes.map(|_| (pending.at, GcItem::Manifest { repository: in_repository(), digest })),
                );
                comes.or_else(|| child.map(|child| child.size))
            }
            (_, None) => None,
        };
        match stored {
            Some(stored) if stored != descriptor.size => {
                return Err(RegistryError::ReferenceSize { role, digest, declared: descriptor.size, stored });
            }
            // RACE: what is there must still be there when the manifest is committed, needed or not.
            Some(_) if is_blob => self.required_blobs.push(digest),
            Some(_) => self.required_manifests.push(digest),
            None if !optional => self.missing.push(MissingReference { role, digest }),
            _ => {}
        }
        Ok(())
    }
}
