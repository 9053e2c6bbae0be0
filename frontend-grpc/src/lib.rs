//! The gRPC frontend: the same registry for programs, as `strata.registry.v1` and by the protocols that other programs speak.
//!
//! Parse, call one use case of [`strata_registry::Registry`], render. No rule of a registry lives here, and the engine is never
//! named. Connections are driven as those of the HTTP frontend are (`strata_transport`); what a call has in common with all others
//! (who asks, until when, its line in the log) stands in `call`, what it is about in `service`.

mod app;
mod call;
mod caller;
mod config;
mod connection;
mod deadline;
mod error;
mod log;
mod metrics;
mod proto;
mod request;
mod response;
mod serve;
mod service;
mod unix;

pub use caller::{Caller, Messages, Outcome};
pub use config::{GrpcConfig, GrpcListener, default_limits};
pub use error::status_name;
pub use metrics::Metrics;
pub use serve::{Server, ServerHandle};
