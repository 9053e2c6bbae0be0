//! From a request's path to an endpoint of the API (distribution-spec, "Endpoints").
//!
//! Repository names contain slashes and may contain segments named `blobs`, `manifests`, `tags`, `uploads` or `referrers`, so a
//! path is read **from the right**. Percent-encoding is undone exactly once, per segment; a segment that then holds a slash is
//! refused, as is an empty one, `.` and `..`: what a proxy in front could read otherwise never reaches a use case.
//! Names, tags and digests are not checked here. Pure.
//!
//! What stands below `/api/v1/` is the admin API and is read by the templates themselves (`admin.rs`).

mod admin;

use percent_encoding::percent_decode_str;
use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

macro_rules! endpoints {
    ($($(#[$meta:meta])* $variant:ident = $template:literal, $methods:literal;)+) => {
        /// An endpoint: what a path names, without its parameters. Also the label of metrics and log lines.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Endpoint {
            $($(#[$meta])* $variant,)+
        }

        impl Endpoint {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The path with its parameters in braces; the same for all requests to the endpoint.
            pub const fn template(self) -> &'static str {
                match self { $(Self::$variant => $template,)+ }
            }

            /// The methods it takes, as they stand in `Allow`.
            pub const fn methods(self) -> &'static str {
                match self { $(Self::$variant => $methods,)+ }
            }
        }
    };
}

endpoints! {
    /// A word of welcome.
    Landing = "/", "GET, HEAD";
    /// Whether the process can serve reads.
    Health = "/healthz", "GET, HEAD";
    /// Whether the process should get traffic.
    Readiness = "/readyz", "GET, HEAD";
    /// Prometheus metrics.
    Metrics = "/metrics", "GET, HEAD";
    /// Tokens for access keys, or for nobody.
    Token = "/token", "GET, HEAD, POST";
    /// end-1.
    Base = "/v2/", "GET, HEAD";
    /// The catalog extension.
    Catalog = "/v2/_catalog", "GET, HEAD";
    /// The extensions of the registry.
    Discover = "/v2/_oci/ext/discover", "GET, HEAD";
    /// The extensions of a repository.
    RepositoryDiscover = "/v2/{name}/_oci/ext/discover", "GET, HEAD";
    /// end-2, end-10.
    Blob = "/v2/{name}/blobs/{digest}", "GET, HEAD, DELETE";
    /// end-4, end-11.
    Uploads = "/v2/{name}/blobs/uploads/", "POST";
    /// end-5, end-6, end-13, end-14.
    Upload = "/v2/{name}/blobs/uploads/{id}", "GET, HEAD, PATCH, PUT, DELETE";
    /// end-3, end-7, end-9.
    Manifest = "/v2/{name}/manifests/{reference}", "GET, HEAD, PUT, DELETE";
    /// end-8.
    Tags = "/v2/{name}/tags/list", "GET, HEAD";
    /// end-12.
    Referrers = "/v2/{name}/referrers/{digest}", "GET, HEAD";
    /// The description of the admin API.
    OpenApi = "/api/v1/openapi.json", "GET, HEAD";
    /// How the store is.
    Status = "/api/v1/status", "GET, HEAD";
    /// Garbage collection: where it stands, a run.
    Gc = "/api/v1/gc", "GET, HEAD, POST";
    /// Backups that are under way.
    Backups = "/api/v1/backups", "GET, HEAD, POST";
    /// One of them.
    Backup = "/api/v1/backups/{id}", "PUT, DELETE";
    /// The scrub: where it stands, a round.
    Scrub = "/api/v1/scrub", "GET, HEAD, POST";
    /// Blobs in quarantine.
    Quarantine = "/api/v1/quarantine", "GET, HEAD";
    /// Another look at all of them. Before the next, whose parameter would take its last segment.
    QuarantineRecheckAll = "/api/v1/quarantine/recheck", "POST";
    /// A blob that is given up, or given good bytes.
    QuarantinedBlob = "/api/v1/quarantine/{digest}", "PUT, DELETE";
    /// Another look at a blob.
    QuarantineRecheck = "/api/v1/quarantine/{digest}/recheck", "POST";
    /// What was deleted and can be restored.
    Deletions = "/api/v1/deleted", "GET, HEAD";
    /// Puts it back.
    Restore = "/api/v1/deleted/{id}/restore", "POST";
    /// Who did what.
    Audit = "/api/v1/audit", "GET, HEAD";
    /// The moves of a tag.
    ImageTagHistory = "/api/v1/images/{name}/tags/{tag}/history", "GET, HEAD";
    /// A tag of an image.
    ImageTag = "/api/v1/images/{name}/tags/{tag}", "GET, HEAD, PUT, DELETE";
    /// The tags of an image.
    ImageTags = "/api/v1/images/{name}/tags", "GET, HEAD";
    /// A manifest of an image.
    ImageArtifact = "/api/v1/images/{name}/artifacts/{reference}", "GET, HEAD, DELETE";
    /// The manifests of an image.
    ImageArtifacts = "/api/v1/images/{name}/artifacts", "GET, HEAD";
    /// An image, with all that it has.
    Image = "/api/v1/images/{name}", "GET, HEAD, DELETE";
    /// The images.
    Images = "/api/v1/images", "GET, HEAD";
    /// Who one is to the server.
    Session = "/api/v1/session", "GET, HEAD";
    /// The accounts.
    Accounts = "/api/v1/accounts", "GET, HEAD, POST";
    /// An account.
    Account = "/api/v1/accounts/{account}", "GET, HEAD, PATCH, DELETE";
    /// The keys of an account.
    AccountKeys = "/api/v1/accounts/{account}/keys", "GET, HEAD, POST";
    /// One of them.
    AccountKey = "/api/v1/accounts/{account}/keys/{key}", "GET, HEAD, PATCH, DELETE";
    /// The roles of an account.
    AccountRoles = "/api/v1/accounts/{account}/roles", "GET, HEAD";
    /// Its role on the instance.
    InstanceRole = "/api/v1/accounts/{account}/roles/instance", "PUT, DELETE";
    /// The registries.
    Registries = "/api/v1/registries", "GET, HEAD, POST";
    /// A registry.
    Registry = "/api/v1/registries/{registry}", "GET, HEAD, PATCH, DELETE";
    /// The accounts with a role in a registry.
    RegistryMembers = "/api/v1/registries/{registry}/members", "GET, HEAD";
    /// One of them.
    RegistryMember = "/api/v1/registries/{registry}/members/{account}", "PUT, DELETE";
    /// The keys that tokens are signed with.
    SigningKeys = "/api/v1/signing-keys", "GET, HEAD, POST";
    /// Nothing is there.
    Unknown = "unknown", "";
}

/// Why a path names nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PathError {
    /// No endpoint has this shape.
    Unknown,
    /// A segment is empty: `//`.
    EmptySegment,
    /// A segment is `.` or `..`.
    DotSegment,
    /// A segment holds an encoded slash.
    EncodedSlash,
    /// A segment does not decode to UTF-8.
    NotUtf8,
}

