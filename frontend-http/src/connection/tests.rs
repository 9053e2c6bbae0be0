//! The connection side over real sockets, with real files and a handler made for it.
//!
//! Nothing sleeps: limits are made small and the tests wait for what they lead to.

mod client;
mod draining;
mod guarded;
mod limits;
mod passing;
mod secure;
mod sending;
mod server;
mod uploading;
