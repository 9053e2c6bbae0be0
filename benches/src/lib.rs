//! The load generator `strata-load`: asks a registry, or any server that speaks HTTP and lays its files out like one, for as much as it
//! can give, or for as much as it is told to, and says how much that was and how long each took.
//!
//! It knows nothing of the servers it measures: starting them, pinning them to cores and reading their figures is `benches/compare`'s
//! work. It must never be the slower side, so plain reads run on bare sockets ([`swarm`]) and let the kernel throw away bodies it need not see;
//! what clients do in turns runs on a small HTTP client of its own ([`wire`]). From the figures that the comparison saves it makes a page with charts ([`render`]). Not here: the benches of the engine by itself (`benches/benches/`).

pub mod clients;
pub mod content;
pub mod fill;
pub mod get;
pub mod idle;
pub mod latency;
pub mod limits;
pub mod popularity;
pub mod progress;
pub mod push;
pub mod record;
pub mod render;
pub mod secure;
pub mod swarm;
pub mod traffic;
pub mod wire;
