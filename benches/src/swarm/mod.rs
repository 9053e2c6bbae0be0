//! Reading as fast as a server gives: many plain sockets on one epoll, one thread, no runtime.
//!
//! A [`Script`] says what each connection asks for next and is told when it came. Two kinds of load can run side by side on the one thread, so that
//! neither is measured through the operating system's scheduler. The loop costs a send, a receive and a share of a wait per small reply.

mod group;
mod line;
mod read;

pub use group::{Closed, Herd, Open, Order, Script, Step};
pub use read::{Bodies, Target};

use std::io;
use std::net::SocketAddr;
use std::ops::Range;
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::event::epoll;
use rustix::event::{Timespec, epoll::EventFlags};

use line::Line;
use read::{Buffers, Moved};

/// The longest wait for anything: how late the end of a run may be noticed.
const WAIT: Duration = Duration::from_millis(100);

/// Connections that follow one script.
pub struct Group<'s> {
    /// How many.
    pub lines: usize,
    /// A new connection for every request.
    pub fresh: bool,
    /// The run goes on as long as one of these groups does; the others are its surroundings.
    pub awaited: bool,
    /// Before a request is due the loop spins for this long: the kernel's timers and a processor that sleeps are late by up to 1.5 ms on
    /// virtual machines. Longer than the time between two requests, it never sleeps, and leaves its core to nobody.
    pub spin: Duration,
    /// What they do.
    pub script: &'s mut dyn Script,
}

impl std::fmt::Debug for Group<'_> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Group { lines, fresh, awaited, spin, .. } = self;
        write!(out, "Group {{ lines: {lines}, fresh: {fresh}, awaited: {awaited}, spin: {spin:?} }}")
    }
}

/// What a whole run came to.
#[derive(Debug)]
pub struct Outcome {
    /// From the first request to the last reply.
    pub elapsed: Duration,
    /// Bytes of all bodies, those of unfinished ones too.
    pub received: u64,
    /// The awaited groups came to their end before the time was over.
    pub finished: bool,
}

struct Swarm<'s> {
    address: SocketAddr,
    targets: &'s mut [Target],
    groups: Vec<Group<'s>>,
    /// The first line of each group.
    first: Vec<usize>,
    /// Lines of each group that wait for the group's next due moment.
    sleeping: Vec<(Vec<usize>, Instant)>,
    lines: Vec<Line>,
    /// Lines with more to read than one turn took.
    ready: Vec<usize>,
    epoll: rustix::fd::OwnedFd,
    buffers: Buffers,
    awaited: usize,
    received: u64,
}

/// Runs the groups against the server until the awaited ones end or `limit` is over.
///
/// # Errors
/// When a connection breaks, or a reply is not understood, is not `200`, or is not what its digest says.
pub fn run<'s>(
    address: SocketAddr,
    targets: &'s mut [Target],
    bodies: Bodies,
    groups: Vec<Group<'s>>,
    limit: Duration,
) -> io::Result<Outcome> {
    let started = Instant::now();
    let mut swarm = Swarm {
        address,
        targets,
        first: Vec::new(),
        sleeping: groups.iter().map(|_| (Vec::new(), started)).collect(),
        lines: Vec::new(),
        ready: Vec::new(),
        epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?,
        buffers: Buffers::new(bodies),
        awaited: groups.iter().filter(|group| group.awaited).map(|group| group.lines).sum(),
        received: 0,
        groups,
    };
    for (number, group) in swarm.groups.iter().enumerate() {
        swarm.first.push(swarm.lines.len());
        swarm.lines.extend((0..group.lines).map(|_| Line::new(number, group.fresh)));
    }
    for line in 0..swarm.lines.len() {
        swarm.step(line)?;
    }
    let finished = swarm.turn(started + limit)?;
    Ok(Outcome { elapsed: started.elapsed(), received: swarm.received, finished })
}

