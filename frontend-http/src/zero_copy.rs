//! Sending ranges of files straight from the page cache, under hyper.
//!
//! hyper takes bodies as `Bytes` and hands slices to the socket. So a body yields *stand-ins*: slices of a region of address
//! space that is reserved once for the process and never touched. [`Queue`] remembers which file range each stand-in is for;
//! [`ZeroCopyStream`], the socket that hyper writes to, recognises their addresses and calls sendfile instead.
//!
//! The danger of the scheme is not memory safety (the region is readable memory of zeros) but silent zeros: whoever copies a
//! stand-in sends zeros. Hence:
//! - a queue exists only for connections of this stream type, and bodies use it only for HTTP/1 (HTTP/2 and TLS copy);
//! - a slice inside the region that is not exactly what the queue expects next is an error that ends the connection, and not
//!   a byte of it is sent;
//! - with `STRATA_ZERO_COPY_GUARD=1` the region cannot even be read: any touch in user space kills the process. Tests run so.

mod cold;
mod huge;
mod queue;
mod range;
mod region;
mod stream;

pub(crate) use queue::{FRAME_MAX, Queue};
pub(crate) use range::{FileRange, RangeSender, Turn};
use strata_types::FastPath;
pub(crate) use stream::ZeroCopyStream;

/// What becomes of sending without a copy, where it is `wanted`.
pub(crate) fn fast_path(wanted: bool) -> FastPath {
    const SETTING: &str = "http.zero-copy";
    if !wanted {
        return FastPath::switched_off(SETTING);
    }
    match Queue::new() {
        Some(_) => FastPath::taken(SETTING, "files go to plain HTTP/1 clients by sendfile"),
        None => {
            FastPath::refused(SETTING, "no address space is left for stand-ins, files are read and written")
        }
    }
}
