//! What can happen to a store, read from any bytes: so that the fuzzer can steer it, and noise is a sequence as well.

use strata_engine::disk::faulty::{Fault, OPERATIONS, Operation};

/// Something that happens. Numbers name what [`crate::universe`] holds.
#[expect(missing_docs, reason = "a field is the number of what it is called")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// A blob in one request.
    Push { repository: usize, blob: usize },
    /// A blob of another repository, or of any.
    Mount { repository: usize, from: Option<usize>, blob: usize },
    /// Asks for a blob, which is a promise that it can be used for a while.
    Stat { repository: usize, blob: usize },
    /// Reads a blob.
    Pull { repository: usize, blob: usize },
    /// Takes a blob out of a repository.
    Unlink { repository: usize, blob: usize },
    /// By digest, or with tags.
    PutManifest { repository: usize, manifest: usize, tag: Option<usize> },
    /// Reads a manifest by its tag.
    Get { repository: usize, tag: usize },
    /// Removes a manifest with its tags.
    DeleteManifest { repository: usize, manifest: usize },
    /// Removes a tag.
    Untag { repository: usize, tag: usize },
    /// Starts an upload session for a blob.
    Start { repository: usize, blob: usize },
    /// Sends a part of what is missing, in thirds of it (3 is all).
    Append { session: usize, thirds: usize },
    /// Sends the rest and commits, with the right digest or another's.
    Finish { session: usize, wrong: bool },
    /// Gives a session up.
    Cancel { session: usize },
    /// Time goes by, minutes.
    Wait { minutes: u64 },
    /// What a timer does: sessions and leases expire.
    Housekeep,
    /// Garbage is collected: all of it, or so many steps.
    Collect { steps: Option<usize> },
    /// A deletion is undone; tags that stand for something else by now are moved or not.
    Restore { number: usize, force: bool },
    /// A repository goes with all that it has.
    DeleteRepository { repository: usize },
    /// Every stored byte is read again.
    Scrub,
    /// A stored byte changes; it is found, set aside, survives what `then` says, and is healed by a push.
    Damage { blob: usize, then: usize },
    /// The disk fails: so many operations of the kind later, so many times.
    Fault { operation: Operation, fault: Fault, countdown: u64, times: u64 },
    /// The store is closed and opened.
    Restart,
    /// The process is killed.
    Kill,
    /// The power is cut.
    PowerCut { seed: u64, survivors: usize },
}

/// Reads steps until the bytes end.
#[derive(Debug)]
pub struct Steps<'a> {
    bytes: &'a [u8],
}

impl<'a> Steps<'a> {
    /// The steps that `bytes` spell.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    /// The next byte; 0 at the end, so that a sequence that is cut in a step is one all the same.
    pub fn byte(&mut self) -> usize {
        let Some((first, rest)) = self.bytes.split_first() else { return 0 };
        self.bytes = rest;
        usize::from(*first)
    }

    /// A number, or none.
    fn some(&mut self) -> Option<usize> {
        let byte = self.byte();
        (!byte.is_multiple_of(4)).then_some(byte / 4)
    }

    fn fault(&mut self) -> Step {
        let operation = OPERATIONS[self.byte() % OPERATIONS.len()];
        let fault = [Fault::Eio, Fault::Enospc, Fault::Eintr, Fault::Short][self.byte() % 4];
        Step::Fault {
            operation,
            fault,
            countdown: (self.byte() % 24) as u64,
            times: 1 + (self.byte() % 3) as u64,
        }
    }
}

impl Iterator for Steps<'_> {
    type Item = Step;

    fn next(&mut self) -> Option<Step> {
        if self.bytes.is_empty() {
            return None;
        }
        let kind = self.byte() % 64;
        let step = match kind {
            0..8 => Step::Push { repository: self.byte(), blob: self.byte() },
            8 => Step::DeleteRepository { repository: self.byte() },
            9..13 => Step::Mount { repository: self.byte(), from: self.some(), blob: self.byte() },
            13 => Step::Scrub,
            14..17 => Step::Stat { repository: self.byte(), blob: self.byte() },
            17..19 => Step::Pull { repository: self.byte(), blob: self.byte() },
            19..21 => Step::Unlink { repository: self.byte(), blob: self.byte() },
            21..31 => Step::PutManifest { repository: self.byte(), manifest: self.byte(), tag: self.some() },
            31..33 => Step::Get { repository: self.byte(), tag: self.byte() },
            33 => Step::Restore { number: self.byte(), force: self.byte().is_multiple_of(2) },
            34..36 => Step::DeleteManifest { repository: self.byte(), manifest: self.byte() },
            36..38 => Step::Untag { repository: self.byte(), tag: self.byte() },
            38..40 => Step::Start { repository: self.byte(), blob: self.byte() },
            40..44 => Step::Append { session: self.byte(), thirds: self.byte() % 4 },
            44..46 => Step::Finish { session: self.byte(), wrong: self.byte().is_multiple_of(5) },
            46 => Step::Cancel { session: self.byte() },
            47..52 => Step::Wait { minutes: self.byte() as u64 },
            52 => Step::Housekeep,
            53 => Step::Damage { blob: self.byte(), then: self.byte() },
            54..60 => Step::Collect { steps: self.some() },
            60 => self.fault(),
            61 => Step::Restart,
            62 => Step::Kill,
            _ => Step::PowerCut { seed: self.byte() as u64 * 0x9e37_79b9, survivors: self.byte() % 4 },
        };
        Some(step)
    }
}
