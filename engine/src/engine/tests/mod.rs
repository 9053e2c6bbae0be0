//! The engine as a whole: on a simulated disk and the metadata store in memory, and on real ones.

mod crash;
mod fault;
mod ingest;
mod model;
mod quarantine;
mod race;
mod real;
mod restart;
mod verbs;
pub(crate) mod world;
