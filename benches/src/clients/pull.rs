//! The pull of an image.

use std::io;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::Value;

use super::{Kind, PullConfig, Resolve};
use crate::content::digest;
use crate::wire::{Client, Request, bad};

/// Pulls an image by its tag, as clients of this kind do; returns the bytes of its blobs.
///
/// # Errors
/// When a connection breaks, the server refuses something, or the manifest is not one of an image.
pub async fn pull(kind: Kind, client: &Client, repository: &str, tag: &str) -> io::Result<u64> {
    let habits = kind.habits();
    if habits.ping {
        client.expect(&Request::new("GET", "/v2/"), 200).await?;
    }
    let tagged = format!("/v2/{repository}/manifests/{tag}");
    let manifest = match habits.resolve {
        Resolve::Get => client.fetch(&tagged).await?,
        Resolve::Head => {
            let head = client.expect(&Request::new("HEAD", &tagged), 200).await?;
            let named = head.digest.ok_or_else(|| bad("a manifest without a digest"))?;
            let manifest = client.fetch(&format!("/v2/{repository}/manifests/{named}")).await?;
            if digest([manifest.as_slice()]) != named {
                return Err(bad("the manifest is not what its digest says"));
            }
            manifest
        }
    };
    let (config, layers) = blobs_of(&manifest).ok_or_else(|| bad("not the manifest of an image"))?;
    let read = |digest: String| async move {
        client.read_blob(&format!("/v2/{repository}/blobs/{digest}"), &digest).await
    };
    let mut bytes = 0;
    let mut among = Vec::new();
    match habits.pull_config {
        PullConfig::First => bytes += read(config.clone()).await?,
        PullConfig::Among => among.push(config.clone()),
        PullConfig::Last => {}
    }
    let reads: Vec<_> = among.into_iter().chain(layers).map(read).collect();
    let lengths: Vec<u64> = stream::iter(reads).buffer_unordered(habits.pull_width).try_collect().await?;
    bytes += lengths.iter().sum::<u64>();
    if habits.pull_config == PullConfig::Last {
        bytes += read(config).await?;
    }
    Ok(bytes)
}

/// The digests of the configuration and of the layers.
fn blobs_of(manifest: &[u8]) -> Option<(String, Vec<String>)> {
    let manifest: Value = serde_json::from_slice(manifest).ok()?;
    let digest = |descriptor: &Value| Some(descriptor.get("digest")?.as_str()?.to_owned());
    let layers = manifest.get("layers")?.as_array()?.iter().map(digest).collect::<Option<_>>()?;
    Some((digest(manifest.get("config")?)?, layers))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::{Image, Noise};

    #[test]
    fn an_image_names_its_blobs() {
        let image = Image::noise(&mut Noise::new(1), 3, 10);
        let (config, layers) = blobs_of(&image.manifest.parts.concat()).unwrap();
        assert_eq!(config, image.config.digest);
        assert_eq!(layers, image.layers.iter().map(|layer| layer.digest.clone()).collect::<Vec<_>>());
        assert_eq!(blobs_of(b"{}"), None);
        assert_eq!(blobs_of(br#"{"config":{"digest":"a"},"layers":[{}]}"#), None);
    }
}
