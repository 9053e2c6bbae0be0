//! A real gRPC client of the server under test, made of the protocol's description.

use crate::endpoint::basic;
use bytes::Bytes;
use futures_util::Stream;
use prost::Message as _;
use std::future::Future;
use std::net::SocketAddr;
use std::path::PathBuf;
use tonic::codegen::InterceptedService;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::transport::Channel;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

pub use futures_util::stream;
pub use tonic_health::pb as health;
pub use tonic_reflection::pb::v1 as reflection;
pub use {tonic, tonic_types};

/// `strata.registry.v1`
#[allow(
    clippy::all,
    clippy::pedantic,
    clippy::allow_attributes_without_reason,
    missing_docs,
    reason = "generated; its descriptions stand in the protocol's"
)]
pub mod v1 {
    tonic::include_proto!("strata.registry.v1");
}

/// Where a server answers gRPC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GrpcAddress {
    /// An address of the network.
    Tcp(SocketAddr),
    /// One that speaks TLS.
    Tls(SocketAddr),
    /// A Unix socket.
    Unix(PathBuf),
}

impl GrpcAddress {
    /// Of a line in which the server says it; `None` for another protocol's.
    pub(crate) fn parse(url: &str) -> Option<Self> {
        match url.split_once("://")? {
            ("grpc", address) => address.parse().ok().map(Self::Tcp),
            ("grpcs", address) => address.parse().ok().map(Self::Tls),
            ("unix", path) => Some(Self::Unix(path.into())),
            _ => None,
        }
    }
}

/// A client: a channel, and what to show there.
#[derive(Debug, Clone)]
pub struct Grpc {
    channel: Channel,
    show: Show,
}

/// What a client shows with every call.
#[derive(Debug, Clone, Default)]
pub struct Show {
    authorization: Option<MetadataValue<Ascii>>,
    namespace: Option<MetadataValue<Ascii>>,
}

impl Interceptor for Show {
    fn call(&mut self, mut request: tonic::Request<()>) -> Result<tonic::Request<()>, Status> {
        let Self { authorization, namespace } = self;
        for (name, value) in [("authorization", authorization), ("containerd-namespace", namespace)] {
            if let Some(value) = value {
                request.metadata_mut().insert(name, value.clone());
            }
        }
        Ok(request)
    }
}

/// A service that shows who asks.
pub type Shown = InterceptedService<Channel, Show>;

impl Grpc {
    /// A client, connected when it is first used. To be made inside of [`run`].
    pub fn new(address: &GrpcAddress) -> Self {
        let url = match address {
            GrpcAddress::Tcp(address) => format!("http://{address}"),
            GrpcAddress::Tls(address) => panic!("{address} speaks TLS, this client does not"),
            GrpcAddress::Unix(path) => format!("unix://{}", path.display()),
        };
        let endpoint = tonic::transport::Endpoint::from_shared(url).expect("an address");
        Self { channel: endpoint.connect_lazy(), show: Show::default() }
    }

    /// The same, with an access key.
    pub fn with_key(mut self, id: &str, secret: &str) -> Self {
        self.show.authorization = Some(basic(id, secret).parse().expect("a header field"));
        self
    }

    /// The same, with a token.
    pub fn with_token(mut self, token: &str) -> Self {
        self.show.authorization = Some(format!("Bearer {token}").parse().expect("a header field"));
        self
    }

    /// The same, in a namespace of containerd.
    pub fn in_namespace(mut self, namespace: &str) -> Self {
        self.show.namespace = Some(namespace.parse().expect("a header field"));
        self
    }

    /// What calls go through, for services that are not of ours.
    pub fn service(&self) -> Shown {
        InterceptedService::new(self.channel.clone(), self.show.clone())
    }

