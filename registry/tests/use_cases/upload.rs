//! Upload sessions: in pieces, cut, resumed, wrong, cancelled.

use crate::world::{World, body, broken_body, noise, repo, sha256, sha512, told};
use bytes::Bytes;
use futures_util::stream;
use std::pin::Pin;
use std::task::{self, Poll};
use std::time::Duration;
use strata_registry::{BodyError, ChunkRange, Piece, RegistryError, UploadBody};
use strata_types::{Algorithm, UploadId};

const fn chunk(start: u64, len: u64) -> ChunkRange {
    ChunkRange { start: Some(start), len: Some(len) }
}

#[tokio::test]
async fn takes_a_blob_in_chunks_and_refuses_them_out_of_order() {
    let world = World::new();
    let (a, content) = (repo("a"), noise(300_000, 5));
    let (first, second) = content.split_at(100_000);
    let id = world.registry.start_upload(&world.ctx, &a, Algorithm::Sha256).await.unwrap().id;
    let append = |range, content: &[u8]| {
        let body = body(content);
        let (world, a) = (&world, &a);
        async move { world.registry.append_upload(&world.ctx, a, &id, range, body).await }
    };
    assert_eq!(append(Some(chunk(0, 100_000)), first).await.unwrap().offset, 100_000);
    for start in [0, 50_000, 100_001, 200_000] {
        let error = append(Some(chunk(start, 100_000)), first).await.unwrap_err();
        assert!(
            matches!(error, RegistryError::ChunkOutOfOrder { start: s, offset: 100_000 } if s == start),
            "{start}: {error}"
        );
        assert_eq!(error.outcome().as_str(), "RANGE_INVALID");
        assert_eq!(world.registry.upload_status(&world.ctx, &a, &id).await.unwrap().offset, 100_000);
    }
    let digest = sha256(&content);
    let wrong = world
        .registry
        .finish_upload(&world.ctx, &a, &id, Some(chunk(7, 200_000)), body(second), &digest)
        .await;
    assert_eq!(told(wrong), "RANGE_INVALID");
    let range = Some(chunk(100_000, 200_000));
    let done = world.registry.finish_upload(&world.ctx, &a, &id, range, body(second), &digest).await;
    assert_eq!(done.unwrap(), digest);
    assert_eq!(world.read_blob(&a, &digest).await.unwrap(), content);
    assert_eq!(told(world.registry.upload_status(&world.ctx, &a, &id).await), "BLOB_UPLOAD_UNKNOWN");
}

/// A body that begins as chunks and goes on as bytes to be read.
struct Readable {
    content: Bytes,
    at: usize,
    turn: usize,
    is_cut: bool,
}

impl UploadBody for Readable {
    fn poll_piece(
        mut self: Pin<&mut Self>,
        _: &mut task::Context<'_>,
    ) -> Poll<Option<Result<Piece, BodyError>>> {
        Poll::Ready(if self.at == 0 {
            self.at = 1000;
            Some(Ok(Piece::Bytes(self.content.slice(..1000))))
        } else if self.at < self.content.len() {
            Some(Ok(Piece::Readable))
        } else {
            None
        })
    }

    fn read(mut self: Pin<&mut Self>, memory: &mut [u8]) -> Result<usize, BodyError> {
        if self.is_cut && self.at > self.content.len() / 2 {
            return Err(BodyError::Cut);
        }
        // Now and then nothing is there after all.
        self.turn += 1;
        let most = if self.turn.is_multiple_of(7) { 0 } else { 77_777 };
        let count = memory.len().min(most).min(self.content.len() - self.at);
        memory[..count].copy_from_slice(&self.content[self.at..self.at + count]);
        self.at += count;
        Ok(count)
    }
}

#[tokio::test]
async fn takes_what_is_read_into_its_own_memory() {
    let world = World::new();
    let a = repo("a");
    let content = Bytes::from(noise(3_000_000, 8));
    let readable = |is_cut| Readable { content: content.clone(), at: 0, turn: 0, is_cut };
    let digest = sha256(&content);
    let all = Some(ChunkRange { start: None, len: Some(content.len() as u64) });
    let id = world.registry.start_upload(&world.ctx, &a, Algorithm::Sha256).await.unwrap().id;
    let cut = world.registry.finish_upload(&world.ctx, &a, &id, all, readable(true), &digest).await;
    assert!(matches!(cut, Err(RegistryError::Body(BodyError::Cut))), "{cut:?}");
    let kept = world.registry.upload_status(&world.ctx, &a, &id).await.unwrap().offset as usize;
    assert!(kept > content.len() / 2 && kept < content.len(), "{kept}");
    let rest = body(&content[kept..]);
    world.registry.finish_upload(&world.ctx, &a, &id, None, rest, &digest).await.unwrap();
    assert_eq!(world.read_blob(&a, &digest).await.unwrap(), content);
    let short = Some(content.len() as u64 - 1);
    let put = world.registry.put_blob(&world.ctx, &repo("b"), &digest, short, readable(false)).await;
    assert_eq!(told(put), "SIZE_INVALID");
    let len = Some(content.len() as u64);
    world.registry.put_blob(&world.ctx, &repo("b"), &digest, len, readable(false)).await.unwrap();
    assert_eq!(world.read_blob(&repo("b"), &digest).await.unwrap(), content);
}

