//! The only place where the outcome of a request becomes a status and an error body (distribution-spec, "Error codes").
//!
//! The body is `{"errors":[{"code","message","detail"}]}`, of the admin API a [`Problem`](crate::document::Problem). What an error says to the client never holds the server's paths;
//! what the log says about it stands in [`Refusal::cause`].

mod problem;

use crate::response::{self, Response, header};
use http::header::{ALLOW, CONTENT_RANGE, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderName, HeaderValue, StatusCode};
use serde::Serialize;
use serde_json::Value;
use std::borrow::Cow;
use strata_registry::{BodyError, Challenge, RegistryError};
use strata_transport::log_text::chain;
use strata_types::{
    DigestError, ErrorCode, Failure, NameError, Outcome, ReferenceError, TagError, UploadIdError,
};

/// Seconds after which a request that was refused for the moment may be tried again.
const RETRY_AFTER_SECONDS: HeaderValue = HeaderValue::from_static("5");

/// The status of an outcome where the request gives no reason for another one.
pub const fn status_of(outcome: Outcome) -> StatusCode {
    match outcome {
        Outcome::Code(code) => match code {
            ErrorCode::BlobUnknown
            | ErrorCode::BlobUploadInvalid
            | ErrorCode::BlobUploadUnknown
            | ErrorCode::ManifestUnknown
            | ErrorCode::NameUnknown => StatusCode::NOT_FOUND,
            ErrorCode::DigestInvalid
            | ErrorCode::ManifestBlobUnknown
            | ErrorCode::ManifestInvalid
            | ErrorCode::NameInvalid
            | ErrorCode::SizeInvalid => StatusCode::BAD_REQUEST,
            ErrorCode::Unauthorized => StatusCode::UNAUTHORIZED,
            ErrorCode::Denied => StatusCode::FORBIDDEN,
            ErrorCode::Unsupported => StatusCode::METHOD_NOT_ALLOWED,
            ErrorCode::TooManyRequests => StatusCode::TOO_MANY_REQUESTS,
        },
        Outcome::Failure(failure) => match failure {
            Failure::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            Failure::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Failure::Timeout => StatusCode::REQUEST_TIMEOUT,
            Failure::RangeInvalid => StatusCode::RANGE_NOT_SATISFIABLE,
            Failure::NoSpace => StatusCode::INSUFFICIENT_STORAGE,
            Failure::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Failure::TagInvalid | Failure::PaginationInvalid | Failure::RequestInvalid => {
                StatusCode::BAD_REQUEST
            }
            Failure::Conflict => StatusCode::CONFLICT,
            Failure::RevisionMismatch => StatusCode::PRECONDITION_FAILED,
            Failure::ExtensionUnknown | Failure::NotFound => StatusCode::NOT_FOUND,
        },
    }
}

/// One entry of the body.
#[derive(Debug, Serialize)]
struct Entry {
    code: &'static str,
    message: Cow<'static, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<Value>,
}

/// A request that is answered with an error.
#[derive(Debug)]
pub(crate) struct Refusal {
    status: StatusCode,
    entries: Vec<Entry>,
    headers: Vec<(HeaderName, HeaderValue)>,
    challenge: Option<Challenge>,
    cause: Option<String>,
}

impl Refusal {
    /// An error with the usual status of `outcome`.
    pub(crate) fn new(outcome: impl Into<Outcome>, message: impl Into<Cow<'static, str>>) -> Self {
        let outcome = outcome.into();
        Self {
            status: status_of(outcome),
            entries: vec![Entry { code: outcome.as_str(), message: message.into(), detail: None }],
            headers: Vec::new(),
            challenge: None,
            cause: None,
        }
    }

    /// `405`: the path is right, the method is not.
    pub(crate) fn method_not_allowed(allowed: &'static str) -> Self {
        Self::new(ErrorCode::Unsupported, format!("this path takes {allowed}")).allowing(allowed)
    }

    /// `412`: a condition of the request does not hold.
    pub(crate) fn precondition_failed() -> Self {
        let refusal = Self::new(Failure::RequestInvalid, "what is there is not what If-Match names");
        refusal.with_status(StatusCode::PRECONDITION_FAILED)
    }

    /// `416`: the blob of `size` bytes has no byte of the ranges asked for.
    pub(crate) fn unsatisfiable(size: u64) -> Self {
        Self::new(
            Failure::RangeInvalid,
            format!("the blob has {size} bytes, none of them in the range asked for"),
        )
        .with(CONTENT_RANGE, header::value(&format!("bytes */{size}")))
    }

