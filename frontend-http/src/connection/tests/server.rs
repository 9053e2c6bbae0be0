//! A server with a handler for tests, and the files that it serves.

use crate::body::{FileSource, Part, ReadFuture, RequestBody, RequestBodyError, ResponseBody};
use crate::connection::ConnectionInfo;
use crate::connection_metrics::ListenerMetrics;
use crate::drain::DrainReport;
use crate::limits::HttpLimits;
use crate::serve::{Handler, HttpConfig, Server, ServerHandle};
use crate::transfer::TransferWatch;
use crate::{ListenerConfig, TlsConfig};
use bytes::Bytes;
use futures_util::StreamExt;
use http::{Request, Response, StatusCode};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::fs::File;
use std::future::poll_fn;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use strata_registry::{Piece, Scope};
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;

/// A plain file as a source.
#[derive(Debug)]
pub(super) struct PlainFile {
    pub(super) file: File,
    len: u64,
    offered: Offered,
}

/// Which descriptor a [`PlainFile`] shows.
#[derive(Debug)]
pub(super) enum Offered {
    Own,
    None,
    /// One that sendfile refuses.
    Other(File),
}

impl PlainFile {
    pub(super) fn source(file: File, offered: Offered) -> Arc<dyn FileSource> {
        let len = file.metadata().unwrap().len();
        Arc::new(Self { file, len, offered })
    }
}

impl FileSource for PlainFile {
    fn len(&self) -> u64 {
        self.len
    }

    fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        match &self.offered {
            Offered::Own => Some(self.file.as_fd()),
            Offered::None => None,
            Offered::Other(other) => Some(other.as_fd()),
        }
    }

    fn read_at(self: Arc<Self>, offset: u64, len: usize) -> ReadFuture {
        Box::pin(async move {
            // Comes back later, as a disk would.
            tokio::task::yield_now().await;
            // And gives less than was asked for when it feels like it.
            let len = if offset.is_multiple_of(3) { len.div_ceil(2) } else { len };
            let mut bytes = vec![0; len];
            let mut done = 0;
            while done < len {
                match self.file.read_at(&mut bytes[done..], offset + done as u64)? {
                    0 => break,
                    read => done += read,
                }
            }
            bytes.truncate(done);
            Ok(Bytes::from(bytes))
        })
    }
}

/// Follows what becomes of answers.
#[derive(Debug, Default)]
pub(super) struct Watched {
    pub(super) sent: AtomicU64,
    pub(super) finished: AtomicUsize,
    pub(super) dropped: AtomicUsize,
    pub(super) changed: Notify,
}

#[derive(Debug)]
struct Watch(Arc<Watched>);

impl TransferWatch for Watch {
    fn sent(&self, bytes: u64) {
        self.0.sent.fetch_add(bytes, Ordering::SeqCst);
    }

    fn finished(&self) {
        self.0.finished.fetch_add(1, Ordering::SeqCst);
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.0.dropped.fetch_add(1, Ordering::SeqCst);
        self.0.changed.notify_waiters();
    }
}

/// Answers by path:
/// `/file/NAME[/START-END]`, `/parts/NAME/A-B,C-D` (each range behind `|`), `/bytes/N`, `/upload` (sha256 and length, or the
/// error), `/pass[/MOST]` (as uploads read: sha256, length and how much came past hyper), `/ignore` (413 without looking at the
/// body), `/wait` (until [`release`](Self::release)), `/panic`, `/nothing`.
#[derive(Debug, Default)]
pub(super) struct TestApp {
    files: Mutex<HashMap<String, Arc<dyn FileSource>>>,
    pub(super) watched: Arc<Watched>,
    pub(super) release: Notify,
    pub(super) waiting: Notify,
    /// Set when a `/wait` was dropped before it was released.
    pub(super) abandoned: Arc<Notify>,
    /// Told of each chunk of an upload.
    pub(super) received: Notify,
    pub(super) upload_error: Mutex<Option<String>>,
    pub(super) upload_failed: Notify,
}

impl TestApp {
    pub(super) fn add(&self, name: &str, file: Arc<dyn FileSource>) {
        self.files.lock().unwrap().insert(name.to_owned(), file);
    }

    fn file(&self, name: &str) -> Arc<dyn FileSource> {
        Arc::clone(&self.files.lock().unwrap()[name])
    }

