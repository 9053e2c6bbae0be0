//! What gRPC listens at: addresses of the network and Unix sockets, and who may use the latter.
use std::net::SocketAddr;
use std::path::PathBuf;

use strata_transport::address::Address;

use super::setting::{Form, Kind, Refusal, Setting, quoted, read_many};
use super::value::{Raw, Value};

/// The word for no address at all, where nothing written would mean the default.
const OFF: &str = "off";

impl Setting for Address {
    const KIND: Kind = Kind { name: "address", form: Form::One };

    fn read(value: &Value) -> Result<Self, Vec<Refusal>> {
        if let Raw::Text(text) = &value.raw
            && let Some(path) = text.trim().strip_prefix("unix:")
        {
            let path = path.strip_prefix("//").unwrap_or(path);
            return if path.is_empty() {
                Err(vec![format!("{text:?} names no path; write unix:/PATH").into()])
            } else {
                Ok(Address::Unix(PathBuf::from(path)))
            };
        }
        SocketAddr::read(value).map(Address::Tcp)
    }

    fn toml(&self) -> Option<String> {
        Some(quoted(&self.to_string()))
    }
}

/// Several addresses; `off` for none.
impl Setting for Vec<Address> {
    const KIND: Kind = Kind { name: "list of addresses or off", form: Form::Many };

    fn read(value: &Value) -> Result<Self, Vec<Refusal>> {
        match &value.raw {
            Raw::Text(text) if text.trim() == OFF => Ok(Vec::new()),
            _ => read_many(value, Self::KIND.name),
        }
    }

    fn toml(&self) -> Option<String> {
        let parts: Vec<String> = self.iter().filter_map(Setting::toml).collect();
        Some(format!("[{}]", parts.join(", ")))
    }
}

/// Permissions of a file, as chmod(1) writes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileMode(pub(crate) u32);

impl Setting for FileMode {
    const KIND: Kind = Kind { name: "permissions", form: Form::One };

    fn read(value: &Value) -> Result<Self, Vec<Refusal>> {
        let read = match &value.raw {
            Raw::Text(text) => u32::from_str_radix(text, 8).ok().filter(|mode| *mode <= 0o777),
            _ => None,
        };
        read.map(FileMode).ok_or_else(|| {
            vec![format!("{} is not permissions; write text such as \"0660\"", value.describe()).into()]
        })
    }

    fn toml(&self) -> Option<String> {
        Some(quoted(&format!("{:04o}", self.0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<T: Setting>(text: &str) -> Result<Option<String>, String> {
        match T::read(&Value::text(text)) {
            Ok(value) => Ok(value.toml()),
            Err(why) => Err(why.into_iter().map(|why| why.message).collect()),
        }
    }

    #[test]
    fn reads_addresses_and_sockets() {
        for (text, toml) in [
            ("127.0.0.1:5001", "[\"127.0.0.1:5001\"]"),
            ("unix:/run/s.sock", "[\"unix:/run/s.sock\"]"),
            ("unix:///run/s.sock, [::1]:1", "[\"unix:/run/s.sock\", \"[::1]:1\"]"),
            ("off", "[]"),
            ("", "[]"),
        ] {
            assert_eq!(read::<Vec<Address>>(text), Ok(Some(toml.to_owned())), "{text:?}");
        }
        assert!(read::<Vec<Address>>("unix:").unwrap_err().contains("unix:/PATH"));
        assert!(read::<Vec<Address>>("/run/s.sock").unwrap_err().contains("write IP:PORT"));
    }

    #[test]
    fn reads_permissions() {
        assert_eq!(read::<FileMode>("660"), Ok(Some("\"0660\"".to_owned())));
        for text in ["", "rw", "1777", "9"] {
            assert!(read::<FileMode>(text).unwrap_err().contains("0660"), "{text:?}");
        }
    }
}
