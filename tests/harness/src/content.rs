//! A client of the content service, as a containerd is one: a Write goes step by step, each message answered before the next one.

#![allow(
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "lengths of tests, in the signed numbers of the protocol"
)]

use crate::grpc::{Grpc, Shown};
use futures_util::stream;
use tokio::sync::mpsc;
use tonic::{Status, Streaming};

pub use v1::WriteAction;
pub use v1::content_client::ContentClient;

/// `containerd.services.content.v1`
#[allow(
    clippy::all,
    clippy::pedantic,
    clippy::allow_attributes_without_reason,
    missing_docs,
    reason = "generated; its descriptions stand in the protocol's"
)]
pub mod v1 {
    tonic::include_proto!("containerd.services.content.v1");
}

/// A Write under way.
#[derive(Debug)]
pub struct Writing {
    messages: mpsc::Sender<v1::WriteContentRequest>,
    answers: Streaming<v1::WriteContentResponse>,
}

/// Asks where an ingest stands, and so begins it.
pub fn stat(reference: &str) -> v1::WriteContentRequest {
    v1::WriteContentRequest { r#ref: reference.to_owned(), ..Default::default() }
}

/// Writes bytes at an offset.
pub fn write(offset: usize, data: &[u8]) -> v1::WriteContentRequest {
    v1::WriteContentRequest {
        action: WriteAction::Write.into(),
        offset: offset as i64,
        data: data.to_vec().into(),
        ..Default::default()
    }
}

/// Makes content of what came, which has so many bytes.
pub fn commit(size: usize) -> v1::WriteContentRequest {
    v1::WriteContentRequest {
        action: WriteAction::Commit.into(),
        offset: size as i64,
        total: size as i64,
        ..Default::default()
    }
}

impl Grpc {
    /// `containerd.services.content.v1.Content`
    pub fn content(&self) -> ContentClient<Shown> {
        ContentClient::new(self.service()).max_decoding_message_size(16 << 20)
    }

    /// Begins a Write.
    ///
    /// # Errors
    /// What the server says.
    pub async fn begin_content(&self) -> Result<Writing, Status> {
        let (messages, received) = mpsc::channel(1);
        let received = stream::unfold(received, async |mut received: mpsc::Receiver<_>| {
            let next = received.recv().await?;
            Some((next, received))
        });
        let answers = self.content().write(received).await?.into_inner();
        Ok(Writing { messages, answers })
    }

    /// Begins a Write with this message, and gives its answer.
    ///
    /// # Errors
    /// What the server says.
    pub async fn open_content(
        &self,
        first: v1::WriteContentRequest,
    ) -> Result<(Writing, v1::WriteContentResponse), Status> {
        let mut writing = self.begin_content().await?;
        let answer = writing.step(first).await?;
        Ok((writing, answer))
    }

    /// Writes content from where its ingest stands to its end, in pieces of this length, and commits it. Gives the answer of the commit.
    ///
    /// # Errors
    /// What the server says.
    pub async fn put_content(
        &self,
        reference: &str,
        content: &[u8],
        piece: usize,
        labels: &[(&str, &str)],
    ) -> Result<v1::WriteContentResponse, Status> {
        let (mut writing, stands) = self.open_content(stat(reference)).await?;
        writing.go_on(stands.offset as usize, content, piece).await?;
        let labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let last = v1::WriteContentRequest { labels: labels.collect(), ..commit(content.len()) };
        writing.step(last).await
    }

    /// Reads content, or a part of it.
    ///
    /// # Errors
    /// What the server says.
    pub async fn get_content(&self, digest: &str, offset: i64, size: i64) -> Result<Vec<u8>, Status> {
        let asked = v1::ReadContentRequest { digest: digest.to_owned(), offset, size };
        let mut pieces = self.content().read(asked).await?.into_inner();
        let (mut content, mut next) = (Vec::new(), offset.max(0));
        while let Some(piece) = pieces.message().await? {
            assert_eq!(piece.offset, next, "a piece says where it stands");
            next += piece.data.len() as i64;
            content.extend_from_slice(&piece.data);
        }
        Ok(content)
    }

    /// All content that filters want.
    ///
    /// # Errors
    /// What the server says.
    pub async fn list_content(&self, filters: &[&str]) -> Result<Vec<v1::Info>, Status> {
        let filters = filters.iter().map(|filter| (*filter).to_owned()).collect();
        let mut pages = self.content().list(v1::ListContentRequest { filters }).await?.into_inner();
        let mut all = Vec::new();
        while let Some(page) = pages.message().await? {
            assert!(!page.info.is_empty(), "an empty page");
            all.extend(page.info);
        }
        Ok(all)
    }

    /// Where an ingest stands.
    ///
    /// # Errors
    /// What the server says.
    pub async fn content_status(&self, reference: &str) -> Result<v1::Status, Status> {
        let asked = v1::StatusRequest { r#ref: reference.to_owned() };
        Ok(self.content().status(asked).await?.into_inner().status.expect("a status"))
    }
}

impl Writing {
    /// Sends a message and waits for its answer.
    ///
    /// # Errors
    /// What the server says.
    pub async fn step(
        &mut self,
        message: v1::WriteContentRequest,
    ) -> Result<v1::WriteContentResponse, Status> {
        // A call that has ended takes no more; its answer says why.
        let _ = self.messages.send(message).await;
        self.answers.message().await?.ok_or_else(|| Status::unknown("the call has ended"))
    }

    /// Writes content from an offset on.
    ///
    /// # Errors
    /// What the server says.
    pub async fn go_on(&mut self, from: usize, content: &[u8], piece: usize) -> Result<(), Status> {
        let mut at = from;
        for bytes in content[from..].chunks(piece) {
            let answer = self.step(write(at, bytes)).await?;
            at += bytes.len();
            assert_eq!(answer.offset, at as i64);
        }
        Ok(())
    }

    /// Ends the call; what came stays.
    ///
    /// # Errors
    /// What the server says.
    pub async fn end(self) -> Result<(), Status> {
        let Self { messages, mut answers } = self;
        drop(messages);
        assert_eq!(answers.message().await?, None);
        Ok(())
    }
}
