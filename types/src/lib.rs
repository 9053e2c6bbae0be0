//! The values that every layer of Strata speaks in: digests, names, tags, references, upload ids, manifests, error codes, limits.
//!
//! Pure: no I/O, no clock, no runtime. A value of these types is valid by construction, so that nothing behind the
//! edge that parsed it has to look again.

pub mod descriptor;
pub mod digest;
pub mod error_code;
pub mod fast_path;
pub mod limits;
pub mod manifest;
pub mod media_type;
pub mod moment;
pub mod name;
pub mod reference;
pub mod tag;
pub mod upload_id;

pub use descriptor::Descriptor;
pub use digest::{Algorithm, Digest, DigestError};
pub use error_code::{ErrorCode, Failure, Outcome};
pub use fast_path::FastPath;
pub use manifest::{Manifest, ManifestError};
pub use media_type::ManifestKind;
pub use name::{DEFAULT_REGISTRY, NameError, RepositoryName};
pub use reference::{Reference, ReferenceError};
pub use tag::{Tag, TagError};
pub use upload_id::{UploadId, UploadIdError};
