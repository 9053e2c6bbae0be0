//! Puts the content that is to be read into a server, or into a folder for a server of files.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::sync::Arc;

use crate::clients::{self, Kind};
use crate::content::{Blob, Image, MANIFEST_TYPE, Noise};
use crate::popularity;
use crate::wire::{Body, Client, Request, Server};

/// The repository that everything goes to.
pub const REPOSITORY: &str = "bench/read";

/// Where the content goes.
#[derive(Debug)]
pub enum Place {
    /// A registry.
    Registry(Client),
    /// The root folder of a server of files: addresses become file names.
    Folder(PathBuf),
}

impl Place {
    /// A registry, or else a folder.
    pub fn of(target: &str) -> Place {
        match target.parse() {
            Ok(address) => Place::Registry(Kind::Containerd.client(&Arc::new(Server::plain(address)))),
            Err(_) => Place::Folder(PathBuf::from(target)),
        }
    }

    /// Stores `count` blobs of `bytes` bytes each, the same for every place, and returns their paths.
    ///
    /// # Errors
    /// When the place refuses something.
    pub async fn blobs(&self, bytes: usize, count: usize) -> io::Result<Vec<String>> {
        let mut noise = Noise::new(bytes as u64);
        let mut paths = Vec::with_capacity(count);
        for _ in 0..count {
            paths.push(self.store(&Blob::noise(&mut noise, bytes)).await?);
        }
        Ok(paths)
    }

    /// Stores `count` blobs of the sizes that production has and returns their paths.
    ///
    /// # Errors
    /// When the place refuses something.
    pub async fn production(&self, count: usize) -> io::Result<Vec<String>> {
        let mut noise = Noise::new(0);
        let mut paths = Vec::with_capacity(count);
        for _ in 0..count {
            let bytes = popularity::size(&mut noise);
            paths.push(self.store(&Blob::noise(&mut noise, bytes)).await?);
        }
        Ok(paths)
    }

    /// Stores an image under a tag and returns the paths of its manifest by that tag, its configuration and its layers.
    ///
    /// # Errors
    /// When the place refuses something.
    pub async fn image(&self, tag: &str, layers: usize, layer_bytes: usize) -> io::Result<Vec<String>> {
        let image = Image::noise(&mut Noise::new((layers * layer_bytes + 1) as u64), layers, layer_bytes);
        let mut paths = vec![format!("/v2/{REPOSITORY}/manifests/{tag}"), self.store(&image.config).await?];
        for layer in &image.layers {
            paths.push(self.store(layer).await?);
        }
        let by_digest = format!("/v2/{REPOSITORY}/manifests/{}", image.manifest.digest);
        for path in paths.iter().take(1).chain([&by_digest]) {
            match self {
                Place::Registry(client) => {
                    let put =
                        Request::new("PUT", path).body(Some(MANIFEST_TYPE), Body::Sized(&image.manifest));
                    client.expect(&put, 201).await?;
                }
                Place::Folder(root) => write(root.join(path.trim_start_matches('/')), &image.manifest)?,
            }
        }
        Ok(paths)
    }

    /// Stores one blob; returns its path.
    async fn store(&self, blob: &Blob) -> io::Result<String> {
        let path = format!("/v2/{REPOSITORY}/blobs/{}", blob.digest);
        match self {
            Place::Registry(client) => clients::push_blob(Kind::Containerd, client, REPOSITORY, blob).await?,
            Place::Folder(root) => write(root.join(path.trim_start_matches('/')), blob)?,
        }
        Ok(path)
    }
}

fn write(path: PathBuf, blob: &Blob) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut file = File::create(path)?;
    blob.parts.iter().try_for_each(|part| file.write_all(part))
}
