//! The settings: one declaration gives each its Rust field, its names in file, environment and flags, its default and
//! its documentation. Nothing else lists them; a field that no code reads is a compiler warning.
use ipnet::IpNet;
use std::net::SocketAddr;
use std::path::PathBuf;

use strata_transport::address::Address;

use super::key::Key;
use super::layers::Layers;
use super::listener::Listener;
use super::log_level::LogLevel;
use super::namespace::Namespace;
use super::problem::Problems;
use super::setting::{Setting, words};
use super::size::ByteSize;
use super::socket::FileMode;
use super::span::Span;

words! {
    /// Form of the log lines.
    LogFormat {
        /// For people: one line of text.
        Human = "human",
        /// For machines: one JSON object a line.
        Json = "json",
    }
}

words! {
    /// Whether a fast path may be taken. None is needed for any promise; `off` is for finding faults, and for comparing.
    FastPath {
        /// Where the system has it.
        Auto = "auto",
        /// Never.
        Off = "off",
    }
}

words! {
    /// What reads and writes files.
    Io {
        /// An io_uring for what it does better than threads, where the system has it.
        Auto = "auto",
        /// Threads.
        Threads = "threads",
        /// An io_uring for all that it can do, where the system has it.
        Ring = "io-uring",
    }
}

words! {
    /// Whether large blobs are verified before they are sent.
    VerifyOnRead {
        /// Not: their length only.
        Off = "off",
        /// One read in 64.
        Sample = "sample",
        /// Every read.
        Always = "always",
    }
}

impl FastPath {
    /// Whether it may be taken.
    pub(crate) fn is_wanted(self) -> bool {
        self == FastPath::Auto
    }
}

words! {
    /// Who may do what.
    AuthMode {
        /// No accounts: whoever reaches the address may do everything.
        Open = "open",
        /// Accounts with access keys and roles.
        Accounts = "accounts",
    }
}

words! {
    /// Who is expected to reach an address.
    ListenerScope {
        /// Whoever is on the network outside.
        Public = "public",
        /// Only whoever is on a network that the operator looks after.
        Private = "private",
    }
}

