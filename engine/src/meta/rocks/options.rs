//! How RocksDB is set up: little memory, every write in the log, everything checksummed and checked.

use rocksdb::{
    BlockBasedIndexType, BlockBasedOptions, Cache, DBCompressionType, DBRecoveryMode, DataBlockIndexType,
    LogLevel, Options,
};

/// What an operator may choose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RocksConfig {
    /// Memory for cached blocks, indexes and filters, bytes.
    pub cache_bytes: usize,
    /// Memory for writes that are not in tables yet, bytes.
    pub memtable_bytes: usize,
}

impl Default for RocksConfig {
    fn default() -> Self {
        Self { cache_bytes: 32 * 1024 * 1024, memtable_bytes: 32 * 1024 * 1024 }
    }
}

const MIB: u64 = 1024 * 1024;
/// What is written to a table or to the log at once, bytes. A block of the log is as long.
const PIECE: u64 = 32 * 1024;

pub(super) fn database(config: &RocksConfig) -> Options {
    let mut options = Options::default();
    options.create_if_missing(true);
    options.set_paranoid_checks(true);
    checks(&mut options);
    memory(&mut options, config);
    tables(&mut options, config);
    housekeeping(&mut options);
    options
}

fn checks(options: &mut Options) {
    // DURABILITY: after a power cut the log ends in writes that were never acknowledged, with holes; replay stops at the
    // first. That a hole is not in the middle of acknowledged writes is checked with the watermark, before the replay.
    options.set_wal_recovery_mode(DBRecoveryMode::PointInTime);
    options.set_track_and_verify_wals_in_manifest(true);
    options.set_use_fsync(false);
}

fn memory(options: &mut Options, config: &RocksConfig) {
    // One memtable fills while another is flushed.
    let memtable_bytes = (config.memtable_bytes / 2).max(1024 * 1024);
    options.set_write_buffer_size(memtable_bytes);
    options.set_max_write_buffer_number(3);
    options.set_db_write_buffer_size(config.memtable_bytes.max(2 * 1024 * 1024));
    // Most lookups of a push ask for what is not there: a filter in the memtable answers without a search.
    options.set_memtable_prefix_bloom_ratio(0.02);
    options.set_memtable_whole_key_filtering(true);
    // A table that is open costs a descriptor and the tops of its index and filter; one that is not, reading those first. Not
    // without bound: all tables would be opened at start.
    options.set_max_open_files(512);
    options.set_table_cache_num_shard_bits(2);
}

fn tables(options: &mut Options, config: &RocksConfig) {
    let mut tables = BlockBasedOptions::default();
    // Without a lock: commits, merges and requests look things up in it side by side. Zero: the table of its entries grows as needed.
    tables.set_block_cache(&Cache::new_hyper_clock_cache(config.cache_bytes, 0));
    tables.set_format_version(6);
    // A lookup that misses the cache reads and unpacks whole blocks: small ones, for rows are looked up one by one, and lists
    // are short. Inside a block a table of hashes finds the row without a search.
    tables.set_block_size(4 * 1024);
    tables.set_data_block_index_type(DataBlockIndexType::BinaryAndHash);
    tables.set_data_block_hash_ratio(0.75);
    // Ten bits a key: one lookup in a hundred of what is not there reads a block in vain.
    tables.set_bloom_filter(10.0, false);
    tables.set_optimize_filters_for_memory(true);
    // Indexes and filters count against the cache, so that memory has a bound however large the store is. In one piece each
    // weighs hundreds of kilobytes a table, and a store larger than the cache would read and evict those with every lookup; in
    // pieces of a block's size only what is asked for is had, and the level above, some kilobytes a table, stays.
    tables.set_cache_index_and_filter_blocks(true);
    tables.set_cache_index_and_filter_blocks_with_high_priority(true);
    tables.set_index_type(BlockBasedIndexType::TwoLevelIndexSearch);
    tables.set_partition_filters(true);
    tables.set_metadata_block_size(4 * 1024);
    tables.set_pin_top_level_index_and_filter(true);
    tables.set_pin_l0_filter_and_index_blocks_in_cache(true);
    options.set_block_based_table_factory(&tables);
    // Half of the rows are random bytes, but manifests are text: lz4 halves those and unpacks a block in a microsecond.
    options.set_compression_type(DBCompressionType::Lz4);
    // The last level is kept ten times the one above, so that what was overwritten is at most a tenth of the store.
    options.set_level_compaction_dynamic_level_bytes(true);
    options.set_target_file_size_base(64 * MIB);
    options.set_max_bytes_for_level_base(256 * MIB);
}

fn housekeeping(options: &mut Options) {
    // One flush and one compaction at a time: the processors belong to requests.
    options.set_max_background_jobs(2);
    // Bounds what an open after a crash has to replay.
    options.set_max_total_wal_size(64 * MIB);
    // Each commit syncs the log itself.
    options.set_wal_bytes_per_sync(0);
    // Tables reach the disk while they are written, not all at once at the end, when a commit's sync would wait for them.
    options.set_bytes_per_sync(MIB);
    // Merging gives way to who waits for the processor when it enters the kernel, on many only then: often, in pieces of some hundred rows.
    options.set_writable_file_max_buffer_size(PIECE);
    // Where nothing is written because it was all removed, reading is what enters the kernel. Not smaller: a slow disk is read one piece at a time.
    options.set_compaction_readahead_size(128 * 1024);
    // Tables in which half of a stretch are deletions are merged soon, so that what garbage collection removed is really gone.
    options.add_compact_on_deletion_collector_factory(8192, 4096, 0.5);
    // Files are removed by background threads, not by whoever drops the last view.
    options.set_avoid_unnecessary_blocking_io(true);
    // Reading the properties of every table at open takes as long as there are tables; statistics are not asked for.
    options.set_skip_stats_update_on_db_open(true);
    options.set_stats_dump_period_sec(0);
    options.set_stats_persist_period_sec(0);
    // The list of tables is replayed at open.
    options.set_max_manifest_file_size(4 * MIB as usize);
    // The library's own log, for its developers.
    options.set_log_level(LogLevel::Warn);
    options.set_max_log_file_size(MIB as usize);
    options.set_keep_log_file_num(3);
}
