//! The HTTP frontend: listeners and connections on one side, the OCI distribution API on the other.
//!
//! Parse, call one use case of `strata_registry::Registry`, render. No rule of a registry lives here, and the engine is never
//! named. The root crate builds an [`App`] and a server around it.

// OCI side. The parsers of what clients send are public for the fuzz targets.
mod app;
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
mod metrics;
pub mod openapi;
mod page;
pub mod query;
pub mod range;
mod request_log;
mod response;
mod revision;
pub mod route;
mod slice;
mod transfer;

// connection side
mod body;
mod connection;
mod fast_path;
pub mod lane;
mod serve;
mod zero_copy;

pub use strata_transport::authorization;
use strata_transport::metrics as connection_metrics;
use strata_transport::{
    activity, congestion, drain, drive, forwarded, frame_meter, intake, limits, listener, memory, overseer,
    read_budget, request_id, socket, spawn, tls,
};

pub use app::{App, AppConfig};
pub use body::{FileSource, Part, ReadFuture, RequestBody, RequestBodyError, ResponseBody};
pub use client::{AdminClient, ClientError, Resource};
pub use connection::ConnectionInfo;
pub use connection_metrics::{Counter, ListenerMetrics, ServerMetrics};
pub use drain::DrainReport;
pub use error::status_of;
pub use fast_path::FastPaths;
pub use limits::HttpLimits;
pub use listener::ListenerConfig;
pub use metrics::Metrics;
pub use serve::{Handler, HttpConfig, Server, ServerHandle};
pub use strata_transport::error::ListenError;
pub use tls::TlsConfig;
pub use transfer::TransferWatch;
