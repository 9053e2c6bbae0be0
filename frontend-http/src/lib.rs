//! The HTTP frontend: listeners and connections on one side, the OCI distribution API on the other.
//!
//! Parse, call one use case of `strata_registry::Registry`, render. No rule of a registry lives here, and the engine is never
//! named. The root crate builds an [`App`] and a server around it.

// OCI side. The parsers of what clients send are public for the fuzz targets.
mod app;
pub mod authorization;
mod challenge;
mod client;
pub mod condition;
pub mod content_range;
pub mod document;
mod error;
mod exchange;
pub mod form;
mod handler;
mod hot;
mod json_body;
mod memory;
mod metrics;
pub mod openapi;
mod page;
pub mod query;
pub mod range;
mod request_id;
mod request_log;
mod response;
mod revision;
pub mod route;
mod slice;
mod transfer;

// connection side
mod activity;
mod body;
mod congestion;
mod connection;
mod connection_metrics;
mod drain;
mod fast_path;
mod forwarded;
mod frame_meter;
mod intake;
pub mod lane;
mod limits;
mod listener;
mod read_budget;
mod serve;
mod socket;
mod spawn;
mod tls;
mod zero_copy;

pub use app::{App, AppConfig};
pub use body::{FileSource, Part, ReadFuture, RequestBody, RequestBodyError, ResponseBody};
pub use client::{AdminClient, ClientError};
pub use connection::ConnectionInfo;
pub use connection_metrics::{Counter, ListenerMetrics, ServerMetrics};
pub use drain::DrainReport;
pub use error::status_of;
pub use fast_path::FastPaths;
pub use limits::HttpLimits;
pub use metrics::Metrics;
pub use serve::{Handler, HttpConfig, HttpError, ListenerConfig, Server, ServerHandle, TlsConfig};
pub use transfer::TransferWatch;
