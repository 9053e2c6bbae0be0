//! Asks two stores the same kinds of questions in turns.

use crate::Outcome;
use crate::client::{Client, request};
use crate::server::{Program, Server};
use crate::shape::{Shape, manifest};
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;
use strata_benches::content::{MANIFEST_TYPE, Noise, digest};

/// Requests in a row to one store before it is the other's turn.
const TURN: usize = 50;
/// So many times as many requests as are measured come first: what a server that has run for a while keeps in memory is there.
const WARMING: usize = 25;
/// Durable writes take far longer than reads.
const WRITES_SHARE: usize = 4;
/// Entries of a page of tags.
const PAGE: usize = 100;
/// Requests that a killed server had been writing before it was killed.
const WRITES_BEFORE_KILL: u64 = 2000;

/// Everything that was measured.
#[derive(Debug)]
pub(crate) struct Figures {
    /// What was asked, and how long it took on the small and on the large store.
    pub(crate) questions: Vec<(&'static str, [Latencies; 2])>,
    /// Small, large.
    pub(crate) stores: [StoreFigures; 2],
}

/// What one store's server took.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct StoreFigures {
    pub(crate) manifests: usize,
    pub(crate) start_ms: f64,
    pub(crate) start_after_kill_ms: f64,
    pub(crate) rest_kib: u64,
    pub(crate) after_kib: u64,
    pub(crate) peak_kib: u64,
}

/// How long requests took.
#[derive(Debug, Default)]
pub(crate) struct Latencies(Vec<Duration>);

impl Latencies {
    /// The latency that this share of the requests did not exceed, microseconds.
    pub(crate) fn percentile_us(&self, hundredths: usize) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let at = sorted.len().saturating_sub(1) * hundredths / 100;
        sorted.get(at).copied().unwrap_or_default().as_secs_f64() * 1e6
    }
}

/// One kind of request.
struct Question {
    name: &'static str,
    status: u16,
    writes: bool,
    /// The request about a random image, with a number that never comes again.
    make: fn(&Shape, usize, u64) -> Vec<u8>,
}

const QUESTIONS: [Question; 10] = [
    Question { name: "manifest GET by tag", status: 200, writes: false, make: get_by_tag },
    Question { name: "manifest HEAD by tag", status: 200, writes: false, make: head_by_tag },
    Question { name: "manifest GET by tag, as popular", status: 200, writes: false, make: get_popular },
    Question { name: "manifest HEAD, absent tag", status: 404, writes: false, make: head_absent },
    Question { name: "blob HEAD, absent", status: 404, writes: false, make: head_absent_blob },
    Question { name: "tag page of 100", status: 200, writes: false, make: tag_page },
    Question { name: "referrers page of 10", status: 200, writes: false, make: referrers_page },
    Question { name: "catalog page of 100", status: 200, writes: false, make: catalog_page },
    Question { name: "manifest PUT by tag", status: 201, writes: true, make: put_manifest },
    Question { name: "blob push of 4 KiB", status: 201, writes: true, make: push_blob },
];

fn get_by_tag(shape: &Shape, number: usize, _: u64) -> Vec<u8> {
    let image = shape.image(number);
    request("GET", &format!("/v2/{}/manifests/{}", image.repository, image.tag), "", b"")
}

fn head_by_tag(shape: &Shape, number: usize, _: u64) -> Vec<u8> {
    let image = shape.image(number);
    request("HEAD", &format!("/v2/{}/manifests/{}", image.repository, image.tag), "", b"")
}

/// Clients do not ask for everything alike: the image at rank k k times less often than the first (Zipf's law).
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "a rank among the images, which are far fewer than a float can count"
)]
fn get_popular(shape: &Shape, number: usize, _: u64) -> Vec<u8> {
    /// Spreads the ranks over the repositories; a prime, so that none comes twice.
    const SPREAD: usize = 7_919;
    let share = number as f64 / shape.manifests as f64;
    let rank = (shape.manifests as f64).powf(share) as usize;
    get_by_tag(shape, rank.wrapping_mul(SPREAD) % shape.manifests, 0)
}

fn head_absent(shape: &Shape, number: usize, nonce: u64) -> Vec<u8> {
    request("HEAD", &format!("/v2/{}/manifests/none-{nonce}", shape.image(number).repository), "", b"")
}

fn head_absent_blob(shape: &Shape, number: usize, nonce: u64) -> Vec<u8> {
    let absent = digest([nonce.to_le_bytes().as_slice()]);
    request("HEAD", &format!("/v2/{}/blobs/{absent}", shape.image(number).repository), "", b"")
}

/// Of the repository with the most tags, from anywhere.
fn tag_page(shape: &Shape, number: usize, _: u64) -> Vec<u8> {
    let first = shape.image(0).repository;
    let from = number % shape.in_one().saturating_sub(PAGE).max(1);
    request("GET", &format!("/v2/{first}/tags/list?n={PAGE}&last=v{from:07}"), "", b"")
}

fn referrers_page(shape: &Shape, number: usize, _: u64) -> Vec<u8> {
    let first = shape.first_of_its_repository(number);
    let image = shape.image(first);
    request("GET", &format!("/v2/{}/referrers/{}", image.repository, shape.digest(first)), "", b"")
}

