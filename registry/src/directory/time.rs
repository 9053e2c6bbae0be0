//! Moments in the rows of the directory: milliseconds since 1970.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use strata_engine::UnixMillis;

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands it so")]
pub(super) fn serialize<S: Serializer>(at: &UnixMillis, serializer: S) -> Result<S::Ok, S::Error> {
    at.0.serialize(serializer)
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<UnixMillis, D::Error> {
    u64::deserialize(deserializer).map(UnixMillis)
}

/// The same for one that may be missing.
pub(super) mod optional {
    use super::{Deserialize, Deserializer, Serialize, Serializer, UnixMillis};

    #[expect(clippy::ref_option, reason = "serde hands it so")]
    pub(in super::super) fn serialize<S: Serializer>(
        at: &Option<UnixMillis>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        at.map(|at| at.0).serialize(serializer)
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<UnixMillis>, D::Error> {
        Ok(Option::<u64>::deserialize(deserializer)?.map(UnixMillis))
    }
}
