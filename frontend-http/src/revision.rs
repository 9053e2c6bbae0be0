//! Entity tags of what an administrator changes: the number of its revision (RFC 9110 §8.8.3), so that of two who change one thing at
//! once the second is told.

use crate::condition;
use crate::error::Refusal;
use crate::exchange::Exchange;
use crate::response::{Response, header};
use http::HeaderMap;
use http::header::{ETAG, IF_MATCH};
use strata_types::Failure;

impl Exchange<'_> {
    /// The revision that the request is made for; `None` where it takes any.
    ///
    /// # Errors
    /// `412` where `If-Match` names no revision, `400` where it names several.
    pub(crate) fn expected_revision(&self) -> Result<Option<u64>, Refusal> {
        expected(self.headers)
    }
}

fn expected(headers: &HeaderMap) -> Result<Option<u64>, Refusal> {
    let mut lines = headers.get_all(IF_MATCH).iter();
    let Some(line) = lines.next() else { return Ok(None) };
    let line = line.to_str().map_err(|_| Refusal::precondition_failed())?;
    if line.trim() == "*" && lines.next().is_none() {
        return Ok(None);
    }
    let mut tags = condition::entity_tags(line);
    let (tag, another) = (tags.next(), tags.next());
    if another.is_some() || lines.next().is_some() {
        return Err(Refusal::new(Failure::RequestInvalid, "If-Match names one revision at most"));
    }
    let revision = tag.filter(|tag| tag.strong && tag.opaque.bytes().all(|b| b.is_ascii_digit()));
    let revision = revision.and_then(|tag| tag.opaque.parse().ok());
    revision.map(Some).ok_or_else(Refusal::precondition_failed)
}

/// The same answer with the entity tag of a revision.
pub(crate) fn tagged(mut response: Response, revision: u64) -> Response {
    response.headers_mut().insert(ETAG, header::value(&format!("\"{revision}\"")));
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn one_revision_or_none() {
        let read = |lines: &[&'static str]| {
            let lines = lines.iter().map(|line| (IF_MATCH, HeaderValue::from_static(line)));
            expected(&lines.collect()).map_err(|refusal| refusal.into_response().status().as_u16())
        };
        assert_eq!(read(&[]), Ok(None));
        assert_eq!(read(&["*"]), Ok(None));
        assert_eq!(read(&["\"7\""]), Ok(Some(7)));
        for line in ["W/\"7\"", "\"x\"", "\"\"", "\"-1\"", "\"+1\"", "\"99999999999999999999999\"", ""] {
            assert_eq!(read(&[line]), Err(412), "{line}");
        }
        assert_eq!(read(&["\"7\", \"8\""]), Err(400));
        assert_eq!(read(&["\"7\"", "\"8\""]), Err(400));
    }
}
