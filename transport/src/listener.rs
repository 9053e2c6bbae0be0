//! One listening socket: bound, accepting, never giving up.

use crate::address::Address;
use crate::congestion::Paced;
use crate::drain::{Connections, Slot};
use crate::error::ListenError;
use crate::metrics::ListenerMetrics;
use crate::tls::{Tls, TlsConfig};
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

/// One address to listen at.
#[derive(Debug, Clone)]
pub struct ListenerConfig {
    /// Address and port; port 0 takes a free one.
    pub address: SocketAddr,
    /// With this the listener speaks TLS, and nothing else.
    pub tls: Option<TlsConfig>,
    /// Who is expected to reach it.
    pub scope: Scope,
}

/// A bound listener.
#[derive(Debug)]
pub struct Listener {
    /// Where it listens.
    pub address: SocketAddr,
    /// Its identity, where it speaks TLS.
    pub tls: Option<Arc<Tls>>,
    /// Its counters.
    pub metrics: Arc<ListenerMetrics>,
    /// Who is expected to reach it.
    pub scope: Scope,
    socket: TcpListener,
    trouble: Trouble,
    /// What connections from elsewhere get, where those from this machine get something else.
    paced: Option<Paced>,
}

/// A connection that was accepted.
#[derive(Debug)]
pub struct Accepted {
    /// The connection.
    pub stream: TcpStream,
    /// Where it comes from.
    pub peer: SocketAddr,
    /// Its place among those that may be open.
    pub slot: Slot,
}

impl Listener {
    /// Binds and listens. `protocols` are what is spoken inside TLS, the best first; `unpaced`: connections from this machine are not
    /// paced by timers.
    ///
    /// # Errors
    /// [`ListenError::Bind`] with the address, [`ListenError::Tls`].
    pub fn bind(config: &ListenerConfig, protocols: &[&[u8]], unpaced: bool) -> Result<Self, ListenError> {
        let tls = config.tls.as_ref().map(|files| Tls::load(files, protocols)).transpose()?.map(Arc::new);
        let failed = |source| ListenError::Bind { address: config.address.into(), source };
        let socket = listen(config.address).map_err(failed)?;
        let address = socket.local_addr().map_err(failed)?;
        let paced = if unpaced { Paced::find() } else { None };
        let paced = paced.filter(|_| Paced::prepare(&socket).is_ok());
        let metrics = Arc::new(ListenerMetrics::new(address, tls.is_some()));
        let trouble = Trouble::default();
        Ok(Self { address, tls, metrics, scope: config.scope, socket, trouble, paced })
    }

    /// The next connection, once there is room for it. Never gives up.
    pub async fn accept(&mut self, connections: &Connections) -> Accepted {
        loop {
            match self.socket.accept().await {
                Ok((stream, peer)) => {
                    self.trouble.over();
                    self.settle(&stream, peer);
                    let slot = connections.slot().await;
                    self.metrics.accepted.increment();
                    return Accepted { stream, peer, slot };
                }
                Err(error) if is_of_the_connection(&error) => {}
                Err(error) => {
                    self.metrics.accept_errors.increment();
                    self.trouble.pause(&self.address.into(), &error, connections).await;
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
pub fn is_of_the_connection(error: &io::Error) -> bool {
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
pub struct Trouble {
    pause: Option<Duration>,
    logged: Option<Instant>,
    unlogged: u64,
}

impl Trouble {
    /// A connection was accepted.
    pub fn over(&mut self) {
        self.pause = None;
    }

    /// Waits a while after a failure to accept, and says so in the log now and then.
    pub async fn pause(&mut self, address: &Address, error: &io::Error, connections: &Connections) {
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
            trouble.pause(&address.into(), &Errno::MFILE.into(), &connections).await;
        }
        assert_eq!(trouble.pause, Some(PAUSE.1));
        assert!(trouble.unlogged > 0, "twenty failures within seconds are not twenty lines");
        trouble.over();
        let before = Instant::now();
        trouble.pause(&address.into(), &Errno::MFILE.into(), &connections).await;
        assert!(before.elapsed() < PAUSE.1);
    }
}
