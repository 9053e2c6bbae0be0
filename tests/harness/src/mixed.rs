//! Mixed load: clients that push, pull, mount, tag and delete images of shared layers until the server is gone, and remember what they were
//! promised. Each owns its images; the layers are everybody's, so that one client's deletion is another's push.
//!
//! The server may collect garbage without any grace: then a layer may go between its push and that of the manifest, the manifest is refused,
//! and the client pushes again. A manifest that was acknowledged is whole from then on.

use crate::endpoint::Endpoint;
use crate::image::Image;
use crate::ledger::Piece;
use crate::message::{Request, Response};
use crate::random::Random;
use crate::repository::{Repository, with_query};
use crate::sha256;
use bytes::Bytes;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

/// Repositories that all clients share.
const REPOSITORIES: u64 = 3;
/// Layers that all clients share.
const SHARED_LAYERS: u64 = 40;
/// Images that a client keeps; beyond it deletes more than it pushes.
const IMAGES_MAX: usize = 12;
/// Pushes of one image before the client gives up: each time a layer was collected under it.
const ATTEMPTS_MAX: usize = 50;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Pushed and acknowledged.
    There,
    /// Being pushed when the server went: there as a whole, or not at all.
    Coming,
    /// Being deleted when the server went: as before, or gone.
    Going,
}

/// An image as its client remembers it.
#[derive(Debug, Clone)]
struct Remembered {
    repository: String,
    tag: String,
    seed: u64,
    layers: Vec<Piece>,
    state: State,
}

impl Remembered {
    fn image(&self) -> Image {
        Image::of(self.seed, self.layers.iter().map(|piece| piece.bytes()).collect())
    }
}

/// What the clients did in all.
#[derive(Debug, Default)]
pub struct Counts {
    /// Images acknowledged.
    pub pushed: AtomicU64,
    /// Images read whole, byte by byte.
    pub pulled: AtomicU64,
    /// Images deleted.
    pub deleted: AtomicU64,
    /// Layers mounted from another repository.
    pub mounted: AtomicU64,
    /// Manifests refused because a layer had been collected.
    pub refused: AtomicU64,
}

impl Counts {
    fn add(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// Requests that changed something and were acknowledged.
    pub fn changes(&self) -> u64 {
        self.pushed.load(Ordering::Relaxed) + self.deleted.load(Ordering::Relaxed)
    }
}

/// What a client remembers over the server's lives.
#[derive(Debug)]
pub struct Client {
    number: u64,
    random: Random,
    images: Vec<Remembered>,
    counts: Arc<Counts>,
    surprises: Arc<Mutex<Vec<String>>>,
}

/// Clients, at work or not.
#[derive(Debug)]
pub struct Mixed {
    /// What they did.
    pub counts: Arc<Counts>,
    surprises: Arc<Mutex<Vec<String>>>,
    clients: Vec<Client>,
    working: Vec<JoinHandle<Client>>,
}

impl Mixed {
    /// `count` clients that have done nothing yet.
    pub fn new(seed: u64, count: u64) -> Mixed {
        let (counts, surprises) = (Arc::<Counts>::default(), Arc::<Mutex<Vec<String>>>::default());
        let client = |number: u64| Client {
            number,
            random: Random::new(seed ^ (number << 40)),
            images: Vec::new(),
            counts: Arc::clone(&counts),
            surprises: Arc::clone(&surprises),
        };
        let clients = (1..=count).map(client).collect();
        Mixed { counts, surprises, clients, working: Vec::new() }
    }

    /// Sets all clients to work until the server does not answer any more.
    pub fn start(&mut self, endpoint: Endpoint) {
        let start = |mut client: Client| {
            std::thread::spawn(move || {
                while client.act(endpoint).is_ok() {}
                client
            })
        };
        self.working = self.clients.drain(..).map(start).collect();
    }

    /// Waits for the clients of a server that is gone.
    #[track_caller]
    pub fn join(&mut self) {
        self.clients =
            self.working.drain(..).map(|client| client.join().expect("no client panics")).collect();
    }

    /// Answers that no client should get.
    pub fn surprises(&self) -> Vec<String> {
        self.surprises.lock().expect("nobody panics while it is held").clone()
    }

    /// Compares a restarted server with what the clients were promised; gives how many images were read whole.
    #[track_caller]
    pub fn verify(&mut self, endpoint: Endpoint) -> usize {
        assert!(self.surprises().is_empty(), "unexpected answers: {:#?}", self.surprises());
        self.clients.iter_mut().map(|client| client.verify(endpoint)).sum()
    }

    /// Deletes every image.
    #[track_caller]
    pub fn delete_all(&mut self, endpoint: Endpoint) {
        for client in &mut self.clients {
            for image in client.images.drain(..) {
                let digest = image.image().manifest.digest();
                endpoint.delete(endpoint.repository(&image.repository).manifest(&digest)).expect(202);
            }
        }
    }
}

impl Client {
    fn act(&mut self, endpoint: Endpoint) -> io::Result<()> {
        let full = self.images.len() >= IMAGES_MAX;
        match self.random.below(20) {
            0..8 if !full => self.push(endpoint),
            8..14 => self.pull(endpoint),
            14 => self.leave_open(endpoint),
            _ => self.delete(endpoint),
        }
    }

    fn surprise(&self, response: &Response) {
        self.surprises.lock().expect("nobody panics while it is held").push(format!("{response:?}"));
    }

