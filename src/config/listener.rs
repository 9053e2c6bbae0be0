//! `[[http.listener]]` and `[[grpc.listener]]`: addresses with a certificate of their own. Only in the file, since a flag cannot hold a
//! table.
use std::net::SocketAddr;
use std::path::PathBuf;

use strata_transport::address::Address;

use super::key::nearest;
use super::setting::{Form, Kind, Refusal, Setting, quoted};
use super::settings::ListenerScope;
use super::value::{Raw, Value};

/// What a listener can be at, with the name of its tables.
pub(crate) trait Place: Setting {
    /// The setting that holds them.
    const TABLE: &str;

    /// Who is expected to reach it where nothing says so.
    fn scope(&self) -> ListenerScope {
        ListenerScope::Public
    }
}

impl Place for SocketAddr {
    const TABLE: &str = "http.listener";
}

impl Place for Address {
    const TABLE: &str = "grpc.listener";

    /// Whoever reaches a socket is on this machine.
    fn scope(&self) -> ListenerScope {
        match self {
            Address::Tcp(_) => ListenerScope::Public,
            Address::Unix(_) => ListenerScope::Private,
        }
    }
}

/// The names that a table of a listener may hold.
const NAMES: [&str; 4] = ["address", "certificate", "key", "scope"];

/// An address to listen on; with certificate and key it speaks TLS.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Listener<A = SocketAddr> {
    /// The address.
    pub(crate) address: A,
    /// Files of the certificate chain and its key, both PEM.
    pub(crate) tls: Option<TlsFiles>,
    /// Who is expected to reach it.
    pub(crate) scope: ListenerScope,
}

/// Where the certificate of a listener lies.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct TlsFiles {
    /// PEM file of the certificate chain, the server's own first.
    pub(crate) certificate: PathBuf,
    /// PEM file of the private key.
    pub(crate) key: PathBuf,
}

impl<A: Place> Setting for Vec<Listener<A>> {
    const KIND: Kind = Kind { name: "list of tables", form: Form::FileOnly };

    fn read(value: &Value) -> Result<Self, Vec<Refusal>> {
        let parts = match &value.raw {
            Raw::Text(text) if text.is_empty() => return Ok(Vec::new()),
            Raw::List(parts) => parts,
            _ => {
                let message = format!("{} is not a list of tables; write [[{}]]", value.describe(), A::TABLE);
                return Err(vec![message.into()]);
            }
        };
        let (mut listeners, mut refusals) = (Vec::new(), Vec::new());
        for part in parts {
            match read_one(part) {
                Ok(listener) => listeners.push(listener),
                Err(why) => refusals.extend(why),
            }
        }
        if refusals.is_empty() { Ok(listeners) } else { Err(refusals) }
    }

    fn toml(&self) -> Option<String> {
        let tables: Vec<String> = self.iter().map(one_toml).collect();
        (!tables.is_empty()).then(|| format!("[{}]", tables.join(", ")))
    }
}

fn read_one<A: Place>(part: &Value) -> Result<Listener<A>, Vec<Refusal>> {
    let at = |line: Option<usize>, message: String| Refusal { line: line.or(part.line), message };
    let Raw::Table(table) = &part.raw else {
        return Err(vec![at(None, format!("{} is not a table with an address", part.describe()))]);
    };
    let mut refusals = Vec::new();
    for (name, value) in table.iter().filter(|(name, _)| !NAMES.contains(&name.as_str())) {
        let hint = nearest(name, NAMES).map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
        refusals.push(at(value.line, format!("unknown key `{name}`{hint}")));
    }
    let mut keep = |name: &str, why: Vec<Refusal>, line: Option<usize>| {
        refusals.extend(why.into_iter().map(|why| at(line, format!("{name}: {}", why.message))));
    };
    let scope = match table.get("scope") {
        Some(value) => {
            ListenerScope::read(value).map_err(|why| keep("scope", why, value.line)).ok().map(Some)
        }
        None => Some(None),
    };
    let address = if let Some(value) = table.get("address") {
        A::read(value).map_err(|why| keep("address", why, value.line)).ok()
    } else {
        keep("address", vec!["is missing".to_owned().into()], None);
        None
    };
    let mut path = |name: &str| match table.get(name) {
        Some(value) => PathBuf::read(value).map_err(|why| keep(name, why, value.line)).ok(),
        None => None,
    };
    let (certificate, key) = (path("certificate"), path("key"));
    let tls = match (table.contains_key("certificate"), table.contains_key("key")) {
        (true, false) => {
            keep("key", vec!["is missing: a certificate needs its private key".to_owned().into()], None);
            None
        }
        (false, true) => {
            keep(
                "certificate",
                vec!["is missing: a private key needs its certificate".to_owned().into()],
                None,
            );
            None
        }
        _ => certificate.zip(key).map(|(certificate, key)| TlsFiles { certificate, key }),
    };
    match address.zip(scope) {
        Some((address, scope)) if refusals.is_empty() => {
            let scope = scope.unwrap_or_else(|| address.scope());
            Ok(Listener { address, tls, scope })
        }
        _ => Err(refusals),
    }
}

fn one_toml<A: Place>(listener: &Listener<A>) -> String {
    let mut parts: Vec<String> =
        listener.address.toml().map(|text| format!("address = {text}")).into_iter().collect();
    if let Some(tls) = &listener.tls {
        parts.push(format!("certificate = {}", quoted(&tls.certificate.to_string_lossy())));
        parts.push(format!("key = {}", quoted(&tls.key.to_string_lossy())));
    }
    if listener.scope != listener.address.scope() {
        parts.extend(listener.scope.toml().map(|scope| format!("scope = {scope}")));
    }
    format!("{{ {} }}", parts.join(", "))
}
