//! Whole clients at work: pulls as each kind makes them, and reads mixed with pushes as production has them.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::clients::{self, Kind};
use crate::content::{Blob, Image, Noise};
use crate::popularity::{self, Zipf};
use crate::record::Record;
use crate::wire::{Request, Server, bad};

/// Pulls one image again and again from `count` clients for `span`. Every pull is a client of its own: it connects and learns anew.
///
/// # Errors
/// When a connection breaks, the server refuses something, or what it gives is not what was asked for.
pub async fn pulls(
    server: &Arc<Server>,
    kind: Kind,
    image: (&str, &str),
    count: usize,
    verify: bool,
    span: Duration,
) -> io::Result<Record> {
    let started = Instant::now();
    let (repository, tag) = image;
    let pullers: Vec<_> = (0..count)
        .map(|_| {
            let (server, repository, tag) = (Arc::clone(server), repository.to_owned(), tag.to_owned());
            tokio::spawn(async move {
                let mut record = Record::default();
                while started.elapsed() < span {
                    let asked = Instant::now();
                    let client = kind.client(&server).verifying(verify);
                    let bytes = clients::pull(kind, &client, &repository, &tag).await?;
                    record.count(asked.elapsed(), bytes);
                }
                io::Result::Ok(record)
            })
        })
        .collect();
    let mut record = Record::default();
    for puller in pullers {
        record.join(&puller.await??);
    }
    record.elapsed = started.elapsed();
    let bodies = if verify { "verified" } else { "discarded in the kernel" };
    Ok(record.with("client", kind.name()).with("bodies", bodies))
}

/// What a mixed load is made of.
#[derive(Debug, Clone, Copy)]
pub struct Mix {
    /// Connections, each doing one thing at a time.
    pub clients: usize,
    /// The share of pushes, 0 to 1.
    pub writes: f64,
    /// How unevenly blobs are read.
    pub skew: f64,
    /// The largest blob that is pushed, in bytes.
    pub push_bytes_max: usize,
    /// How long to go on.
    pub span: Duration,
}

/// Reads by popularity mixed with pushes: a read is a `HEAD` of a tag and a blob; a push is an image of one layer of a production size.
/// The first path is the manifest, the others blobs.
///
/// # Errors
/// When a connection breaks or the server refuses something.
pub async fn mixed(server: &Arc<Server>, paths: Vec<String>, mix: Mix) -> io::Result<Record> {
    if paths.len() < 2 {
        return Err(bad("a manifest and a blob at least"));
    }
    let (paths, started): (Arc<[String]>, _) = (paths.into(), Instant::now());
    let zipf = Arc::new(Zipf::new(paths.len() - 1, mix.skew));
    let clients: Vec<_> = (0..mix.clients)
        .map(|number| {
            tokio::spawn(mixed_client(
                Arc::clone(server),
                Arc::clone(&paths),
                Arc::clone(&zipf),
                mix,
                number,
                started + mix.span,
            ))
        })
        .collect();
    let (mut reads, mut writes) = (Record::default(), Record::default());
    for client in clients {
        let (read, written) = client.await??;
        reads.join(&read);
        writes.join(&written);
    }
    reads.elapsed = started.elapsed();
    let pushes = writes.latencies.count();
    let p99 = writes.latencies.quantile_us(0.99);
    Ok(reads.with("pushes", pushes).with("push_bytes", writes.bytes).with("push_p99_us", p99))
}

async fn mixed_client(
    server: Arc<Server>,
    paths: Arc<[String]>,
    zipf: Arc<Zipf>,
    mix: Mix,
    number: usize,
    end: Instant,
) -> io::Result<(Record, Record)> {
    let kind = Kind::Containerd;
    let client = kind.client(&server);
    let (mut noise, mut choice) = (Noise::fresh(number as u64), Noise::new(number as u64));
    let (mut reads, mut writes) = (Record::default(), Record::default());
    for turn in 0.. {
        if choice.share() < mix.writes {
            let bytes = popularity::size(&mut choice).min(mix.push_bytes_max);
            let image = Image::of(vec![Blob::noise(&mut noise, bytes)]);
            let asked = Instant::now();
            clients::push(kind, &client, &format!("bench/mixed-{number}"), &format!("tag-{turn}"), &image)
                .await?;
            writes.count(asked.elapsed(), image.bytes());
        } else {
            let asked = Instant::now();
            let manifest = paths.first().map_or("/", String::as_str);
            client.expect(&Request::new("HEAD", manifest), 200).await?;
            let path = paths.get(1 + zipf.draw(&mut choice)).map_or("/", String::as_str);
            let digest = path.rsplit('/').next().unwrap_or_default();
            let bytes = client.read_blob(path, digest).await?;
            reads.count(asked.elapsed(), bytes);
        }
        if Instant::now() >= end {
            break;
        }
    }
    Ok((reads, writes))
}
