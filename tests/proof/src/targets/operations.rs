//! Sequences of requests, sweeps, faults, kills and power cuts on a whole store, against the model.

/// Longer ones say nothing that a shorter one does not.
const BYTES_MAX: usize = 400;

pub(super) fn run(data: &[u8]) {
    crate::model::run(data.get(..BYTES_MAX).unwrap_or(data));
}
