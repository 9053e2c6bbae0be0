//! The seam between a response's bytes on their way out and whoever counts them.
//!
//! The request log implements it; bodies and the zero-copy queue call it. No counting, no logging happens here.

use std::fmt::Debug;

/// Follows the body of one response until its last byte has left, or until it is clear that it never will.
///
/// The response body holds it as an `Arc`; whatever goes on sending for the body after the body itself was dropped (a queue
/// of file ranges) holds a clone. **When the last clone is dropped the exchange is over** and is logged.
pub trait TransferWatch: Send + Sync + Debug {
    /// `bytes` more of the body were handed to the connection (to the socket, where that is known).
    fn sent(&self, bytes: u64);

    /// The whole body was handed on. A drop of the last clone without this call means that the transfer was cut.
    fn finished(&self);
}
