//! A push storm: several clients that push, tag, delete and leave uploads open until the server is gone.

use crate::endpoint::Endpoint;
use crate::image::Image;
use crate::ledger::{Ledger, OpenSession, Piece};
use crate::message::{Request, Response};
use crate::random::{Random, noise};
use crate::repository::{Repository, content_range, with_query};
use crate::sha256;
use bytes::Bytes;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;

/// Repositories that all clients share.
const REPOSITORIES: u64 = 3;
/// Pieces that all clients share, so that they race for the same blobs.
const SHARED_PIECES: u64 = 60;
/// Shortest piece, bytes: two pieces of different seeds are never the same blob.
const PIECE_LENGTH_MIN: usize = 32;
/// Tags of one client in one repository.
const TAGS: u64 = 4;

/// Clients at work.
#[derive(Debug)]
pub struct Storm {
    ledger: Arc<Mutex<Ledger>>,
    clients: Vec<JoinHandle<()>>,
}

impl Storm {
    /// Starts `clients` that go on until the server does not answer any more.
    pub fn start(endpoint: Endpoint, ledger: &Arc<Mutex<Ledger>>, seed: u64, clients: u64) -> Storm {
        let start = |number: u64| {
            let mut client = Client {
                endpoint,
                ledger: Arc::clone(ledger),
                random: Random::new(seed ^ (number << 48)),
                number,
                round: seed,
                lone_blobs: Vec::new(),
                images: Vec::new(),
            };
            std::thread::spawn(move || while client.act().is_ok() {})
        };
        Storm { ledger: Arc::clone(ledger), clients: (1..=clients).map(start).collect() }
    }

    /// Changes acknowledged so far.
    pub fn acknowledged(&self) -> u64 {
        held(&self.ledger).acknowledged
    }

    /// Waits for the clients of a server that is gone.
    #[track_caller]
    pub fn join(self) {
        for client in self.clients {
            client.join().expect("no client panics");
        }
    }
}

/// The ledger, locked.
#[track_caller]
pub fn held(ledger: &Mutex<Ledger>) -> MutexGuard<'_, Ledger> {
    ledger.lock().expect("nobody panics while it is held")
}

struct Client {
    endpoint: Endpoint,
    ledger: Arc<Mutex<Ledger>>,
    random: Random,
    number: u64,
    round: u64,
    /// Blobs that nobody else pushes and no manifest names.
    lone_blobs: Vec<(String, String)>,
    /// Manifests of this client.
    images: Vec<(String, String)>,
}

impl Client {
    fn act(&mut self) -> io::Result<()> {
        let repository = self.endpoint.repository(&format!("storm/r{}", self.random.below(REPOSITORIES)));
        match self.random.below(12) {
            0..4 => {
                let piece = self.piece();
                if self.push(&repository, piece)? && piece.seed >= SHARED_PIECES {
                    self.lone_blobs.push((repository.name, sha256(&piece.bytes())));
                }
                Ok(())
            }
            4..7 => self.push_image(&repository),
            7 => self.untag(&repository),
            8 => self.unlink(),
            9 => self.drop_image(),
            _ => self.leave_open(&repository),
        }
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        held(&self.ledger)
    }

    /// Mostly small ones, as in production; some shared by all clients.
    fn piece(&mut self) -> Piece {
        let seed = match self.random.below(3) {
            0 => self.random.below(SHARED_PIECES),
            _ => self.random.next_u64(),
        };
        let mut sizes = Random::new(seed);
        let bound = match sizes.below(10) {
            0..6 => 60_000,
            6..9 => 400_000,
            _ => 10_000_000,
        };
        Piece { seed, len: PIECE_LENGTH_MIN + sizes.below(bound) as usize }
    }

    /// Pushes a blob in one of the ways that clients know; tells whether it was acknowledged.
    fn push(&mut self, repository: &Repository, piece: Piece) -> io::Result<bool> {
        let bytes = piece.bytes();
        let digest = sha256(&bytes);
        self.ledger().blob_begins(&repository.name, &digest, piece);
        let response = match self.random.below(4) {
            0 => self.endpoint.try_send(&repository.post_blob(&digest, &bytes))?,
            way => self.push_by_session(repository, &bytes, &digest, way)?,
        };
        let done = self.answered(&response, 201);
        if done {
            self.ledger().blob_done(&repository.name, &digest, piece);
        }
        Ok(done)
    }

