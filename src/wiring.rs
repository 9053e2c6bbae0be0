//! Puts the parts together: configuration → engine → registry → servers, and takes them down in the other order.
use std::fmt::{self, Write as _};
use std::fs::{self, Permissions};
use std::io::{self, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use strata_engine::{Engine, EngineConfig, EngineError, GcConfig, ScrubConfig};
use strata_frontend_http::{
    App, AppConfig, HttpConfig, HttpLimits, ListenError, ListenerConfig, Server, ServerHandle, TlsConfig,
};
use strata_registry::{AuthConfig, FirstAdministratorError, Registry, RegistryConfig, RegistryError, Scope};

use crate::config::{
    Auth, AuthMode, Config, Gc, Io, Listener, ListenerScope, Problems, Settings, Span, VerifyOnRead,
};
use crate::first_admin;
use crate::log::Log;
use crate::shutdown::{self, Stop};
use strata_transport::log_text::chain;

mod grpc;

/// How long closing the store may take after the last request, before the process leaves without it. Whatever was
/// acknowledged is durable by then; the next start recovers the rest.
const CLOSE: Duration = Duration::from_secs(20);

/// How often it is written down which keys were used.
const USES: Duration = Duration::from_mins(1);

/// Why the server could not start, as a sentence that says what to do.
#[derive(Debug)]
pub(crate) enum ServeError {
    /// The data directory cannot be opened.
    Store { directory: PathBuf, error: Box<EngineError> },
    /// The accounts and registries cannot be read from the store.
    Directory(Box<RegistryError>),
    /// The key of the first administrator is not given as a whole.
    AdminKey(&'static str),
    /// The first administrator cannot be made.
    FirstAdministrator(FirstAdministratorError),
    /// An address cannot be taken, a certificate cannot be read.
    Http(ListenError),
    /// The same for gRPC.
    Grpc(ListenError),
    /// The operating system refuses threads or signal handlers.
    System(io::Error),
}

impl fmt::Display for ServeError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ServeError::Store { directory, error } => {
                write!(out, "cannot open the data directory {}: {error}", directory.display())?;
                out.write_str(advice(error))
            }
            ServeError::Directory(error) => {
                write!(out, "cannot read the accounts and registries of this store: {}", chain(error))
            }
            ServeError::AdminKey(why) => out.write_str(why),
            ServeError::FirstAdministrator(error) => out.write_str(&chain(error)),
            ServeError::Http(error) => {
                error.fmt(out)?;
                out.write_str(&advice_on_address(error, "--listen"))
            }
            ServeError::Grpc(error) => {
                error.fmt(out)?;
                out.write_str(&advice_on_address(error, "--grpc-listen"))
            }
            ServeError::System(error) => {
                write!(out, "the operating system refuses what a server needs: {error}")
            }
        }
    }
}

impl std::error::Error for ServeError {}

/// What to do about an error of opening, where the error does not say so itself.
fn advice(error: &EngineError) -> &'static str {
    match error {
        EngineError::Locked { .. } => {
            ". Stop that process, or give this one a directory of its own with --data"
        }
        EngineError::Io { source, .. } => match source.kind() {
            io::ErrorKind::PermissionDenied => {
                ". Give the user of this process write access to it, or choose another directory with --data"
            }
            io::ErrorKind::ReadOnlyFilesystem => {
                ". Mount it writable, or choose another directory with --data"
            }
            io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => {
                ". Choose another directory with --data"
            }
            io::ErrorKind::StorageFull => ". Make room on that file system first",
            _ => "",
        },
        EngineError::ReadOnly => {
            ". Give the user of this process write access to it, or choose another directory with --data"
        }
        EngineError::NoSpace => ". Make room on that file system first",
        _ => "",
    }
}

/// What to do about an address that cannot be taken, which `flag` says.
fn advice_on_address(error: &ListenError, flag: &str) -> String {
    let ListenError::Bind { source, .. } = error else { return String::new() };
    match source.kind() {
        io::ErrorKind::AddrInUse => {
            format!(". Stop the program that listens there, or choose another port with {flag}")
        }
        io::ErrorKind::AddrNotAvailable => {
            format!(". This machine does not have that address; choose another with {flag}")
        }
        io::ErrorKind::PermissionDenied => format!(
            ". Ports below 1024 need the capability CAP_NET_BIND_SERVICE; choose a higher one with {flag}"
        ),
        _ => String::new(),
    }
}