impl Swarm<'_> {
    fn turn(&mut self, end: Instant) -> io::Result<bool> {
        let mut events = Vec::with_capacity(256);
        while self.awaited > 0 {
            let now = Instant::now();
            if now >= end {
                return Ok(false);
            }
            self.wake(now)?;
            for line in std::mem::take(&mut self.ready) {
                self.advance(line)?;
            }
            events.clear();
            let timeout = self.timeout(Instant::now());
            match epoll::wait(&self.epoll, spare_capacity(&mut events), Some(&timeout)) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(why) => return Err(why.into()),
            }
            for event in events.drain(..) {
                self.advance(usize::try_from(event.data.u64()).unwrap_or(usize::MAX))?;
            }
        }
        Ok(true)
    }

    /// Lets the lines whose moment has come go on.
    fn wake(&mut self, now: Instant) -> io::Result<()> {
        for group in 0..self.sleeping.len() {
            while let Some((sleeping, due)) = self.sleeping.get_mut(group) {
                if *due > now {
                    break;
                }
                let Some(line) = sleeping.pop() else { break };
                self.step(line)?;
            }
        }
        Ok(())
    }

    fn timeout(&self, now: Instant) -> Timespec {
        let sleeping = self.sleeping.iter().zip(&self.groups).filter(|((lines, _), _)| !lines.is_empty());
        let due = sleeping.map(|((_, due), group)| due.checked_sub(group.spin).unwrap_or(*due)).min();
        let wait = match due {
            _ if !self.ready.is_empty() => Duration::ZERO,
            Some(due) => due.saturating_duration_since(now).min(WAIT),
            None => WAIT,
        };
        Timespec { tv_sec: 0, tv_nsec: wait.subsec_nanos().into() }
    }

    /// Asks the script what a line that does nothing is to do.
    fn step(&mut self, number: usize) -> io::Result<()> {
        let Some(group) = self.lines.get(number).filter(|line| line.is_still()).map(|line| line.group) else {
            return Ok(());
        };
        let (Some(first), Some(of)) = (self.first.get(group), self.groups.get_mut(group)) else {
            return Ok(());
        };
        match of.script.step(number - first, Instant::now()) {
            Step::Ask { target, asked } => self.ask(number, target, asked),
            Step::Until(due) => {
                if let Some((sleeping, at)) = self.sleeping.get_mut(group) {
                    sleeping.push(number);
                    *at = due;
                }
                Ok(())
            }
            Step::Wait => Ok(()),
            Step::Stop => {
                self.awaited -= usize::from(of.awaited);
                if let Some(line) = self.lines.get_mut(number) {
                    line.stop();
                }
                Ok(())
            }
        }
    }

    fn ask(&mut self, number: usize, target: usize, asked: Instant) -> io::Result<()> {
        let Some(line) = self.lines.get_mut(number) else { return Ok(()) };
        if line.start(target, asked, self.address)? {
            let flags = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
            if let Some(socket) = line.socket() {
                epoll::add(&self.epoll, socket, epoll::EventData::new_u64(number as u64), flags)?;
            }
        }
        self.advance(number)
    }

    /// Moves a line on as far as its socket allows, within one turn.
    fn advance(&mut self, number: usize) -> io::Result<()> {
        let Some(line) = self.lines.get_mut(number) else { return Ok(()) };
        let before = line.taken();
        let moved = line.advance(self.targets, &mut self.buffers)?;
        self.received += line.taken() - before;
        match moved {
            Moved::Blocked => Ok(()),
            Moved::More => {
                self.ready.push(number);
                Ok(())
            }
            Moved::Done => self.done(number),
        }
    }

    fn done(&mut self, number: usize) -> io::Result<()> {
        let now = Instant::now();
        let Some(line) = self.lines.get_mut(number) else { return Ok(()) };
        let (group, asked, bytes) = (line.group, line.asked(), line.finish());
        let (Some(first), Some(of)) = (self.first.get(group).copied(), self.groups.get_mut(group)) else {
            return Ok(());
        };
        let Range { start, end } = of.script.done(number - first, now.duration_since(asked), bytes, now);
        (first + start..first + end).try_for_each(|line| self.step(line))
    }
}

#[cfg(test)]
mod tests;
