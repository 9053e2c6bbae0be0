//! What manifests hold, decoded once for many back edges, with bounded memory.

use crate::meta::record::{Edges, RoleSet};
use bytes::Bytes;
use std::collections::HashMap;
use strata_types::Digest;

/// Most edges that are kept decoded: about 18 MB.
const EDGES_MAX: usize = 256 * 1024;

/// Decoded edges by the key of their row. Back edges sort by child, so the rows of a large manifest lie among those of
/// others; decoding its edges for each of them would cost the square of their number.
#[derive(Debug, Default)]
pub(super) struct Held {
    manifests: HashMap<Bytes, Vec<(Digest, RoleSet)>>,
    edges: usize,
}

impl Held {
    /// What the manifest holds, in order of digests, where it is kept.
    pub(super) fn get(&self, edges_row: &Bytes) -> Option<&[(Digest, RoleSet)]> {
        self.manifests.get(edges_row).map(Vec::as_slice)
    }

    /// Keeps what a manifest holds. Where there is no room, all others go.
    pub(super) fn keep(&mut self, edges_row: Bytes, edges: &Edges) {
        let held = edges.held();
        // An empty one takes room as well.
        let weight = held.len() + 1;
        if self.edges + weight > EDGES_MAX {
            self.manifests.clear();
            self.edges = 0;
        }
        self.edges += weight;
        self.manifests.insert(edges_row, held);
    }
}

/// Whether a manifest that holds `held`, in order of digests, holds the child in these roles.
pub(super) fn holds(held: &[(Digest, RoleSet)], child: &Digest, roles: RoleSet) -> bool {
    let found = held.binary_search_by(|(digest, _)| digest.cmp(child)).ok();
    found.and_then(|index| held.get(index)).is_some_and(|(_, found)| *found == roles)
}
