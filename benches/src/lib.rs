//! The load generator `strata-load`: asks a registry, or any server that speaks HTTP/1.1 and lays its files out like one, for as much as it
//! can give, and says how much that was.
//!
//! It knows nothing of the servers it measures: starting them, pinning them to cores and reading their figures is `benches/compare`'s
//! work. It must never be the slower side, so it speaks HTTP/1.1 on plain sockets and lets the kernel throw away bodies it need not see.
//! Not here: the benches of the engine by itself (`benches/benches/`).

pub mod connection;
pub mod content;
pub mod fill;
pub mod get;
pub mod push;
pub mod report;

pub use connection::Connection;
pub use report::Report;
