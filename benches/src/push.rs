//! Push storms: images of small layers from many clients, or large blobs side by side.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::clients::{self, Kind};
use crate::content::{Blob, Image, Noise};
use crate::record::Record;
use crate::wire::Server;

/// What a small image looks like.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// How many layers it has.
    pub layers: usize,
    /// How large each is, in bytes.
    pub layer_bytes: usize,
}

/// Pushes images, each of new content, from `count` clients for `span`; every client pushes to a repository of its own.
///
/// # Errors
/// When a connection breaks or the server refuses something.
pub async fn images(
    server: &Arc<Server>,
    kind: Kind,
    count: usize,
    shape: Shape,
    span: Duration,
) -> io::Result<Record> {
    let started = Instant::now();
    let pushers: Vec<_> = (0..count)
        .map(|client| tokio::spawn(push_images(Arc::clone(server), kind, client, shape, started + span)))
        .collect();
    let mut record = Record::default();
    for pusher in pushers {
        record.join(&pusher.await??);
    }
    record.elapsed = started.elapsed();
    Ok(record.with("client", kind.name()))
}

async fn push_images(
    server: Arc<Server>,
    kind: Kind,
    number: usize,
    shape: Shape,
    end: Instant,
) -> io::Result<Record> {
    let client = kind.client(&server);
    let mut noise = Noise::fresh(number as u64);
    let repository = format!("bench/push-{number}");
    let mut record = Record::default();
    for turn in 0.. {
        let image = Image::noise(&mut noise, shape.layers, shape.layer_bytes);
        let started = Instant::now();
        if started >= end {
            break;
        }
        clients::push(kind, &client, &repository, &format!("tag-{turn}"), &image).await?;
        record.count(started.elapsed(), image.bytes());
    }
    Ok(record)
}

/// Pushes `count` blobs of `bytes` bytes of new content side by side; hashing them comes before the measured time.
///
/// # Errors
/// When a connection breaks or the server refuses something.
pub async fn blobs(server: &Arc<Server>, kind: Kind, count: usize, bytes: usize) -> io::Result<Record> {
    let blobs: Vec<Blob> =
        (0..count).map(|part| Blob::noise(&mut Noise::fresh(part as u64), bytes)).collect();
    let started = Instant::now();
    let pushers: Vec<_> = blobs
        .into_iter()
        .map(|blob| {
            let client = kind.client(server);
            tokio::spawn(async move {
                clients::push_blob(kind, &client, "bench/large", &blob).await.map(|()| started.elapsed())
            })
        })
        .collect();
    let mut record = Record::default();
    for pusher in pushers {
        record.count(pusher.await??, bytes as u64);
    }
    record.elapsed = started.elapsed();
    Ok(record.with("client", kind.name()))
}