    async fn upload(&self, body: &mut RequestBody) -> Response<ResponseBody> {
        let declared = body.declared_len();
        let mut hash = Sha256::new();
        loop {
            match body.next().await {
                None => break,
                Some(Ok(chunk)) => {
                    hash.update(&chunk);
                    self.received.notify_one();
                }
                Some(Err(error)) => {
                    *self.upload_error.lock().unwrap() = Some(error.to_string());
                    self.upload_failed.notify_one();
                    let status = match error {
                        RequestBodyError::TooSlow { .. } => StatusCode::REQUEST_TIMEOUT,
                        RequestBodyError::Cut { .. } | RequestBodyError::Malformed { .. } => {
                            StatusCode::BAD_REQUEST
                        }
                    };
                    return respond(status, ResponseBody::bytes(error.to_string()));
                }
            }
        }
        let text = format!("{} {} {declared:?}", hex(&hash.finalize()), body.received());
        respond(StatusCode::OK, ResponseBody::bytes(text))
    }

    /// Reads the body as uploads do, `most` bytes at most, and says how many of them came past hyper.
    async fn pass(&self, body: &mut RequestBody, most: u64) -> Response<ResponseBody> {
        let mut hash = Sha256::new();
        let mut passed = 0;
        let mut memory = vec![0; 300_000];
        while body.received() < most {
            let count = match poll_fn(|cx| body.poll_piece(cx)).await {
                None => break,
                Some(Ok(Piece::Bytes(chunk))) => {
                    hash.update(&chunk);
                    Ok(())
                }
                Some(Ok(Piece::Readable)) => body.read(&mut memory).map(|count| {
                    hash.update(&memory[..count]);
                    passed += count;
                }),
                Some(Err(error)) => Err(error),
            };
            if let Err(error) = count {
                *self.upload_error.lock().unwrap() = Some(error.to_string());
                self.upload_failed.notify_one();
                return respond(StatusCode::BAD_REQUEST, ResponseBody::bytes(error.to_string()));
            }
            self.received.notify_one();
        }
        let text = format!("{} {} {passed}", hex(&hash.finalize()), body.received());
        respond(StatusCode::OK, ResponseBody::bytes(text))
    }

    async fn wait(&self) -> Response<ResponseBody> {
        struct Abandoned(Option<Arc<Notify>>);
        impl Drop for Abandoned {
            fn drop(&mut self) {
                if let Some(notify) = self.0.take() {
                    notify.notify_one();
                }
            }
        }
        let mut guard = Abandoned(Some(Arc::clone(&self.abandoned)));
        let released = self.release.notified();
        self.waiting.notify_one();
        released.await;
        guard.0 = None;
        respond(StatusCode::OK, ResponseBody::bytes("released"))
    }
}

impl Handler for TestApp {
    async fn handle(
        self: &Arc<Self>,
        connection: &ConnectionInfo,
        request: Request<&mut RequestBody>,
    ) -> Response<ResponseBody> {
        let version = request.version();
        let path = request.uri().path().to_owned();
        let segments: Vec<&str> = path.split('/').skip(1).collect();
        let body = match segments[..] {
            ["file", name] => {
                let file = self.file(name);
                let all = 0..file.len();
                ResponseBody::file(connection, version, file, all)
            }
            ["file", name, which] => ResponseBody::file(connection, version, self.file(name), range(which)),
            ["parts", name, list] => {
                let parts = list.split(',').flat_map(|which| {
                    [Part::Bytes(Bytes::from_static(b"|")), Part::File(self.file(name), range(which))]
                });
                let end = [Part::Bytes(Bytes::from_static(b"."))];
                ResponseBody::multipart(connection, version, parts.chain(end).collect::<Vec<_>>())
            }
            ["bytes", count] => ResponseBody::bytes(vec![b'x'; count.parse().unwrap()]),
            ["upload"] => return self.upload(request.into_body()).await,
            ["pass"] => return self.pass(request.into_body(), u64::MAX).await,
            ["pass", most] => return self.pass(request.into_body(), most.parse().unwrap()).await,
            ["ignore"] => return respond(StatusCode::PAYLOAD_TOO_LARGE, ResponseBody::bytes("no")),
            ["wait"] => return self.wait().await,
            ["panic"] => panic!("on purpose"),
            _ => ResponseBody::empty(),
        };
        let len = body.len();
        let mut response = respond(StatusCode::OK, body.watched(Arc::new(Watch(Arc::clone(&self.watched)))));
        response.headers_mut().insert(http::header::CONTENT_LENGTH, len.into());
        response
    }
}

