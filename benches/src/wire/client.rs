//! A client: requests over connections of its own, kept or new for each, with a bearer token where the server wants one.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use sha2::Sha256;

use super::challenge::Challenge;
use super::{Connection, Head, Request, Server, Take, bad};
use crate::content;

/// One client process, so to speak: what it learned (its token) and its connections serve all it does at the same time.
#[derive(Debug)]
pub struct Client {
    server: Arc<Server>,
    host: String,
    agent: &'static str,
    keep_alive: bool,
    /// Bodies read are compared with their digests.
    verify: bool,
    idle: Mutex<Vec<Connection>>,
    token: Mutex<Option<String>>,
}

impl Client {
    /// A client that keeps its connections, or takes a new one for each request.
    pub fn new(server: &Arc<Server>, agent: &'static str, keep_alive: bool) -> Client {
        Client {
            server: Arc::clone(server),
            host: server.address.to_string(),
            agent,
            keep_alive,
            verify: false,
            idle: Mutex::new(Vec::new()),
            token: Mutex::new(None),
        }
    }

    /// The same, comparing what it reads with the digest asked for.
    #[must_use]
    pub fn verifying(self, verify: bool) -> Client {
        Client { verify, ..self }
    }

    /// Asks, and says what the reply's head said, whatever its status.
    ///
    /// # Errors
    /// When the connection breaks, the reply makes no sense, or a token is wanted and not given.
    pub async fn ask(&self, request: &Request<'_>, take: Take<'_>) -> io::Result<Head> {
        let mut take = take;
        let head = self.once(request, reborrow(&mut take)).await?;
        let Some(challenge) = head.challenge.as_deref().filter(|_| head.status == 401) else {
            return Ok(head);
        };
        let challenge = Challenge::parse(challenge)
            .ok_or_else(|| bad("the server wants something other than a bearer token"))?;
        let token = self.fetch_token(&challenge).await?;
        *self.token.lock().unwrap_or_else(PoisonError::into_inner) = Some(token);
        if let Take::Keep(body) = &mut take {
            body.clear();
        }
        self.once(request, take).await
    }

    /// Asks, and takes only this status for an answer.
    ///
    /// # Errors
    /// As for [`Client::ask`], and when the status is another.
    pub async fn expect(&self, request: &Request<'_>, status: u16) -> io::Result<Head> {
        let head = self.ask(request, Take::Discard).await?;
        if head.status == status { Ok(head) } else { Err(refused(request, &head)) }
    }

    /// Reads something small.
    ///
    /// # Errors
    /// As for [`Client::expect`].
    pub async fn fetch(&self, path: &str) -> io::Result<Vec<u8>> {
        let (request, mut body) = (Request::new("GET", path), Vec::new());
        let head = self.ask(&request, Take::Keep(&mut body)).await?;
        if head.status == 200 { Ok(body) } else { Err(refused(&request, &head)) }
    }

    /// Reads a blob and throws it away; says how long it was.
    ///
    /// # Errors
    /// As for [`Client::expect`], and when it is verified and is not what its digest says.
    pub async fn read_blob(&self, path: &str, digest: &str) -> io::Result<u64> {
        let request = Request::new("GET", path);
        let mut hasher = Sha256::default();
        let take = if self.verify { Take::Hash(&mut hasher) } else { Take::Discard };
        let head = self.ask(&request, take).await?;
        if head.status != 200 {
            return Err(refused(&request, &head));
        }
        if self.verify && content::written(hasher) != digest {
            return Err(bad(format!("the content of {path} is not what its digest says")));
        }
        Ok(head.length.unwrap_or(0))
    }

    async fn once(&self, request: &Request<'_>, mut take: Take<'_>) -> io::Result<Head> {
        let token = self.token.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let head = request.head(&self.host, self.agent, token.as_deref());
        let (mut connection, reused) = match self.kept() {
            Some(connection) => (connection, true),
            None => (Connection::open(&self.server).await?, false),
        };
        let mut reply = connection.ask(&head, request.body, reborrow(&mut take)).await;
        // A server may close a connection that nothing is asked on; then, and only then, the same is asked again.
        if reused && reply.as_ref().is_err_and(closed) {
            connection = Connection::open(&self.server).await?;
            reply = connection.ask(&head, request.body, take).await;
        }
        let reply = reply?;
        if self.keep_alive && !reply.close {
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
        }
        Ok(reply)
    }

    fn kept(&self) -> Option<Connection> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    async fn fetch_token(&self, challenge: &Challenge) -> io::Result<String> {
        let (path, mut body) = (challenge.path(), Vec::new());
        let head = self.once(&Request::new("GET", &path), Take::Keep(&mut body)).await?;
        let reply: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
        let token = ["token", "access_token"].iter().find_map(|field| reply.get(field)?.as_str());
        token.map(str::to_owned).ok_or_else(|| bad(format!("no token from {path}: {}", head.status)))
    }
}

fn reborrow<'a>(take: &'a mut Take<'_>) -> Take<'a> {
    match take {
        Take::Discard => Take::Discard,
        Take::Copy => Take::Copy,
        Take::Keep(body) => Take::Keep(body),
        Take::Hash(hasher) => Take::Hash(hasher),
    }
}

fn closed(why: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
    matches!(why.kind(), BrokenPipe | ConnectionReset | UnexpectedEof)
}

/// The error for a status that is not the one expected.
pub(crate) fn refused(request: &Request<'_>, head: &Head) -> io::Error {
    bad(format!("{} {} is answered with {}", request.method, request.path, head.status))
}
