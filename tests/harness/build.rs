//! Makes a client of the protocol's description.

use std::error::Error;

const PROTO: &str = "../../frontend-grpc/proto";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed={PROTO}");
    let files = std::fs::read_dir(format!("{PROTO}/strata/registry/v1"))?;
    let mut files = files.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>()?;
    files.sort();
    let descriptors = protox::compile(&files, [PROTO])?;
    tonic_prost_build::configure().build_server(false).bytes(".").compile_fds(descriptors)?;
    Ok(())
}