    /// The names of the methods of a service, as the server itself describes it.
    pub async fn methods(&self, service: &str) -> Vec<String> {
        use reflection::server_reflection_request::MessageRequest;
        use reflection::server_reflection_response::MessageResponse;
        let mut client = reflection::server_reflection_client::ServerReflectionClient::new(self.service());
        let message_request = Some(MessageRequest::FileContainingSymbol(service.to_owned()));
        let asked = reflection::ServerReflectionRequest { host: String::new(), message_request };
        let answers = client.server_reflection_info(stream::iter([asked])).await;
        let mut answers = answers.expect("reflection").into_inner();
        let answer = answers.message().await.expect("an answer").expect("an answer").message_response;
        let Some(MessageResponse::FileDescriptorResponse(found)) = answer else {
            panic!("no description of {service}: {answer:?}")
        };
        let files = found.file_descriptor_proto.iter().map(|bytes| {
            prost_types::FileDescriptorProto::decode(bytes.as_slice()).expect("a description of a file")
        });
        let of = |file: &prost_types::FileDescriptorProto, name: &str| {
            format!("{}.{name}", file.package()) == service
        };
        files
            .flat_map(|file| {
                let services = file.service.iter().filter(|found| of(&file, found.name()));
                let methods = services.flat_map(|found| found.method.iter());
                methods.map(|method| method.name().to_owned()).collect::<Vec<_>>()
            })
            .collect()
    }

    /// `strata.registry.v1.Blobs`
    pub fn blobs(&self) -> v1::blobs_client::BlobsClient<Shown> {
        v1::blobs_client::BlobsClient::new(self.service()).max_decoding_message_size(16 << 20)
    }

    /// `strata.registry.v1.Manifests`
    pub fn manifests(&self) -> v1::manifests_client::ManifestsClient<Shown> {
        v1::manifests_client::ManifestsClient::new(self.service()).max_decoding_message_size(16 << 20)
    }

    /// `strata.registry.v1.Tags`
    pub fn tags(&self) -> v1::tags_client::TagsClient<Shown> {
        v1::tags_client::TagsClient::new(self.service())
    }

    /// `strata.registry.v1.Publish`
    pub fn publish(&self) -> v1::publish_client::PublishClient<Shown> {
        v1::publish_client::PublishClient::new(self.service())
    }

    /// `strata.registry.v1.Events`
    pub fn events(&self) -> v1::events_client::EventsClient<Shown> {
        v1::events_client::EventsClient::new(self.service())
    }

    /// `strata.registry.v1.Admin`
    pub fn admin(&self) -> v1::admin_client::AdminClient<Shown> {
        v1::admin_client::AdminClient::new(self.service()).max_decoding_message_size(16 << 20)
    }

    /// Writes a whole blob in one call, in pieces of this length.
    ///
    /// # Errors
    /// What the server says.
    pub async fn write(
        &self,
        start: v1::BlobsWriteStart,
        content: &[u8],
        piece: usize,
    ) -> Result<v1::BlobsWriteResponse, Status> {
        let messages = write_messages(start, content, piece);
        let messages = futures_util::stream::iter(messages);
        self.blobs().write(messages).await.map(tonic::Response::into_inner)
    }

    /// Reads a blob, or a part of it.
    ///
    /// # Errors
    /// What the server says.
    pub async fn read(&self, asked: v1::BlobsReadRequest) -> Result<Vec<u8>, Status> {
        let mut pieces = self.blobs().read(asked).await?.into_inner();
        let mut content = Vec::new();
        while let Some(piece) = pieces.message().await? {
            content.extend_from_slice(&piece.data);
        }
        Ok(content)
    }
}

/// The messages that write some content.
pub fn write_messages(
    start: v1::BlobsWriteStart,
    content: &[u8],
    piece: usize,
) -> Vec<v1::BlobsWriteRequest> {
    use v1::blobs_write_request::Part;
    let data = content.chunks(piece).map(|bytes| Part::Data(Bytes::copy_from_slice(bytes)));
    std::iter::once(Part::Start(start))
        .chain(data)
        .map(|part| v1::BlobsWriteRequest { part: Some(part) })
        .collect()
}

/// Messages that are sent while a call is under way; without end as long as the sender is there.
pub fn channel<T: Send + 'static>()
-> (tokio::sync::mpsc::UnboundedSender<T>, impl Stream<Item = T> + Send + 'static) {
    let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
    (sender, stream::poll_fn(move |cx| receiver.poll_recv(cx)))
}

/// Runs a test's calls to their end.
pub fn run<T>(calls: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime").block_on(calls)
}

/// The code of a refusal, and its reason.
#[track_caller]
pub fn refusal<T: std::fmt::Debug>(outcome: Result<T, Status>) -> (Code, String) {
    let status = outcome.expect_err("a refusal");
    let reason = status.get_details_error_info().map(|info| info.reason).unwrap_or_default();
    (status.code(), reason)
}
