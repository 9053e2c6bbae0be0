//! The HTTP frontend: listeners and connections on one side, the OCI distribution API on the other.
//!
//! Parse, call one use case of `strata_registry::Registry`, render. No rule of a registry lives here, and the engine is never
//! named. The root crate builds an [`App`](app::App) and a server around it.

// OCI side
mod content_range;
mod range;
mod route;
mod query;
mod transfer;

// connection side
mod activity;
mod body;
mod connection;
mod connection_metrics;
mod limits;
mod read_budget;
mod serve;
mod socket;
mod zero_copy;

pub use body::{FileSource, Part, ReadFuture, RequestBody, RequestBodyError, ResponseBody};
pub use connection::ConnectionInfo;
pub use connection_metrics::{Counter, ListenerMetrics, ServerMetrics};
pub use limits::HttpLimits;
pub use serve::{Handler, HttpConfig, ListenerConfig, TlsConfig};

pub use transfer::TransferWatch;
