//! A connection of hyper's under an overseer, and how an HTTP/2 one is set up.

use crate::activity::Expiry;
use crate::flood::FloodGuard;
use crate::limits::HttpLimits;
use crate::overseer::{Overseer, Verdict};
use crate::spawn::StreamExecutor;
use hyper::server::conn::http2;
use std::error::Error;
use std::fmt::Display;
use std::future::Future;
use std::pin::{Pin, pin};

/// The most that an HTTP/2 stream buffers of an answer beyond the piece that is being sent.
const H2_SEND_BUFFER: usize = 128 * 1024;

/// Polls hyper's connection and, after each step of it, asks the overseer whether it may go on. `peer` is for the log; `guard` is
/// told of an end by flood.
pub async fn drive<C: Future<Output = hyper::Result<()>>>(
    peer: impl Display,
    connection: C,
    finish: impl Fn(Pin<&mut C>),
    mut overseer: Overseer,
    guard: Option<&FloodGuard>,
) -> Option<Expiry> {
    let mut connection = pin!(connection);
    let mut expired = None;
    loop {
        let verdict = tokio::select! {
            biased;
            ended = connection.as_mut() => {
                if let Some(guard) = guard {
                    guard.note_end(&ended);
                }
                log_end(peer, ended);
                return expired;
            }
            verdict = overseer.next() => verdict,
        };
        match verdict {
            Verdict::Finish(expiry) => {
                expired = expired.or(expiry);
                finish(connection.as_mut());
            }
            Verdict::Abort(expiry) => return expired.or(expiry),
        }
    }
}

/// Says in the log how a connection ended that did not end well.
pub fn log_end(peer: impl Display, ended: hyper::Result<()>) {
    if let Err(error) = ended {
        let what = if error.is_parse() { "malformed request" } else { "the connection broke" };
        tracing::debug!(%peer, %error, cause = error.source(), "{what}");
    }
}

/// HTTP/2, with bounded windows and bounded patience for clients that only open and reset.
pub fn h2_builder(limits: &HttpLimits) -> http2::Builder<StreamExecutor> {
    let mut builder = http2::Builder::new(StreamExecutor);
    builder
        .adaptive_window(false)
        .initial_stream_window_size(limits.h2_stream_window)
        .initial_connection_window_size(limits.h2_connection_window)
        .max_concurrent_streams(limits.h2_streams_max)
        .max_pending_accept_reset_streams(limits.h2_pending_resets_max)
        .max_local_error_reset_streams(limits.h2_faults_max)
        .max_header_list_size(u32::try_from(limits.header_bytes_max).unwrap_or(u32::MAX))
        .max_send_buf_size(H2_SEND_BUFFER);
    builder
}
