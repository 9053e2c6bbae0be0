//! One connection of the swarm: where it stands with its request.

use std::io;
use std::net::SocketAddr;
use std::time::Instant;

use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SendFlags, SocketFlags, SocketType, connect, ipproto, send, socket_with, sockopt,
};

use super::read::{Buffers, Moved, Reply, Target};
use crate::wire::bad;

#[derive(Debug)]
enum State {
    /// Nothing is asked.
    Still,
    /// So many bytes of the request are out.
    Sending(usize),
    /// The reply is awaited or coming.
    Reading(Reply),
    /// Nothing will be asked any more.
    Stopped,
}

#[derive(Debug)]
pub(super) struct Line {
    pub(super) group: usize,
    fresh: bool,
    socket: Option<OwnedFd>,
    state: State,
    target: usize,
    asked: Instant,
    /// Bytes of bodies taken since the beginning.
    taken: u64,
}

impl Line {
    pub(super) fn new(group: usize, fresh: bool) -> Line {
        Line { group, fresh, socket: None, state: State::Still, target: 0, asked: Instant::now(), taken: 0 }
    }

    pub(super) fn is_still(&self) -> bool {
        matches!(self.state, State::Still)
    }

    pub(super) fn stop(&mut self) {
        (self.state, self.socket) = (State::Stopped, None);
    }

    pub(super) fn socket(&self) -> Option<&OwnedFd> {
        self.socket.as_ref()
    }

    pub(super) fn asked(&self) -> Instant {
        self.asked
    }

    pub(super) fn taken(&self) -> u64 {
        self.taken
    }

    /// Begins a request; true if that took a new socket.
    pub(super) fn start(&mut self, target: usize, asked: Instant, address: SocketAddr) -> io::Result<bool> {
        (self.target, self.asked, self.state) = (target, asked, State::Sending(0));
        if self.socket.is_some() && !self.fresh {
            return Ok(false);
        }
        self.socket = None;
        let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let socket = socket_with(
            family,
            SocketType::STREAM,
            SocketFlags::NONBLOCK | SocketFlags::CLOEXEC,
            Some(ipproto::TCP),
        )?;
        sockopt::set_tcp_nodelay(&socket, true)?;
        match connect(&socket, &address) {
            Ok(()) | Err(Errno::INPROGRESS) => {}
            Err(why) => return Err(why.into()),
        }
        self.socket = Some(socket);
        Ok(true)
    }

    /// Moves on as far as the socket allows, within one turn.
    pub(super) fn advance(&mut self, targets: &mut [Target], buffers: &mut Buffers) -> io::Result<Moved> {
        let (Some(socket), Some(target)) = (&self.socket, targets.get_mut(self.target)) else {
            return Ok(Moved::Blocked);
        };
        if let State::Sending(sent) = &mut self.state {
            loop {
                match send(socket, target.request.get(*sent..).unwrap_or_default(), SendFlags::NOSIGNAL) {
                    Ok(more) => *sent += more,
                    Err(Errno::AGAIN) => return Ok(Moved::Blocked),
                    Err(Errno::INTR) => continue,
                    Err(why) => return Err(bad(format!("sending {}: {why}", target.path))),
                }
                if *sent >= target.request.len() {
                    break;
                }
            }
            // The reply is not here yet, and the socket will say when it is.
            self.state = State::Reading(Reply::awaited(buffers));
            return Ok(Moved::Blocked);
        }
        let State::Reading(reply) = &mut self.state else { return Ok(Moved::Blocked) };
        let before = reply.taken();
        let moved = reply.advance(socket, target, buffers);
        self.taken += reply.taken() - before;
        moved.map_err(|why| io::Error::new(why.kind(), format!("reading {}: {why}", target.path)))
    }

    /// Ends a request; the bytes of the reply's body.
    pub(super) fn finish(&mut self) -> u64 {
        match std::mem::replace(&mut self.state, State::Still) {
            State::Reading(reply) => reply.taken(),
            _ => 0,
        }
    }
}
