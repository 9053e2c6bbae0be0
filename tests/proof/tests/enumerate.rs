//! Every scenario with the power cut at every operation of the disk and every commit, and with every operation failing in every way.

#![allow(clippy::expect_used, clippy::panic, reason = "a failed expectation is a failed test")]

use strata_engine::disk::faulty::{Fault, OPERATIONS};
use strata_engine::disk::sim::Cut;
use strata_proof::model::{Scenario, Step};

const fn push(repository: usize, blob: usize) -> Step {
    Step::Push { repository, blob }
}

const fn put(repository: usize, manifest: usize, tag: Option<usize>) -> Step {
    Step::PutManifest { repository, manifest, tag }
}

const COLLECT: Step = Step::Collect { steps: None };
const LATER: Step = Step::Wait { minutes: 200 };

/// Manifest 1 holds the blobs 5 (in a segment) and 8 (a file); 2 holds 10, 1 and 4; 8 is an index of 0 and 1; 11 refers to 0.
const IMAGES: &[Step] =
    &[push(0, 5), push(0, 8), put(0, 1, Some(0)), push(0, 10), push(0, 1), push(0, 4), put(0, 2, Some(1))];

/// Uploads small and large, in one request and in a session; mounts.
const UPLOADS: Scenario = Scenario {
    kind: 1,
    before: &[push(0, 7)],
    steps: &[
        push(0, 2),
        push(1, 9),
        Step::Start { repository: 0, blob: 8 },
        Step::Append { session: 0, thirds: 2 },
        Step::Mount { repository: 2, from: Some(0), blob: 7 },
        Step::Append { session: 0, thirds: 1 },
        Step::Finish { session: 0, wrong: false },
        push(2, 9),
    ],
};

/// Manifests are pushed, tags move, manifests and blobs are deleted.
const MANIFESTS: Scenario = Scenario {
    kind: 2,
    before: IMAGES,
    steps: &[
        put(0, 1, Some(1)),
        put(0, 8, None),
        Step::Untag { repository: 0, tag: 0 },
        Step::DeleteManifest { repository: 0, manifest: 1 },
        Step::Unlink { repository: 0, blob: 8 },
        push(0, 8),
        put(0, 1, Some(0)),
        Step::DeleteManifest { repository: 0, manifest: 2 },
    ],
};

/// Everything that can become garbage does, is collected, and is pushed again.
const SWEEP: Scenario = Scenario {
    kind: 2,
    before: &[
        push(0, 5),
        push(0, 8),
        put(0, 1, Some(0)),
        push(0, 10),
        push(0, 1),
        push(0, 4),
        put(0, 2, None),
        push(1, 9),
        push(1, 3),
        Step::Start { repository: 1, blob: 8 },
        Step::Append { session: 0, thirds: 2 },
        Step::DeleteManifest { repository: 0, manifest: 1 },
        LATER,
    ],
    steps: &[
        Step::Collect { steps: Some(2) },
        COLLECT,
        push(0, 8),
        push(1, 4),
        LATER,
        COLLECT,
        push(0, 5),
        put(0, 1, Some(2)),
        COLLECT,
    ],
};

/// Segments that are mostly dead, with a live frame in between: it moves, and the file goes.
const COMPACTION: Scenario = Scenario {
    kind: 1,
    before: &[
        push(0, 5),
        push(0, 4),
        put(0, 0, None),
        push(0, 0),
        put(0, 0, Some(0)),
        push(0, 3),
        push(1, 5),
        LATER,
    ],
    steps: &[COLLECT, push(1, 4), LATER, COLLECT, push(0, 5), push(0, 2), COLLECT],
};

