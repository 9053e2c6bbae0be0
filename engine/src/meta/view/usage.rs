//! What registries use.

use super::View;
use crate::error::EngineError;
use crate::meta::key;
use crate::meta::record::{Held, Usage};
use strata_types::Digest;

impl View {
    /// What a registry uses, all zero for one that has nothing. One lookup.
    ///
    /// # Errors
    /// As [`MetaView::get`](crate::meta::MetaView::get).
    pub fn usage(&self, registry: &str) -> Result<Usage, EngineError> {
        Ok(self.record(&key::usage(registry))?.unwrap_or_default())
    }

    /// Whether any repository of a registry holds a blob or a manifest: then one more that does costs the registry no unique bytes.
    ///
    /// # Errors
    /// As [`MetaView::get`](crate::meta::MetaView::get).
    pub fn registry_holds(&self, registry: &str, held: Held, digest: &Digest) -> Result<bool, EngineError> {
        self.holds(&key::holders(registry, held, digest))
    }
}
