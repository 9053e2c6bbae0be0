//! Bodies of requests and responses: the only types of the wire that handlers hold.
//!
//! A request body is read under a stall limit, a response body is made of bytes and of ranges of files. Which way a file leaves
//! (sendfile or reads) is decided once, at construction, from the connection and the version of the request.

mod file_reader;
mod file_source;
mod progress;
mod request;
mod response;

pub use file_source::{FileSource, ReadFuture};
pub(crate) use file_source::{too_short, unreadable};
pub(crate) use progress::Progress;
pub use request::{RequestBody, RequestBodyError};
pub use response::{Part, ResponseBody};