/// Serves until a signal says stop. `reload` reads the configuration again for SIGHUP.
///
/// # Errors
/// The server could not start. What goes wrong later is answered to clients and logged.
pub(crate) fn serve(
    config: &Config,
    reload: impl Fn() -> Result<Config, Problems> + Send + 'static,
) -> Result<(), ServeError> {
    let settings = &config.settings;
    let (log, _written_at_the_end) = Log::start(settings.log.format, &settings.log.level);
    raise_open_files();
    // Before any signal is taken: a start that hangs on a bad disk can be ended by the ordinary means.
    let engine = Engine::open(engine_config(settings)).map_err(|error| ServeError::Store {
        directory: settings.storage.data.clone(),
        error: Box::new(error),
    })?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().thread_name("strata-net").build();
    let runtime = runtime.map_err(ServeError::System)?;
    let outcome = runtime.block_on(run(config, &engine, log, reload));
    runtime.shutdown_timeout(Duration::from_secs(1));
    engine.close();
    if outcome.is_ok() {
        tracing::info!("stopped");
    }
    outcome
}

/// Everything between an open store and a closed one.
async fn run(
    config: &Config,
    engine: &Engine,
    log: Log,
    reload: impl Fn() -> Result<Config, Problems> + Send + 'static,
) -> Result<(), ServeError> {
    let settings = &config.settings;
    close_to_others(&settings.storage.data);
    let mut rules = registry_config(settings);
    rules.auth.admin_key =
        first_admin::given(|name| std::env::var(name).ok()).map_err(ServeError::AdminKey)?;
    let registry = Registry::open(engine.clone(), rules);
    let registry = registry.map_err(|error| ServeError::Directory(Box::new(error)))?;
    let first =
        first_admin::make(&registry, &settings.storage.data).map_err(ServeError::FirstAdministrator)?;
    tokio::spawn(registry.clone().keep_audit_trimmed());
    let app = App::new(registry.clone(), app_config(settings));
    let server = Server::bind(&http_config(config), Arc::clone(&app)).map_err(ServeError::Http)?;
    let calls = grpc::bind(config, &registry, &app).map_err(ServeError::Grpc)?;
    let stop = Stop::listen().map_err(ServeError::System)?;
    let (running, answering) = (server.handle(), calls.as_ref().map(strata_frontend_grpc::Server::handle));
    let reload_tls = move || reload_tls(&running, answering.as_ref());
    shutdown::on_hangup(move || read_again(&reload_tls, &log, &reload)).map_err(ServeError::System)?;
    for path in engine.fast_paths().iter().chain(&server.fast_paths()) {
        tracing::info!(setting = path.setting, taken = path.taken, why = %path.why, "fast path");
    }
    announce(&server.addresses(), calls.as_ref(), &settings.storage.data, first.as_deref());
    let uses = tokio::spawn(keep_uses(registry.clone()));

    let bound = settings.http.drain.duration() + CLOSE;
    let (stopping, stopped) = tokio::sync::watch::channel(false);
    let serving = server.run(async move {
        stop.requested().await;
        app.start_draining();
        stopping.send_replace(true);
        leave_after(bound);
    });
    let (report, calls) = tokio::join!(serving, grpc::run(calls, stopped));
    uses.abort();
    flush_uses(&registry).await;
    tracing::info!(open = report.open, cut = report.cut, took = ?report.took, "drained");
    if let Some(calls) = calls {
        tracing::info!(open = calls.open, cut = calls.cut, took = ?calls.took, "drained gRPC");
    }
    registry.flush_pulled().await;
    registry.flush_refusals().await;
    Ok(())
}

/// Writes down now and then which keys were used.
async fn keep_uses(registry: Registry) {
    let mut turns = tokio::time::interval(USES);
    loop {
        turns.tick().await;
        flush_uses(&registry).await;
    }
}

async fn flush_uses(registry: &Registry) {
    if let Err(error) = registry.flush_uses().await {
        tracing::warn!(error = %chain(&error), "the last use of keys could not be written; it is tried again");
    }
}

/// Reads the certificates of all listeners again; answers how many there are.
fn reload_tls(
    http: &ServerHandle,
    grpc: Option<&strata_frontend_grpc::ServerHandle>,
) -> Result<usize, ListenError> {
    let of_http = http.reload_tls();
    let of_grpc = grpc.map_or(Ok(0), strata_frontend_grpc::ServerHandle::reload_tls);
    Ok(of_http? + of_grpc?)
}