    /// `POST`, perhaps `PATCH`es, `PUT`.
    fn push_by_session(
        &mut self,
        to: &Repository,
        bytes: &Bytes,
        digest: &str,
        way: u64,
    ) -> io::Result<Response> {
        let started = self.endpoint.try_send(&Request::post(to.uploads()))?;
        if started.status != 202 {
            return Ok(started);
        }
        let location = started.location();
        self.ledger().push_begins(&location);
        let close = Request::put(with_query(&location, &format!("digest={digest}")));
        let closed = match way {
            1 => self.endpoint.try_send(&close.body(bytes.clone()))?,
            2 => {
                let patched =
                    self.endpoint.try_send(&Request::patch(location.as_str()).chunked(bytes, 70_000))?;
                if patched.status != 202 {
                    return Ok(patched);
                }
                self.endpoint.try_send(&close)?
            }
            _ => {
                let step = 1 + bytes.len() / 20 + self.random.below(bytes.len() as u64 + 1) as usize;
                for start in (0..bytes.len()).step_by(step) {
                    let piece = bytes.slice(start..bytes.len().min(start + step));
                    let range = content_range(start, piece.len());
                    let chunk = Request::patch(location.as_str()).header("content-range", range).body(piece);
                    let patched = self.endpoint.try_send(&chunk)?;
                    if patched.status != 202 {
                        return Ok(patched);
                    }
                }
                self.endpoint.try_send(&close)?
            }
        };
        if closed.status == 201 {
            self.ledger().push_ends(&location);
        }
        Ok(closed)
    }

    fn push_image(&mut self, repository: &Repository) -> io::Result<()> {
        let seed = self.random.next_u64();
        let layers: Vec<Piece> = (0..self.random.below(4)).map(|_| self.piece()).collect();
        let image = Image::of(seed, layers.iter().map(|piece| piece.bytes()).collect());
        for piece in layers {
            if !self.push(repository, piece)? {
                return Ok(());
            }
        }
        let config = self.endpoint.try_send(&repository.post_blob(&sha256(&image.config), &image.config))?;
        if !self.answered(&config, 201) {
            return Ok(());
        }
        let tag = self.tag();
        self.ledger().manifest_begins(&repository.name, &tag, &image.manifest);
        let response = self.endpoint.try_send(&repository.put_manifest(&tag, &image.manifest))?;
        if self.answered(&response, 201) {
            self.ledger().manifest_done(&repository.name, &tag, &image.manifest);
            self.images.push((repository.name.clone(), image.manifest.digest()));
        }
        Ok(())
    }

    /// Deletes a blob.
    fn unlink(&mut self) -> io::Result<()> {
        let Some((name, digest)) = self.lone_blobs.pop() else { return Ok(()) };
        self.ledger().unlink_begins(&name, &digest);
        let target = self.endpoint.repository(&name).blob(&digest);
        let response = self.endpoint.try_send(&Request::delete(target))?;
        if self.answered(&response, 202) {
            self.ledger().unlink_done(&name, &digest);
        }
        Ok(())
    }

    /// Deletes a manifest with its tags.
    fn drop_image(&mut self) -> io::Result<()> {
        if self.images.is_empty() {
            return Ok(());
        }
        let at = self.random.below(self.images.len() as u64) as usize;
        let (name, digest) = self.images.swap_remove(at);
        self.ledger().drop_begins(&name, &digest);
        let target = self.endpoint.repository(&name).manifest(&digest);
        let response = self.endpoint.try_send(&Request::delete(target))?;
        if self.answered(&response, 202) {
            self.ledger().drop_done(&name, &digest);
        }
        Ok(())
    }

    fn tag(&mut self) -> String {
        format!("c{}-{}", self.number, self.random.below(TAGS))
    }

    fn untag(&mut self, repository: &Repository) -> io::Result<()> {
        let tag = self.tag();
        self.ledger().untag_begins(&repository.name, &tag);
        let response = self.endpoint.try_send(&Request::delete(repository.manifest(&tag)))?;
        if response.status == 404 {
            self.ledger().untag_missed(&repository.name, &tag);
        } else if self.answered(&response, 202) {
            self.ledger().untag_done(&repository.name, &tag);
        }
        Ok(())
    }

    /// Starts an upload, sends some of it, and goes away.
    fn leave_open(&mut self, repository: &Repository) -> io::Result<()> {
        let piece = Piece {
            seed: self.random.next_u64() ^ self.round,
            len: PIECE_LENGTH_MIN + self.random.below(3_000_000) as usize,
        };
        let started = self.endpoint.try_send(&Request::post(repository.uploads()))?;
        if !self.answered(&started, 202) {
            return Ok(());
        }
        let location = started.location();
        let session = OpenSession {
            repository: repository.name.clone(),
            location: location.clone(),
            piece,
            acknowledged: 0,
            sent: 0,
        };
        let number = self.ledger().session_started(session);
        let bytes = noise(piece.seed, piece.len);
        let mut start = 0;
        for _ in 0..=self.random.below(3) {
            // At least two bytes, because a range of `0-0` does not tell one byte from none.
            let end = bytes.len().min(start + 2 + self.random.below(1_000_000) as usize);
            if start == end {
                break;
            }
            self.ledger().session_begins(number, end);
            let request = Request::patch(location.as_str()).body(bytes.slice(start..end));
            let patched = self.endpoint.try_send(&request)?;
            if !self.answered(&patched, 202) {
                break;
            }
            self.ledger().session_done(number);
            start = end;
        }
        Ok(())
    }

    /// Whether the answer is the expected one; any other is kept as a surprise.
    fn answered(&self, response: &Response, status: u16) -> bool {
        if response.status != status {
            self.ledger().unexpected(response);
        }
        response.status == status
    }
}
