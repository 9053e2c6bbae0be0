//! Puts the content that is to be read into a server, or into a folder for a server of files.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::Path;

use crate::connection::Connection;
use crate::content::{Image, Noise, digest};
use crate::push::{push_blob, push_manifest};

/// The repository that everything goes to.
const REPOSITORY: &str = "bench/read";
/// The tag of the image.
const TAG: &str = "v1";

/// Where the content goes.
#[derive(Debug)]
pub enum Target<'a> {
    /// A registry.
    Registry(SocketAddr),
    /// The root folder of a server of files: addresses become file names.
    Folder(&'a Path),
}

/// Stores `count` blobs of `bytes` bytes each, the same for every target, and returns their paths.
///
/// # Errors
/// When the target refuses something.
pub async fn blobs(target: &Target<'_>, bytes: usize, count: usize) -> io::Result<Vec<String>> {
    let mut noise = Noise::new(bytes as u64);
    let mut paths = Vec::with_capacity(count);
    for _ in 0..count {
        paths.push(store(target, &noise.bytes(bytes)).await?.0);
    }
    Ok(paths)
}

/// Stores an image of five layers and returns the path of its manifest by tag.
///
/// # Errors
/// When the target refuses something.
pub async fn image(target: &Target<'_>) -> io::Result<String> {
    let mut noise = Noise::new(1);
    let mut layers = Vec::new();
    for _ in 0..5 {
        let layer = noise.bytes(16 << 10);
        layers.push((store(target, &layer).await?.1, layer.len()));
    }
    let image = Image::of(&layers);
    store(target, &image.config).await?;
    let path = format!("/v2/{REPOSITORY}/manifests/{TAG}");
    match target {
        Target::Registry(address) => {
            let mut connection = Connection::open(*address).await?;
            push_manifest(&mut connection, REPOSITORY, TAG, &image.manifest).await?;
        }
        Target::Folder(root) => write(root, &path, &image.manifest)?,
    }
    Ok(path)
}

/// Stores one blob; returns its path and its digest.
async fn store(target: &Target<'_>, bytes: &[u8]) -> io::Result<(String, String)> {
    let digest = digest([bytes]);
    let path = format!("/v2/{REPOSITORY}/blobs/{digest}");
    match target {
        Target::Registry(address) => {
            let mut connection = Connection::open(*address).await?;
            push_blob(&mut connection, REPOSITORY, &digest, [bytes].into_iter()).await?;
        }
        Target::Folder(root) => write(root, &path, bytes)?,
    }
    Ok((path, digest))
}

fn write(root: &Path, path: &str, bytes: &[u8]) -> io::Result<()> {
    let file = root.join(path.trim_start_matches('/'));
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(file, bytes)
}
