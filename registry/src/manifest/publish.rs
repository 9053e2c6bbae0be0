//! Publishing: many manifests and tags in one commit, all visible together or none. One image of many platforms with its signatures and
//! tags, or one release of many images, comes into being at one moment, and an observer of the event log sees it without anything in between.

use super::push::{Push, Pushes, TagSet, away_if_heavy, validate};
use crate::access::Action;
use crate::audit::Attempt;
use crate::context::Context;
use crate::error::RegistryError;
use crate::image::TagExpectation;
use crate::registry::{Registry, Result};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use strata_types::{Digest, Outcome, RepositoryName, Tag};

/// Most manifests that are published together.
pub const PUBLISH_MANIFESTS_MAX: usize = 1000;
/// Most tags that are set by one publishing.
pub const PUBLISH_TAGS_MAX: usize = 1000;
/// Most bytes of all manifests that are published together.
pub const PUBLISH_BYTES_MAX: usize = 32 * 1024 * 1024;

/// A manifest among others.
#[derive(Debug, Clone)]
pub struct PublishedManifest {
    /// Where it goes.
    pub repository: RepositoryName,
    /// What it is to be named by; sha256 of the bytes where nothing is given.
    pub digest: Option<Digest>,
    /// Its media type, where the bytes do not say it.
    pub content_type: Option<String>,
    /// The bytes; at most [`MANIFEST_BYTES_MAX`](strata_types::limits::MANIFEST_BYTES_MAX).
    pub bytes: Bytes,
    /// Tags that are to stand for it, and what each is expected to be before.
    pub tags: Vec<(Tag, TagExpectation)>,
}

/// A tag that is set with the others.
#[derive(Debug, Clone)]
pub struct PublishedTag {
    /// Where.
    pub repository: RepositoryName,
    /// The tag.
    pub tag: Tag,
    /// What it is to stand for: one of the published manifests, or one that the repository has.
    pub digest: Digest,
    /// What it is expected to be before.
    pub expected: TagExpectation,
}

/// What is published together. The order does not matter.
#[derive(Debug, Clone, Default)]
pub struct Publish {
    /// The manifests.
    pub manifests: Vec<PublishedManifest>,
    /// Tags beside those of the manifests.
    pub tags: Vec<PublishedTag>,
}

/// What was published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// The digests of the manifests, in the order in which they were given.
    pub manifests: Vec<Digest>,
    /// What each of them is about, in the same order.
    pub subjects: Vec<Option<Digest>>,
    /// The numbers of the first and the last event that tell about it; 0 where nothing was published.
    pub events: (u64, u64),
}

impl Registry {
    /// Stores manifests and sets tags in one commit: all of them, or none. What one manifest names may be another one of the same
    /// publishing. The tags of published manifests need what a push needs; a tag on a manifest that was there already, what creating a
    /// tag needs.
    ///
    /// # Errors
    /// As [`Registry::put_manifest`] for each manifest; [`RegistryError::TagMoved`]; [`RegistryError::TagTwice`];
    /// [`RegistryError::PublishTooLarge`]; [`RegistryError::ManifestUnknown`] where a tag is to stand for what is not there.
    pub async fn publish(&self, ctx: &Context, publish: Publish) -> Result<Published> {
        let manifests = publish.manifests.len() as u64;
        let done = self.publish_all(ctx, publish).await;
        match &done {
            Ok(_) => self.counters().manifests_pushed.add(manifests),
            Err(error) if matches!(error.outcome(), Outcome::Code(_)) => {
                self.counters().manifests_refused.add(manifests);
            }
            Err(_) => {}
        }
        done
    }

    async fn publish_all(&self, ctx: &Context, publish: Publish) -> Result<Published> {
        let asked = asked(&publish);
        for (repository, action) in &asked {
            self.told(ctx, attempt(repository, *action), self.authorize(ctx, *action, repository))?;
        }
        let weight = bound(&publish)?;
        let (pushes, told) = away_if_heavy(weight, move || prepare(publish)).await?;
        let (manifests, subjects) = told.into_iter().unzip();
        if pushes.manifests.is_empty() && pushes.tags.is_empty() {
            return Ok(Published { manifests, subjects, events: (0, 0) });
        }
        let committed = self.commit_manifests(ctx, pushes).await;
        let committed = match asked.first_key_value() {
            Some((repository, action)) => self.told(ctx, attempt(repository, *action), committed)?,
            None => committed?,
        };
        let first = committed.first_event.unwrap_or_default();
        let last = (first + committed.events).saturating_sub(1);
        Ok(Published { manifests, subjects, events: (first, last) })
    }
}

/// What the audit log says was tried, where that is refused.
fn attempt(repository: &RepositoryName, action: Action) -> Attempt<'_> {
    Attempt::on_repository(if action == Action::Push { "manifest.push" } else { "tag.set" }, repository)
}

/// What is looked at before anything is done: each repository once, for what is surely done there.
fn asked(publish: &Publish) -> BTreeMap<RepositoryName, Action> {
    let tagged = publish.tags.iter().map(|set| (set.repository.clone(), Action::CreateTag));
    // The later ones count: whether the tag of a repository that is pushed to is on something pushed shows when all is hashed.
    tagged.chain(publish.manifests.iter().map(|put| (put.repository.clone(), Action::Push))).collect()
}