/// SIGHUP: certificates and the log level.
fn read_again(
    reload_tls: &impl Fn() -> Result<usize, ListenError>,
    log: &Log,
    reload: &impl Fn() -> Result<Config, Problems>,
) {
    match reload() {
        Ok(fresh) => {
            log.set_level(&fresh.settings.log.level);
            tracing::info!("the log level was read again");
        }
        Err(problems) => tracing::error!(%problems, "the log level stays as it is"),
    }
    match reload_tls() {
        Ok(listeners) => tracing::info!(listeners, "certificates were read again"),
        Err(error) => tracing::error!(%error, "the old certificate stays in use"),
    }
}

/// Ends the process after that time, however stuck the rest is.
fn leave_after(bound: Duration) {
    thread::spawn(move || {
        thread::sleep(bound);
        tracing::error!(
            ?bound,
            "the store did not close in time; leaving without it, the next start recovers"
        );
        std::process::exit(1);
    });
}

/// The default limit of open files (1,024) is less than the connections and blob files of a busy server.
fn raise_open_files() {
    let limit = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum })
    {
        tracing::warn!(%error, "the limit of open files stays as it is");
    }
}

/// Says on stdout where the server listens and what to try, and what is to be said this once. Scripts wait for the first line; a closed
/// stdout is no error.
fn announce(
    addresses: &[(SocketAddr, bool)],
    calls: Option<&strata_frontend_grpc::Server>,
    data: &Path,
    once: Option<&str>,
) {
    let mut text = String::new();
    for (address, tls) in addresses {
        let _ = writeln!(text, "listening on {}://{address}", if *tls { "https" } else { "http" });
    }
    text.push_str(&calls.map(grpc::announcement).unwrap_or_default());
    // Somebody's first administrator has other things to do first, which `once` says.
    if let Some((address, tls)) = addresses.first().filter(|_| once.is_none()) {
        let (host, scheme) = (reachable(*address), if *tls { "https" } else { "http" });
        let insecure = if *tls { "" } else { "--tls-verify=false " };
        let _ = write!(
            text,
            "try:  docker tag IMAGE {host}/demo/IMAGE && docker push {host}/demo/IMAGE\n      \
             podman push {insecure}IMAGE {host}/demo/IMAGE\n      \
             curl {scheme}://{host}/v2/_catalog\n"
        );
    }
    text.push_str(once.unwrap_or_default());
    let mut out = io::stdout().lock();
    if let Err(error) = out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        tracing::debug!(%error, "nobody reads stdout");
    }
    tracing::info!(data = %data.display(), version = env!("CARGO_PKG_VERSION"), "serving");
}

/// An address that this machine's clients can use: the wildcard stands for loopback.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

/// What the settings mean to the engine.
pub(crate) fn engine_config(settings: &Settings) -> EngineConfig {
    let storage = &settings.storage;
    EngineConfig {
        buffer_memory_bytes: storage.buffer_memory.bytes(),
        metadata_memory_bytes: storage.metadata_memory.bytes(),
        reserve_bytes: storage.reserve.bytes(),
        upload_expiry: storage.upload_expiry.duration(),
        open_files_max: storage.open_files as usize,
        hash_threads: storage.hash_threads as usize,
        io_threads: storage.io_threads as usize,
        fast_paths: strata_engine::FastPaths {
            direct_io: storage.direct_io.is_wanted(),
            io: match storage.io {
                Io::Auto => strata_engine::Io::Auto,
                Io::Threads => strata_engine::Io::Threads,
                Io::Ring => strata_engine::Io::Ring,
            },
        },
        gc: gc_config(&settings.gc),
        scrub: ScrubConfig {
            interval: settings.scrub.interval.duration(),
            rate: settings.scrub.rate.bytes(),
        },
        verify_on_read: match storage.verify_on_read {
            VerifyOnRead::Off => strata_engine::VerifyOnRead::Off,
            VerifyOnRead::Sample => strata_engine::VerifyOnRead::Sample,
            VerifyOnRead::Always => strata_engine::VerifyOnRead::Always,
        },
        ..EngineConfig::new(&storage.data)
    }
}

fn gc_config(gc: &Gc) -> GcConfig {
    GcConfig {
        grace: gc.grace.duration(),
        interval: gc.interval.duration(),
        untagged: gc.untagged.map(Span::duration),
        undo: gc.undo.duration(),
        undo_keeps_bytes: gc.undo_keeps_bytes,
        rate: gc.rate,
        segment_dead_percent: gc.segment_dead,
        ..GcConfig::default()
    }
}

