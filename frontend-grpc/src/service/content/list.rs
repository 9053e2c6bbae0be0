//! `List`: page by page, each read when the one before is on its way.

use super::convert::info;
use crate::call::Call;
use crate::error::Refusal;
use crate::proto::content as v1;
use futures_util::{Stream, stream};
use std::pin::Pin;
use std::sync::Arc;
use strata_registry::{ContentFilter, ContentPage, ContentSpace};
use strata_types::Digest;
use tonic::Status;

pub(crate) type Pages = Pin<Box<dyn Stream<Item = Result<v1::ListContentResponse, Status>> + Send>>;

struct Walk {
    call: Arc<Call>,
    space: ContentSpace,
    filter: ContentFilter,
    /// The page to be sent next.
    page: Option<ContentPage>,
}

/// Begins a list. A refusal of its first page is one of the call.
pub(super) async fn begin(
    call: &Arc<Call>,
    space: ContentSpace,
    filter: ContentFilter,
) -> Result<Pages, Refusal> {
    let mut walk = Walk { call: Arc::clone(call), space, filter, page: None };
    walk.page = Some(walk.read(None).await?);
    Ok(Box::pin(stream::unfold(walk, Walk::step)))
}

impl Walk {
    async fn read(&self, after: Option<&Digest>) -> Result<ContentPage, Refusal> {
        let Self { call, space, filter, .. } = self;
        Ok(call.registry().list_content(&call.context, space, filter, after).await?)
    }

    /// The next page with something in it.
    async fn step(mut self) -> Option<(Result<v1::ListContentResponse, Status>, Self)> {
        loop {
            let ContentPage { content, next } = self.page.take()?;
            if let Some(next) = next {
                match self.read(Some(&next)).await {
                    Ok(page) => self.page = Some(page),
                    Err(refusal) => {
                        let status = self.call.refuse(refusal);
                        return Some((Err(status), self));
                    }
                }
            }
            if !content.is_empty() {
                let page = v1::ListContentResponse { info: content.into_iter().map(info).collect() };
                return Some((Ok(page), self));
            }
        }
    }
}
