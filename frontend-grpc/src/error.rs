//! From what a use case says to what a client sees: one table of codes, and the details of `google.rpc`.
//!
//! Every status has an `ErrorInfo` whose reason is the code that the HTTP frontend would answer with, of the domain `strata`.

use serde_json::Value;
use std::collections::HashMap;
use std::time::Duration;
use strata_registry::{BodyError, RegistryError};
use strata_transport::log_text::chain;
use strata_types::{
    DigestError, ErrorCode, Failure, NameError, Outcome, Reference, ReferenceError, TagError, UploadIdError,
};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

/// What the reasons of `ErrorInfo` belong to.
const DOMAIN: &str = "strata";

/// When to come again where nothing else says it.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Most missing references that one status names: it has to fit into the header fields that clients take.
const VIOLATIONS_MAX: usize = 32;

/// Longest text of a detail, bytes.
const DETAIL_BYTES_MAX: usize = 256;

/// The status code of an outcome. What a use case knows better (`of`) is more exact for a few of them.
pub(crate) fn code_of(outcome: Outcome) -> Code {
    match outcome {
        Outcome::Code(code) => match code {
            ErrorCode::BlobUnknown
            | ErrorCode::BlobUploadUnknown
            | ErrorCode::ManifestUnknown
            | ErrorCode::NameUnknown => Code::NotFound,
            ErrorCode::DigestInvalid
            | ErrorCode::ManifestInvalid
            | ErrorCode::NameInvalid
            | ErrorCode::SizeInvalid => Code::InvalidArgument,
            ErrorCode::BlobUploadInvalid | ErrorCode::ManifestBlobUnknown | ErrorCode::Unsupported => {
                Code::FailedPrecondition
            }
            ErrorCode::Unauthorized => Code::Unauthenticated,
            ErrorCode::Denied => Code::PermissionDenied,
            ErrorCode::TooManyRequests => Code::ResourceExhausted,
        },
        Outcome::Failure(failure) => match failure {
            Failure::Internal => Code::Internal,
            Failure::Unavailable => Code::Unavailable,
            Failure::Timeout => Code::DeadlineExceeded,
            Failure::RangeInvalid => Code::OutOfRange,
            Failure::NoSpace => Code::ResourceExhausted,
            Failure::TooLarge
            | Failure::TagInvalid
            | Failure::PaginationInvalid
            | Failure::RequestInvalid => Code::InvalidArgument,
            Failure::ExtensionUnknown => Code::Unimplemented,
            Failure::Conflict => Code::FailedPrecondition,
            Failure::RevisionMismatch => Code::Aborted,
            Failure::NotFound => Code::NotFound,
        },
    }
}

/// The name of the status of an outcome, for the documentation.
pub fn status_name(outcome: Outcome) -> &'static str {
    code_name(code_of(outcome))
}

/// The name of a code, as the documentation of gRPC writes it.
pub(crate) const fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

/// The status code of an error: of its outcome, but for those that gRPC has a better word for.
fn code_of_error(error: &RegistryError) -> Code {
    match error {
        RegistryError::AccountExists { .. }
        | RegistryError::RegistryExists { .. }
        | RegistryError::ContentExists { .. } => Code::AlreadyExists,
        RegistryError::QuotaExceeded { .. } => Code::ResourceExhausted,
        // To be tried again from the beginning, by whoever knows what that is.
        RegistryError::UploadBusy { .. } | RegistryError::Contended => Code::Aborted,
        _ => code_of(error.outcome()),
    }
}

/// Why a call is refused.
#[derive(Debug)]
pub(crate) struct Refusal {
    /// What the client sees.
    pub(crate) status: Status,
    /// The code of the reason.
    pub(crate) code: &'static str,
    /// The reason with all that lies behind it, for the log.
    pub(crate) cause: String,
}

impl Refusal {
    /// A refusal of the frontend's own.
    pub(crate) fn new(outcome: impl Into<Outcome>, message: impl Into<String>) -> Self {
        Self::with(outcome, message.into(), ErrorDetails::new())
    }