/// What the settings mean to the service layer.
pub(crate) fn registry_config(settings: &Settings) -> RegistryConfig {
    let mut config = RegistryConfig::default();
    config.sparse_images = settings.registry.sparse_images;
    config.auth = auth_config(&settings.auth);
    config.audit.retention = settings.audit.retention.duration();
    let namespaces = settings.grpc.content_namespaces.iter();
    config.content.namespaces =
        namespaces.map(|namespace| (namespace.name.clone(), namespace.registry.clone())).collect();
    config
}

fn auth_config(auth: &Auth) -> AuthConfig {
    let mut config = AuthConfig::default();
    config.mode = match auth.mode {
        AuthMode::Open => strata_registry::AuthMode::Open,
        AuthMode::Accounts => strata_registry::AuthMode::Accounts,
    };
    if let Some(service) = &auth.service {
        config.service.clone_from(service);
    }
    config.token_life = auth.token_life.duration();
    config.refresh_life = auth.refresh_life.duration();
    config
}

fn app_config(settings: &Settings) -> AppConfig {
    let mut config = AppConfig::default();
    config.external_url.clone_from(&settings.http.external_url);
    config.trusted_proxies.clone_from(&settings.http.trusted_proxies);
    config.hot_memory = settings.http.hot_memory.to_usize();
    config
}

fn http_config(config: &Config) -> HttpConfig {
    let http = &config.settings.http;
    let limits = HttpLimits {
        connections_max: http.max_connections as usize,
        header_bytes_max: http.header_size.to_usize(),
        header_timeout: http.header_timeout.duration(),
        idle_timeout: http.idle_timeout.duration(),
        tls_handshake_timeout: http.handshake_timeout.duration(),
        body_stall: http.body_stall.duration(),
        write_stall: http.write_stall.duration(),
        drain: http.drain.duration(),
        read_bytes_max: http.read_memory.to_usize(),
        h2_streams_max: http.http2_streams,
        certificate_check: http.certificate_check.map(Span::duration),
        ..HttpLimits::default()
    };
    let fast_paths = strata_frontend_http::FastPaths {
        zero_copy: http.zero_copy.is_wanted(),
        local_unpaced: http.local_unpaced.is_wanted(),
        direct_bodies: http.direct_bodies.is_wanted(),
    };
    HttpConfig { listeners: config.listeners.iter().map(listener_config).collect(), limits, fast_paths }
}

fn listener_config(listener: &Listener) -> ListenerConfig {
    let tls = listener
        .tls
        .as_ref()
        .map(|files| TlsConfig { certificate: files.certificate.clone(), key: files.key.clone() });
    let scope = match listener.scope {
        ListenerScope::Public => Scope::Public,
        ListenerScope::Private => Scope::Private,
    };
    ListenerConfig { address: listener.address, tls, scope }
}

/// Takes from others what a store holds, as versions before this one let everybody on the machine read it: content of private registries, and
/// what tokens are signed with.
fn close_to_others(data: &Path) {
    const OTHERS: u32 = 0o077;
    for name in ["meta", "blobs", "segments", "uploads", "backups"] {
        let folder = data.join(name);
        let Ok(found) = fs::metadata(&folder) else { continue };
        let mode = found.permissions().mode();
        if mode & OTHERS == 0 {
            continue;
        }
        if let Err(error) = fs::set_permissions(&folder, Permissions::from_mode(mode & 0o700)) {
            let folder = folder.display();
            tracing::warn!(%folder, %error, "others on this machine can read what is stored: set its mode to 0700");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Flags;

    #[test]
    fn the_defaults_of_the_file_are_those_of_the_crates() {
        let config = Config::load(None, [], Flags::new()).expect("the defaults are right");
        assert_eq!(engine_config(&config.settings), EngineConfig::new("./strata-data"));
        assert_eq!(registry_config(&config.settings), RegistryConfig::default());
        assert_eq!(http_config(&config).limits, HttpLimits::default());
        assert_eq!(http_config(&config).fast_paths, strata_frontend_http::FastPaths::AUTO);
    }

    #[test]
    fn what_is_shown_to_try_can_be_reached_from_here() {
        for (listens, shown) in [
            ("0.0.0.0:1", "127.0.0.1:1"),
            ("[::]:1", "[::1]:1"),
            ("192.0.2.1:1", "192.0.2.1:1"),
            ("127.0.0.1:1", "127.0.0.1:1"),
        ] {
            assert_eq!(reachable(listens.parse().expect("an address")).to_string(), shown);
        }
    }
}
