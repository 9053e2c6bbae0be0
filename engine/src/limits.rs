//! Named limits of the byte side of the engine, with their units.

/// Largest blob that is kept in memory until its end and stored in a segment, bytes.
pub const SMALL_BLOB_BYTES_MAX: usize = 64 * 1024;
/// Size of one upload buffer, bytes.
pub const BUFFER_BYTES: usize = 1024 * 1024;
/// Size of one block of the whole-blob checksum, bytes. Files of sessions end at such a block, so that a resumed upload goes on
/// without reading anything again.
pub const CHECKSUM_BLOCK_BYTES: usize = 4096;
/// Upload buffers that a store has at least, whatever its memory setting.
pub const BUFFERS_MIN: usize = 4;
/// Upload buffers that stay allocated while no upload runs.
pub const BUFFERS_IDLE_MAX: usize = 8;
/// Buffers of one upload that may be waiting to be hashed and written at a time.
pub const EXTENTS_IN_FLIGHT_MAX: usize = 4;
/// Buffers that one write of an upload takes together at most.
pub const WRITE_EXTENTS_MAX: usize = 4;
/// Offset from which an upload of unknown length is written past the page cache, bytes.
pub const DIRECT_FROM_BYTES: u64 = 8 * 1024 * 1024;
/// Bytes of a long upload between two checkpoints of its session.
pub const CHECKPOINT_BYTES: u64 = 128 * 1024 * 1024;
/// How long an upload may hold a partly filled buffer while others wait for one, milliseconds.
pub const BUFFER_HOLD_MILLIS_MAX: u64 = 250;
/// Blob files that share one directory; a power of two.
pub const FILES_PER_DIRECTORY: u64 = 4096;
/// Bytes of payload and headers that one segment append takes together at most.
pub const APPEND_BYTES_MAX: usize = 8 * 1024 * 1024;
/// How long an answer about free space is believed, milliseconds.
pub const SPACE_AGE_MILLIS_MAX: u64 = 200;
/// Bytes that one read of a blob returns at most; longer ones come in pieces.
pub const READ_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Times a commit of a finished upload is tried again after it lost a race.
pub const COMMIT_ATTEMPTS_MAX: u32 = 32;
/// Finished generations after which the settled watermark is written again.
pub const SETTLED_STEP: u64 = 256;
/// Sessions that one page of a walk over them holds; each may weigh [`SMALL_BLOB_BYTES_MAX`].
pub const UPLOADS_PER_PAGE: usize = 16;
/// Bytes that one read of a scrub takes at most: they are hashed while the processor's cache still holds them.
pub const SCRUB_PIECE_BYTES: usize = 256 * 1024;
/// Longest key of a setting, bytes.
pub const SETTING_KEY_BYTES_MAX: usize = 512;
/// Largest value of a setting, bytes.
pub const SETTING_BYTES_MAX: usize = 64 * 1024;
/// Rows that one page of a walk over another table holds.
pub const PAGE_ROWS: usize = 256;
/// Buffers for pieces of blob files that are kept for the next read: their length in bytes, and how many of each. Together 8 MiB.
pub const READ_BUFFERS: [(usize, usize); 2] = [(128 * 1024, 32), (256 * 1024, 16)];

/// Most rows that the removal of repositories changes with one commit: more would keep the other commits waiting for seconds.
pub const BATCH_STEPS_MAX: usize = 400_000;
