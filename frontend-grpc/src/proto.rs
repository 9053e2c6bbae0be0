//! What the build makes of `proto/`.

/// `strata.registry.v1`
#[allow(
    clippy::all,
    clippy::pedantic,
    clippy::unwrap_used,
    clippy::allow_attributes_without_reason,
    missing_docs,
    unreachable_pub,
    reason = "generated; its descriptions stand in the protocol's"
)]
pub(crate) mod registry {
    tonic::include_proto!("strata.registry.v1");
}

/// `containerd.services.content.v1`
#[allow(
    clippy::all,
    clippy::pedantic,
    clippy::unwrap_used,
    clippy::allow_attributes_without_reason,
    missing_docs,
    unreachable_pub,
    reason = "generated; its descriptions stand in the protocol's"
)]
pub(crate) mod content {
    tonic::include_proto!("containerd.services.content.v1");
}

/// All files of the protocol and what they import, as reflection serves them.
pub(crate) const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
