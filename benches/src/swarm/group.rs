//! What a group of connections does: a closed loop, an open one, or a herd of clients that all want the same image.

use std::ops::Range;
use std::time::{Duration, Instant};

use crate::content::Noise;
use crate::latency::{Latencies, Schedule};
use crate::popularity::Zipf;

/// What a connection does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// It asks for this target. The latency counts from `asked`.
    Ask {
        /// Its number.
        target: usize,
        /// When it was due.
        asked: Instant,
    },
    /// It waits; the next request of its group is due then.
    Until(Instant),
    /// It waits until a reply to another connection of its group lets it go on.
    Wait,
    /// It is done.
    Stop,
}

/// Says what the connections of a group do. They are numbered from 0.
pub trait Script {
    /// A connection has nothing to do.
    fn step(&mut self, line: usize, now: Instant) -> Step;
    /// A reply came to a connection, `took` after it was due, with so many bytes. Returns the connections that may go on now.
    fn done(&mut self, line: usize, took: Duration, bytes: u64, now: Instant) -> Range<usize>;
}

/// In which order targets are asked for.
#[derive(Debug, Clone)]
pub enum Order {
    /// One after the other.
    Turns {
        /// The first target.
        first: usize,
        /// How many.
        count: usize,
        /// The next one.
        next: usize,
    },
    /// By popularity; target 0 is the most popular.
    Skewed(Zipf, Noise),
}

impl Order {
    /// One after the other, from `first`.
    pub fn turns(first: usize, count: usize) -> Order {
        Order::Turns { first, count: count.max(1), next: 0 }
    }

    fn next(&mut self) -> usize {
        match self {
            Order::Turns { first, count, next } => {
                *next += 1;
                *first + (*next - 1) % *count
            }
            Order::Skewed(zipf, noise) => zipf.draw(noise),
        }
    }
}

/// Every connection asks again as soon as it is answered.
#[derive(Debug)]
pub struct Closed {
    order: Order,
    end: Instant,
    /// How long each took.
    pub latencies: Latencies,
    /// Bytes of bodies.
    pub bytes: u64,
}

impl Closed {
    /// Until `end`.
    pub fn new(order: Order, end: Instant) -> Closed {
        Closed { order, end, latencies: Latencies::new(), bytes: 0 }
    }
}

impl Script for Closed {
    fn step(&mut self, _: usize, now: Instant) -> Step {
        if now >= self.end { Step::Stop } else { Step::Ask { target: self.order.next(), asked: now } }
    }

    fn done(&mut self, line: usize, took: Duration, bytes: u64, _: Instant) -> Range<usize> {
        self.latencies.record(took);
        self.bytes += bytes;
        line..line + 1
    }
}

/// Requests are due at a fixed rate, whoever is free sends them, and their latency counts from when they were due.
#[derive(Debug)]
pub struct Open {
    order: Order,
    schedule: Schedule,
    sent: u64,
    end: Instant,
    /// How long each took from when it was due.
    pub latencies: Latencies,
    /// Bytes of bodies.
    pub bytes: u64,
}

impl Open {
    /// `rate` requests a second from `start` to `end`.
    pub fn new(order: Order, rate: f64, start: Instant, end: Instant) -> Open {
        Open {
            order,
            schedule: Schedule::new(start, rate),
            sent: 0,
            end,
            latencies: Latencies::new(),
            bytes: 0,
        }
    }
}

impl Script for Open {
    fn step(&mut self, _: usize, now: Instant) -> Step {
        let due = self.schedule.due(self.sent);
        if due >= self.end {
            return Step::Stop;
        }
        if due > now {
            return Step::Until(due);
        }
        self.sent += 1;
        Step::Ask { target: self.order.next(), asked: due }
    }

    fn done(&mut self, line: usize, took: Duration, bytes: u64, _: Instant) -> Range<usize> {
        self.latencies.record(took);
        self.bytes += bytes;
        line..line + 1
    }
}

/// Clients that all pull one image at the same moment: target 0 is its manifest, the others its blobs. Each client opens `width` connections.
#[derive(Debug)]
pub struct Herd {
    start: Instant,
    width: usize,
    blobs: usize,
    clients: Vec<Puller>,
    /// How long each client took for the whole image.
    pub latencies: Latencies,
    /// Bytes of bodies.
    pub bytes: u64,
}

#[derive(Debug, Clone, Copy, Default)]
struct Puller {
    /// The manifest is asked for.
    asked: bool,
    /// The manifest is here.
    ready: bool,
    next: usize,
    came: usize,
}

impl Herd {
    /// `clients` clients; the image has `blobs` blobs.
    pub fn new(clients: usize, width: usize, blobs: usize, start: Instant) -> Herd {
        let clients = vec![Puller::default(); clients];
        Herd { start, width: width.max(1), blobs, clients, latencies: Latencies::new(), bytes: 0 }
    }
}

impl Script for Herd {
    fn step(&mut self, line: usize, _: Instant) -> Step {
        let Some(client) = self.clients.get_mut(line / self.width) else { return Step::Stop };
        if !client.ready {
            if client.asked || !line.is_multiple_of(self.width) {
                return Step::Wait;
            }
            client.asked = true;
            return Step::Ask { target: 0, asked: self.start };
        }
        if client.next == self.blobs {
            return Step::Stop;
        }
        client.next += 1;
        Step::Ask { target: client.next, asked: self.start }
    }

    fn done(&mut self, line: usize, took: Duration, bytes: u64, _: Instant) -> Range<usize> {
        self.bytes += bytes;
        let first = line - line % self.width;
        let Some(client) = self.clients.get_mut(line / self.width) else { return line..line + 1 };
        if !client.ready {
            client.ready = true;
            return first..first + self.width;
        }
        client.came += 1;
        if client.came == self.blobs {
            self.latencies.record(took);
        }
        line..line + 1
    }
}