/// The same when all is known.
fn repositories(manifests: &[Push], tags: &[TagSet]) -> Vec<(RepositoryName, Action)> {
    let pushed: BTreeSet<&RepositoryName> = manifests.iter().map(|push| &push.put.repository).collect();
    let tagged: BTreeSet<&RepositoryName> = tags.iter().map(|set| &set.repository).collect();
    let pushed = pushed.into_iter().map(|name| (name.clone(), Action::Push));
    pushed.chain(tagged.into_iter().map(|name| (name.clone(), Action::CreateTag))).collect()
}

/// Refuses what is too much; answers how many bytes it is.
fn bound(publish: &Publish) -> Result<usize> {
    let too_large = |what, max| Err(RegistryError::PublishTooLarge { what, max });
    if publish.manifests.len() > PUBLISH_MANIFESTS_MAX {
        return too_large("manifests", PUBLISH_MANIFESTS_MAX);
    }
    let tags: usize = publish.manifests.iter().map(|put| put.tags.len()).sum();
    if tags + publish.tags.len() > PUBLISH_TAGS_MAX {
        return too_large("tags", PUBLISH_TAGS_MAX);
    }
    let weight = publish.manifests.iter().map(|put| put.bytes.len()).sum();
    if weight > PUBLISH_BYTES_MAX {
        return too_large("bytes of manifests", PUBLISH_BYTES_MAX);
    }
    Ok(weight)
}

/// The digest of a manifest, and what it is about.
type Told = (Digest, Option<Digest>);

/// Validates every manifest and brings all of it into an order in which nothing comes before what it names. Tells the digest and the subject of
/// each as well, in the order in which they were given.
fn prepare(publish: Publish) -> Result<(Pushes, Vec<Told>)> {
    let mut told = Vec::with_capacity(publish.manifests.len());
    let mut expected: BTreeMap<(RepositoryName, Tag), (Digest, TagExpectation)> = BTreeMap::new();
    let mut expect = |repository: &RepositoryName, tag: Tag, digest, expectation| {
        let twice = || RegistryError::TagTwice { repository: repository.clone(), tag: tag.clone() };
        let before = expected.get(&(repository.clone(), tag.clone()));
        if before.is_some_and(|before| *before != (digest, expectation)) {
            return Err(twice());
        }
        expected.insert((repository.clone(), tag), (digest, expectation));
        Ok(())
    };
    let mut found: HashMap<(RepositoryName, Digest), Push> = HashMap::new();
    let mut order = Vec::new();
    for put in publish.manifests {
        let PublishedManifest { repository, digest, content_type, bytes, tags } = put;
        let names: Vec<Tag> = tags.iter().map(|(tag, _)| tag.clone()).collect();
        let mut push = validate(repository, digest, content_type.as_deref(), bytes, names)?;
        let (repository, digest) = (push.put.repository.clone(), push.put.digest);
        for (tag, expectation) in tags {
            expect(&repository, tag, digest, expectation)?;
        }
        told.push((digest, push.put.subject.as_ref().map(|(subject, _)| *subject)));
        let place = (repository, digest);
        // The same manifest twice is one, with the tags of both.
        if let Some(before) = found.remove(&place) {
            push.put.tags.extend(before.put.tags);
        } else {
            order.push(place.clone());
        }
        found.insert(place, push);
    }
    let mut tags = Vec::new();
    for PublishedTag { repository, tag, digest, expected } in publish.tags {
        expect(&repository, tag.clone(), digest, expected)?;
        match found.get_mut(&(repository.clone(), digest)) {
            Some(push) => push.put.tags.push(tag),
            None => tags.push(TagSet { repository, tag, digest }),
        }
    }
    let expected = expected.into_iter().filter(|(_, (_, expectation))| *expectation != TagExpectation::Any);
    let expected = expected.map(|((repository, tag), (_, expectation))| (repository, tag, expectation));
    let manifests = sorted(found, &order);
    let repositories = repositories(&manifests, &tags);
    let pushes = Pushes { manifests, tags, expected: expected.collect(), repositories };
    Ok((pushes, told))
}

/// What is named before what names it, else as it came. There are no cycles: no digest can be found of bytes that hold it.
fn sorted(
    mut found: HashMap<(RepositoryName, Digest), Push>,
    order: &[(RepositoryName, Digest)],
) -> Vec<Push> {
    let mut sorted = Vec::with_capacity(order.len());
    for place in order {
        // Each on its way down, whether its own children are on the stack already.
        let mut stack = vec![(place.clone(), false)];
        while let Some((place, is_open)) = stack.pop() {
            if is_open {
                sorted.extend(found.remove(&place));
            } else if let Some(push) = found.get(&place) {
                let children = push.put.edges.iter().map(|edge| (place.0.clone(), edge.digest));
                let children: Vec<_> =
                    children.filter(|child| *child != place && found.contains_key(child)).collect();
                stack.push((place, true));
                stack.extend(children.into_iter().map(|child| (child, false)));
            }
        }
    }
    sorted
}
