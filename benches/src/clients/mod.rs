//! The request sequences of real clients, as they were recorded: who asks what first, in which order, how many at a time, over which connections.
//!
//! Docker (the engine of 20.10 to 28), containerd (and Docker with its store, nerdctl, CRI, BuildKit), skopeo (podman, buildah, CRI-O) and
//! crane (ko, kaniko, cosign). What differs between them is a table; the rest is one pull and one push.

mod pull;
mod push;

pub use pull::pull;
pub use push::{push, push_blob};

use std::sync::Arc;

use crate::wire::{Client, Server};

/// A client whose sequences are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Kind {
    /// A connection for every request, PATCH in chunks
    Docker,
    /// Kept connections, one PUT with the whole body, no ping
    Containerd,
    /// A connection for every request, PATCH with a length
    Skopeo,
    /// Kept connections, PATCH with a length, pulls one blob after the other
    Crane,
}

impl Kind {
    /// All of them.
    pub const ALL: [Kind; 4] = [Kind::Docker, Kind::Containerd, Kind::Skopeo, Kind::Crane];

    /// As results name it.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Docker => "docker",
            Kind::Containerd => "containerd",
            Kind::Skopeo => "skopeo",
            Kind::Crane => "crane",
        }
    }

    /// A client of this kind.
    pub fn client(self, server: &Arc<Server>) -> Client {
        Client::new(server, self.habits().agent, self.habits().keep_alive)
    }

    pub(crate) fn habits(self) -> &'static Habits {
        match self {
            Kind::Docker => &DOCKER,
            Kind::Containerd => &CONTAINERD,
            Kind::Skopeo => &SKOPEO,
            Kind::Crane => &CRANE,
        }
    }
}

/// How the bytes of a blob go into an upload session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Upload {
    /// PATCH in chunks, PUT without a body.
    PatchChunked,
    /// PATCH with a length, PUT without a body.
    PatchSized,
    /// PUT with the body.
    Put,
}

/// How a pull finds the manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Resolve {
    /// HEAD by tag, GET by digest.
    Head,
    /// GET by tag.
    Get,
}

/// What tells one client from the other.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "a table of habits")]
pub(crate) struct Habits {
    agent: &'static str,
    keep_alive: bool,
    /// `GET /v2/` comes first.
    ping: bool,
    /// A push looks at the tag before it sends anything.
    looks_at_tag: bool,
    /// A push looks whether a blob is there before it sends it.
    looks_before: bool,
    /// A push looks whether a blob is there after it sent it.
    looks_after: bool,
    upload: Upload,
    /// The media type of an upload's body, if it is told.
    upload_type: Option<&'static str>,
    /// The configuration is pushed when the layers are there, instead of beside them.
    config_after: bool,
    /// Blobs pushed at the same time.
    push_width: usize,
    resolve: Resolve,
    /// Where the configuration stands in the order of a pull.
    pull_config: PullConfig,
    /// Blobs pulled at the same time.
    pull_width: usize,
}

/// Where the configuration stands in the order of a pull.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PullConfig {
    First,
    Among,
    Last,
}

const OCTETS: Option<&str> = Some("application/octet-stream");

static DOCKER: Habits = Habits {
    agent: "docker/20.10.24 go/go1.19.8 kernel/6.1.0 os/linux arch/amd64 UpstreamClient(Docker-Client/28.2.2 (linux))",
    keep_alive: false,
    ping: true,
    looks_at_tag: false,
    looks_before: false,
    looks_after: true,
    upload: Upload::PatchChunked,
    upload_type: None,
    config_after: true,
    push_width: 5,
    resolve: Resolve::Head,
    pull_config: PullConfig::First,
    pull_width: 3,
};

static CONTAINERD: Habits = Habits {
    agent: "containerd/1.6.20",
    keep_alive: true,
    ping: false,
    looks_at_tag: true,
    looks_before: true,
    looks_after: false,
    upload: Upload::Put,
    upload_type: OCTETS,
    config_after: false,
    push_width: 13,
    resolve: Resolve::Head,
    pull_config: PullConfig::Among,
    pull_width: 3,
};

static SKOPEO: Habits = Habits {
    agent: "containers/5.23.1 (github.com/containers/image)",
    keep_alive: false,
    ping: true,
    looks_at_tag: false,
    looks_before: true,
    looks_after: false,
    upload: Upload::PatchSized,
    upload_type: OCTETS,
    config_after: true,
    push_width: 6,
    resolve: Resolve::Get,
    pull_config: PullConfig::Last,
    pull_width: 6,
};

static CRANE: Habits = Habits {
    agent: "crane/0.22.1 go-containerregistry/0.22.1",
    keep_alive: true,
    ping: true,
    looks_at_tag: true,
    looks_before: true,
    looks_after: false,
    upload: Upload::PatchSized,
    upload_type: OCTETS,
    config_after: false,
    push_width: 4,
    resolve: Resolve::Get,
    pull_config: PullConfig::First,
    pull_width: 1,
};
