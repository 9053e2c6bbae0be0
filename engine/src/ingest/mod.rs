//! From received chunks to hashed and written bytes: receive, hash and write overlap on shared buffers.
//!
//! Knows buffers, offsets and one file; knows no session, no row, no commit ([`crate::upload`] does).

mod buffer;
mod extent;
mod flow;
mod hasher;
mod hashing;
mod lane;
#[cfg(target_arch = "x86_64")]
mod pair;
mod write_lane;

pub(crate) use buffer::{Buffer, BufferPool};
pub(crate) use extent::{Extent, SnapshotSlot};
pub(crate) use flow::{Flow, Passage};
pub(crate) use hasher::Hasher;
pub(crate) use hashing::Hashing;
pub(crate) use lane::Lane;
pub(crate) use write_lane::WriteLane;