    /// Layers are shared; some are small, some in files of their own.
    fn layer(&mut self) -> Piece {
        let seed = self.random.below(SHARED_LAYERS);
        let len = if seed.is_multiple_of(4) { 70_000 + 9_000 * seed } else { 100 + 700 * seed };
        Piece { seed, len: len as usize }
    }

    fn push(&mut self, endpoint: Endpoint) -> io::Result<()> {
        let name = format!("mixed/r{}", self.random.below(REPOSITORIES));
        let layers = (0..=self.random.below(3)).map(|_| self.layer()).collect();
        let tag = format!("c{}-{}", self.number, self.random.next_u64());
        let seed = self.random.next_u64();
        let repository = endpoint.repository(&name);
        self.images.push(Remembered {
            repository: name,
            tag: tag.clone(),
            seed,
            layers,
            state: State::Coming,
        });
        let image = self.images.last().expect("it was just put there").image();
        for _ in 0..ATTEMPTS_MAX {
            for blob in image.blobs() {
                self.push_layer(endpoint, &repository, blob)?;
            }
            let response = endpoint.try_send(&repository.put_manifest(&tag, &image.manifest))?;
            match response.status {
                201 => {
                    self.images.last_mut().expect("it was put there").state = State::There;
                    Counts::add(&self.counts.pushed);
                    return Ok(());
                }
                400 | 404 if response.error_codes().iter().all(|code| code == "MANIFEST_BLOB_UNKNOWN") => {
                    Counts::add(&self.counts.refused);
                }
                _ => self.surprise(&response),
            }
        }
        self.images.pop();
        Ok(())
    }

    /// As clients do: ask, else mount, else send.
    fn push_layer(&mut self, endpoint: Endpoint, to: &Repository, bytes: &Bytes) -> io::Result<()> {
        let digest = sha256(bytes);
        if endpoint.try_send(&Request::head(to.blob(&digest)))?.status == 200 {
            return Ok(());
        }
        let target = match self.random.below(3) {
            0 => {
                let response = endpoint.try_send(&to.post_blob(&digest, bytes))?;
                if response.status != 201 {
                    self.surprise(&response);
                }
                return Ok(());
            }
            1 => with_query(
                &to.uploads(),
                &format!("mount={digest}&from=mixed/r{}", self.random.below(REPOSITORIES)),
            ),
            _ => to.uploads(),
        };
        let started = endpoint.try_send(&Request::post(target))?;
        if started.status == 201 {
            Counts::add(&self.counts.mounted);
            return Ok(());
        }
        if started.status != 202 {
            self.surprise(&started);
            return Ok(());
        }
        let location = started.location();
        let close = Request::put(with_query(&location, &format!("digest={digest}"))).body(bytes.clone());
        let closed = endpoint.try_send(&close)?;
        if closed.status != 201 {
            self.surprise(&closed);
        }
        Ok(())
    }

    fn pull(&mut self, endpoint: Endpoint) -> io::Result<()> {
        if self.images.is_empty() {
            return Ok(());
        }
        let at = self.random.below(self.images.len() as u64) as usize;
        let remembered = &self.images[at];
        let (repository, image) = (endpoint.repository(&remembered.repository), remembered.image());
        let response = endpoint.try_send(&Request::get(repository.manifest(&remembered.tag)))?;
        if response.status != 200 || response.body != image.manifest.bytes {
            self.surprise(&response);
        }
        for blob in image.blobs() {
            let response = endpoint.try_send(&Request::get(repository.blob(&sha256(blob))))?;
            if response.status != 200 || response.body != *blob {
                self.surprise(&response);
            }
        }
        Counts::add(&self.counts.pulled);
        Ok(())
    }

    fn delete(&mut self, endpoint: Endpoint) -> io::Result<()> {
        if self.images.is_empty() {
            return Ok(());
        }
        let at = self.random.below(self.images.len() as u64) as usize;
        self.images[at].state = State::Going;
        let repository = endpoint.repository(&self.images[at].repository);
        let digest = self.images[at].image().manifest.digest();
        let response = endpoint.try_send(&Request::delete(repository.manifest(&digest)))?;
        if response.status != 202 {
            self.surprise(&response);
        }
        self.images.swap_remove(at);
        Counts::add(&self.counts.deleted);
        Ok(())
    }

    /// Starts an upload, sends some of it, and forgets it: it is the server's to remove.
    fn leave_open(&mut self, endpoint: Endpoint) -> io::Result<()> {
        let repository = endpoint.repository("mixed/open");
        let started = endpoint.try_send(&Request::post(repository.uploads()))?;
        if started.status != 202 {
            self.surprise(&started);
            return Ok(());
        }
        let len = self.random.below(200_000) as usize;
        let bytes = self.random.bytes(len);
        endpoint.try_send(&Request::patch(started.location()).body(bytes))?;
        Ok(())
    }

    #[track_caller]
    fn verify(&mut self, endpoint: Endpoint) -> usize {
        self.images.retain_mut(|remembered| {
            let (repository, image) = (endpoint.repository(&remembered.repository), remembered.image());
            let by_tag = endpoint.get(repository.manifest(&remembered.tag));
            let by_digest = endpoint.get(repository.manifest(&image.manifest.digest()));
            assert_eq!(by_tag.status, by_digest.status, "all or nothing: {remembered:?}");
            if by_tag.status == 404 {
                assert_ne!(remembered.state, State::There, "an image is gone: {remembered:?}");
                return false;
            }
            by_tag.expect(200).expect_body(&image.manifest.bytes);
            for blob in image.blobs() {
                repository.expect_blob(&sha256(blob), blob);
            }
            remembered.state = State::There;
            true
        });
        self.images.len()
    }
}