#[tokio::test]
async fn a_session_alone_creates_no_repository() {
    let world = World::new();
    let a = repo("a");
    let id = world.registry.start_upload(&world.ctx, &a, Algorithm::Sha256).await.unwrap().id;
    world.registry.append_upload(&world.ctx, &a, &id, None, body(b"half")).await.unwrap();
    assert!(world.events().is_empty());
    let digest = sha256(b"half and half");
    world.registry.finish_upload(&world.ctx, &a, &id, None, body(b" and half"), &digest).await.unwrap();
    assert_eq!(world.read_blob(&a, &digest).await.unwrap(), "half and half");
    assert_eq!(world.events().len(), 2);
}

#[tokio::test]
async fn keeps_what_came_of_a_body_that_breaks() {
    for error in [BodyError::Cut, BodyError::TooSlow, BodyError::LengthMismatch] {
        let world = World::new();
        let (a, content) = (repo("a"), noise(250_000, 9));
        let (first, second) = content.split_at(130_001);
        let id = world.registry.start_upload(&world.ctx, &a, Algorithm::Sha256).await.unwrap().id;
        let cut = world.registry.append_upload(&world.ctx, &a, &id, None, broken_body(first, error)).await;
        assert!(matches!(cut, Err(RegistryError::Body(e)) if e == error));
        assert_eq!(world.registry.upload_status(&world.ctx, &a, &id).await.unwrap().offset, 130_001);
        let world = world.reopened();
        assert_eq!(
            world.registry.upload_status(&world.ctx, &a, &id).await.unwrap().offset,
            130_001,
            "after a restart"
        );
        let digest = sha256(&content);
        let range = Some(chunk(130_001, second.len() as u64));
        world.registry.finish_upload(&world.ctx, &a, &id, range, body(second), &digest).await.unwrap();
        assert_eq!(world.read_blob(&a, &digest).await.unwrap(), content);
    }
}

#[tokio::test]
async fn a_body_of_another_length_than_its_range_is_refused() {
    let world = World::new();
    let (a, content) = (repo("a"), noise(5_000, 3));
    let id = world.registry.start_upload(&world.ctx, &a, Algorithm::Sha256).await.unwrap().id;
    let long = world.registry.append_upload(&world.ctx, &a, &id, Some(chunk(0, 2_500)), body(&content)).await;
    assert!(matches!(long, Err(RegistryError::SizeMismatch { declared: 2_500, received: 2_501 })));
    assert_eq!(
        world.registry.upload_status(&world.ctx, &a, &id).await.unwrap().offset,
        2_500,
        "not a byte beyond"
    );
    let short = world
        .registry
        .append_upload(&world.ctx, &a, &id, Some(chunk(2_500, 9_999)), body(&content[2_500..]))
        .await;
    assert!(matches!(short, Err(RegistryError::SizeMismatch { declared: 9_999, received: 2_500 })));
    let digest = sha256(&content);
    world.registry.finish_upload(&world.ctx, &a, &id, None, body(b""), &digest).await.unwrap();
    assert_eq!(world.read_blob(&a, &digest).await.unwrap(), content);
}

#[tokio::test]
async fn a_wrong_digest_ends_the_session() {
    let world = World::new();
    let a = repo("a");
    let id = world.registry.start_upload(&world.ctx, &a, Algorithm::Sha256).await.unwrap().id;
    let wrong = world.registry.finish_upload(&world.ctx, &a, &id, None, body(b"x"), &sha256(b"y")).await;
    assert_eq!(told(wrong), "DIGEST_INVALID");
    assert_eq!(told(world.registry.upload_status(&world.ctx, &a, &id).await), "BLOB_UPLOAD_UNKNOWN");
    for digest in [sha256(b"x"), sha256(b"y")] {
        assert_eq!(told(world.read_blob(&a, &digest).await), "BLOB_UNKNOWN");
    }
}

#[tokio::test]
async fn the_closing_digest_decides_the_algorithm() {
    let world = World::new();
    let (a, content) = (repo("a"), noise(100_000, 4));
    for (hint, digest) in [(Algorithm::Sha256, sha512(&content)), (Algorithm::Sha512, sha256(&content))] {
        let id = world.registry.start_upload(&world.ctx, &a, hint).await.unwrap().id;
        world.registry.append_upload(&world.ctx, &a, &id, None, body(&content)).await.unwrap();
        world.registry.finish_upload(&world.ctx, &a, &id, None, body(b""), &digest).await.unwrap();
        assert_eq!(world.read_blob(&a, &digest).await.unwrap(), content);
    }
}

