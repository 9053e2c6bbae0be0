//! Garbage collection against everybody who wants the same thing at the same time, under a scheduler that tries the orders.
//!
//! The verbs, the sweeper and the commit queue are the real ones; before each view and each commit the scheduler decides who goes on.
//! Some scenes are small enough that every order in which nobody loses his turn more than twice is tried (`STRATA_RACE_PREEMPTIONS` says how often);
//! others run in a great many random ones. `STRATA_RACE_ORDERS` says how many (200 each if it does not).
//!
//! That they look closely enough was seen by a mutation: without the sweeper's expectation that nobody holds the blob
//! (`expect_not_held`), `a_manifest_of_what_is_swept` and `deletions_beside_the_sweep` fail.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a failed expectation is a failed test"
)]

mod bounded;
mod port;
mod scene;

use bounded::Bounded;
use scene::{Actor, Scene};
use shuttle::scheduler::{PctScheduler, RandomScheduler, Scheduler};
use shuttle::{Config, Runner};
use std::sync::Arc;

/// Orders of one scene, if nothing else is said.
const ORDERS: usize = 200;

/// Preemptions that orders are tried out with, if nothing else is said.
const PREEMPTIONS: usize = 2;
/// Orders after which a scene is not small any more.
const SMALL_MAX: usize = 500_000;

fn setting(name: &str) -> Option<usize> {
    std::env::var(name).ok().map(|text| text.parse().expect("a number"))
}

fn orders() -> usize {
    setting("STRATA_RACE_ORDERS").unwrap_or(ORDERS)
}

fn under(
    scheduler: impl Scheduler + 'static,
    pushed: &'static [(usize, usize)],
    deleted: &'static [(usize, usize)],
    actors: &'static [Actor],
    engine_waits: bool,
) -> usize {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_time().build().unwrap();
    // A use case that lost several races rests for a moment, by this runtime's clock.
    let _entered = runtime.enter();
    let mut config = Config::new();
    config.stack_size = 1 << 20;
    let runner = Runner::new(scheduler, config);
    runner.run(move || {
        let scene = Scene::set(pushed, deleted, actors, engine_waits);
        let tasks: Vec<_> = actors
            .iter()
            .map(|actor| {
                let (scene, actor) = (Arc::clone(&scene), *actor);
                shuttle::thread::spawn(move || scene.act(actor))
            })
            .collect();
        for task in tasks {
            task.join().unwrap();
        }
        scene.judge();
    })
}

/// Many random orders, evenly chosen and with few changes of who goes on.
fn race(pushed: &'static [(usize, usize)], deleted: &'static [(usize, usize)], actors: &'static [Actor]) {
    under(RandomScheduler::new(orders()), pushed, deleted, actors, true);
    under(PctScheduler::new(3, orders() / 2), pushed, deleted, actors, true);
}

/// Image 0 holds blob 0; image 1 holds 5 and 8; image 2 holds 10, 1 and 4; image 3 holds 3, 6, 9 and 0. Manifest 8 is an index of 0 and 1.
const RELEASED: &[(usize, usize)] = &[(0, 1)];

#[test]
fn a_push_of_what_is_swept() {
    race(RELEASED, RELEASED, &[Actor::Sweep, Actor::Push(0, 5), Actor::Push(1, 8)]);
}

#[test]
fn a_session_that_ends_in_what_is_swept() {
    race(RELEASED, RELEASED, &[Actor::Sweep, Actor::Session(1, 5), Actor::Session(0, 8)]);
}

#[test]
fn a_mount_of_what_is_swept() {
    race(RELEASED, RELEASED, &[Actor::Sweep, Actor::Mount(1, 0, 5), Actor::Mount(2, 0, 8)]);
}

#[test]
fn a_client_that_was_told_of_what_is_swept() {
    race(RELEASED, RELEASED, &[Actor::Sweep, Actor::Image(0, 1)]);
    race(RELEASED, RELEASED, &[Actor::Sweep, Actor::Image(0, 1), Actor::Image(1, 1)]);
}

#[test]
fn a_manifest_of_what_is_swept() {
    race(RELEASED, RELEASED, &[Actor::Sweep, Actor::Put(0, 1), Actor::Mount(1, 0, 8)]);
}

#[test]
fn a_reader_of_what_is_swept() {
    race(RELEASED, RELEASED, &[Actor::Sweep, Actor::Read(0, 5), Actor::Read(0, 8), Actor::Push(2, 5)]);
}

#[test]
fn an_untagged_manifest_that_gets_a_tag_or_an_index() {
    race(&[(0, 1)], &[], &[Actor::Sweep, Actor::Tag(0, 1)]);
    race(&[(0, 0), (0, 1)], &[], &[Actor::Sweep, Actor::Put(0, 8)]);
}

#[test]
fn deletions_beside_the_sweep() {
    race(&[(0, 1), (1, 1)], &[(0, 1)], &[Actor::Sweep, Actor::Delete(1, 1), Actor::Image(0, 1)]);
    race(&[(0, 1)], &[(0, 1)], &[Actor::Sweep, Actor::Unlink(0, 5), Actor::Push(0, 5), Actor::Put(0, 1)]);
}

#[test]
fn two_sweepers() {
    race(&[(0, 1), (0, 2)], &[(0, 1), (0, 2)], &[Actor::Sweep, Actor::Sweep, Actor::Image(0, 2)]);
}

/// Every order in which nobody loses his turn too often, each once.
fn each_order(
    pushed: &'static [(usize, usize)],
    deleted: &'static [(usize, usize)],
    actors: &'static [Actor],
) {
    let preemptions = setting("STRATA_RACE_PREEMPTIONS").unwrap_or(PREEMPTIONS);
    let orders = under(Bounded::new(preemptions, SMALL_MAX), pushed, deleted, actors, false);
    assert!(orders < SMALL_MAX, "this is no small scene");
    println!("{actors:?}: {orders} orders with at most {preemptions} preemptions");
}

#[test]
fn each_order_of_a_manifest_put() {
    each_order(RELEASED, RELEASED, &[Actor::Sweep, Actor::Put(0, 1)]);
}

#[test]
fn each_order_of_a_tag() {
    each_order(&[(0, 1)], &[], &[Actor::Sweep, Actor::Tag(0, 1)]);
}

#[test]
fn each_order_of_an_index() {
    each_order(&[(0, 0), (0, 1)], &[], &[Actor::Sweep, Actor::Put(0, 8)]);
}

#[test]
fn each_order_of_an_image_that_a_client_was_told_of() {
    each_order(RELEASED, RELEASED, &[Actor::Sweep, Actor::Image(0, 1)]);
}

#[test]
fn each_order_of_a_mount() {
    each_order(RELEASED, RELEASED, &[Actor::Sweep, Actor::Mount(1, 0, 8)]);
}

#[test]
fn each_order_of_a_push() {
    each_order(RELEASED, RELEASED, &[Actor::Sweep, Actor::Push(0, 8)]);
}
