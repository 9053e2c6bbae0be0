//! Uploads: sessions that are started, appended to, finished, asked and cancelled; and blobs that come in one request.

mod receive;
mod session;
mod whole;

pub use receive::{Piece, UploadBody};
pub use session::{ChunkRange, UploadStatus};
pub(crate) use whole::{Sent, receive_whole};
