//! Congestion control for peers on the same machine.
//!
//! BBR spaces packets out by timers. To a peer that no network lies between, each of them is a cost and none of them a gain: more
//! than half of the time that a plain download takes. A reverse proxy or a container runtime next to the registry is such a
//! peer. An algorithm that has once begun to pace a connection cannot be talked out of it, so a listener begins with one that
//! does not, and connections from elsewhere are given back what the system has chosen for them.

use rustix::net::sockopt::{set_tcp_congestion, tcp_congestion};
use rustix::net::{AddressFamily, SocketType, socket};
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use strata_types::FastPath;

/// The setting that this is.
const SETTING: &str = "http.local-unpaced";

/// What does not pace, is built into every kernel and is allowed to everybody.
const UNPACED: &str = "reno";

/// How the names of those begin that pace by themselves.
const PACED: &str = "bbr";

/// What connections from elsewhere get back. Exists only where the system's choice paces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paced {
    algorithm: String,
}

impl Paced {
    /// The system's choice, if it paces and can be left and taken up again by this process.
    pub fn find() -> Option<Self> {
        Self::of(&system_choice().ok()?)
    }

    fn of(algorithm: &str) -> Option<Self> {
        if !algorithm.starts_with(PACED) {
            return None;
        }
        let paced = Self { algorithm: algorithm.to_owned() };
        let scratch = scratch().ok()?;
        set_tcp_congestion(&scratch, UNPACED).and_then(|()| set_tcp_congestion(&scratch, algorithm)).ok()?;
        Some(paced)
    }

    /// Lets connections of a listening socket begin without pacing.
    ///
    /// # Errors
    /// What the system says; then nothing has changed.
    pub fn prepare(listener: impl AsFd) -> io::Result<()> {
        Ok(set_tcp_congestion(listener, UNPACED)?)
    }

    /// Gives a new connection of a [prepared](Self::prepare) listener back what the system has chosen, unless its peer is on this
    /// machine.
    ///
    /// # Errors
    /// What the system says. The connection works nevertheless.
    pub fn settle(&self, connection: impl AsFd, peer: SocketAddr, local: SocketAddr) -> io::Result<()> {
        // A route may have a choice of its own: that stays.
        if !is_same_machine(peer, local) && tcp_congestion(&connection)? == UNPACED {
            set_tcp_congestion(&connection, &self.algorithm)?;
        }
        Ok(())
    }
}

/// Whether no network lies between the two ends.
fn is_same_machine(peer: SocketAddr, local: SocketAddr) -> bool {
    let (peer, local) = (peer.ip().to_canonical(), local.ip().to_canonical());
    peer.is_loopback() || peer == local
}

fn scratch() -> io::Result<impl AsFd> {
    let v4 = socket(AddressFamily::INET, SocketType::STREAM, None);
    Ok(v4.or_else(|_| socket(AddressFamily::INET6, SocketType::STREAM, None))?)
}

fn system_choice() -> io::Result<String> {
    Ok(tcp_congestion(scratch()?)?)
}

/// What becomes of it, where it is `wanted`.
pub fn fast_path(wanted: bool) -> FastPath {
    if !wanted {
        return FastPath::switched_off(SETTING);
    }
    match (Paced::find(), system_choice()) {
        (Some(Paced { algorithm }), _) => {
            let why =
                format!("peers on this machine get {UNPACED}, all others {algorithm}, which paces by timers");
            FastPath::taken(SETTING, why)
        }
        (None, Ok(choice)) if choice.starts_with(PACED) => {
            FastPath::refused(SETTING, format!("{choice} cannot be exchanged here"))
        }
        (None, Ok(choice)) => {
            FastPath::refused(SETTING, format!("{choice}, the system's choice, does not pace anybody"))
        }
        (None, Err(error)) => {
            FastPath::refused(SETTING, format!("the system does not tell its choice: {error}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};

    #[test]
    fn the_same_machine_is_known_by_its_addresses() {
        for (peer, local, same) in [
            ("127.0.0.1:1", "127.0.0.1:2", true),
            ("127.0.0.9:1", "127.0.0.1:2", true),
            ("[::1]:1", "[::1]:2", true),
            ("[::ffff:127.0.0.1]:1", "[::ffff:127.0.0.1]:2", true),
            ("192.0.2.1:1", "192.0.2.1:2", true),
            ("[::ffff:192.0.2.1]:1", "[::ffff:192.0.2.1]:2", true),
            ("192.0.2.1:1", "192.0.2.2:2", false),
            ("[2001:db8::1]:1", "[2001:db8::2]:2", false),
        ] {
            assert_eq!(
                is_same_machine(peer.parse().unwrap(), local.parse().unwrap()),
                same,
                "{peer} {local}"
            );
        }
    }

    #[test]
    fn what_does_not_pace_is_left_alone() {
        assert_eq!(Paced::of("cubic"), None);
        assert_eq!(Paced::of("reno"), None);
        assert_eq!(Paced::of("bbr-that-nobody-has"), None, "what cannot be given back is not taken away");
    }

    #[test]
    fn only_peers_on_this_machine_keep_what_the_listener_begins_with() {
        // Any algorithm will do as the one that is given back; where the system has one only, there is nothing to tell apart.
        let available = std::fs::read_to_string("/proc/sys/net/ipv4/tcp_allowed_congestion_control").unwrap();
        let given_back = available.split_whitespace().find(|name| *name != UNPACED).unwrap_or(UNPACED);
        let paced = Paced { algorithm: given_back.to_owned() };
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        Paced::prepare(&listener).unwrap();
        let address = listener.local_addr().unwrap();
        for (peer, expected) in [("127.0.0.1:9", UNPACED), ("192.0.2.7:9", given_back)] {
            let _client = TcpStream::connect(address).unwrap();
            let (server, _) = listener.accept().unwrap();
            assert_eq!(tcp_congestion(&server).unwrap(), UNPACED);
            paced.settle(&server, peer.parse().unwrap(), "192.0.2.1:5000".parse().unwrap()).unwrap();
            assert_eq!(tcp_congestion(&server).unwrap(), expected, "{peer}");
        }
    }

    #[test]
    fn the_choice_is_told() {
        assert_eq!(fast_path(false), FastPath::switched_off(SETTING));
        let told = fast_path(true);
        assert_eq!(told.taken, Paced::find().is_some());
        assert!(told.why.contains(&system_choice().unwrap()), "{}", told.why);
    }
}