#[tokio::test]
async fn a_session_belongs_to_its_repository_and_can_be_cancelled() {
    let world = World::new();
    let (a, b) = (repo("a"), repo("b"));
    let id = world.registry.start_upload(&world.ctx, &a, Algorithm::Sha256).await.unwrap().id;
    let digest = sha256(b"x");
    let unknown = UploadId::from_random([9; 16]);
    for (repository, id) in [(&b, &id), (&a, &unknown)] {
        let registry = &world.registry;
        let ctx = &world.ctx;
        assert_eq!(told(registry.upload_status(ctx, repository, id).await), "BLOB_UPLOAD_UNKNOWN");
        assert_eq!(
            told(registry.append_upload(ctx, repository, id, None, body(b"x")).await),
            "BLOB_UPLOAD_UNKNOWN"
        );
        let finished = registry.finish_upload(ctx, repository, id, None, body(b"x"), &digest).await;
        assert_eq!(told(finished), "BLOB_UPLOAD_UNKNOWN");
        assert_eq!(told(registry.cancel_upload(ctx, repository, id).await), "BLOB_UPLOAD_UNKNOWN");
    }
    world.registry.cancel_upload(&world.ctx, &a, &id).await.unwrap();
    assert_eq!(told(world.registry.upload_status(&world.ctx, &a, &id).await), "BLOB_UPLOAD_UNKNOWN");
    assert_eq!(told(world.registry.cancel_upload(&world.ctx, &a, &id).await), "BLOB_UPLOAD_UNKNOWN");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_two_writers_wins_and_the_other_can_go_on() {
    let world = World::new();
    let a = repo("a");
    let id = world.registry.start_upload(&world.ctx, &a, Algorithm::Sha256).await.unwrap().id;
    let (sender, receiver) = tokio::sync::mpsc::channel::<Result<Bytes, BodyError>>(1);
    let slow = {
        let (registry, ctx, a) = (world.registry.clone(), world.ctx.clone(), a.clone());
        tokio::spawn(async move { registry.append_upload(&ctx, &a, &id, None, from_channel(receiver)).await })
    };
    sender.send(Ok(Bytes::from_static(b"slow"))).await.unwrap();
    // The second chunk is taken from the channel only when the first is in the session.
    sender.send(Ok(Bytes::from_static(b" and"))).await.unwrap();
    sender.send(Ok(Bytes::from_static(b" steady"))).await.unwrap();
    let busy = world.registry.append_upload(&world.ctx, &a, &id, None, body(b"fast")).await.unwrap_err();
    assert!(matches!(busy, RegistryError::UploadBusy { .. }), "{busy}");
    assert_eq!(busy.outcome().as_str(), "RANGE_INVALID");
    drop(sender);
    assert_eq!(slow.await.unwrap().unwrap().offset, 15);
    let digest = sha256(b"slow and steady");
    world.registry.finish_upload(&world.ctx, &a, &id, None, body(b""), &digest).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_pauses_holds_no_buffer_and_goes_on_where_it_stopped() {
    let world = World::new();
    let (a, content) = (repo("a"), noise(2_500_000, 8));
    let id = world.registry.start_upload(&world.ctx, &a, Algorithm::Sha256).await.unwrap().id;
    let (sender, receiver) = tokio::sync::mpsc::channel::<Result<Bytes, BodyError>>(1);
    let append = {
        let (registry, ctx, a) = (world.registry.clone(), world.ctx.clone(), a.clone());
        tokio::spawn(async move { registry.append_upload(&ctx, &a, &id, None, from_channel(receiver)).await })
    };
    for piece in content.chunks(1_250_000) {
        sender.send(Ok(Bytes::copy_from_slice(piece))).await.unwrap();
        let used = || world.registry.figures().iter().find(|f| f.name == "store_buffers_used").unwrap().value;
        let mut ticks = tokio::time::interval(Duration::from_millis(5));
        let parked = async {
            while sender.capacity() == 0 || used() > 0 {
                ticks.tick().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), parked)
            .await
            .expect("an idle upload gives its buffers back");
    }
    drop(sender);
    assert_eq!(append.await.unwrap().unwrap().offset, 2_500_000);
    let digest = sha256(&content);
    world.registry.finish_upload(&world.ctx, &a, &id, None, body(b""), &digest).await.unwrap();
    assert_eq!(world.read_blob(&a, &digest).await.unwrap(), content);
}

fn from_channel<T: Send>(
    receiver: tokio::sync::mpsc::Receiver<T>,
) -> impl futures_core::Stream<Item = T> + Send {
    stream::unfold(receiver, |mut receiver| async move { receiver.recv().await.map(|item| (item, receiver)) })
}