/// Two segments of which most is dead and some lives: frames move together, and others when what those moved to is mostly dead itself.
const MOVES: Scenario = Scenario {
    kind: 1,
    before: &[
        push(0, 10),
        push(0, 1),
        push(0, 4),
        put(0, 2, Some(0)),
        push(0, 5),
        push(0, 3),
        push(0, 11),
        push(0, 0),
        put(0, 13, Some(1)),
        put(0, 0, Some(2)),
        LATER,
    ],
    steps: &[
        COLLECT,
        push(1, 4),
        Step::DeleteManifest { repository: 0, manifest: 2 },
        push(0, 5),
        LATER,
        COLLECT,
        push(1, 10),
        COLLECT,
    ],
};
/// Bytes of the five frames.
const MOVES_BYTES: u64 = 33 + 9 + 60_000 + 1;

/// Deletions are undone, a repository goes and comes back.
const UNDO: Scenario = Scenario {
    kind: 0,
    before: &[push(0, 5), push(0, 8), put(0, 1, Some(0)), push(1, 5), push(1, 8), put(1, 1, Some(1))],
    steps: &[
        Step::DeleteManifest { repository: 0, manifest: 1 },
        Step::Restore { number: 0, force: false },
        Step::Untag { repository: 0, tag: 0 },
        Step::Restore { number: 0, force: true },
        Step::Start { repository: 1, blob: 9 },
        Step::Append { session: 0, thirds: 1 },
        Step::DeleteRepository { repository: 1 },
        COLLECT,
        Step::Restore { number: 1, force: false },
        LATER,
        COLLECT,
    ],
};

/// What a blob goes bad in.
const IMAGE: Scenario = Scenario {
    kind: 1,
    before: &[push(0, 5), push(0, 8), put(0, 1, Some(0)), push(1, 5), push(1, 8)],
    steps: &[],
};

/// Cuts the power at operation after operation, each time with another kind of loss.
fn cuts(scenario: &Scenario) {
    for at in 1.. {
        let kinds = [Cut::Lose, Cut::Keep, Cut::Tear(at)];
        let finished = kinds.map(|cut| scenario.cut_at(at, cut));
        if finished == [true; 3] {
            assert!(at > 8, "the scenario takes steps");
            return;
        }
    }
}

/// Lets each operation of the disk fail in each way, one after the other.
fn faults(scenario: &Scenario) {
    let mut struck = 0;
    for operation in OPERATIONS {
        for fault in [Fault::Eio, Fault::Enospc, Fault::Eintr, Fault::Short] {
            for countdown in 0.. {
                if !scenario.fault(Step::Fault { operation, fault, countdown, times: 1 }) {
                    break;
                }
                struck += 1;
            }
        }
    }
    assert!(struck > 20, "only {struck} operations failed");
}

#[test]
fn uploads_survive_any_cut() {
    cuts(&UPLOADS);
}

#[test]
fn manifests_survive_any_cut() {
    cuts(&MANIFESTS);
}

#[test]
fn a_sweep_survives_any_cut() {
    cuts(&SWEEP);
}

#[test]
fn compaction_survives_any_cut() {
    cuts(&COMPACTION);
}

#[test]
fn frames_that_move_survive_any_cut() {
    assert!(MOVES.bytes_moved() >= MOVES_BYTES, "the scenario moves what it is about");
    cuts(&MOVES);
}

#[test]
fn frames_that_move_meet_any_fault() {
    faults(&MOVES);
}

#[test]
fn undoing_and_the_end_of_a_repository_survive_any_cut() {
    cuts(&UNDO);
}

#[test]
fn undoing_and_the_end_of_a_repository_meet_any_fault() {
    faults(&UNDO);
}

#[test]
fn quarantine_and_healing_survive_any_cut() {
    for blob in [5, 8] {
        for at in 1.. {
            let kinds = [Cut::Lose, Cut::Keep, Cut::Tear(at)];
            if kinds.map(|cut| IMAGE.cut_quarantine_at(blob, at, cut)) == [true; 3] {
                assert!(at > 4, "quarantine and healing take steps");
                break;
            }
        }
    }
}

#[test]
fn uploads_meet_any_fault() {
    faults(&UPLOADS);
}

#[test]
fn a_sweep_meets_any_fault() {
    faults(&SWEEP);
}

#[test]
fn compaction_meets_any_fault() {
    faults(&COMPACTION);
}
