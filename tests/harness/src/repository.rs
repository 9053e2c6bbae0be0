//! The distribution API of one repository: targets, pushes that assert every promised header, and comparisons.

use crate::digest::{Algorithm, sha256};
use crate::endpoint::Endpoint;
use crate::image::{Document, Image};
use crate::message::{Request, Response};
use crate::wait;
use bytes::Bytes;
use std::io;

/// One repository of a running server.
#[derive(Clone, Debug)]
pub struct Repository {
    /// Where it is.
    pub endpoint: Endpoint,
    /// Its full name.
    pub name: String,
}

impl Repository {
    pub(crate) fn new(endpoint: Endpoint, name: &str) -> Repository {
        Repository { endpoint, name: name.to_owned() }
    }

    /// `/v2/<name>/<rest>`.
    pub fn target(&self, rest: &str) -> String {
        format!("/v2/{}/{rest}", self.name)
    }

    /// The target of a blob.
    pub fn blob(&self, digest: &str) -> String {
        self.target(&format!("blobs/{digest}"))
    }

    /// The target of a manifest, by tag or digest.
    pub fn manifest(&self, reference: &str) -> String {
        self.target(&format!("manifests/{reference}"))
    }

    /// The target that starts uploads.
    pub fn uploads(&self) -> String {
        self.target("blobs/uploads/")
    }

    /// Starts an upload session and gives its location.
    #[track_caller]
    pub fn start_upload(&self) -> String {
        self.start_upload_with("")
    }

    /// Starts an upload session with a query (`?digest-algorithm=…`) and gives its location.
    #[track_caller]
    pub fn start_upload_with(&self, query: &str) -> String {
        let response = self
            .endpoint
            .post(format!("{}{query}", self.uploads()))
            .expect(202)
            .expect_header("range", "0-0");
        let location = response.location();
        assert!(location.starts_with(&self.uploads()), "location {location}");
        location
    }

    /// Appends `bytes` to a session, saying where they belong.
    #[track_caller]
    pub fn patch_at(&self, location: &str, start: usize, bytes: &Bytes) -> Response {
        let range = content_range(start, bytes.len());
        let request = Request::patch(location).header("content-range", range).body(bytes.clone());
        let response = self.endpoint.send(&request).expect(202);
        let last = start + bytes.len() - 1;
        response.expect_header("range", format!("0-{last}"))
    }

    /// As [`Self::patch_at`], by a client that comes back after a cut: until the server has seen that the cut request is over, the
    /// session is taken and the answer is 416.
    #[track_caller]
    pub fn resume_at(&self, location: &str, start: usize, bytes: &Bytes) -> Response {
        let range = content_range(start, bytes.len());
        let request = Request::patch(location).header("content-range", range).body(bytes.clone());
        let response = wait::until("the session to be free", wait::SOON, || {
            let response = self.endpoint.send(&request);
            (response.status != 416).then_some(response)
        });
        let last = start + bytes.len() - 1;
        response.expect(202).expect_header("range", format!("0-{last}"))
    }

    /// Appends `bytes` to a session without saying where they belong.
    #[track_caller]
    pub fn patch(&self, location: &str, bytes: &Bytes) -> Response {
        self.endpoint.send(&Request::patch(location).body(bytes.clone())).expect(202)
    }

    /// Asserts how far a session is: `None` before its first byte.
    #[track_caller]
    pub fn expect_offset(&self, location: &str, offset: usize) -> Response {
        let range = format!("0-{}", offset.saturating_sub(1));
        let response = self.endpoint.get(location).expect(204).expect_header("range", range);
        assert!(response.location().starts_with(&self.uploads()), "location of {response:?}");
        response
    }

    /// Closes a session with an empty body.
    #[track_caller]
    pub fn commit(&self, location: &str, digest: &str) -> Response {
        let response = self.endpoint.put(with_query(location, &format!("digest={digest}")));
        self.expect_created_blob(response, digest)
    }

    /// Asserts the answer to the request that made a blob.
    #[track_caller]
    pub fn expect_created_blob(&self, response: Response, digest: &str) -> Response {
        let response = response.expect(201).expect_header("docker-content-digest", digest);
        assert_eq!(response.location(), self.blob(digest), "location of {response:?}");
        response
    }

