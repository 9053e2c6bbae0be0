//! The services. A method parses, calls one use case and renders; rules live in the registry crate.

mod admin;
mod blobs;
mod content;
mod events;
mod health;
mod manifests;
mod pieces;
mod publish;
mod tags;

use crate::app::App;
use crate::proto::DESCRIPTORS;
use crate::proto::content::content_server::ContentServer;
use crate::proto::registry::admin_server::AdminServer;
use crate::proto::registry::blobs_server::BlobsServer;
use crate::proto::registry::events_server::EventsServer;
use crate::proto::registry::manifests_server::ManifestsServer;
use crate::proto::registry::publish_server::PublishServer;
use crate::proto::registry::tags_server::TagsServer;
use crate::request::{MESSAGE_BYTES_MAX, PUBLISH_BYTES_MAX, RequestBody};
use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use std::collections::HashMap;
use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use tonic::Status;
use tonic::server::NamedService;
use tonic_health::pb::health_server::HealthServer;

/// What a service answers.
type Answer = Response<tonic::body::Body>;
type Answering = Pin<Box<dyn Future<Output = Answer> + Send>>;
type Service<B> = Box<dyn Fn(Request<RequestBody<B>>) -> Answering + Send + Sync>;

/// All services, by their names, for messages that come by `B`.
pub(crate) struct Services<B = Incoming>(HashMap<&'static str, Service<B>>);

impl<B> fmt::Debug for Services<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.keys()).finish()
    }
}

impl<B> Services<B>
where
    B: Body<Data = Bytes, Error: fmt::Display> + Send + Unpin + 'static,
{
    /// Everything that a server answers.
    pub(crate) fn all(app: &Arc<App>) -> Self {
        let mut services = Self::ours();
        services.add_reflection();
        let names = services.0.keys().copied().chain([HEALTH]).collect();
        services.add(HealthServer::new(health::Health::new(Arc::clone(app), names)));
        services
    }

    /// What is of this registry: not its health, nor its description.
    pub(crate) fn ours() -> Self {
        let mut services = Self(HashMap::new());
        services.add(BlobsServer::new(blobs::Blobs).max_decoding_message_size(MESSAGE_BYTES_MAX));
        services.add(ManifestsServer::new(manifests::Manifests).max_decoding_message_size(MESSAGE_BYTES_MAX));
        services.add(TagsServer::new(tags::Tags).max_decoding_message_size(MESSAGE_BYTES_MAX));
        services.add(PublishServer::new(publish::Publish).max_decoding_message_size(PUBLISH_BYTES_MAX));
        services.add(EventsServer::new(events::Events).max_decoding_message_size(MESSAGE_BYTES_MAX));
        services.add(AdminServer::new(admin::Admin).max_decoding_message_size(MESSAGE_BYTES_MAX));
        services.add(ContentServer::new(content::Content).max_decoding_message_size(MESSAGE_BYTES_MAX));
        services
    }

    /// Reflection in both versions, as older tools know only the first. What the details of a status are made of is described as well.
    fn add_reflection(&mut self) {
        let builder = || {
            tonic_reflection::server::Builder::configure()
                .register_encoded_file_descriptor_set(DESCRIPTORS)
                .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
                .register_encoded_file_descriptor_set(tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET)
                .register_encoded_file_descriptor_set(tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET)
                .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)
                .include_reflection_service(false)
        };
        match (builder().build_v1(), builder().build_v1alpha()) {
            (Ok(v1), Ok(v1alpha)) => {
                self.add(v1);
                self.add(v1alpha);
            }
            (Err(error), _) | (_, Err(error)) => {
                tracing::error!(%error, "the protocol's own description cannot be served");
            }
        }
    }

    fn add<S>(&mut self, service: S)
    where
        S: tower_service::Service<Request<RequestBody<B>>, Response = Answer, Error = Infallible>
            + NamedService
            + Clone
            + Send
            + Sync
            + 'static,
        S::Future: Send + 'static,
    {
        let call = move |request| -> Answering {
            let answering = service.clone().call(request);
            Box::pin(async move {
                match answering.await {
                    Ok(answer) => answer,
                    Err(never) => match never {},
                }
            })
        };
        self.0.insert(S::NAME, Box::new(call));
    }

    /// Answers a call, whatever it asks for.
    pub(crate) async fn call(&self, request: Request<RequestBody<B>>) -> Answer {
        let name = request.uri().path().trim_start_matches('/').split('/').next().unwrap_or_default();
        match self.0.get(name) {
            Some(service) => service(request).await,
            None => Status::unimplemented("there is no such service").into_http(),
        }
    }
}

const HEALTH: &str = tonic_health::pb::health_server::SERVICE_NAME;