    /// The same error; on a `405` the methods that the path takes are said, as RFC 9110 §15.5.6 demands.
    pub(crate) fn allowing(self, methods: &'static str) -> Self {
        if self.status == StatusCode::METHOD_NOT_ALLOWED && self.headers.iter().all(|(name, _)| name != ALLOW)
        {
            return self.with(ALLOW, HeaderValue::from_static(methods));
        }
        self
    }

    /// The same error under another status.
    pub(crate) fn with_status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    /// The same error with one more header.
    pub(crate) fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// What the client has to come back with, of which a header field is still to be made; once.
    pub(crate) const fn take_challenge(&mut self) -> Option<Challenge> {
        self.challenge.take()
    }

    /// The first code, for the log.
    pub(crate) fn code(&self) -> &'static str {
        self.entries.first().map_or("", |entry| entry.code)
    }

    /// What the log says: the reason with all that lies behind it.
    pub(crate) fn cause(&self) -> Cow<'_, str> {
        match (&self.cause, self.entries.first()) {
            (Some(cause), _) => Cow::Borrowed(cause),
            (None, Some(entry)) => Cow::Borrowed(&entry.message),
            (None, None) => Cow::Borrowed(""),
        }
    }

    /// Renders it as the distribution-spec has it.
    pub(crate) fn into_response(self) -> Response {
        #[derive(Serialize)]
        struct Body {
            errors: Vec<Entry>,
        }
        let body = response::json_bytes(&Body { errors: self.entries });
        let mut response = response::with_bytes(self.status, body);
        response.headers_mut().insert(CONTENT_TYPE, header::JSON);
        response.headers_mut().extend(self.headers);
        response
    }
}

impl From<RegistryError> for Refusal {
    fn from(error: RegistryError) -> Self {
        let outcome = error.outcome();
        let entries = error.entries().into_iter().map(|entry| Entry {
            code: entry.outcome.as_str(),
            message: entry.message.into(),
            detail: entry.detail,
        });
        let retry_after = match (&error, outcome) {
            // Rounded up: a second too early would count as one attempt more.
            (RegistryError::TooManyAttempts { retry_after }, _) => {
                Some(retry_after.as_secs().saturating_add(1).into())
            }
            (_, Outcome::Failure(Failure::Unavailable) | Outcome::Code(ErrorCode::TooManyRequests)) => {
                Some(RETRY_AFTER_SECONDS)
            }
            _ => None,
        };
        let headers = retry_after.map(|seconds| (RETRY_AFTER, seconds));
        let status = match error {
            // The list stands in the query, so it is the target that is too long (distribution-spec, "Pushing manifests").
            RegistryError::TooManyTags { .. } => StatusCode::URI_TOO_LONG,
            _ => status_of(outcome),
        };
        let (entries, cause) = (entries.collect(), Some(chain(&error)));
        let challenge =
            if let RegistryError::Unauthorized { challenge } = error { Some(challenge) } else { None };
        Self { status, entries, headers: headers.into_iter().collect(), challenge, cause }
    }
}

impl From<BodyError> for Refusal {
    fn from(error: BodyError) -> Self {
        RegistryError::from(error).into()
    }
}

impl From<crate::memory::Full> for Refusal {
    fn from(_: crate::memory::Full) -> Self {
        Self::new(Failure::Unavailable, "too many bytes of other requests are held in memory")
            .with(RETRY_AFTER, RETRY_AFTER_SECONDS)
    }
}

macro_rules! refused_as {
    ($($error:ty => $outcome:expr;)+) => {
        $(impl From<$error> for Refusal {
            fn from(error: $error) -> Self {
                Self::new($outcome, error.to_string())
            }
        })+
    };
}

refused_as! {
    NameError => ErrorCode::NameInvalid;
    DigestError => ErrorCode::DigestInvalid;
    TagError => Failure::TagInvalid;
    // A text that is no id names no session.
    UploadIdError => ErrorCode::BlobUploadUnknown;
    crate::content_range::ContentRangeError => ErrorCode::SizeInvalid;
    crate::page::PageError => Failure::PaginationInvalid;
    crate::slice::SliceError => Failure::PaginationInvalid;
}

impl From<ReferenceError> for Refusal {
    fn from(error: ReferenceError) -> Self {
        match error {
            ReferenceError::Digest(error) => error.into(),
            ReferenceError::Tag(error) => error.into(),
        }
    }
}

impl From<crate::route::PathError> for Refusal {
    fn from(error: crate::route::PathError) -> Self {
        match error {
            crate::route::PathError::Unknown => Self::new(Failure::ExtensionUnknown, error.to_string()),
            _ => Self::new(ErrorCode::NameInvalid, error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests;