    /// Pushes a blob in one `POST`; gives its sha256 digest.
    #[track_caller]
    pub fn push_blob(&self, bytes: &Bytes) -> String {
        self.push_blob_as(Algorithm::Sha256, bytes)
    }

    /// Pushes a blob in one `POST` under a digest of `algorithm`.
    #[track_caller]
    pub fn push_blob_as(&self, algorithm: Algorithm, bytes: &Bytes) -> String {
        let digest = algorithm.of(bytes);
        let response = self.endpoint.send(&self.post_blob(&digest, bytes));
        self.expect_created_blob(response, &digest);
        digest
    }

    /// The request that pushes a blob in one `POST`.
    pub fn post_blob(&self, digest: &str, bytes: &Bytes) -> Request {
        Request::post(format!("{}?digest={digest}", self.uploads()))
            .header("content-type", "application/octet-stream")
            .body(bytes.clone())
    }

    /// Pushes a blob as most clients do: `POST`, then one `PUT` with everything.
    ///
    /// # Errors
    /// When the server goes away in between.
    pub fn try_push_blob(&self, bytes: &Bytes) -> io::Result<Response> {
        let started = self.endpoint.try_send(&Request::post(self.uploads()))?;
        if started.status != 202 {
            return Ok(started);
        }
        let target = with_query(&started.location(), &format!("digest={}", sha256(bytes)));
        self.endpoint.try_send(&Request::put(target).body(bytes.clone()))
    }

    /// The request that pushes a manifest.
    pub fn put_manifest(&self, reference: &str, document: &Document) -> Request {
        Request::put(self.manifest(reference))
            .header("content-type", &document.media_type)
            .body(document.bytes.clone())
    }

    /// Pushes a manifest under a tag or its digest; gives the answer, its promised headers asserted.
    #[track_caller]
    pub fn push_manifest(&self, reference: &str, document: &Document) -> Response {
        let response = self.endpoint.send(&self.put_manifest(reference, document));
        let algorithm = if reference.starts_with("sha512:") { Algorithm::Sha512 } else { Algorithm::Sha256 };
        let response =
            response.expect(201).expect_header("docker-content-digest", algorithm.of(&document.bytes));
        let location = response.location();
        let places = [self.manifest(reference), self.manifest(&algorithm.of(&document.bytes))];
        assert!(places.contains(&location), "location {location}");
        response
    }

    /// Pushes config and layers, then the manifest under `tag`.
    #[track_caller]
    pub fn push_image(&self, tag: &str, image: &Image) -> Response {
        for blob in image.blobs() {
            self.push_blob(blob);
        }
        self.push_manifest(tag, &image.manifest)
    }

    /// Asserts that `HEAD` and `GET` of a blob agree with each other and with `bytes`.
    #[track_caller]
    pub fn expect_blob(&self, digest: &str, bytes: &[u8]) {
        let target = self.blob(digest);
        let head = self.endpoint.head(target.as_str()).expect(200);
        let response = self.endpoint.get(target.as_str()).expect(200).expect_body(bytes);
        for answer in [&head, &response] {
            assert_eq!(answer.header("content-length"), Some(bytes.len().to_string().as_str()), "{answer:?}");
            assert_eq!(answer.header("docker-content-digest"), Some(digest), "{answer:?}");
            assert_eq!(answer.header("etag"), Some(format!("\"{digest}\"").as_str()), "{answer:?}");
            assert_eq!(answer.header("accept-ranges"), Some("bytes"), "{answer:?}");
            assert_eq!(answer.header("content-type"), Some("application/octet-stream"), "{answer:?}");
        }
        assert_same_headers(&head, &response);
    }

    /// Asserts that a blob is not readable here.
    #[track_caller]
    pub fn expect_no_blob(&self, digest: &str) {
        self.endpoint.get(self.blob(digest)).expect_error(404, "BLOB_UNKNOWN");
        self.endpoint.head(self.blob(digest)).expect(404).expect_body(b"");
    }