    /// A field of the request is not of its form.
    pub(crate) fn field(
        outcome: impl Into<Outcome>,
        field: &'static str,
        message: impl std::fmt::Display,
    ) -> Self {
        let message = message.to_string();
        let details = ErrorDetails::with_bad_request_violation(field, message.clone());
        Self::with(outcome, message, details)
    }

    fn with(outcome: impl Into<Outcome>, message: String, mut details: ErrorDetails) -> Self {
        let outcome = outcome.into();
        details.set_error_info(outcome.as_str(), DOMAIN, HashMap::new());
        let status = Status::with_error_details(code_of(outcome), message.clone(), details);
        Self { status, code: outcome.as_str(), cause: message }
    }
}

impl From<RegistryError> for Refusal {
    fn from(error: RegistryError) -> Self {
        let outcome = error.outcome();
        let entry = error.entries().into_iter().next();
        let metadata = entry.and_then(|entry| entry.detail).map(metadata).unwrap_or_default();
        let mut details = ErrorDetails::with_error_info(outcome.as_str(), DOMAIN, metadata);
        add_details(&error, &mut details);
        let status = Status::with_error_details(code_of_error(&error), error.to_string(), details);
        Self { status, code: outcome.as_str(), cause: chain(&error) }
    }
}

impl From<BodyError> for Refusal {
    fn from(error: BodyError) -> Self {
        RegistryError::from(error).into()
    }
}

/// What programs may want to know, by name: all that is no list or object itself.
fn metadata(detail: Value) -> HashMap<String, String> {
    let Value::Object(fields) = detail else { return HashMap::new() };
    let text = |value: Value| match value {
        Value::String(text) => Some(text),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    };
    fields
        .into_iter()
        .filter_map(|(name, value)| Some((name, text(value)?)))
        .filter(|(_, text)| text.len() <= DETAIL_BYTES_MAX)
        .collect()
}

/// The details that `google.rpc` has a message of their own for.
fn add_details(error: &RegistryError, details: &mut ErrorDetails) {
    match error {
        RegistryError::QuotaExceeded { registry, limit, .. } => {
            details.add_quota_failure_violation(format!("registry:{registry}"), format!("{limit} bytes"));
        }
        RegistryError::ReferencesUnknown(missing) => {
            for reference in missing.iter().take(VIOLATIONS_MAX) {
                details.add_precondition_failure_violation(
                    ErrorCode::ManifestBlobUnknown.as_str(),
                    reference.digest.to_string(),
                    format!("{:?}", reference.role).to_lowercase(),
                );
            }
        }
        RegistryError::BlobUnknown { repository, digest } => {
            details.set_resource_info("blob", digest.to_string(), repository.as_str(), "");
        }
        RegistryError::ManifestUnknown { repository, reference } => {
            let kind = match reference {
                Reference::Tag(_) => "tag",
                Reference::Digest(_) => "manifest",
            };
            details.set_resource_info(kind, reference.to_string(), repository.as_str(), "");
        }
        RegistryError::UploadUnknown { repository, id } => {
            details.set_resource_info("upload", id.to_string(), repository.as_str(), "");
        }
        RegistryError::NameUnknown(name) => {
            details.set_resource_info("repository", name.as_str(), "", "");
        }
        RegistryError::RegistryUnknown { name } | RegistryError::RegistryExists { name } => {
            details.set_resource_info("registry", name, "", "");
        }
        RegistryError::AccountUnknown { name } | RegistryError::AccountExists { name } => {
            details.set_resource_info("account", name, "", "");
        }
        RegistryError::FieldInvalid { field, why } => {
            details.add_bad_request_violation(*field, why);
        }
        RegistryError::TooManyAttempts { retry_after } => {
            details.set_retry_info(Some(*retry_after));
        }
        RegistryError::Contended | RegistryError::Unavailable(_) | RegistryError::UploadBusy { .. } => {
            details.set_retry_info(Some(RETRY_AFTER));
        }
        _ => {}
    }
}

