//! Unix sockets: made with the permissions that are asked for, in place of what a server left that is gone, and removed at the end.

use rustix::fs::{Mode, chmod};
use std::fs;
use std::io::{self, ErrorKind, IoSlice};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use strata_registry::Scope;
use strata_transport::activity::Activity;
use strata_transport::address::Address;
use strata_transport::drain::{Connections, Slot};
use strata_transport::error::ListenError;
use strata_transport::listener::{Trouble, is_of_the_connection};
use strata_transport::metrics::ListenerMetrics;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{UnixListener as Socket, UnixStream};

/// A Unix socket that accepts connections; its file is removed with it.
#[derive(Debug)]
pub(crate) struct UnixListener {
    pub(crate) scope: Scope,
    pub(crate) metrics: Arc<ListenerMetrics>,
    socket: Socket,
    address: Address,
    trouble: Trouble,
    _file: SocketFile,
}

impl UnixListener {
    /// Makes the socket.
    ///
    /// # Errors
    /// [`ListenError::Bind`]: where somebody listens there, or something else than a socket is there.
    pub(crate) fn bind(path: &Path, mode: u32, scope: Scope) -> Result<Self, ListenError> {
        let address = Address::Unix(path.to_owned());
        let bound = bind(path, mode);
        let (socket, file) =
            bound.map_err(|source| ListenError::Bind { address: address.clone(), source })?;
        let metrics = Arc::new(ListenerMetrics::new(address.clone(), false));
        Ok(Self { scope, metrics, socket, address, trouble: Trouble::default(), _file: file })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> &Address {
        &self.address
    }

    /// The next connection, once there is room for it. Never gives up.
    pub(crate) async fn accept(&mut self, connections: &Connections) -> (UnixStream, Slot) {
        loop {
            match self.socket.accept().await {
                Ok((stream, _)) => {
                    self.trouble.over();
                    let slot = connections.slot().await;
                    self.metrics.accepted.increment();
                    return (stream, slot);
                }
                Err(error) if is_of_the_connection(&error) => {}
                Err(error) => {
                    self.metrics.accept_errors.increment();
                    self.trouble.pause(&self.address, &error, connections).await;
                }
            }
        }
    }
}

fn bind(path: &Path, mode: u32) -> io::Result<(Socket, SocketFile)> {
    remove_stale(path)?;
    // Nobody but this user gets in before the permissions are as they shall be.
    let before = rustix::process::umask(Mode::RWXG | Mode::RWXO);
    let socket = Socket::bind(path);
    rustix::process::umask(before);
    let socket = socket?;
    let file = SocketFile { path: path.to_owned(), inode: fs::symlink_metadata(path)?.ino() };
    chmod(path, Mode::from_raw_mode(mode))?;
    Ok((socket, file))
}

/// Removes the socket of a server that is gone. One that somebody answers at stays, and so does everything that is no socket.
fn remove_stale(path: &Path) -> io::Result<()> {
    let found = match fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if !found.file_type().is_socket() {
        return Err(io::Error::new(ErrorKind::AlreadyExists, "there is a file there that is no socket"));
    }
    match std::os::unix::net::UnixStream::connect(path) {
        Ok(_) => Err(io::Error::new(ErrorKind::AddrInUse, "a program listens there")),
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => fs::remove_file(path),
        // One that is busy, or of somebody else's.
        Err(error) => Err(error),
    }
}

/// The file of a socket, removed with it, unless another one has taken its place.
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    inode: u64,
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if fs::symlink_metadata(&self.path).is_ok_and(|found| found.ino() == self.inode) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// A connection that notes what moves, as those of the network do.
#[derive(Debug)]
pub(crate) struct Noted {
    stream: UnixStream,
    activity: Arc<Activity>,
    metrics: Arc<ListenerMetrics>,
}

impl Noted {
    pub(crate) fn new(stream: UnixStream, activity: Arc<Activity>, metrics: Arc<ListenerMetrics>) -> Self {
        Self { stream, activity, metrics }
    }

    fn wrote(&self, sent: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match &sent {
            Poll::Ready(Ok(bytes)) if *bytes > 0 => {
                self.activity.wrote();
                self.metrics.bytes_sent.add(*bytes as u64);
            }
            Poll::Ready(_) => {}
            Poll::Pending => {
                self.activity.write_blocked();
            }
        }
        sent
    }
}

impl AsyncRead for Noted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        let count = buffer.filled().len() - before;
        if count > 0 {
            self.activity.read();
            self.metrics.bytes_received.add(count as u64);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Noted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let sent = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.wrote(sent)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let sent = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.wrote(sent)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_shutdown(cx))?;
        self.activity.closing();
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[tokio::test]
    async fn a_stale_socket_is_replaced_and_a_live_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let listen = || UnixListener::bind(&path, 0o660, Scope::Private);
        // What a killed server leaves.
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        let listener = listen().unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o660);
        let error = listen().unwrap_err().to_string();
        assert!(error.contains("a program listens there"), "{error}");
        drop(listener);
        assert!(!path.exists(), "it is removed at the end");
        fs::write(&path, "precious").unwrap();
        assert!(listen().is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    }

    #[tokio::test]
    async fn the_socket_of_another_is_left_to_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let listener = UnixListener::bind(&path, 0o600, Scope::Private).unwrap();
        fs::rename(&path, folder.path().join("old")).unwrap();
        let _other = std::os::unix::net::UnixListener::bind(&path).unwrap();
        drop(listener);
        assert!(path.exists());
    }
}