fn respond(status: StatusCode, body: ResponseBody) -> Response<ResponseBody> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response
}

fn range(text: &str) -> Range<u64> {
    let (start, end) = text.split_once('-').unwrap();
    start.parse().unwrap()..end.parse().unwrap()
}

/// A server that runs.
pub(super) struct TestServer {
    pub(super) app: Arc<TestApp>,
    pub(super) address: SocketAddr,
    pub(super) handle: ServerHandle,
    stop: Option<oneshot::Sender<()>>,
    running: JoinHandle<DrainReport>,
}

impl TestServer {
    pub(super) fn start(limits: HttpLimits) -> Self {
        Self::start_with(limits, None)
    }

    pub(super) fn start_with(limits: HttpLimits, tls: Option<TlsConfig>) -> Self {
        let app = Arc::new(TestApp::default());
        let listeners = vec![ListenerConfig {
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            tls,
            scope: Scope::Public,
        }];
        let server =
            Server::bind(&HttpConfig { listeners, limits, ..HttpConfig::default() }, Arc::clone(&app))
                .unwrap();
        let (address, _) = server.addresses()[0];
        let handle = server.handle();
        let (stop, stopped) = oneshot::channel();
        let running = tokio::spawn(server.run(async move {
            let _ = stopped.await;
        }));
        Self { app, address, handle, stop: Some(stop), running }
    }

    pub(super) fn metrics(&self) -> &ListenerMetrics {
        &self.handle.metrics().listeners[0]
    }

    /// Tells the server to stop and returns at once.
    pub(super) fn stop(&mut self) {
        let _ = self.stop.take().unwrap().send(());
    }

    /// Waits for the end of a server that was told to stop.
    pub(super) async fn ended(self) -> DrainReport {
        self.running.await.unwrap()
    }

    /// Waits until `condition` holds.
    pub(super) async fn until(&self, what: &str, mut condition: impl FnMut(&ListenerMetrics) -> bool) {
        eventually(what, || condition(self.metrics())).await;
    }
}

/// Waits until `condition` holds, for ten seconds at most.
pub(super) async fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let wait = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    assert!(tokio::time::timeout(Duration::from_secs(10), wait).await.is_ok(), "never: {what}");
}

/// Small time limits, for tests that wait for one of them; the rest is as it is in production.
pub(super) fn quick() -> HttpLimits {
    HttpLimits {
        header_timeout: Duration::from_millis(200),
        idle_timeout: Duration::from_millis(200),
        tls_handshake_timeout: Duration::from_millis(200),
        body_stall: Duration::from_millis(200),
        write_stall: Duration::from_millis(200),
        drain: Duration::from_millis(200),
        ..HttpLimits::default()
    }
}

/// A file of `len` pseudo-random bytes, and its digest.
pub(super) fn random_file(len: usize) -> (File, String) {
    let bytes = random(len);
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&bytes).unwrap();
    (file, hex(&Sha256::digest(&bytes)))
}

/// Bytes in which no two places look alike.
pub(super) fn random(len: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64 ^ len as u64;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

/// A sparse file of `len` bytes with its own offset written at each MiB, and the digest of a range of it.
pub(super) fn sparse_file(len: u64) -> File {
    let file = tempfile::tempfile().unwrap();
    file.set_len(len).unwrap();
    for offset in (0..len - 8).step_by(1 << 20) {
        file.write_all_at(&(offset + 1).to_le_bytes(), offset).unwrap();
    }
    file
}

/// The digest of a range, read with plain reads.
pub(super) fn digest_of(file: &File, range: Range<u64>) -> String {
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    let mut at = range.start;
    while at < range.end {
        let take = buffer.len().min(usize::try_from(range.end - at).unwrap());
        file.read_exact_at(&mut buffer[..take], at).unwrap();
        hash.update(&buffer[..take]);
        at += take as u64;
    }
    hex(&hash.finalize())
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

/// Descriptors of this process that are sockets or regular files without a name.
pub(super) fn open_descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count)
}

/// A descriptor that sendfile does not send from.
pub(super) fn unsendable() -> io::Result<File> {
    // A directory can be opened for reading and has no splice operation.
    File::open("/")
}