impl fmt::Display for PathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unknown => "there is nothing at this path",
            Self::EmptySegment => "the path has an empty segment",
            Self::DotSegment => "the path has a segment . or ..",
            Self::EncodedSlash => "the path has an encoded slash",
            Self::NotUtf8 => "the path is not UTF-8",
        })
    }
}

/// A path taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route<'p> {
    /// What it names.
    pub endpoint: Endpoint,
    path: Cow<'p, str>,
    name: Range<usize>,
    parent: Range<usize>,
    last: Range<usize>,
}

impl<'p> Route<'p> {
    /// Reads a path as it stands in the request line.
    ///
    /// # Errors
    /// [`PathError`] where it names no endpoint.
    pub fn parse(raw: &'p str) -> Result<Self, PathError> {
        if raw.starts_with(admin::PREFIX) {
            return admin::parse(raw);
        }
        let path = decode(raw)?;
        let Some(rest) = path.strip_prefix("/v2/").filter(|rest| !rest.is_empty()) else {
            let endpoint = outside_of_repositories(&path)?;
            return Ok(Self { endpoint, path, name: 0..0, parent: 0..0, last: 0..0 });
        };
        check_segments(rest)?;
        let (endpoint, name, last) = split_from_the_right(rest).ok_or(PathError::Unknown)?;
        let prefix = path.len() - rest.len();
        let name = prefix..prefix + name.len();
        let last = path.len() - last.len()..path.len();
        Ok(Self { endpoint, path, name, parent: 0..0, last })
    }

