//! Makes a client of the protocol's description.

use std::error::Error;

const PROTO: &str = "../../frontend-grpc/proto";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed={PROTO}");
    let mut files = Vec::new();
    for package in ["strata/registry/v1", "containerd/services/content/v1"] {
        for entry in std::fs::read_dir(format!("{PROTO}/{package}"))? {
            files.push(entry?.path());
        }
    }
    files.sort();
    let descriptors = protox::compile(&files, [PROTO])?;
    tonic_prost_build::configure().build_server(false).bytes(".").compile_fds(descriptors)?;
    Ok(())
}
