//! Calls of gRPC, from their bytes to their use cases on a store in memory: no panic, every refusal has a code that is documented, and nothing is
//! held once the calls are over, whether they came to their end or were dropped in the middle.
//!
//! An input is calls, one behind the other: the number of the method (2 bytes), how many messages follow (1 byte; its highest bits say that the
//! client goes away then, and that what follows are bytes of the wire rather than messages), each with its length before it (2 bytes).

use crate::universe;
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use std::sync::Arc;
use strata_engine::Health;
use strata_engine::sim::World;
use strata_frontend_grpc::{Caller, Messages, Outcome};
use strata_registry::{Context, PutManifest, Registry, RegistryConfig};
use strata_types::{ErrorCode, Failure, Reference};
use tokio::sync::Notify;

/// Calls of one input; the others are ignored.
const CALLS_MAX: usize = 8;
/// The client goes away behind its last message.
const GOES_AWAY: u8 = 0x80;
/// What is sent are bytes of the wire, and not the content of messages.
const RAW: u8 = 0x40;
/// Messages of an answer that a client takes, at most.
const ANSWERS_MAX: usize = 64;

pub(super) fn run(data: &[u8]) {
    let calls = read(data);
    if calls.is_empty() {
        return;
    }
    let mut world = World::make().expect("threads");
    let engine = world.open().expect("an empty store opens");
    let registry = Registry::open(engine.clone(), RegistryConfig::default()).expect("an empty directory");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    runtime.block_on(async {
        fill(&registry).await;
        let caller = Caller::new(registry);
        for call in &calls {
            call.make(&caller).await;
            assert_eq!((caller.calls_in_flight(), caller.message_bytes_held()), (0, 0), "{call:?}");
        }
    });
    engine.settle();
    let metrics = engine.metrics();
    assert_eq!((metrics.writers, metrics.buffers_used), (0, 0), "a writer or its memory is left behind");
    assert_eq!(engine.health(), Health::Ready, "no call is a reason to stop");
    engine.close();
    world.end(engine).expect("threads");
}

/// Something to find: a manifest with a tag, its empty configuration, and a blob of nine bytes.
async fn fill(registry: &Registry) {
    let ctx = Context::everyone("fuzz", None);
    let (repository, picture) = (universe::repository(0), universe::manifest(0));
    for number in [0, 1] {
        let body = stream::iter([Ok(universe::content(number))]);
        let blob = universe::blob(number);
        registry.put_blob(&ctx, &repository, &blob, None, body).await.expect("a blob");
    }
    let put = PutManifest {
        reference: Reference::Tag(universe::tag(0)),
        tags: Vec::new(),
        content_type: None,
        bytes: picture.bytes.clone(),
    };
    registry.put_manifest(&ctx, &repository, put).await.expect("a manifest");
}

/// A call as an input has it.
#[derive(Debug)]
struct Call {
    method: u16,
    goes_away: bool,
    /// As they go over the wire.
    sent: Vec<Bytes>,
}

fn read(data: &[u8]) -> Vec<Call> {
    let (mut calls, mut rest) = (Vec::new(), data);
    while let [low, high, head, behind @ ..] = rest
        && calls.len() < CALLS_MAX
    {
        rest = behind;
        let method = u16::from_le_bytes([*low, *high]);
        let mut sent = Vec::new();
        for _ in 0..head & !(GOES_AWAY | RAW) {
            let [low, high, behind @ ..] = rest else { break };
            let (bytes, behind) = behind.split_at(behind.len().min(u16::from_le_bytes([*low, *high]).into()));
            rest = behind;
            let prefix = if head & RAW == 0 { framed(bytes.len()) } else { Vec::new() };
            sent.push([&prefix, bytes].concat().into());
        }
        calls.push(Call { method, goes_away: head & GOES_AWAY != 0, sent });
    }
    calls
}

/// What is tried: not the services that are other crates', and no backup, for which the simulated disk has no directory.
fn is_ours(path: &str) -> bool {
    (path.starts_with("/strata.") || path.starts_with("/containerd.")) && !path.ends_with("/StartBackup")
}

/// The number of a method, which stays what it is when others come. Any number stands for the method that has the next one.
fn number(path: &str) -> u16 {
    path.bytes().fold(0, |number: u16, byte| number.wrapping_mul(31).wrapping_add(byte.into()))
}

/// What stands before a message: that it is not compressed, and its length.
fn framed(len: usize) -> Vec<u8> {
    let mut prefix = vec![0];
    prefix.extend_from_slice(&(len as u32).to_be_bytes());
    prefix
}

impl Call {
    async fn make(&self, caller: &Caller) {
        let ours = caller.methods().iter().filter(|path| is_ours(path));
        let path = ours.min_by_key(|path| number(path).wrapping_sub(self.method)).expect("methods");
        let gone = Arc::new(Notify::new());
        let sent = stream::iter(self.sent.clone());
        let messages: Messages = if self.goes_away {
            let gone = Arc::clone(&gone);
            let away = stream::once(async move {
                gone.notify_one();
                std::future::pending().await
            });
            sent.chain(away).boxed()
        } else {
            sent.boxed()
        };
        // Who follows the feed does so for ever.
        let most = if path.ends_with("/Watch") { 1 } else { ANSWERS_MAX };
        tokio::select! {
            outcome = caller.call(path, messages, most) => expect_documented(path, &outcome),
            () = gone.notified() => {}
        }
    }
}

/// Every code that a client is told has its reason, which `docs/errors.md` has.
fn expect_documented(path: &str, outcome: &Outcome) {
    let Outcome { code, reason, .. } = outcome;
    // Heard enough.
    let Some(code) = *code else { return };
    match reason.as_deref() {
        None => assert_eq!(code, "OK", "{path}: {outcome:?}"),
        Some(reason) => {
            let known = ErrorCode::ALL.iter().map(|code| code.as_str());
            let mut known = known.chain(Failure::ALL.iter().map(|failure| failure.as_str()));
            assert!(known.any(|known| known == reason), "{path}: {outcome:?}");
            assert!(!["INTERNAL", "UNKNOWN", "DATA_LOSS", "OK"].contains(&code), "{path}: {outcome:?}");
        }
    }
}
