//! What clients of a [storm](crate::storm) were promised, and the comparison of a server with it.
//!
//! Whatever was acknowledged must be there, byte for byte. Whatever was under way when the server died is there
//! whole or not at all. Nothing else may be visible.

use crate::endpoint::Endpoint;
use crate::image::Document;
use crate::message::{Request, Response};
use crate::random::{Random, noise};
use crate::repository::{strings, with_query};
use crate::sha256;
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};

/// Blobs at least this long are files of their own.
const FILE_LENGTH_MIN: usize = 64 * 1024 + 1;

/// A blob by what makes it, so that gigabytes of promises fit into memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Seed of its bytes.
    pub seed: u64,
    /// Its length.
    pub len: usize,
}

impl Piece {
    /// Its bytes.
    pub fn bytes(self) -> Bytes {
        noise(self.seed, self.len)
    }
}

/// An upload session left open on purpose.
#[derive(Clone, Debug)]
pub struct OpenSession {
    /// Whose it is.
    pub repository: String,
    /// Where it is.
    pub location: String,
    /// What is being uploaded.
    pub piece: Piece,
    /// Bytes that the server acknowledged.
    pub acknowledged: usize,
    /// Bytes that were sent.
    pub sent: usize,
}

/// A tag: what the last answer said, and what was asked since without an answer (`None` is a deletion).
#[derive(Clone, Debug, Default)]
struct TagPromise {
    settled: Option<String>,
    under_way: Vec<Option<String>>,
}

type Key = (String, String);

/// All promises so far.
#[derive(Debug, Default)]
pub struct Ledger {
    blobs: BTreeMap<Key, Piece>,
    blobs_under_way: BTreeMap<Key, Piece>,
    manifests: BTreeMap<Key, Document>,
    manifests_under_way: BTreeMap<Key, Document>,
    tags: BTreeMap<Key, TagPromise>,
    sessions: Vec<OpenSession>,
    pushes: BTreeSet<String>,
    drops_under_way: BTreeSet<Key>,
    files: BTreeSet<String>,
    /// Requests that changed something and were acknowledged.
    pub acknowledged: u64,
    /// Answers of a server without space (507), where a test expects them.
    pub without_space: Option<u64>,
    /// Answers that no client should get; each is a failure of the test.
    pub surprises: Vec<String>,
}

fn key(repository: &str, name: &str) -> Key {
    (repository.to_owned(), name.to_owned())
}

impl Ledger {
    /// From now on the server may be out of space.
    pub fn expect_full_disk(&mut self) {
        self.without_space = Some(0);
    }

    /// An answer other than the expected one: refused for want of space where that is expected, else a surprise.
    pub fn unexpected(&mut self, response: &Response) {
        match &mut self.without_space {
            Some(count) if response.status == 507 => *count += 1,
            _ => self.surprises.push(format!("{response:?}")),
        }
    }

    /// A blob is about to be pushed.
    pub fn blob_begins(&mut self, repository: &str, digest: &str, piece: Piece) {
        self.blobs_under_way.insert(key(repository, digest), piece);
    }

    /// A blob was acknowledged.
    pub fn blob_done(&mut self, repository: &str, digest: &str, piece: Piece) {
        self.acknowledged += 1;
        self.keep_blob(key(repository, digest), piece);
    }

    fn keep_blob(&mut self, key: Key, piece: Piece) {
        if piece.len >= FILE_LENGTH_MIN {
            self.files.insert(key.1.clone());
        }
        self.blobs.insert(key, piece);
    }

    /// A blob is about to be deleted: from now on it may be there or not.
    pub fn unlink_begins(&mut self, repository: &str, digest: &str) {
        if let Some(piece) = self.blobs.remove(&key(repository, digest)) {
            self.blobs_under_way.insert(key(repository, digest), piece);
        }
    }

    /// The deletion of a blob was acknowledged.
    pub fn unlink_done(&mut self, repository: &str, digest: &str) {
        self.acknowledged += 1;
        self.blobs_under_way.remove(&key(repository, digest));
    }

    /// A manifest is about to be deleted by its digest, its tags with it.
    pub fn drop_begins(&mut self, repository: &str, digest: &str) {
        self.drops_under_way.insert(key(repository, digest));
        for promise in self.tags_at(repository, digest) {
            promise.under_way.push(None);
        }
    }

    /// The deletion of a manifest was acknowledged.
    pub fn drop_done(&mut self, repository: &str, digest: &str) {
        self.acknowledged += 1;
        self.drops_under_way.remove(&key(repository, digest));
        self.manifests.remove(&key(repository, digest));
        for promise in self.tags_at(repository, digest) {
            *promise = TagPromise::default();
        }
    }

