//! Nothing here yet but the benches.
