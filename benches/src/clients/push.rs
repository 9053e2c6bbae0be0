//! The push of an image.

use std::io;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use super::{Habits, Kind, Upload};
use crate::content::{Blob, Image, MANIFEST_TYPE};
use crate::wire::{Body, Client, Request, Take, bad, refused};

/// Pushes an image under a tag, as clients of this kind do.
///
/// # Errors
/// When a connection breaks or the server refuses something.
pub async fn push(kind: Kind, client: &Client, repository: &str, tag: &str, image: &Image) -> io::Result<()> {
    let habits = kind.habits();
    if habits.ping {
        client.expect(&Request::new("GET", "/v2/"), 200).await?;
    }
    let tagged = format!("/v2/{repository}/manifests/{tag}");
    if kind == Kind::Crane {
        look(client, &tagged).await?;
    }
    let (beside, after) =
        if habits.config_after { (None, Some(&image.config)) } else { (Some(&image.config), None) };
    let blobs = image.layers.iter().chain(beside);
    let uploads: Vec<_> = blobs.map(|blob| upload(habits, client, repository, blob)).collect();
    stream::iter(uploads).buffer_unordered(habits.push_width).try_collect::<()>().await?;
    if let Some(config) = after {
        upload(habits, client, repository, config).await?;
    }
    if habits.looks_at_tag && kind != Kind::Crane {
        look(client, &tagged).await?;
    }
    let put = Request::new("PUT", &tagged).body(Some(MANIFEST_TYPE), Body::Sized(&image.manifest));
    client.expect(&put, 201).await.map(drop)
}

/// Pushes a blob alone, with whatever looks before and after this kind of client takes.
///
/// # Errors
/// When a connection breaks or the server refuses something.
pub async fn push_blob(kind: Kind, client: &Client, repository: &str, blob: &Blob) -> io::Result<()> {
    upload(kind.habits(), client, repository, blob).await
}

/// Whether something is there: yes, no, or an error for any other answer.
async fn look(client: &Client, path: &str) -> io::Result<bool> {
    let request = Request::new("HEAD", path);
    let head = client.ask(&request, Take::Discard).await?;
    match head.status {
        200 => Ok(true),
        404 => Ok(false),
        _ => Err(refused(&request, &head)),
    }
}

async fn upload(habits: &Habits, client: &Client, repository: &str, blob: &Blob) -> io::Result<()> {
    let path = format!("/v2/{repository}/blobs/{}", blob.digest);
    if habits.looks_before && look(client, &path).await? {
        return Ok(());
    }
    let start = format!("/v2/{repository}/blobs/uploads/");
    let session = client.expect(&Request::new("POST", &start).body(None, Body::Empty), 202).await?;
    let mut location = session.location.ok_or_else(|| bad("an upload session without a location"))?;
    if habits.upload != Upload::Put {
        let body =
            if habits.upload == Upload::PatchChunked { Body::Chunked(blob) } else { Body::Sized(blob) };
        let patch = Request::new("PATCH", &location).body(habits.upload_type, body);
        let answer = client.expect(&patch, 202).await?;
        location = answer.location.unwrap_or(location);
    }
    let joint = if location.contains('?') { '&' } else { '?' };
    let end = format!("{location}{joint}digest={}", blob.digest);
    let put = match habits.upload {
        Upload::Put => Request::new("PUT", &end).body(habits.upload_type, Body::Sized(blob)),
        _ => Request::new("PUT", &end).body(None, Body::Empty),
    };
    client.expect(&put, 201).await?;
    if habits.looks_after && !look(client, &path).await? {
        return Err(bad(format!("{path} is gone after its push")));
    }
    Ok(())
}
