//! The stream against a real socket, with slices as hyper would show them, and as it never should.

use super::*;
use crate::activity::Activity;
use crate::body::{FileSource, Progress, ReadFuture};
use crate::connection_metrics::ListenerMetrics;
use crate::zero_copy::range::{SEND_MAX, TURN_BYTES};
use bytes::Buf;
use proptest::prelude::*;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileExt;
use std::task::Waker;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

#[derive(Debug)]
struct Plain(std::fs::File);

impl FileSource for Plain {
    fn len(&self) -> u64 {
        self.0.metadata().map_or(0, |metadata| metadata.len())
    }

    fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        Some(self.0.as_fd())
    }

    fn read_at(self: Arc<Self>, offset: u64, len: usize) -> ReadFuture {
        Box::pin(async move {
            let mut bytes = vec![0; len];
            self.0.read_exact_at(&mut bytes, offset)?;
            Ok(bytes.into())
        })
    }
}

async fn pair() -> (ZeroCopyStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let client = TcpStream::connect(address).await.unwrap();
    let (server, _) = listener.accept().await.unwrap();
    let metrics = Arc::new(ListenerMetrics::new(address, false));
    let queue = super::Queue::new();
    (ZeroCopyStream::new(Socket::new(server, Activity::new(), metrics), Bytes::new(), queue), client)
}

fn file(bytes: &[u8]) -> Arc<dyn FileSource> {
    let file = tempfile::tempfile().unwrap();
    file.write_all_at(bytes, 0).unwrap();
    Arc::new(Plain(file))
}

