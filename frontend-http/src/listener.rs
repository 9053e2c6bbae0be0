//! One listening socket: bound, accepting, never giving up.

use crate::congestion::Paced;
use crate::connection::{self, Accepted};
use crate::connection_metrics::ListenerMetrics;
use crate::drain::Connections;
use crate::fast_path::FastPaths;
use crate::serve::{Handler, HttpError, ListenerConfig, Shared};
use crate::spawn::spawn;
use crate::tls::Tls;
use rustix::io::Errno;
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use strata_registry::Scope;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep};

/// Connections that the kernel holds until they are accepted; it takes the smaller of this and `net.core.somaxconn`.
const BACKLOG: i32 = 4096;

/// First and longest pause after a failure to accept.
const PAUSE: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(1));

/// Failures to accept are logged at most this often.
const LOG_INTERVAL: Duration = Duration::from_secs(10);

/// A bound listener.
#[derive(Debug)]
pub(crate) struct Listener {
    pub(crate) socket: TcpListener,
    pub(crate) address: SocketAddr,
    pub(crate) tls: Option<Arc<Tls>>,
    pub(crate) metrics: Arc<ListenerMetrics>,
    scope: Scope,
    /// What connections from elsewhere get, where those from this machine get something else.
    paced: Option<Paced>,
}

impl Listener {
    /// Binds and listens.
    ///
    /// # Errors
    /// `HttpError::Bind` with the address, `HttpError::Tls`.
    pub(crate) fn bind(config: &ListenerConfig, fast_paths: FastPaths) -> Result<Self, HttpError> {
        let tls = config.tls.as_ref().map(Tls::load).transpose()?.map(Arc::new);
        let failed = |source| HttpError::Bind { address: config.address, source };
        let socket = listen(config.address).map_err(failed)?;
        let address = socket.local_addr().map_err(failed)?;
        let paced = if fast_paths.local_unpaced { Paced::find() } else { None };
        let paced = paced.filter(|_| Paced::prepare(&socket).is_ok());
        let metrics = Arc::new(ListenerMetrics::new(address, tls.is_some()));
        Ok(Self { socket, address, tls, metrics, scope: config.scope, paced })
    }

    /// Accepts and serves connections for ever.
    pub(crate) async fn run<H: Handler>(self, shared: Arc<Shared<H>>) {
        let mut trouble = Trouble::default();
        loop {
            match self.socket.accept().await {
                Ok((stream, peer)) => {
                    trouble.over();
                    self.settle(&stream, peer);
                    let slot = shared.connections.slot().await;
                    self.metrics.accepted.increment();
                    let (tls, metrics) = (self.tls.clone(), Arc::clone(&self.metrics));
                    let from = Accepted { peer, scope: self.scope, tls };
                    spawn(connection::serve(Arc::clone(&shared), stream, from, metrics, slot));
                }
                Err(error) if is_of_the_connection(&error) => {}
                Err(error) => {
                    self.metrics.accept_errors.increment();
                    trouble.pause(self.address, &error, &shared.connections).await;
                }
            }
        }
    }

    /// Gives a connection the congestion control that is right for where its peer is.
    fn settle(&self, stream: &TcpStream, peer: SocketAddr) {
        let Some(paced) = &self.paced else { return };
        // Without an address it is over already.
        let Ok(local) = stream.local_addr() else { return };
        if let Err(error) = paced.settle(stream, peer, local) {
            tracing::debug!(%peer, %error, "the connection keeps the congestion control of local ones");
        }
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    // A restarted server must not wait for connections of the last one to time out.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// Whether accept failed because of the connection it would have returned, and the next one may be fine.
fn is_of_the_connection(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(
            Errno::CONNABORTED
                | Errno::CONNRESET
                | Errno::INTR
                | Errno::PROTO
                | Errno::NETDOWN
                | Errno::NETUNREACH
                | Errno::HOSTDOWN
                | Errno::HOSTUNREACH
                | Errno::NONET
                | Errno::NOPROTOOPT
                | Errno::OPNOTSUPP
                | Errno::PERM
        )
    )
}

/// Failures to accept in a row: out of descriptors (`EMFILE`, `ENFILE`) or memory, which pass.
#[derive(Debug, Default)]
struct Trouble {
    pause: Option<Duration>,
    logged: Option<Instant>,
    unlogged: u64,
}

impl Trouble {
    fn over(&mut self) {
        self.pause = None;
    }

    async fn pause(&mut self, address: SocketAddr, error: &io::Error, connections: &Connections) {
        if self.logged.is_none_or(|logged| logged.elapsed() >= LOG_INTERVAL) {
            tracing::warn!(
                %address,
                %error,
                more = self.unlogged,
                "cannot accept connections, will try again (is the limit of open files too low?)"
            );
            self.logged = Some(Instant::now());
            self.unlogged = 0;
        } else {
            self.unlogged += 1;
        }
        let pause = self.pause.map_or(PAUSE.0, |pause| (pause * 2).min(PAUSE.1));
        self.pause = Some(pause);
        // An idle connection that ends gives a descriptor back.
        connections.relieve();
        sleep(pause).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_of_one_connection_is_told_from_want_of_descriptors() {
        let of = |errno: Errno| is_of_the_connection(&io::Error::from(errno));
        assert!(of(Errno::CONNABORTED));
        assert!(of(Errno::INTR));
        assert!(!of(Errno::MFILE));
        assert!(!of(Errno::NFILE));
        assert!(!of(Errno::NOMEM));
        assert!(!of(Errno::NOBUFS));
    }

    #[tokio::test(start_paused = true)]
    async fn pauses_grow_to_a_bound_and_start_over_after_a_success() {
        let connections = Connections::new(1);
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut trouble = Trouble::default();
        for _ in 0..20 {
            trouble.pause(address, &Errno::MFILE.into(), &connections).await;
        }
        assert_eq!(trouble.pause, Some(PAUSE.1));
        assert!(trouble.unlogged > 0, "twenty failures within seconds are not twenty lines");
        trouble.over();
        let before = Instant::now();
        trouble.pause(address, &Errno::MFILE.into(), &connections).await;
        assert!(before.elapsed() < PAUSE.1);
    }
}
