//! Every limit on what a client may send, with its unit. Limits of connections live with the connections.

/// Largest manifest accepted, bytes: 4 MiB, which is what containerd, notation and containers/image read at most.
pub const MANIFEST_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Longest repository name, bytes. Many clients limit host and name together to 255.
pub const NAME_BYTES_MAX: usize = 255;

/// Longest tag, bytes (distribution-spec, "Pulling manifests").
pub const TAG_BYTES_MAX: usize = 128;

/// Most tags that one `PUT manifests/<digest>?tag=…` may set (distribution-spec end-7b asks for at least 10).
pub const TAGS_PER_PUT_MAX: usize = 64;

/// Largest blob that is kept in a segment instead of a file of its own, bytes.
pub const SMALL_BLOB_BYTES_MAX: usize = 64 * 1024;

/// Page length of a list where the client names none, entries.
pub const PAGE_ENTRIES_DEFAULT: usize = 1000;

/// Longest page of a list, entries; a client that asks for more gets this many and a `Link` to the rest.
pub const PAGE_ENTRIES_MAX: usize = 10_000;

/// Largest page of referrers, bytes of descriptors: clients read an index of at most 4 MiB.
pub const REFERRERS_PAGE_BYTES_MAX: usize = 3 * 1024 * 1024;

/// Most references (layers, children) in one manifest, entries.
pub const MANIFEST_REFERENCES_MAX: usize = 32_768;

/// Deepest nesting of a manifest's JSON, levels of brackets. A manifest without extensions has 5.
pub const MANIFEST_DEPTH_MAX: usize = 128;

/// Most annotations of one manifest or descriptor, entries: parsed, each takes many times the bytes it has in the body.
pub const MANIFEST_ANNOTATIONS_MAX: usize = 16_384;