async fn write(stream: &mut ZeroCopyStream, slices: &[IoSlice<'_>]) -> io::Result<usize> {
    poll_fn(|cx| Pin::new(&mut *stream).poll_write_vectored(cx, slices)).await
}

#[tokio::test]
async fn slices_and_ranges_are_written_in_turn() {
    let (mut stream, mut client) = pair().await;
    let file = file(b"0123456789");
    let progress = Arc::new(Progress::new(100));
    let queue = Arc::clone(stream.queue.as_ref().unwrap());
    let first = queue.push(&file, 2, 3, &progress);
    let second = queue.push(&file, 7, 2, &progress);
    let all = [
        IoSlice::new(b"head "),
        IoSlice::new(b""),
        IoSlice::new(b"more "),
        IoSlice::new(&first),
        IoSlice::new(b" between "),
        IoSlice::new(&second),
        IoSlice::new(b" end"),
    ];
    assert_eq!(write(&mut stream, &all).await.unwrap(), 10);
    assert_eq!(write(&mut stream, &all[3..]).await.unwrap(), 3);
    assert_eq!(write(&mut stream, &all[4..]).await.unwrap(), 9);
    assert_eq!(write(&mut stream, &all[5..]).await.unwrap(), 2);
    assert_eq!(write(&mut stream, &all[6..]).await.unwrap(), 4);
    drop(stream);
    let mut text = String::new();
    client.read_to_string(&mut text).await.unwrap();
    assert_eq!(text, "head more 234 between 78 end");
}

#[tokio::test]
async fn a_stand_in_that_was_tampered_with_is_refused_before_a_byte() {
    let (mut stream, mut client) = pair().await;
    let file = file(b"0123456789");
    let queue = Arc::clone(stream.queue.as_ref().unwrap());
    let stand_in = queue.push(&file, 0, 10, &Arc::new(Progress::new(10)));
    let later = queue.push(&file, 0, 5, &Arc::new(Progress::new(5)));
    for forged in [stand_in.slice(1..), stand_in.slice(..9), later] {
        let error = write(&mut stream, &[IoSlice::new(&forged)]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        let error = stream.write(&forged).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData, "not by the other door either");
    }
    drop(stream);
    let mut nothing = Vec::new();
    client.read_to_end(&mut nothing).await.unwrap();
    assert!(nothing.is_empty());
}

#[tokio::test]
async fn a_stand_in_of_another_connection_is_refused() {
    let (mut stream, _client) = pair().await;
    let (other, _other_client) = pair().await;
    let stand_in =
        other.queue.as_ref().unwrap().push(&file(b"0123456789"), 0, 10, &Arc::new(Progress::new(10)));
    let error = write(&mut stream, &[IoSlice::new(&stand_in)]).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
}

#[tokio::test]
async fn a_file_without_the_bytes_is_an_error() {
    let (mut stream, _client) = pair().await;
    let stand_in = stream.queue.as_ref().unwrap().push(&file(b"01234"), 5, 10, &Arc::new(Progress::new(10)));
    let error = write(&mut stream, &[IoSlice::new(&stand_in)]).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
}

#[tokio::test]
async fn others_get_their_turn_while_a_peer_takes_all_at_once() {
    let (mut stream, mut client) = pair().await;
    let len = 3 * TURN_BYTES + 1;
    let progress = Arc::new(Progress::new(len as u64));
    let mut stand_in = stream.queue.as_ref().unwrap().push(&file(&vec![7; len]), 0, len, &progress);
    let reader = tokio::spawn(async move { tokio::io::copy(&mut client, &mut tokio::io::sink()).await });
    let mut in_turn = 0;
    while !stand_in.is_empty() {
        let mut cx = Context::from_waker(Waker::noop());
        match Pin::new(&mut stream).poll_write_vectored(&mut cx, &[IoSlice::new(&stand_in)]) {
            Poll::Ready(sent) => {
                let sent = sent.unwrap();
                stand_in.advance(sent);
                in_turn += sent;
                assert!(in_turn < TURN_BYTES + SEND_MAX, "{in_turn} bytes without a pause");
            }
            // Either it gives way, or the socket is full.
            Poll::Pending => {
                in_turn = 0;
                tokio::task::yield_now().await;
            }
        }
    }
    drop(stream);
    assert_eq!(reader.await.unwrap().unwrap(), len as u64);
}

#[tokio::test]
async fn who_gives_way_goes_on_by_itself() {
    let (mut stream, _client) = pair().await;
    let stand_in =
        stream.queue.as_ref().unwrap().push(&file(b"0123456789"), 0, 10, &Arc::new(Progress::new(10)));
    stream.turn = Turn::over();
    let mut pauses = 0;
    let sent = poll_fn(|cx| {
        let polled = Pin::new(&mut stream).poll_write_vectored(cx, &[IoSlice::new(&stand_in)]);
        pauses += usize::from(polled.is_pending());
        polled
    });
    assert_eq!(sent.await.unwrap(), 10);
    assert_eq!(pauses, 1);
}

#[tokio::test]
async fn what_was_read_ahead_is_read_first() {
    let (stream, mut client) = pair().await;
    let mut stream = ZeroCopyStream { prefix: Bytes::from_static(b"GET "), ..stream };
    client.write_all(b"/ HTTP").await.unwrap();
    drop(client);
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    assert_eq!(text, "GET / HTTP");
}

/// What hyper might be given to write.
#[derive(Debug, Clone)]
enum Chunk {
    Memory(Vec<u8>),
    Range { offset: usize, len: usize },
}

const CONTENT: usize = 1 << 20;

fn chunk() -> impl Strategy<Value = Chunk> {
    let len = prop_oneof![Just(1), 1..100_usize, 1..300_000_usize];
    prop_oneof![
        proptest::collection::vec(any::<u8>(), 1..2000).prop_map(Chunk::Memory),
        (0..CONTENT - 300_000, len).prop_map(|(offset, len)| Chunk::Range { offset, len }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Any row of slices and ranges, through a socket of any size, written as hyper writes: all that is left, again and again.
    #[test]
    fn any_row_arrives_as_it_is(
        chunks in proptest::collection::vec(chunk(), 1..40),
        send_buffer in prop_oneof![Just(2048_usize), 4096..200_000_usize],
    ) {
        let content: Vec<u8> = (0..CONTENT as u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 11) as u8).collect();
        let mut expected = Vec::new();
        for chunk in &chunks {
            match chunk {
                Chunk::Memory(bytes) => expected.extend_from_slice(bytes),
                Chunk::Range { offset, len } => expected.extend_from_slice(&content[*offset..offset + len]),
            }
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let arrived = runtime.block_on(async {
            let (mut stream, mut client) = pair().await;
            stream.socket.set_send_buffer(send_buffer);
            let file = file(&content);
            let progress = Arc::new(Progress::new(expected.len() as u64));
            let queue = Arc::clone(stream.queue.as_ref().unwrap());
            let mut left: VecDeque<Bytes> = chunks
                .iter()
                .map(|chunk| match chunk {
                    Chunk::Memory(bytes) => Bytes::copy_from_slice(bytes),
                    Chunk::Range { offset, len } => queue.push(&file, *offset as u64, *len, &progress),
                })
                .collect();
            let reader = tokio::spawn(async move {
                let mut arrived = Vec::new();
                client.read_to_end(&mut arrived).await.map(|_| arrived)
            });
            while !left.is_empty() {
                let slices: Vec<IoSlice<'_>> = left.iter().map(|bytes| IoSlice::new(bytes)).collect();
                let mut sent = write(&mut stream, &slices).await.unwrap();
                while sent > 0 {
                    let take = sent.min(left[0].len());
                    left[0].advance(take);
                    sent -= take;
                    if left[0].is_empty() {
                        left.pop_front();
                    }
                }
            }
            drop(stream);
            reader.await.unwrap().unwrap()
        });
        prop_assert!(arrived == expected, "{} bytes arrived, {} were written", arrived.len(), expected.len());
    }
}