    fn tags_at(&mut self, repository: &str, digest: &str) -> impl Iterator<Item = &mut TagPromise> {
        let here = self.tags.iter_mut().filter(move |((name, _), _)| name == repository);
        here.map(|(_, promise)| promise).filter(move |promise| promise.settled.as_deref() == Some(digest))
    }

    /// A manifest is about to be pushed under a tag.
    pub fn manifest_begins(&mut self, repository: &str, tag: &str, document: &Document) {
        let digest = document.digest();
        self.manifests_under_way.insert(key(repository, &digest), document.clone());
        self.tags.entry(key(repository, tag)).or_default().under_way.push(Some(digest));
    }

    /// A manifest was acknowledged under a tag.
    pub fn manifest_done(&mut self, repository: &str, tag: &str, document: &Document) {
        self.acknowledged += 1;
        let digest = document.digest();
        self.manifests.insert(key(repository, &digest), document.clone());
        self.tags.insert(key(repository, tag), TagPromise { settled: Some(digest), under_way: Vec::new() });
    }

    /// A tag is about to be deleted.
    pub fn untag_begins(&mut self, repository: &str, tag: &str) {
        self.tags.entry(key(repository, tag)).or_default().under_way.push(None);
    }

    /// The deletion of a tag was acknowledged.
    pub fn untag_done(&mut self, repository: &str, tag: &str) {
        self.acknowledged += 1;
        self.tags.insert(key(repository, tag), TagPromise::default());
    }

    /// There was no tag to delete.
    pub fn untag_missed(&mut self, repository: &str, tag: &str) {
        let promise = self.tags.entry(key(repository, tag)).or_default();
        if let Some(digest) = &promise.settled {
            self.surprises.push(format!("tag {repository}:{tag} at {digest} was acknowledged and is gone"));
        }
        promise.under_way.clear();
    }

    /// A session was started; gives its number here.
    pub fn session_started(&mut self, session: OpenSession) -> usize {
        self.acknowledged += 1;
        self.sessions.push(session);
        self.sessions.len() - 1
    }

    /// A push goes on in this session.
    pub fn push_begins(&mut self, location: &str) {
        self.pushes.insert(location.to_owned());
    }

    /// A push came to its end, and its session with it.
    pub fn push_ends(&mut self, location: &str) {
        self.pushes.remove(location);
    }

    /// Bytes are about to be sent to a session.
    pub fn session_begins(&mut self, number: usize, sent: usize) {
        self.sessions[number].sent = sent;
    }

    /// The bytes sent so far were acknowledged.
    pub fn session_done(&mut self, number: usize) {
        self.acknowledged += 1;
        self.sessions[number].acknowledged = self.sessions[number].sent;
    }

    /// Compares a restarted server with the promises. Open sessions are resumed and committed. `share` of the older
    /// promises are looked at (`1` is all of them); what was under way becomes a promise or is forgotten.
    #[track_caller]
    pub fn verify(&mut self, endpoint: Endpoint, random: &mut Random, share: u64) {
        assert!(self.surprises.is_empty(), "unexpected answers: {:#?}", self.surprises);
        self.cancel_pushes(endpoint);
        self.settle_blobs(endpoint);
        self.settle_manifests(endpoint);
        self.resume_sessions(endpoint);
        for ((repository, digest), piece) in &self.blobs {
            if random.below(share) == 0 {
                endpoint.repository(repository).expect_blob(digest, &piece.bytes());
            }
        }
        for ((repository, digest), document) in &self.manifests {
            if random.below(share) == 0 {
                endpoint.repository(repository).expect_manifest(digest, document);
            }
        }
        self.settle_tags(endpoint);
        self.nothing_else(endpoint);
    }

    /// Cancels the sessions of pushes that were cut, so that nothing of them may stay.
    fn cancel_pushes(&mut self, endpoint: Endpoint) {
        for location in std::mem::take(&mut self.pushes) {
            match endpoint.delete(location.as_str()) {
                // The push was committed, and its answer lost.
                gone if gone.status == 404 => drop(gone.expect_error(404, "BLOB_UPLOAD_UNKNOWN")),
                cancelled => drop(cancelled.expect(204)),
            }
        }
    }