    /// The repository's name, unchecked; empty where the endpoint has none.
    pub fn name(&self) -> &str {
        self.path.get(self.name.clone()).unwrap_or_default()
    }

    /// What the parameter at the end belongs to, unchecked: the account of a key. Empty where the endpoint has none.
    pub fn parent(&self) -> &str {
        self.path.get(self.parent.clone()).unwrap_or_default()
    }

    /// The digest, reference or id at the end, unchecked; empty where the endpoint has none.
    pub fn last(&self) -> &str {
        self.path.get(self.last.clone()).unwrap_or_default()
    }
}

/// Undoes percent-encoding per segment.
fn decode(raw: &str) -> Result<Cow<'_, str>, PathError> {
    if !raw.contains('%') {
        return Ok(Cow::Borrowed(raw));
    }
    let mut path = String::with_capacity(raw.len());
    for (i, segment) in raw.split('/').enumerate() {
        let segment = percent_decode_str(segment).decode_utf8().map_err(|_| PathError::NotUtf8)?;
        if segment.contains(['/', '\\']) {
            return Err(PathError::EncodedSlash);
        }
        if i > 0 {
            path.push('/');
        }
        path.push_str(&segment);
    }
    Ok(Cow::Owned(path))
}

fn outside_of_repositories(path: &str) -> Result<Endpoint, PathError> {
    match path {
        "/" => Ok(Endpoint::Landing),
        "/healthz" => Ok(Endpoint::Health),
        "/readyz" => Ok(Endpoint::Readiness),
        "/metrics" => Ok(Endpoint::Metrics),
        "/token" => Ok(Endpoint::Token),
        "/v2/" | "/v2" => Ok(Endpoint::Base),
        _ => Err(PathError::Unknown),
    }
}

/// `rest` stands behind `/v2/`. An empty segment at its end is a shape of its own, which one endpoint has.
fn check_segments(rest: &str) -> Result<(), PathError> {
    for segment in rest.strip_suffix('/').unwrap_or(rest).split('/') {
        match segment {
            "" => return Err(PathError::EmptySegment),
            "." | ".." => return Err(PathError::DotSegment),
            _ => {}
        }
    }
    Ok(())
}

/// Gives the endpoint, the repository's name and the last parameter.
fn split_from_the_right(rest: &str) -> Option<(Endpoint, &str, &str)> {
    match rest {
        "_catalog" => return Some((Endpoint::Catalog, "", "")),
        "_oci/ext/discover" => return Some((Endpoint::Discover, "", "")),
        _ => {}
    }
    for (suffix, endpoint) in [
        ("/tags/list", Endpoint::Tags),
        ("/blobs/uploads/", Endpoint::Uploads),
        ("/blobs/uploads", Endpoint::Uploads),
        ("/_oci/ext/discover", Endpoint::RepositoryDiscover),
    ] {
        if let Some(name) = rest.strip_suffix(suffix) {
            return Some((endpoint, name, ""));
        }
    }
    let (head, last) = rest.rsplit_once('/').filter(|(_, last)| !last.is_empty())?;
    for (suffix, endpoint) in [
        ("/blobs", Endpoint::Blob),
        ("/manifests", Endpoint::Manifest),
        ("/blobs/uploads", Endpoint::Upload),
        ("/referrers", Endpoint::Referrers),
    ] {
        if let Some(name) = head.strip_suffix(suffix) {
            return Some((endpoint, name, last));
        }
    }
    None
}

#[cfg(test)]
mod tests;
