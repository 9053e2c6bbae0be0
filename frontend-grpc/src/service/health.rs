//! `grpc.health.v1.Health`: whether calls should be sent here, for all services alike.

use crate::app::App;
use futures_util::{Stream, stream};
use std::collections::HashSet;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tonic::{Request, Response, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse, health_server};

/// How often one who watches is looked after.
const LOOK: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(crate) struct Health {
    app: Arc<App>,
    names: HashSet<&'static str>,
}

impl Health {
    pub(crate) fn new(app: Arc<App>, names: HashSet<&'static str>) -> Self {
        Self { app, names }
    }

    /// The empty name stands for the server as a whole.
    fn knows(&self, service: &str) -> bool {
        service.is_empty() || self.names.contains(service)
    }
}

fn status(app: &App) -> ServingStatus {
    if app.is_ready() { ServingStatus::Serving } else { ServingStatus::NotServing }
}

type Watching = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

#[tonic::async_trait]
impl health_server::Health for Health {
    type WatchStream = Watching;

    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        if !self.knows(&request.get_ref().service) {
            return Err(Status::not_found("there is no such service"));
        }
        Ok(Response::new(HealthCheckResponse { status: status(&self.app).into() }))
    }

    async fn watch(&self, request: Request<HealthCheckRequest>) -> Result<Response<Watching>, Status> {
        let is_known = self.knows(&request.get_ref().service);
        let app = Arc::clone(&self.app);
        let look = move || if is_known { status(&app) } else { ServingStatus::ServiceUnknown };
        let watching = stream::unfold((look, None), |(look, last)| async move {
            let mut now = look();
            while last == Some(now) {
                tokio::time::sleep(LOOK).await;
                now = look();
            }
            Some((Ok(HealthCheckResponse { status: now.into() }), (look, Some(now))))
        });
        Ok(Response::new(Box::pin(watching)))
    }
}
