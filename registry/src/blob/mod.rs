//! Blobs of a repository: look up, read, mount, delete. How they come in is [`crate::upload`]'s.

mod body;
mod delete;
mod find;
mod mount;
mod read;

pub use body::{BlobBody, BlobFile, IdleBlobFile};
pub use find::FIND_BLOBS_MAX;
pub use read::{BlobRead, BlobStat};
pub(crate) use read::{linked, linked_size};