fn catalog_page(shape: &Shape, number: usize, _: u64) -> Vec<u8> {
    let repository = shape.image(number).repository;
    request("GET", &format!("/v2/_catalog?n=100&last={repository}"), "", b"")
}

/// Another manifest of blobs that the repository has, under a tag of its own.
fn put_manifest(shape: &Shape, number: usize, nonce: u64) -> Vec<u8> {
    let image = shape.image(number);
    let body = manifest(&image.blobs, None, nonce);
    let path = format!("/v2/{}/manifests/new-{nonce}", image.repository);
    request("PUT", &path, MANIFEST_TYPE, &body)
}

fn push_blob(shape: &Shape, number: usize, nonce: u64) -> Vec<u8> {
    let bytes = Noise::new(nonce).bytes(4096);
    let named = digest([bytes.as_slice()]);
    let path = format!("/v2/{}/blobs/uploads/?digest={named}", shape.image(number).repository);
    request("POST", &path, "application/octet-stream", &bytes)
}

/// Reads the files of a store's metadata once, so that the page cache has them: what is compared is the work, not the disk's
/// luck, and machines that give memory back to their host forget files at any moment.
fn warm(data: &Path) -> Outcome<()> {
    let mut scratch = vec![0; 1 << 20];
    for entry in std::fs::read_dir(data.join("meta/rocksdb"))? {
        // A file that a compaction took away meanwhile is not missed.
        let Ok(mut file) = File::open(entry?.path()) else { continue };
        while file.read(&mut scratch)? > 0 {}
    }
    Ok(())
}

/// One store under measurement.
struct Side {
    shape: Shape,
    server: Server,
    client: Client,
    random: Noise,
    nonce: u64,
}

impl Side {
    fn ask(&mut self, question: &Question) -> Outcome<Duration> {
        let drawn = self.random.bytes(8).iter().fold(0_usize, |sum, byte| sum << 8 | usize::from(*byte));
        self.nonce += 1;
        let request = (question.make)(&self.shape, drawn % self.shape.manifests, self.nonce);
        let answer = self.client.ask(&request)?;
        if answer.status != question.status {
            let text = String::from_utf8_lossy(request.get(..200.min(request.len())).unwrap_or_default())
                .into_owned();
            return Err(
                format!("{} was answered {} ({} bytes)", text, answer.status, answer.body_bytes).into()
            );
        }
        Ok(answer.took)
    }
}

/// Serves both stores and asks them.
pub(crate) fn compare(
    program: &Program,
    stores: &[(PathBuf, Shape); 2],
    requests: usize,
) -> Outcome<Figures> {
    let mut figures = [StoreFigures::default(), StoreFigures::default()];
    // The first start after filling may have to write what the log holds: it is not counted.
    for (data, _) in stores {
        let server = Server::start(program, data)?;
        server.settle()?;
        server.stop()?;
    }
    let mut sides = Vec::new();
    for ((data, shape), figures) in stores.iter().zip(&mut figures) {
        let server = Server::start(program, data)?;
        figures.manifests = shape.manifests;
        figures.start_ms = milliseconds(server.started_in);
        figures.rest_kib = server.memory_kib("VmRSS")?;
        let client = Client::connect(server.address)?;
        // The same numbers never come again, not in a later run either.
        let nonce = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_nanos() as u64;
        let random = Noise::new(nonce);
        sides.push(Side { shape: *shape, server, client, random, nonce });
    }
    let mut questions = Vec::new();
    for question in &QUESTIONS {
        let count = if question.writes { requests / WRITES_SHARE } else { requests };
        let mut latencies = [Latencies::default(), Latencies::default()];
        if !question.writes {
            for side in &mut sides {
                for _ in 0..requests * WARMING {
                    side.ask(question)?;
                }
            }
        }
        for (data, _) in stores {
            warm(data)?;
        }
        for _ in 0..count.div_ceil(TURN) {
            for (side, latencies) in sides.iter_mut().zip(&mut latencies) {
                for _ in 0..TURN {
                    latencies.0.push(side.ask(question)?);
                }
            }
        }
        questions.push((question.name, latencies));
    }
    for ((side, figures), (data, _)) in sides.into_iter().zip(&mut figures).zip(stores) {
        figures.after_kib = side.server.memory_kib("VmRSS")?;
        figures.peak_kib = side.server.memory_kib("VmHWM")?;
        figures.start_after_kill_ms = start_after_kill(side, program, data)?;
    }
    Ok(Figures { questions, stores: figures })
}

/// Kills a server in the middle of writing and starts another one.
fn start_after_kill(mut side: Side, program: &Program, data: &Path) -> Outcome<f64> {
    let writes = QUESTIONS.iter().filter(|question| question.writes);
    for question in writes {
        for _ in 0..WRITES_BEFORE_KILL / 2 {
            side.ask(question)?;
        }
    }
    drop(side);
    let server = Server::start(program, data)?;
    let took = milliseconds(server.started_in);
    server.stop()?;
    Ok(took)
}

fn milliseconds(span: Duration) -> f64 {
    span.as_secs_f64() * 1e3
}