    /// Asserts that `HEAD` and `GET` of a manifest agree with each other and with `document`.
    #[track_caller]
    pub fn expect_manifest(&self, reference: &str, document: &Document) {
        let algorithm = if reference.starts_with("sha512:") { Algorithm::Sha512 } else { Algorithm::Sha256 };
        let digest = algorithm.of(&document.bytes);
        let target = self.manifest(reference);
        let head = self.endpoint.head(target.as_str()).expect(200);
        let response = self.endpoint.get(target.as_str()).expect(200).expect_body(&document.bytes);
        for answer in [&head, &response] {
            assert_eq!(answer.header("content-type"), Some(document.media_type.as_str()), "{answer:?}");
            assert_eq!(
                answer.header("content-length"),
                Some(document.bytes.len().to_string().as_str()),
                "{answer:?}"
            );
            assert_eq!(answer.header("docker-content-digest"), Some(digest.as_str()), "{answer:?}");
        }
        assert_same_headers(&head, &response);
    }

    /// Asserts that a manifest is not here, nor perhaps the repository.
    #[track_caller]
    pub fn expect_no_manifest(&self, reference: &str) {
        let response = self.endpoint.get(self.manifest(reference)).expect(404);
        let unknown = self.endpoint.get(self.target("tags/list")).status == 404;
        response.expect_error(404, if unknown { "NAME_UNKNOWN" } else { "MANIFEST_UNKNOWN" });
        self.endpoint.head(self.manifest(reference)).expect(404).expect_body(b"");
    }

    /// All tags, following every page.
    #[track_caller]
    pub fn tags(&self) -> Vec<String> {
        let mut tags = Vec::new();
        let mut next = Some(self.target("tags/list"));
        while let Some(target) = next {
            let page = self.endpoint.get(target).expect(200);
            assert_eq!(page.json()["name"], self.name.as_str(), "name in {page:?}");
            tags.extend(strings(&page, "tags"));
            next = page.next_page();
        }
        tags
    }

    /// The descriptors that refer to `subject`, following every page; `query` as `?artifactType=…`.
    #[track_caller]
    pub fn referrers(&self, subject: &str, query: &str) -> Vec<serde_json::Value> {
        let mut found = Vec::new();
        let mut next = Some(self.target(&format!("referrers/{subject}{query}")));
        while let Some(target) = next {
            let page = self.endpoint.get(target).expect(200);
            assert_eq!(
                page.header("content-type"),
                Some("application/vnd.oci.image.index.v1+json"),
                "{page:?}"
            );
            let json = page.json();
            assert_eq!(json["schemaVersion"], 2, "{page:?}");
            assert_eq!(json["mediaType"], "application/vnd.oci.image.index.v1+json", "{page:?}");
            found.extend(json["manifests"].as_array().expect("an array of manifests").iter().cloned());
            next = page.next_page();
        }
        found
    }
}

/// The strings of an array member of a JSON answer.
#[track_caller]
pub fn strings(response: &Response, member: &str) -> Vec<String> {
    let json = response.json();
    let list = json[member].as_array().unwrap_or_else(|| panic!("{member} is no array in {response:?}"));
    list.iter().map(|item| item.as_str().expect("a string").to_owned()).collect()
}

/// `start-end`, both inclusive, as `Content-Range` of a chunk.
pub fn content_range(start: usize, length: usize) -> String {
    format!("{start}-{}", start + length - 1)
}

/// `location` with one more query parameter.
pub fn with_query(location: &str, parameter: &str) -> String {
    let separator = if location.contains('?') { '&' } else { '?' };
    format!("{location}{separator}{parameter}")
}

/// Asserts that `HEAD` and `GET` answer the same headers, but for what names the moment or the request.
#[track_caller]
pub fn assert_same_headers(head: &Response, get: &Response) {
    let stable = |response: &Response| {
        let mut headers = response.headers.clone();
        headers.retain(|(name, _)| !matches!(name.as_str(), "date" | "x-request-id"));
        headers.sort();
        headers
    };
    assert_eq!(stable(head), stable(get), "HEAD and GET of {}", get.request);
}