impl From<strata_transport::memory::Full> for Refusal {
    fn from(_: strata_transport::memory::Full) -> Self {
        Self::new(Failure::Unavailable, "too many bytes of other calls are held in memory")
    }
}

macro_rules! refused_as {
    ($($error:ty => $outcome:expr, $field:literal;)+) => {
        $(impl From<$error> for Refusal {
            fn from(error: $error) -> Self {
                Self::field($outcome, $field, error)
            }
        })+
    };
}

refused_as! {
    NameError => ErrorCode::NameInvalid, "repository";
    DigestError => ErrorCode::DigestInvalid, "digest";
    TagError => Failure::TagInvalid, "tag";
}

impl From<UploadIdError> for Refusal {
    /// A text that is no id names no session.
    fn from(error: UploadIdError) -> Self {
        Self::new(ErrorCode::BlobUploadUnknown, error.to_string())
    }
}

impl From<ReferenceError> for Refusal {
    fn from(error: ReferenceError) -> Self {
        match error {
            ReferenceError::Digest(error) => error.into(),
            ReferenceError::Tag(error) => error.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use strata_registry::MissingReference;
    use strata_types::manifest::ReferenceRole;
    use strata_types::{Digest, RepositoryName};

    #[test]
    fn every_code_says_its_reason() {
        let all = ErrorCode::ALL.iter().map(|code| Outcome::from(*code));
        for outcome in all.chain(Failure::ALL.iter().map(|failure| Outcome::from(*failure))) {
            let refusal = Refusal::new(outcome, "why");
            assert_ne!(refusal.status.code(), Code::Ok);
            let info = refusal.status.get_details_error_info().unwrap();
            assert_eq!((info.reason.as_str(), info.domain.as_str()), (outcome.as_str(), "strata"));
        }
    }

    #[test]
    fn errors_of_use_cases_keep_their_parts() {
        let digest = Digest::Sha256([1; 32]);
        let repository = RepositoryName::parse("a/b").unwrap();
        let refusal = Refusal::from(RegistryError::BlobUnknown { repository, digest });
        assert_eq!((refusal.status.code(), refusal.code), (Code::NotFound, "BLOB_UNKNOWN"));
        let details = refusal.status.get_error_details();
        assert_eq!(details.error_info().unwrap().metadata["digest"], digest.to_string());
        assert_eq!(details.resource_info().unwrap().owner, "a/b");

        let refusal = Refusal::from(RegistryError::ChunkOutOfOrder { start: 1, offset: 7 });
        assert_eq!(refusal.status.code(), Code::OutOfRange);
        assert_eq!(refusal.status.get_details_error_info().unwrap().metadata["offset"], "7");
        let refusal = Refusal::from(RegistryError::UploadBusy { offset: 7 });
        assert_eq!(refusal.status.code(), Code::Aborted);
        let quota = RegistryError::QuotaExceeded { registry: "hy".into(), limit: 10, used: 9 };
        let refusal = Refusal::from(quota);
        assert_eq!((refusal.status.code(), refusal.code), (Code::ResourceExhausted, "DENIED"));
        assert!(refusal.status.get_error_details().has_quota_failure_violations());
        let exists = Refusal::from(RegistryError::AccountExists { name: "anna".into() });
        assert_eq!(exists.status.code(), Code::AlreadyExists);
    }

    #[test]
    fn a_status_stays_small_however_much_is_missing() {
        let digest = Digest::Sha256([1; 32]);
        let missing = vec![MissingReference { role: ReferenceRole::Layer, digest }; 5000];
        let refusal = Refusal::from(RegistryError::ReferencesUnknown(missing));
        assert_eq!(refusal.status.code(), Code::FailedPrecondition);
        assert!(refusal.status.details().len() < 6 * 1024, "{}", refusal.status.details().len());
        let details = refusal.status.get_error_details();
        assert_eq!(details.precondition_failure().unwrap().violations.len(), VIOLATIONS_MAX);
    }
}
