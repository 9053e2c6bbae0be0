//! `strata status`: how a store is.
use std::process::ExitCode;

use clap::Args;
use strata_frontend_http::document::Status;

use super::place::{Place, PlaceArguments, Refusal, context};

#[derive(Debug, Args)]
pub(super) struct StatusArguments {
    #[command(flatten)]
    place: PlaceArguments,
}

/// Asks and prints.
pub(super) fn run(arguments: &StatusArguments) -> ExitCode {
    match arguments.place.ask(status) {
        Ok(status) => arguments.place.show(&status, as_text),
        Err(refusal) => refusal.report(),
    }
}

async fn status(place: &Place) -> Result<Status, Refusal> {
    match place {
        Place::Server(client) => Ok(client.get("/api/v1/status").await?),
        Place::Directory(opened) => Ok(opened.registry.status(&context()).await?.into()),
    }
}

fn as_text(status: &Status) -> String {
    let Status { version, store, format, health, space_available, space_total } = status;
    let health = match (health.ready, &health.why) {
        (true, None) => "ready".to_owned(),
        (true, Some(why)) => format!("ready, but takes no pushes: {why}"),
        (false, why) => format!("not ready: {}", why.as_deref().unwrap_or("it does not say why")),
    };
    format!(
        "strata {version}, store {store}, format {format}\n{health}\n\
         {space_available} of {space_total} bytes are free\n"
    )
}
