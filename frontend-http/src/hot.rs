//! Answers kept in memory: the heads and contents of manifests and small blobs that were read, by the target of the request. Of a
//! blob that is a file, the head and where the open file is found as long as the store keeps it open.
//!
//! Knows no rule: an answer comes with a [`Standing`] of the registry and is given again only as long as that stands. It is the same for all
//! who may have it; whether one may is for the registry to say each time.

use crate::response::header;
use crate::route::Endpoint;
use bytes::{BufMut, Bytes, BytesMut};
use http::HeaderMap;
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use strata_registry::{IdleBlobFile, RepositoryName, Standing};

/// What an entry takes beside its texts and content, roughly.
const ENTRY_BYTES: u64 = 256;

/// An answer weighs what its entry keeps from being freed.
const AVERAGE_ENTRY_BYTES: u64 = 4096;

/// What a handler leaves beside an answer that may be kept.
#[derive(Debug, Clone)]
pub(crate) struct Keepable {
    pub(crate) standing: Standing,
    pub(crate) content: Kept,
}

/// The whole body of an answer.
#[derive(Debug, Clone)]
pub(crate) enum Kept {
    /// The answer is one to a HEAD, and the body is not at hand.
    Nothing,
    /// In memory.
    Bytes(Bytes),
    /// In a file that the store may have open. Not held open from here: how many files are is the store's to say, and the space of one
    /// that was removed is to be free.
    File(IdleBlobFile),
}

impl Kept {
    fn is_at_hand(&self) -> bool {
        match self {
            Self::Nothing => false,
            Self::Bytes(_) => true,
            Self::File(file) => file.is_open(),
        }
    }

    fn weight(&self) -> usize {
        if let Self::Bytes(bytes) = self { bytes.len() } else { 0 }
    }
}

/// One answer.
#[derive(Debug)]
pub(crate) struct HotAnswer {
    pub(crate) standing: Standing,
    pub(crate) endpoint: Endpoint,
    /// What whoever gets the answer has to be allowed to read.
    pub(crate) repository: RepositoryName,
    /// Status line and header fields up to and with `x-request-id: `; that id, the date and the empty line are still to come.
    pub(crate) head: Bytes,
    pub(crate) content: Kept,
}

/// The answers, up to a number of bytes. One per process.
#[derive(Debug)]
pub(crate) struct HotAnswers {
    answers: Option<Cache<Box<[u8]>, Arc<HotAnswer>, Weigher>>,
    given: AtomicU64,
}

#[derive(Debug, Clone)]
struct Weigher;

impl Weighter<Box<[u8]>, Arc<HotAnswer>> for Weigher {
    fn weight(&self, target: &Box<[u8]>, answer: &Arc<HotAnswer>) -> u64 {
        let content = answer.content.weight();
        ENTRY_BYTES + (target.len() + answer.head.len() + answer.repository.as_str().len() + content) as u64
    }
}

impl HotAnswers {
    /// Keeps up to `bytes` bytes; none at all for 0.
    pub(crate) fn new(bytes: usize) -> Self {
        let bytes = bytes as u64;
        let entries = usize::try_from(bytes / AVERAGE_ENTRY_BYTES).unwrap_or(usize::MAX);
        let answers = (bytes > 0).then(|| Cache::with_weighter(entries.max(1), bytes, Weigher));
        Self { answers, given: AtomicU64::new(0) }
    }

    /// The answer to a request for `target`, if it still stands.
    pub(crate) fn find(&self, target: &[u8]) -> Option<Arc<HotAnswer>> {
        let answers = self.answers.as_ref()?;
        let answer = answers.get(target)?;
        if answer.standing.stands() {
            return Some(answer);
        }
        answers.remove(target);
        None
    }

    /// Keeps an answer with status 200, which has its header fields complete but for what differs from one time to the next.
    pub(crate) fn keep(
        &self,
        target: &str,
        endpoint: Endpoint,
        repository: RepositoryName,
        headers: &HeaderMap,
        keepable: Keepable,
    ) {
        let Some(answers) = &self.answers else { return };
        let Keepable { standing, content } = keepable;
        if !standing.stands() {
            return;
        }
        let is_known = self.find(target.as_bytes()).is_some_and(|known| match content {
            Kept::Nothing => true,
            _ => known.content.is_at_hand(),
        });
        if is_known {
            return;
        }
        let head = head(headers);
        let answer = HotAnswer { standing, endpoint, repository, head, content };
        answers.insert(target.as_bytes().into(), Arc::new(answer));
    }

    /// Counts an answer that was given again.
    pub(crate) fn count(&self) {
        self.given.fetch_add(1, Ordering::Relaxed);
    }

    /// Answers given again.
    pub(crate) fn given(&self) -> u64 {
        self.given.load(Ordering::Relaxed)
    }

    /// Bytes held now.
    pub(crate) fn held(&self) -> u64 {
        self.answers.as_ref().map_or(0, Cache::weight)
    }
}

fn head(headers: &HeaderMap) -> Bytes {
    let mut head = BytesMut::with_capacity(512);
    head.put_slice(b"HTTP/1.1 200 OK\r\n");
    for (name, value) in headers.iter().filter(|(name, _)| **name != header::REQUEST_ID) {
        head.put_slice(name.as_str().as_bytes());
        head.put_slice(b": ");
        head.put_slice(value.as_bytes());
        head.put_slice(b"\r\n");
    }
    head.put_slice(header::REQUEST_ID.as_str().as_bytes());
    head.put_slice(b": ");
    head.freeze()
}