    fn settle_blobs(&mut self, endpoint: Endpoint) {
        for ((repository, digest), piece) in std::mem::take(&mut self.blobs_under_way) {
            let target = endpoint.repository(&repository).blob(&digest);
            match endpoint.get(target.as_str()) {
                found if found.status == 200 => {
                    found.expect(200).expect_body(&piece.bytes());
                    self.keep_blob((repository, digest), piece);
                }
                missing => {
                    let promised = self.blobs.contains_key(&key(&repository, &digest));
                    assert!(!promised, "blob {digest} of {repository} was acknowledged and is gone");
                    missing.expect_error(404, "BLOB_UNKNOWN");
                }
            }
        }
    }

    fn settle_manifests(&mut self, endpoint: Endpoint) {
        for (repository, digest) in std::mem::take(&mut self.drops_under_way) {
            let head = endpoint.head(endpoint.repository(&repository).manifest(&digest));
            assert!(matches!(head.status, 200 | 404), "{head:?}");
            if head.status == 404 {
                self.manifests.remove(&key(&repository, &digest));
            }
        }
        for ((repository, digest), document) in std::mem::take(&mut self.manifests_under_way) {
            let found = endpoint.get(endpoint.repository(&repository).manifest(&digest));
            if found.status == 200 {
                found.expect(200).expect_body(&document.bytes);
                self.manifests.insert((repository, digest), document);
            } else {
                let promised = self.manifests.contains_key(&key(&repository, &digest));
                assert!(!promised, "manifest {digest} of {repository} was acknowledged and is gone");
                assert_eq!(found.status, 404, "{found:?}");
            }
        }
    }

    fn settle_tags(&mut self, endpoint: Endpoint) {
        for ((repository, tag), promise) in &mut self.tags {
            let head = endpoint.head(endpoint.repository(repository).manifest(tag));
            let now = (head.status == 200)
                .then(|| head.header("docker-content-digest").unwrap_or_default().to_owned());
            let fine = now == promise.settled || promise.under_way.contains(&now);
            assert!(fine, "tag {repository}:{tag} is at {now:?}, promised is {promise:?}: {head:?}");
            if let Some(digest) = &now {
                endpoint.head(endpoint.repository(repository).manifest(digest)).expect(200);
            }
            *promise = TagPromise { settled: now, under_way: Vec::new() };
        }
    }

    fn resume_sessions(&mut self, endpoint: Endpoint) {
        for session in std::mem::take(&mut self.sessions) {
            let repository = endpoint.repository(&session.repository);
            let status = endpoint.get(session.location.as_str()).expect(204);
            let range = status.header("range").unwrap_or_default();
            let last: usize = range.strip_prefix("0-").and_then(|last| last.parse().ok()).expect("a range");
            let offset = if last == 0 { 0 } else { last + 1 };
            let bounds = session.acknowledged..=session.sent;
            assert!(bounds.contains(&offset), "a session at {offset}, promised {bounds:?}: {session:?}");
            let bytes = session.piece.bytes();
            if offset < bytes.len() {
                repository.patch_at(&session.location, offset, &bytes.slice(offset..));
            }
            let digest = sha256(&bytes);
            repository.commit(&session.location, &digest);
            repository.expect_blob(&digest, &bytes);
            self.keep_blob(key(&session.repository, &digest), session.piece);
        }
    }

    fn nothing_else(&self, endpoint: Endpoint) {
        let mut tags: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for ((repository, tag), promise) in &self.tags {
            if promise.settled.is_some() {
                tags.entry(repository).or_default().insert(tag);
            }
        }
        for name in strings(&endpoint.get("/v2/_catalog?n=1000").expect(200), "repositories") {
            let found = endpoint.repository(&name).tags();
            let promised = tags.remove(name.as_str()).unwrap_or_default();
            assert_eq!(found, Vec::from_iter(promised), "tags of {name}");
        }
        assert!(tags.is_empty(), "repositories missing in the catalog: {tags:?}");
    }

    /// Distinct blobs that live in files of their own. Those that no repository holds any more are among them.
    pub fn file_blobs(&self) -> usize {
        self.files.len()
    }

    /// Cancels nothing and deletes nothing: pushes one blob more, to see that the server takes it.
    #[track_caller]
    pub fn push_one_more(&mut self, endpoint: Endpoint, piece: Piece) {
        let repository = endpoint.repository("storm/after");
        let bytes = piece.bytes();
        let location = repository.start_upload();
        let target = with_query(&location, &format!("digest={}", sha256(&bytes)));
        let response = endpoint.send(&Request::put(target).body(bytes.clone()));
        repository.expect_created_blob(response, &sha256(&bytes));
        self.keep_blob(key("storm/after", &sha256(&bytes)), piece);
    }
}
