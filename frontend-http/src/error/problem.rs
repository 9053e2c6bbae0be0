//! Errors of the admin API: problem details (RFC 9457).

use super::Refusal;
use crate::document::Problem;
use crate::response::{self, Response, header};
use http::header::CONTENT_TYPE;
use strata_types::{ErrorCode, Failure};

/// What a code means, for all errors that have it.
fn meaning(code: &str) -> &'static str {
    let spec = ErrorCode::ALL.iter().map(|each| (each.as_str(), each.meaning()));
    let own = Failure::ALL.iter().map(|each| (each.as_str(), each.meaning()));
    spec.chain(own).find(|(word, _)| *word == code).map_or("", |(_, meaning)| meaning)
}

impl Refusal {
    /// Renders it as the admin API has it. `request` is the id of the request. Of several errors at once, which no use case of this API
    /// has, the first one is told.
    pub(crate) fn into_problem(self, request: &str) -> Response {
        let first = self.entries.into_iter().next();
        let (code, detail, data) =
            first.map_or_else(Default::default, |entry| (entry.code, entry.message, entry.detail));
        let problem = Problem {
            kind: Problem::kind_of(code),
            title: meaning(code).to_owned(),
            status: self.status.as_u16(),
            detail: detail.into_owned(),
            code: code.to_owned(),
            request: request.to_owned(),
            data,
        };
        let mut response = response::with_bytes(self.status, response::json_bytes(&problem));
        response.headers_mut().insert(CONTENT_TYPE, header::PROBLEM);
        response.headers_mut().extend(self.headers);
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_a_title() {
        let codes = ErrorCode::ALL.iter().map(|code| code.as_str());
        for code in codes.chain(Failure::ALL.iter().map(|failure| failure.as_str())) {
            assert!(!meaning(code).is_empty(), "{code}");
        }
        assert_eq!(meaning("NOTHING"), "");
    }

    #[test]
    fn keeps_status_and_headers() {
        let response = Refusal::method_not_allowed("GET").into_problem("id-7");
        assert_eq!(response.status(), 405);
        assert_eq!(response.headers()["allow"], "GET");
        assert_eq!(response.headers()[CONTENT_TYPE], "application/problem+json");
    }
}
