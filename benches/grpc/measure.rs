//! All protocols in turns; what counts is the processor time of the server.

use crate::Outcome;
use crate::client::{self, Client, REPOSITORY};
use crate::server::Server;
use futures_util::{StreamExt as _, stream};
use serde_json::{Value, json};
use strata_benches::content::{Blob, MANIFEST_TYPE, Noise};
use strata_harness::grpc::v1;

/// Lengths of the blobs that are read.
const SMALL: usize = 1 << 20;
const LARGE: usize = 64 << 20;
/// Digests of one question, of which the store has every other one.
pub(crate) const DIGESTS: usize = 10_000;
/// Questions of a turn.
const QUESTIONS: usize = 20;
/// Blobs on their way at once while the store is filled.
const FILLING: usize = 32;
/// Layers of an image of such blobs.
const LAYERS: usize = 500;
/// Bytes of a blob that is only asked for.
const FILLER_BYTES: usize = 64;

/// How long it goes on.
#[derive(Debug)]
pub(crate) struct Size {
    pub(crate) rounds: usize,
    pub(crate) read_bytes: usize,
    pub(crate) write_bytes: usize,
}

/// What one kind of work cost, seconds of the processor for a GB, in each protocol's turns.
#[derive(Debug)]
pub(crate) struct Work {
    pub(crate) name: &'static str,
    /// Whether the share of gRPC has a bound.
    pub(crate) is_bounded: bool,
    /// HTTP/1.1, HTTP/2, gRPC.
    pub(crate) turns: [Vec<f64>; 3],
}

/// Everything measured.
#[derive(Debug)]
pub(crate) struct Figures {
    pub(crate) works: Vec<Work>,
    /// Milliseconds of the processor for a question about blobs that manifests hold, and about blobs that nothing holds yet.
    pub(crate) finds: [Vec<f64>; 2],
}

/// Measures everything.
pub(crate) async fn all(server: &Server, size: &Size) -> Outcome<Figures> {
    let mut noise = Noise::fresh(1);
    let mut clients = Client::each(server).await?;
    let mut reads = Vec::new();
    for length in [SMALL, LARGE] {
        let blob = Blob::of(noise.bytes(length));
        client::write(&client::grpc(server), &blob).await?;
        reads.push((blob.digest, length));
    }
    let held = fill(server, &mut noise).await?;
    hold(server, &held).await?;
    let digests = [held, fill(server, &mut noise).await?];
    let work = |name, is_bounded| Work { name, is_bounded, turns: [const { Vec::new() }; 3] };
    let mut works = vec![
        work("read blobs of 1 MiB", true),
        work("read blobs of 64 MiB", true),
        work("write blobs of 64 MiB", false),
    ];
    let mut finds = [const { Vec::new() }; 2];
    // The first is to warm up.
    for round in 0..=size.rounds {
        let mut costs = Vec::new();
        for (digest, length) in &reads {
            let count = if round == 0 { 1 } else { size.read_bytes.div_ceil(*length) };
            costs.push(read(server, &mut clients, digest, *length, count).await?);
        }
        let count = if round == 0 { 1 } else { size.write_bytes.div_ceil(LARGE) };
        costs.push(write(server, &mut clients, &mut noise, count).await?);
        for (turns, digests) in finds.iter_mut().zip(&digests) {
            let found = find(server, &clients, digests).await?;
            if round > 0 {
                turns.push(found);
            }
        }
        if round == 0 {
            continue;
        }
        for (work, costs) in works.iter_mut().zip(costs) {
            work.turns.iter_mut().zip(costs).for_each(|(turns, cost)| turns.push(cost));
        }
    }
    Ok(Figures { works, finds })
}

/// Stores small blobs; gives their digests, each behind one that nobody has.
async fn fill(server: &Server, noise: &mut Noise) -> Outcome<Vec<String>> {
    let mut blobs: Vec<Blob> = (0..DIGESTS).map(|_| Blob::of(noise.bytes(FILLER_BYTES))).collect();
    let digests = blobs.iter().map(|blob| blob.digest.clone()).collect();
    let mut number = 0;
    blobs.retain(|_| {
        number += 1;
        number % 2 == 0
    });
    let grpc = client::grpc(server);
    let writing = blobs.iter().map(|blob| client::write(&grpc, blob));
    let mut written = stream::iter(writing).buffer_unordered(FILLING);
    while let Some(outcome) = written.next().await {
        outcome?;
    }
    Ok(digests)
}

/// Pushes images whose layers are the blobs that are there.
async fn hold(server: &Server, digests: &[String]) -> Outcome<()> {
    let there: Vec<&String> = digests.iter().skip(1).step_by(2).collect();
    for (number, layers) in there.chunks(LAYERS).enumerate() {
        let describe = |digest: &&String| {
            let media_type = "application/vnd.oci.image.layer.v1.tar";
            json!({ "mediaType": media_type, "digest": digest, "size": FILLER_BYTES })
        };
        let layers: Vec<Value> = layers.iter().map(describe).collect();
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST_TYPE,
            "config": layers.first(),
            "layers": layers,
        });
        let put = v1::ManifestsPutRequest {
            repository: REPOSITORY.to_owned(),
            content: manifest.to_string().into(),
            tags: vec![format!("v{number}")],
            ..Default::default()
        };
        client::grpc(server).manifests().put(put).await?;
    }
    Ok(())
}

async fn read(
    server: &Server,
    clients: &mut [Client; 3],
    digest: &str,
    length: usize,
    count: usize,
) -> Outcome<[f64; 3]> {
    let mut costs = [0.0; 3];
    for (client, cost) in clients.iter_mut().zip(&mut costs) {
        let before = server.cpu_seconds()?;
        for _ in 0..count {
            if client.read(digest).await? != length as u64 {
                return Err("a blob of another length".into());
            }
        }
        *cost = (server.cpu_seconds()? - before) / gigabytes(length * count);
    }
    Ok(costs)
}

async fn write(
    server: &Server,
    clients: &mut [Client; 3],
    noise: &mut Noise,
    count: usize,
) -> Outcome<[f64; 3]> {
    let mut costs = [0.0; 3];
    for (client, cost) in clients.iter_mut().zip(&mut costs) {
        for _ in 0..count {
            // Made and hashed before the time that counts.
            let blob = Blob::of(noise.bytes(LARGE));
            let before = server.cpu_seconds()?;
            client.write(&blob).await?;
            *cost += server.cpu_seconds()? - before;
        }
        *cost /= gigabytes(LARGE * count);
    }
    Ok(costs)
}

/// Milliseconds for a question.
async fn find(server: &Server, clients: &[Client; 3], digests: &[String]) -> Outcome<f64> {
    let [.., Client::Grpc(grpc)] = clients else { return Err("the last one is of gRPC".into()) };
    let before = server.cpu_seconds()?;
    for _ in 0..QUESTIONS {
        let asked =
            v1::BlobsFindMissingRequest { repository: REPOSITORY.to_owned(), digests: digests.to_vec() };
        let missing = grpc.blobs().find_missing(asked).await?.into_inner().missing;
        if missing.len() != DIGESTS / 2 {
            return Err(format!("{} are missing", missing.len()).into());
        }
    }
    Ok((server.cpu_seconds()? - before) * 1e3 / QUESTIONS as f64)
}

fn gigabytes(bytes: usize) -> f64 {
    bytes as f64 / 1e9
}
