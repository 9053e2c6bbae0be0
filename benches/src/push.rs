//! Pushing: whole images of small layers from several clients, or one large blob.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::connection::{Connection, bad};
use crate::content::{Image, MANIFEST_TYPE, Noise, digest};
use crate::report::Report;

/// How a large blob is cut into writes: the same noise again and again, under a number.
const PIECE_BYTES: usize = 1 << 20;

/// What a small image looks like.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// How many layers it has.
    pub layers: usize,
    /// How large each is, in bytes.
    pub layer_bytes: usize,
}

/// Pushes images, each of new content, from `clients` clients for `span`; every client pushes to a repository of its own, one blob after the other.
///
/// # Errors
/// When a connection breaks or the server refuses something.
pub async fn images(address: SocketAddr, clients: usize, shape: Shape, span: Duration) -> io::Result<Report> {
    let started = Instant::now();
    let pushers: Vec<_> = (0..clients)
        .map(|client| tokio::spawn(push_images(address, client, shape, started + span)))
        .collect();
    let mut report = Report::default();
    for pusher in pushers {
        report.join(pusher.await??);
    }
    report.elapsed = started.elapsed();
    Ok(report)
}

/// Pushes one blob of `bytes` bytes of new content by one PUT; hashing it comes before the measured time.
///
/// # Errors
/// When the connection breaks or the server refuses it.
pub async fn blob(address: SocketAddr, bytes: usize) -> io::Result<Report> {
    let noise = Noise::new(seed()).bytes(PIECE_BYTES);
    let numbers: Vec<[u8; 8]> = (0..bytes.div_ceil(PIECE_BYTES) as u64).map(u64::to_be_bytes).collect();
    let last = bytes - (numbers.len().saturating_sub(1)) * PIECE_BYTES;
    let parts = numbers.iter().enumerate().flat_map(|(at, number)| {
        let length = if at + 1 == numbers.len() { last } else { PIECE_BYTES };
        let head = number.get(..length.min(8)).unwrap_or_default();
        [head, noise.get(head.len()..length).unwrap_or_default()]
    });
    let digest = digest(parts.clone());
    let mut connection = Connection::open(address).await?;
    let mut report = Report::default();
    let started = Instant::now();
    push_blob(&mut connection, "bench/large", &digest, parts).await?;
    report.record(started.elapsed(), bytes as u64);
    report.elapsed = started.elapsed();
    Ok(report)
}

/// Pushes one blob as containerd and oras do: POST a session, PUT the bytes to it.
///
/// # Errors
/// When the connection breaks or the server refuses it.
pub async fn push_blob<'a>(
    connection: &mut Connection,
    repository: &str,
    digest: &str,
    parts: impl Iterator<Item = &'a [u8]> + Clone,
) -> io::Result<()> {
    let start =
        connection.request("POST", &format!("/v2/{repository}/blobs/uploads/"), &[("Content-Length", "0")]);
    let session = connection.ask(&start).await?;
    let location =
        session.location.filter(|_| session.status == 202).ok_or_else(|| bad("no upload session"))?;
    let joint = if location.contains('?') { '&' } else { '?' };
    let put = connection
        .put("PUT", &format!("{location}{joint}digest={digest}"), "application/octet-stream", parts)
        .await?;
    created(put.status)
}

/// Puts a manifest under a tag.
///
/// # Errors
/// When the connection breaks or the server refuses it.
pub async fn push_manifest(
    connection: &mut Connection,
    repository: &str,
    tag: &str,
    manifest: &[u8],
) -> io::Result<()> {
    let path = format!("/v2/{repository}/manifests/{tag}");
    let put = connection.put("PUT", &path, MANIFEST_TYPE, [manifest].into_iter()).await?;
    created(put.status)
}

async fn push_images(
    address: SocketAddr,
    client: usize,
    shape: Shape,
    deadline: Instant,
) -> io::Result<Report> {
    let mut connection = Connection::open(address).await?;
    let mut noise = Noise::new(seed() ^ (client as u64).rotate_left(32));
    let repository = format!("bench/push-{client}");
    let mut report = Report::default();
    for number in 0.. {
        let layers: Vec<_> = (0..shape.layers).map(|_| noise.bytes(shape.layer_bytes)).collect();
        let named: Vec<_> = layers.iter().map(|layer| (digest([layer.as_slice()]), layer.len())).collect();
        let image = Image::of(&named);
        let started = Instant::now();
        if started >= deadline {
            break;
        }
        for (layer, (digest, _)) in layers.iter().zip(&named) {
            push_blob(&mut connection, &repository, digest, [layer.as_slice()].into_iter()).await?;
        }
        push_blob(&mut connection, &repository, &image.config_digest, [image.config.as_slice()].into_iter())
            .await?;
        push_manifest(&mut connection, &repository, &format!("tag-{number}"), &image.manifest).await?;
        report.record(started.elapsed(), (shape.layers * shape.layer_bytes) as u64);
    }
    Ok(report)
}

fn created(status: u16) -> io::Result<()> {
    if status == 201 { Ok(()) } else { Err(bad(&format!("the server answers a push with {status}"))) }
}

/// Different for every run, so that no server has the content already.
fn seed() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |since| since.as_nanos() as u64)
}
