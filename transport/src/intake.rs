//! The rest of a large body on a plain HTTP/1 connection, read from the socket straight into the memory of the store.
//!
//! hyper reads into buffers of its own, from which the bytes would have to be copied. So once it has delivered all that it has
//! read of a body whose length is known, the socket takes no more reads from it and the body gets a handle of its own to read the
//! rest by. hyper never learns of those bytes: after the answer its connection is dropped and the socket goes on (see
//! `connection`). A body that is given up before its end shows hyper the end of the stream instead, and the connection ends.

use hyper::body::Incoming;
use std::io;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};
use strata_types::FastPath;
use tokio::net::TcpStream;

/// What becomes of it, where it is `wanted`. There is nothing that a system could refuse for good.
pub fn fast_path(wanted: bool) -> FastPath {
    const SETTING: &str = "http.direct-bodies";
    if !wanted {
        return FastPath::switched_off(SETTING);
    }
    FastPath::taken(SETTING, "large uploads over plain HTTP/1 are read straight into the store's buffers")
}

/// Who reads from the socket of one connection.
#[derive(Debug, Default)]
pub struct Intake {
    /// Whether it is anybody but hyper: read by every poll of the socket.
    engaged: AtomicBool,
    done: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    stage: Stage,
    /// hyper's last poll for bytes.
    waker: Option<Waker>,
}

#[derive(Debug, Default)]
enum Stage {
    #[default]
    Hyper,
    /// The body wants to read by itself as soon as hyper has delivered all that it has read.
    Wanted,
    /// That is now.
    Offered(TcpStream),
    /// The body reads.
    Taken,
    /// The body was read to its end. hyper's half of it is kept, because hyper would give the connection up with it.
    Done(#[expect(dead_code, reason = "held, never read")] Option<Incoming>),
    /// The body was given up.
    Abandoned,
}

/// What a poll of hyper for bytes gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gate {
    /// What the socket has.
    Open,
    /// Nothing, for now.
    Shut,
    /// The end of the stream.
    End,
}

impl Intake {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether polls for bytes have to ask [`Intake::gate`].
    pub fn is_engaged(&self) -> bool {
        self.engaged.load(Relaxed)
    }

    /// Whether a body was read to its end past hyper.
    pub fn is_done(&self) -> bool {
        self.done.load(Relaxed)
    }

    /// Asks for the socket. To be called when all that hyper has delivered was taken; the task has to be polled once more.
    pub fn want(&self) {
        self.state().stage = Stage::Wanted;
        self.engaged.store(true, Relaxed);
    }

    /// Decides over a poll of hyper for bytes of a body: it has none left then.
    pub fn gate(&self, cx: &Context<'_>, socket: &TcpStream) -> Gate {
        let mut state = self.state();
        if matches!(state.stage, Stage::Wanted) {
            match duplicate(socket) {
                Ok(handle) => state.stage = Stage::Offered(handle),
                Err(error) => {
                    tracing::debug!(%error, "a body is read through the HTTP library");
                    state.stage = Stage::Hyper;
                    self.engaged.store(false, Relaxed);
                }
            }
        }
        state.waker = Some(cx.waker().clone());
        match state.stage {
            Stage::Hyper | Stage::Wanted => Gate::Open,
            Stage::Offered(_) | Stage::Taken | Stage::Done(_) => Gate::Shut,
            Stage::Abandoned => Gate::End,
        }
    }

    /// The socket, once it is offered. From here on hyper gets nothing.
    pub fn take(&self) -> Option<TcpStream> {
        let mut state = self.state();
        match std::mem::take(&mut state.stage) {
            Stage::Offered(handle) => {
                state.stage = Stage::Taken;
                Some(handle)
            }
            other => {
                state.stage = other;
                None
            }
        }
    }

    /// The body was read to its end.
    pub fn finish(&self, incoming: Option<Incoming>) {
        self.state().stage = Stage::Done(incoming);
        self.done.store(true, Relaxed);
    }

    /// The body is given up before its end. Where nothing was read past hyper, hyper goes on.
    pub fn abandon(&self) {
        let mut state = self.state();
        match state.stage {
            Stage::Wanted | Stage::Offered(_) => {
                state.stage = Stage::Hyper;
                self.engaged.store(false, Relaxed);
            }
            Stage::Taken => state.stage = Stage::Abandoned,
            Stage::Hyper | Stage::Done(_) | Stage::Abandoned => return,
        }
        if let Some(waker) = state.waker.take() {
            waker.wake();
        }
    }

    /// Gives the socket back to whoever has the connection next.
    pub fn reset(&self) {
        if self.engaged.swap(false, Relaxed) {
            self.done.store(false, Relaxed);
            let last = std::mem::take(&mut *self.state());
            drop(last);
        }
    }
}

/// Another handle on the socket, with a registration of its own: whoever polls it wakes nobody else.
fn duplicate(socket: &TcpStream) -> io::Result<TcpStream> {
    let socket = socket.as_fd().try_clone_to_owned()?;
    TcpStream::from_std(std::net::TcpStream::from(socket))
}
