//! Every code and failure has its status, and errors look as the spec says.

use super::*;
use serde_json::json;
use strata_registry::MissingReference;
use strata_types::manifest::ReferenceRole;

#[test]
fn every_outcome_has_its_status() {
    // The table of distribution-spec, "Error codes", as other registries answer it. Written out once more on purpose.
    let code = |code: ErrorCode| match code {
        ErrorCode::BlobUnknown
        | ErrorCode::BlobUploadInvalid
        | ErrorCode::BlobUploadUnknown
        | ErrorCode::ManifestUnknown
        | ErrorCode::NameUnknown => 404,
        ErrorCode::DigestInvalid
        | ErrorCode::ManifestBlobUnknown
        | ErrorCode::ManifestInvalid
        | ErrorCode::NameInvalid
        | ErrorCode::SizeInvalid => 400,
        ErrorCode::Unauthorized => 401,
        ErrorCode::Denied => 403,
        ErrorCode::Unsupported => 405,
        ErrorCode::TooManyRequests => 429,
    };
    for each in ErrorCode::ALL {
        assert_eq!(status_of((*each).into()).as_u16(), code(*each), "{each}");
    }
    let failure = |failure: Failure| match failure {
        Failure::Internal => 500,
        Failure::Unavailable => 503,
        Failure::Timeout => 408,
        Failure::RangeInvalid => 416,
        Failure::NoSpace => 507,
        Failure::TooLarge => 413,
        Failure::TagInvalid | Failure::PaginationInvalid | Failure::RequestInvalid => 400,
        Failure::Conflict => 409,
        Failure::ExtensionUnknown | Failure::NotFound => 404,
        Failure::RevisionMismatch => 412,
    };
    for each in Failure::ALL {
        assert_eq!(status_of((*each).into()).as_u16(), failure(*each), "{each}");
    }
}

fn body(refusal: &Refusal) -> Value {
    json!({ "errors": refusal.entries.iter().map(|entry| serde_json::to_value(entry).unwrap()).collect::<Vec<_>>() })
}

#[test]
fn an_error_says_code_and_message() {
    let refusal = Refusal::new(ErrorCode::NameInvalid, "no \"such\" name");
    assert_eq!(
        body(&refusal),
        json!({ "errors": [{ "code": "NAME_INVALID", "message": "no \"such\" name" }] })
    );
    let response = refusal.into_response();
    assert_eq!(response.status(), 400);
    assert_eq!(response.headers()[CONTENT_TYPE], "application/json");
    assert_eq!(response.headers()["content-length"], response.body().len().to_string().as_str());
}

#[test]
fn a_wrong_method_is_told_the_right_ones() {
    let response = Refusal::method_not_allowed("GET, HEAD").allowing("POST").into_response();
    assert_eq!((response.status().as_u16(), response.headers()[ALLOW].to_str().unwrap()), (405, "GET, HEAD"));
    let response = Refusal::new(ErrorCode::Unsupported, "no").allowing("DELETE").into_response();
    assert_eq!(response.headers()[ALLOW], "DELETE");
    assert!(
        !Refusal::new(ErrorCode::Denied, "no").allowing("GET").into_response().headers().contains_key(ALLOW)
    );
}

#[test]
fn errors_of_use_cases_keep_their_parts() {
    let digest =
        |c: char| strata_types::Digest::parse(&format!("sha256:{}", c.to_string().repeat(64))).unwrap();
    let repository = strata_types::RepositoryName::parse("a/b").unwrap();
    let refusal = Refusal::from(RegistryError::BlobUnknown { repository, digest: digest('a') });
    assert_eq!((refusal.status.as_u16(), refusal.code()), (404, "BLOB_UNKNOWN"));
    assert!(refusal.cause().contains("a/b"));

    let missing = |c| MissingReference { role: ReferenceRole::Layer, digest: digest(c) };
    let refusal = Refusal::from(RegistryError::ReferencesUnknown(vec![missing('a'), missing('b')]));
    assert_eq!(refusal.status, 400);
    let errors = body(&refusal);
    let errors = errors["errors"].as_array().unwrap();
    assert_eq!(errors.len(), 2);
    assert!(errors.iter().all(|error| error["code"] == "MANIFEST_BLOB_UNKNOWN"));
    assert!(errors[1]["message"].as_str().unwrap().contains(&digest('b').to_string()));
}

#[test]
fn what_may_be_tried_again_says_when() {
    let response = Refusal::from(RegistryError::Contended).into_response();
    assert_eq!((response.status().as_u16(), response.headers().contains_key(RETRY_AFTER)), (503, true));
    let response = Refusal::from(RegistryError::NoSpace).into_response();
    assert_eq!((response.status().as_u16(), response.headers().contains_key(RETRY_AFTER)), (507, false));
    assert_eq!(Refusal::from(RegistryError::TooManyTags { sent: 65, max: 64 }).into_response().status(), 414);
}

#[test]
fn what_cannot_be_parsed_has_the_code_of_what_it_should_be() {
    use strata_types::{Reference, RepositoryName, Tag, UploadId};
    for (refusal, code, status) in [
        (Refusal::from(RepositoryName::parse("A").unwrap_err()), "NAME_INVALID", 400),
        (Refusal::from(strata_types::Digest::parse("sha256:x").unwrap_err()), "DIGEST_INVALID", 400),
        (Refusal::from(Reference::parse("sha256:x").unwrap_err()), "DIGEST_INVALID", 400),
        (Refusal::from(Reference::parse("-x").unwrap_err()), "TAG_INVALID", 400),
        (Refusal::from(Tag::parse("").unwrap_err()), "TAG_INVALID", 400),
        (Refusal::from(UploadId::parse("x").unwrap_err()), "BLOB_UPLOAD_UNKNOWN", 404),
        (Refusal::from(crate::route::PathError::Unknown), "EXTENSION_UNKNOWN", 404),
        (Refusal::from(crate::route::PathError::DotSegment), "NAME_INVALID", 400),
        (Refusal::from(crate::page::PageError), "PAGINATION_NUMBER_INVALID", 400),
        (Refusal::from(crate::content_range::ContentRangeError), "SIZE_INVALID", 400),
        (Refusal::unsatisfiable(5), "RANGE_INVALID", 416),
        (Refusal::precondition_failed(), "REQUEST_INVALID", 412),
    ] {
        assert_eq!((refusal.code(), refusal.status.as_u16()), (code, status));
    }
}
