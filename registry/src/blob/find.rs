//! Many look-ups at once: what a client that has a list of layers asks before it sends any.

use crate::access::Action;
use crate::context::Context;
use crate::error::RegistryError;
use crate::registry::{Registry, Result, away};
use strata_engine::meta::View;
use strata_types::{Digest, RepositoryName};

/// Most digests that are looked up by one call.
pub const FIND_BLOBS_MAX: usize = 100_000;
/// As many look-ups keep no connection waiting.
const INLINE_MAX: usize = 64;

impl Registry {
    /// The lengths, bytes, of these blobs, in their order; `None` for those that the repository does not have. Whoever is told of one
    /// may use it, as after [`Registry::stat_blob`]. One that is known to be damaged is not there; unlike there, no file is opened to see
    /// whether it is.
    ///
    /// # Errors
    /// [`RegistryError::FieldInvalid`] for more than [`FIND_BLOBS_MAX`]; [`RegistryError::Unauthorized`];
    /// [`RegistryError::Denied`]; the store's condition.
    pub async fn find_blobs(
        &self,
        ctx: &Context,
        repository: &RepositoryName,
        digests: Vec<Digest>,
    ) -> Result<Vec<Option<u64>>> {
        self.authorize(ctx, Action::See, repository)?;
        if digests.len() > FIND_BLOBS_MAX {
            let why = format!("at most {FIND_BLOBS_MAX} are looked up at once");
            return Err(RegistryError::FieldInvalid { field: "digests", why });
        }
        self.sizes(repository, digests).await
    }

    async fn sizes(&self, repository: &RepositoryName, digests: Vec<Digest>) -> Result<Vec<Option<u64>>> {
        if digests.len() <= INLINE_MAX {
            return self.read_sizes(repository, &digests);
        }
        let (registry, repository) = (self.clone(), repository.clone());
        away(move || registry.read_sizes(&repository, &digests)).await
    }

    /// Looks them up in the order of their rows: what is beside each other there is near in memory and on the disk, too.
    fn read_sizes(&self, repository: &RepositoryName, digests: &[Digest]) -> Result<Vec<Option<u64>>> {
        let mut sorted: Vec<(Digest, usize)> = digests.iter().copied().zip(0..).collect();
        sorted.sort_unstable();
        let (asked, places): (Vec<Digest>, Vec<usize>) = sorted.into_iter().unzip();
        let found = self.engine().find_links(repository, &asked).map_err(RegistryError::store)?;
        let (view, mut sizes) = (self.view()?, vec![None; digests.len()]);
        for ((digest, place), linked) in asked.iter().zip(places).zip(found) {
            let blob = if linked.is_some() { view.blob(digest).map_err(RegistryError::store)? } else { None };
            if let Some(size) = sizes.get_mut(place) {
                *size = blob.map(|blob| blob.size);
            }
        }
        Ok(sizes)
    }

    /// Whether the repository has these, be they blobs or manifests.
    pub(crate) async fn find_contents(
        &self,
        repository: &RepositoryName,
        digests: Vec<Digest>,
    ) -> Result<Vec<bool>> {
        let sizes = self.sizes(repository, digests.clone()).await?;
        let view = self.view()?;
        let is_there = |(digest, size): (&Digest, Option<u64>)| match size {
            Some(_) => Ok(true),
            None => has_manifest(&view, repository, digest),
        };
        digests.iter().zip(sizes).map(is_there).collect()
    }
}

fn has_manifest(view: &View, repository: &RepositoryName, digest: &Digest) -> Result<bool> {
    view.has_manifest(repository, digest).map_err(RegistryError::store)
}
