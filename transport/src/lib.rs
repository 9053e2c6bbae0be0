//! What the frontends share below their wires: listeners and TLS, the limits of connections and how they end, who asks and from
//! where.
//!
//! Knows HTTP as a protocol and nothing of an API: which request means what is the frontends', each of which accepts connections here,
//! drives them under an [`overseer::Overseer`] and has them end by [`drain`].

pub mod activity;
pub mod address;
pub mod authorization;
pub mod congestion;
pub mod drain;
pub mod drive;
pub mod error;
pub mod flood;
pub mod forwarded;
pub mod frame_meter;
pub mod intake;
pub mod limits;
pub mod listener;
pub mod log_text;
pub mod memory;
pub mod metrics;
pub mod overseer;
pub mod read_budget;
pub mod request_id;
pub mod socket;
pub mod spawn;
pub mod tls;
