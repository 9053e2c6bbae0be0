//! Blobs at rest: how large ones are placed in files, how any is opened, the checksum that is kept beside the digest.
//!
//! Small blobs are placed by `segment`; how bytes get here is [`crate::upload`]'s.

mod buffers;
mod checksum;
mod files;
pub(crate) mod generation;
mod open;
mod read;

pub(crate) use checksum::{checksum, checksum_part};
pub(crate) use files::{Files, NewFile};
pub(crate) use open::{Unopened, is_whole, open};
pub use read::{BlobBody, BlobFile, IdleBlobFile};
pub(crate) use read::{FileKey, Handles, Reader};