/// Declares the tables. In each entry: documentation, `field: type = "default as a flag would write it"`.
macro_rules! settings {
    ($(
        $(#[doc = $about:literal])+
        [$table:ident] $section:ident {
            $(
                $(#[doc = $doc:literal])+
                $field:ident: $kind:ty = $default:literal $(, flag $flag:literal)? $(, example $example:literal)?;
            )+
        }
    )+) => {
        $(
            $(#[doc = $about])+
            #[derive(Debug, Clone, PartialEq)]
            pub(crate) struct $section { $( $(#[doc = $doc])+ pub(crate) $field: $kind, )+ }
        )+

        /// Every setting, typed. What fits together is decided in `validate`.
        #[derive(Debug, Clone, PartialEq)]
        pub(crate) struct Settings { $( $(#[doc = $about])+ pub(crate) $table: $section, )+ }

        /// Every setting in the order of the documentation.
        pub(crate) static KEYS: &[Key] = &[ $( $(
            Key {
                table: stringify!($table),
                field: stringify!($field),
                default: $default,
                short_flag: settings!(@optional $($flag)?),
                example: settings!(@optional $($example)?),
                kind: <$kind as Setting>::KIND,
                doc: &[$($doc),+],
                canonical: |value| <$kind as Setting>::read(value).ok().and_then(|read| read.toml()),
            },
        )+ )+ ];

        /// What each table is about, by name.
        pub(crate) static TABLES: &[(&str, &[&str])] = &[ $( (stringify!($table), &[$($about),+]), )+ ];

        impl Settings {
            /// Reads every setting; what does not fit is noted, and then there are no settings.
            pub(crate) fn read(layers: &Layers, problems: &mut Problems) -> Option<Settings> {
                let mut keys = KEYS.iter();
                $( $( let $field: Option<$kind> = layers.read(keys.next()?, problems); )+
                   let $table = move || Some($section { $( $field: $field?, )+ }); )+
                Some(Settings { $( $table: $table()?, )+ })
            }
        }
    };
    (@optional) => { None };
    (@optional $given:literal) => { Some($given) };
}

settings! {
    /// Where and how Strata answers HTTP.
    [http] Http {
        /// Addresses to listen on. Port 0 takes any free port. An address that other machines can reach needs
        /// `auth.open-to-network`. The default counts only where no `[[http.listener]]` is written.
        listen: Vec<SocketAddr> = "127.0.0.1:5000", flag "listen";
        /// Certificate chain (PEM file) for the addresses of `http.listen`; with it they speak HTTPS only. Read again on SIGHUP.
        certificate: Option<PathBuf> = "", example "/etc/strata/tls.crt";
        /// Private key (PEM file) that belongs to `http.certificate`. Read again on SIGHUP.
        key: Option<PathBuf> = "", example "/etc/strata/tls.key";
        /// Who is expected to reach the addresses of `http.listen`: on a `"public"` one, registries whose public address is off do not
        /// exist, for nobody; on a `"private"` one all do.
        scope: ListenerScope = "public";
        /// Further addresses, each with a certificate of its own or with none. Written as `[[http.listener]]` tables with
        /// `address`, `certificate` and `key` for HTTPS, and `scope` (as `http.scope`).
        listener: Vec<Listener> = "",
            example "[{ address = \"127.0.0.1:5443\", certificate = \"/etc/strata/tls.crt\", key = \"/etc/strata/tls.key\", scope = \"private\" }]";
        /// How often the files of certificates are looked at; where one has changed, both are read again. `"off"`: only on SIGHUP.
        certificate_check: Option<Span> = "10s";
        /// Networks of reverse proxies. A request from one of them is taken to come from where its `X-Forwarded-For` says, and to have
        /// been made by the scheme and to the host of its `X-Forwarded-Proto` and `X-Forwarded-Host`; from anywhere else these
        /// fields mean nothing. Each proxy must set or remove all three.
        trusted_proxies: Vec<IpNet> = "", example "10.0.0.0/8,127.0.0.1/32";
        /// What clients reach this server by, when a proxy changes host, scheme or path. It stands before the path of every
        /// `Location` and of the address of tokens. Not set: locations are paths only, which is right for every proxy that passes paths
        /// on unchanged, and tokens are to be had at the host that the client has asked.
        external_url: Option<String> = "", example "https://registry.example";
        /// Connections of all listeners together. At the limit idle ones are closed, then new ones wait until one ends.
        max_connections: u32 = "10000";
        /// Size of a request's line and header fields together; more is answered with 431.
        header_size: ByteSize = "32 KiB";
        /// Time from the first byte of a request to the end of its header fields.
        header_timeout: Span = "10s";
        /// How long a connection may stay open without a request.
        idle_timeout: Span = "75s";
        /// How long the handshake of TLS may take.
        handshake_timeout: Span = "10s";
        /// How long the body of a request may go without a byte. A slow upload that moves is never cut.
        body_stall: Span = "60s";
        /// How long a client may take no byte of an answer. A slow download that moves is never cut.
        write_stall: Span = "60s";
        /// Memory for file content on its way to TLS and HTTP/2 clients, all connections together. Beyond it every answer is
        /// read in small pieces. Plain HTTP/1.1 needs none, the kernel sends files itself.
        read_memory: ByteSize = "256 MiB";
        /// Memory for manifests and small blobs that were read lately: they are sent again without being looked up or read. 0 keeps
        /// none.
        hot_memory: ByteSize = "32 MiB";
        /// `"auto"` lets the kernel send files to plain HTTP/1.1 clients (sendfile), `"off"` reads and writes them. What was
        /// chosen is logged at start.
        zero_copy: FastPath = "auto";
        /// With `"auto"`, where the system's congestion control paces by timers (BBR), connections from this machine itself (a reverse
        /// proxy, a container runtime) are not paced. All others keep the system's choice. `"off"` leaves it to them too.
        local_unpaced: FastPath = "auto";
        /// `"auto"` reads large uploads of known length over plain HTTP/1.1 from the socket straight into the buffers that are
        /// hashed and written, `"off"` copies them there.
        direct_bodies: FastPath = "auto";
        /// Requests at the same time on one HTTP/2 connection.
        http2_streams: u32 = "256";
        /// How long requests that are being answered may go on after SIGTERM or SIGINT. Then their connections are closed.
        drain: Span = "30s";
    }

    /// Where and how Strata answers gRPC. What is not here is as for HTTP: header fields, timeouts, trusted proxies, drain.
    [grpc] Grpc {
        /// Addresses to listen on, and Unix sockets as `unix:/PATH`; `"off"` for none. Port 0 takes any free port. An address that other
        /// machines can reach needs `auth.open-to-network`. The default counts only where no `[[grpc.listener]]` is written; where
        /// that port is taken, the server starts without gRPC and says so.
        listen: Vec<Address> = "127.0.0.1:5001";
        /// Certificate chain (PEM file) for the addresses of `grpc.listen`; with it they speak TLS only. Read again on SIGHUP.
        certificate: Option<PathBuf> = "", example "/etc/strata/tls.crt";
        /// Private key (PEM file) that belongs to `grpc.certificate`. Read again on SIGHUP.
        key: Option<PathBuf> = "", example "/etc/strata/tls.key";
        /// Who is expected to reach the addresses of `grpc.listen`, as `http.scope`. Unix sockets of `grpc.listen` are always
        /// `"private"`.
        scope: ListenerScope = "public";
        /// Further addresses, as `[[http.listener]]`: tables with `address`, which may be a Unix socket, `certificate` and `key` for TLS,
        /// and `scope`, which of a Unix socket is `"private"` where nothing else is said.
        listener: Vec<Listener<Address>> = "",
            example "[{ address = \"unix:/run/strata/grpc.sock\" }]";
        /// Permissions of Unix sockets.
        socket_mode: FileMode = "0600";
        /// Connections of all listeners together. At the limit idle ones are closed, then new ones wait until one ends.
        max_connections: u32 = "1000";
        /// Calls at the same time on one connection.
        streams: u32 = "256";
        /// How long a connection may stay open without a call.
        idle_timeout: Span = "5m";
        /// Memory for messages that are being received, all calls together. A call beyond it is answered with `UNAVAILABLE`. Where there are
        /// accounts, a quarter of it is for those who show no credentials, and they get no more.
        message_memory: ByteSize = "128 MiB";
        /// The registry that the content of each namespace of a containerd lives in, in its repository `content`. Where none is
        /// written, each namespace is in open mode the registry of its name.
        content_namespaces: Vec<Namespace> = "", example "default=containerd,k8s.io=containerd";
    }

    /// Where everything is kept, and how much memory and space that may take.
    [storage] Storage {
        /// The data directory. It is created if it is missing; one process at a time can use it.
        data: PathBuf = "./strata-data", flag "data";
        /// Free space that is left alone. Below it pushes are refused with 507 before the disk is full; pulls and deletions go on.
        reserve: ByteSize = "256 MiB";
        /// Memory for the buffers of all uploads together. Uploads wait for one another beyond it.
        buffer_memory: ByteSize = "64 MiB";
        /// Memory for caches and write buffers of the metadata store, taken as it is needed: 32 MiB for writes, the rest for what is
        /// read. A million manifests want about 80 MiB for indexes and filters alone.
        metadata_memory: ByteSize = "256 MiB";
        /// How long an upload session lives after its last activity. Then its bytes are removed.
        upload_expiry: Span = "1d";
        /// Blob files that are kept open for readers.
        open_files: u32 = "512";
        /// Threads that hash uploads. 0 means one for each processor.
        hash_threads: u32 = "0";
        /// Threads that read, write and sync files. 0 means four for each processor, at least eight.
        io_threads: u32 = "0";
        /// What reads and writes files where that takes long: `"threads"`, `"io-uring"` where the system has it (containers
        /// often forbid it; threads take its place then), or `"auto"`, io_uring for what it does better: short reads that are
        /// not in memory. What was chosen is logged at start.
        io: Io = "auto";
        /// `"auto"` writes large uploads past the page cache where the file system can, `"off"` never. What was chosen is
        /// logged at start.
        direct_io: FastPath = "auto";
        /// Whether a blob of more than 64 KiB is read as a whole and compared with its checksum before the first byte of it is
        /// sent: `"off"` looks at its length only, `"sample"` does it for one GET in 64, `"always"` for every GET, a range too. One that is
        /// damaged is put into quarantine and not served. Smaller ones are always compared.
        verify_on_read: VerifyOnRead = "off";
    }

    /// When what nothing needs any more is removed. It goes on by itself, while the server serves.
    [gc] Gc {
        /// How long a blob stays that no manifest of its repository holds: counted from its push, its mount, its release by the
        /// last manifest, or the last time that a client was told it is there. 0 removes it at the next run, also while a client
        /// is pushing an image with it.
        grace: Span = "1h";
        /// Time between two runs. 0 runs only when asked.
        interval: Span = "1m";
        /// Removes manifests that have been without a tag for so long, that no index holds and that refer to nothing in
        /// their repository. `"off"` keeps them until they are deleted.
        untagged: Option<Span> = "off";
        /// How long a deleted manifest or tag can be restored. 0: not at all.
        undo: Span = "1d";
        /// Keeps the blobs of deleted manifests as long as they can be restored, not only for `gc.grace`.
        undo_keeps_bytes: bool = "false";
        /// Removals per second at most; a tenth of that while the server has much to do. 0 sets no limit.
        rate: u32 = "2000";
        /// Dead part of a file of small blobs, in percent, from which on what still lives in it is moved and the file removed.
        segment_dead: u32 = "50";
    }

    /// When every stored byte is read again, to find what the disk has lost. It goes on by itself, while the server serves, and makes
    /// room for requests.
    [scrub] Scrub {
        /// Time from the end of a round to the next one. 0 makes one only when asked. A round that a stop interrupted goes on at the next start.
        interval: Span = "7d";
        /// Bytes per second at most. 0 sets no limit.
        rate: ByteSize = "64 MiB";
    }

    /// What a repository takes.
    [registry] RegistryRules {
        /// Accepts image manifests whose layers are not in the repository. Without it such a push is refused with
        /// `MANIFEST_BLOB_UNKNOWN`; the children of an index may be missing either way.
        sparse_images: bool = "false";
    }

    /// Who may do what.
    [auth] Auth {
        /// `"open"`: no accounts, whoever reaches the address may push, pull and delete. `"accounts"`: accounts with access keys and
        /// roles; the first start makes the account `admin`.
        mode: AuthMode = "open";
        /// What tokens are made for, as clients see it in challenges; another service's tokens are refused.
        service: Option<String> = "strata";
        /// How long a token lives; at most 12h.
        token_life: Span = "1h";
        /// How long a refresh token lives, which `docker login` keeps in place of a password. It ends with its access key.
        refresh_life: Span = "90d";
        /// Allows mode `open` on addresses that other machines can reach. Without it only loopback addresses are taken.
        open_to_network: bool = "false", flag "open";
    }

    /// The audit log: who did what, when and from where.
    [audit] Audit {
        /// How long entries are kept, by default 90 days. As long go back the histories of tags; where a tag stands is always known. 0 keeps
        /// all, for ever.
        retention: Span = "90d";
    }

    /// What is logged to stderr.
    [log] Log {
        /// `"human"` for people, `"json"` for one JSON object a line.
        format: LogFormat = "human";
        /// What is logged: `error`, `warn`, `info`, `debug`, `trace` or `off`, for single parts too, as in
        /// `info,strata_engine=debug`. Read again on SIGHUP.
        level: LogLevel = "info";
    }
}
