//! A batch: what one commit writes, and what it expects to find. The verbs that fill it by meaning are in [`super::verb`].

use super::key::table;
use super::queue::UsageLimit;
use super::record::Event;
use crate::clock::UnixMillis;
use bytes::Bytes;

/// Whether the answer waits for the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// Answered when a power cut can no longer undo it.
    #[default]
    Synced,
    /// Answered when a crash of the process can no longer undo it.
    Unsynced,
}

/// What a batch expects of the state that it is applied to. One that fails refuses the whole batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expectation {
    /// The key has this value.
    Equals(Bytes, Bytes),
    /// The key exists, or this very batch puts it.
    Present(Bytes),
    /// The key does not exist.
    Absent(Bytes),
    /// No key starts with the prefix.
    PrefixEmpty(Bytes),
    /// These keys, in order, are all that start with the prefix.
    PrefixKeys(Bytes, Vec<Bytes>),
}

/// One step of a batch; later steps see and override earlier ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    Put(Bytes, Bytes),
    /// Puts where nothing is; only then the event (its encoded record) is appended.
    PutIfAbsent {
        key: Bytes,
        value: Bytes,
        event: Option<Bytes>,
    },
    Delete(Bytes),
    /// Appends an event (its encoded record); `numbered` are key prefixes and values, put under prefix + sequence number.
    Event {
        event: Bytes,
        numbered: Vec<(Bytes, Bytes)>,
    },
}

/// One commit in the making: a moment, steps in order, expectations, durability.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    pub(crate) at: UnixMillis,
    pub(crate) detail: Bytes,
    pub(crate) steps: Vec<Step>,
    pub(crate) expectations: Vec<Expectation>,
    pub(crate) durability: Durability,
    /// A limit, bytes, that something in the batch exceeds: its commit is refused.
    pub(crate) exceeds: Option<u64>,
    /// What registries may come to use by it.
    pub(crate) limits: Vec<UsageLimit>,
}

impl Batch {
    /// An empty batch, synced, whose records carry the moment `at`.
    pub const fn new(at: UnixMillis) -> Self {
        Self {
            at,
            detail: Bytes::new(),
            steps: Vec::new(),
            expectations: Vec::new(),
            durability: Durability::Synced,
            exceeds: None,
            limits: Vec::new(),
        }
    }

    /// The moment that the batch's records carry.
    pub const fn at(&self) -> UnixMillis {
        self.at
    }

    /// Sets the opaque bytes (who did it, from where) that events appended from now on carry; at most 64 KiB are kept.
    pub fn set_detail(&mut self, detail: Bytes) {
        self.detail = detail;
        self.detail.truncate(usize::from(u16::MAX));
    }

    /// Lets the answer come before the disk has it: for records that may fall back to an older state after a power cut.
    pub const fn set_unsynced(&mut self) {
        self.durability = Durability::Unsynced;
    }

    /// Lets the answer wait for the disk, which is the default.
    pub const fn set_synced(&mut self) {
        self.durability = Durability::Synced;
    }

    /// Whether the batch would change nothing.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// Whether the batch adds something to the store that was not there: content, a name for it, or a place where it may be read. What
    /// takes away writes rows, too (that it was done, what is to be looked at again), but none of these.
    pub(crate) fn adds(&self) -> bool {
        const ADDED: [u8; 8] = [
            table::MANIFEST_BYTES,
            table::MANIFEST,
            table::TAG,
            table::BLOB,
            table::BLOB_REPOSITORY,
            table::PIN,
            table::REPOSITORY,
            table::UPLOAD,
        ];
        let adds = |step: &Step| match step {
            Step::Put(key, _) | Step::PutIfAbsent { key, .. } => {
                key.first().is_some_and(|table| ADDED.contains(table))
            }
            Step::Delete(_) | Step::Event { .. } => false,
        };
        self.steps.iter().any(adds)
    }

    /// Lets the commit fail with [`EngineError::UsageExceeded`](crate::EngineError::UsageExceeded) where it would raise the unique
    /// bytes of a registry beyond a limit. What raises nothing is taken, however much the registry uses.
    pub fn limit_usage(&mut self, registry: &str, max_unique_bytes: u64) {
        self.limits.push(UsageLimit { registry: registry.to_owned(), unique_bytes_max: max_unique_bytes });
    }

    /// Lets the commit fail, because something in the batch is larger than it may be.
    pub(crate) const fn refuse_too_large(&mut self, limit_bytes: usize) {
        self.exceeds = Some(limit_bytes as u64);
    }

    /// Adds an expectation. One that is there already costs a lookup more, and nothing else.
    pub(crate) fn expect(&mut self, expectation: Expectation) {
        self.expectations.push(expectation);
    }

    pub(crate) fn expect_value(&mut self, key: Bytes, seen: Option<Bytes>) {
        self.expect(match seen {
            Some(value) => Expectation::Equals(key, value),
            None => Expectation::Absent(key),
        });
    }

    pub(crate) fn put(&mut self, key: Bytes, value: Bytes) {
        self.steps.push(Step::Put(key, value));
    }

    pub(crate) fn put_if_absent(&mut self, key: Bytes, value: Bytes, event: Option<&Event>) {
        use super::record::Record;
        self.steps.push(Step::PutIfAbsent { key, value, event: event.map(Record::encode) });
    }

    pub(crate) fn delete(&mut self, key: Bytes) {
        self.steps.push(Step::Delete(key));
    }

    pub(crate) fn append(&mut self, event: &Event, numbered: impl IntoIterator<Item = (Bytes, Bytes)>) {
        use super::record::Record;
        self.steps.push(Step::Event { event: event.encode(), numbered: numbered.into_iter().collect() });
    }

    /// Whether a step of this batch puts `key` (and no later one deletes it).
    pub(crate) fn puts(&self, key: &[u8]) -> bool {
        let last = self.steps.iter().rev().find_map(|step| match step {
            Step::Put(put, _) | Step::PutIfAbsent { key: put, .. } if put == key => Some(true),
            Step::Delete(deleted) if deleted == key => Some(false),
            _ => None,
        });
        last.unwrap_or(false)
    }

    /// How many rows the batch writes or removes, roughly.
    pub(crate) const fn step_count(&self) -> u64 {
        self.steps.len() as u64
    }

    /// Bytes of the batch's keys and values, roughly: what its commit writes.
    pub(crate) fn weight_bytes(&self) -> usize {
        let of = |step: &Step| match step {
            Step::Put(key, value) => key.len() + value.len(),
            Step::PutIfAbsent { key, value, event } => {
                key.len() + value.len() + event.as_ref().map_or(0, Bytes::len)
            }
            Step::Delete(key) => key.len(),
            Step::Event { event, numbered } => {
                event.len() + numbered.iter().map(|(key, value)| key.len() + value.len()).sum::<usize>()
            }
        };
        self.steps.iter().map(of).sum()
    }
}
