//! Images: lists, searches, and what is known of one.

use super::{IMAGES_PAGE_MAX, ROWS_AT_ONCE, ROWS_MAX, contains};
use crate::access::{Action, InstanceAction};
use crate::context::Context;
use crate::error::RegistryError;
use crate::registry::{Registry, Result, away};
use strata_engine::UnixMillis;
use strata_engine::meta::View;
use strata_types::RepositoryName;
use strata_types::name::DEFAULT_REGISTRY;

/// Most tags or artifacts that are counted for one image.
const COUNTED_MAX: usize = 10_000;

/// Which images are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImageQuery {
    /// Only those of this registry.
    pub registry: Option<String>,
    /// Only those whose name holds this text.
    pub search: Option<String>,
    /// Only those whose name sorts behind this text.
    pub after: Option<String>,
    /// At most so many, and [`IMAGES_PAGE_MAX`].
    pub limit: usize,
}

/// An image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// Its name.
    pub name: RepositoryName,
    /// When its first push came.
    pub created_at: UnixMillis,
}

/// A page of images, in the order of their names' bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImagePage {
    /// The images.
    pub images: Vec<Image>,
    /// Where more may follow: ask again behind this text. The next page can be empty.
    pub next: Option<String>,
}

/// What is known of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageDetail {
    /// The image.
    pub image: Image,
    /// How many tags it has; 10,000 stands for that many or more.
    pub tags: usize,
    /// How many manifests it has; 10,000 stands for that many or more.
    pub artifacts: usize,
}

impl Registry {
    /// Lists the images that the principal may see.
    ///
    /// # Errors
    /// [`RegistryError::Unauthorized`]; the store's condition.
    pub async fn list_images(&self, ctx: &Context, query: ImageQuery) -> Result<ImagePage> {
        self.authorize_instance(ctx, InstanceAction::Browse)?;
        let (registry, ctx) = (self.clone(), ctx.clone());
        away(move || registry.read_images(&ctx, &query)).await
    }

    fn read_images(&self, ctx: &Context, query: &ImageQuery) -> Result<ImagePage> {
        let (view, limit) = (self.view()?, query.limit.min(IMAGES_PAGE_MAX));
        let wanted = query.registry.as_deref();
        let mut after = start(query);
        let (mut images, mut next, mut rows) = (Vec::new(), None, 0);
        while rows < ROWS_MAX {
            let page = view.repositories(after.as_deref(), ROWS_AT_ONCE).map_err(RegistryError::store)?;
            let mut is_last = page.len() < ROWS_AT_ONCE;
            rows += page.len();
            for (name, record) in page {
                match place(&name, wanted) {
                    Place::Here => {}
                    Place::Behind => return Ok(ImagePage { images, next: None }),
                    Place::Elsewhere(to) => {
                        (after, is_last) = (Some(to), false);
                        break;
                    }
                }
                after = Some(name.to_string());
                let is_wanted = query.search.as_deref().is_none_or(|text| contains(name.as_str(), text));
                if is_wanted && self.shows(ctx, &name) {
                    // One more than asked for tells whether there are more.
                    if images.len() == limit {
                        return Ok(ImagePage { images, next });
                    }
                    next = Some(name.to_string());
                    images.push(Image { name, created_at: record.created_at });
                }
            }
            if is_last {
                return Ok(ImagePage { images, next: None });
            }
        }
        Ok(ImagePage { images, next: after })
    }

    /// Tells about one image.
    ///
    /// # Errors
    /// [`RegistryError::NameUnknown`]; [`RegistryError::Unauthorized`]; the store's condition.
    pub async fn image(&self, ctx: &Context, name: &RepositoryName) -> Result<ImageDetail> {
        self.authorize(ctx, Action::See, name)?;
        let (registry, name) = (self.clone(), name.clone());
        away(move || {
            let view = registry.view()?;
            let record = view.repository(&name).map_err(RegistryError::store)?;
            let record = record.ok_or_else(|| RegistryError::NameUnknown(name.clone()))?;
            let (tags, artifacts) = (count_tags(&view, &name)?, count_manifests(&view, &name)?);
            let image = Image { name, created_at: record.created_at };
            Ok(ImageDetail { image, tags, artifacts })
        })
        .await
    }
}

/// Behind what the list begins. Names of a registry other than the default one stand together.
fn start(query: &ImageQuery) -> Option<String> {
    let registry = query.registry.as_deref().filter(|registry| *registry != DEFAULT_REGISTRY);
    let first = registry.map(|registry| format!("{registry}/"));
    query.after.clone().max(first)
}

/// Where a name stands when the images of one registry are wanted.
enum Place {
    Here,
    /// Behind all that are wanted.
    Behind,
    /// Among those of another registry, which end at this text.
    Elsewhere(String),
}

fn place(name: &RepositoryName, wanted: Option<&str>) -> Place {
    let Some(wanted) = wanted.filter(|wanted| name.registry() != *wanted) else { return Place::Here };
    match name.as_str().split_once('/') {
        // Behind all that begin with it: no name has a tilde.
        Some((other, _)) if wanted == DEFAULT_REGISTRY => Place::Elsewhere(format!("{other}/~")),
        _ => Place::Behind,
    }
}

fn count_tags(view: &View, name: &RepositoryName) -> Result<usize> {
    let (mut count, mut after) = (0, None);
    loop {
        let page = view.tags(name, after.as_deref(), ROWS_AT_ONCE).map_err(RegistryError::store)?;
        count += page.len();
        after = page.last().map(|(tag, _)| tag.as_str().to_owned());
        if page.len() < ROWS_AT_ONCE || count >= COUNTED_MAX {
            return Ok(count.min(COUNTED_MAX));
        }
    }
}

fn count_manifests(view: &View, name: &RepositoryName) -> Result<usize> {
    let (mut count, mut after) = (0, None);
    loop {
        let page = view.manifests(name, after.as_ref(), ROWS_AT_ONCE).map_err(RegistryError::store)?;
        count += page.len();
        after = page.last().map(|(digest, _)| *digest);
        if page.len() < ROWS_AT_ONCE || count >= COUNTED_MAX {
            return Ok(count.min(COUNTED_MAX));
        }
    }
}
