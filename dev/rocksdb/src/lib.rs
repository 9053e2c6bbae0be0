//! Nothing to call: building this crate leaves `librocksdb.a` in its build folder, from where `dev/rocksdb/build` takes it.
