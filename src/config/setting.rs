//! [`Setting`]: how a written [`Value`] becomes a typed one, for every type a setting can have.
use ipnet::IpNet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use super::size::ByteSize;
use super::span::Span;
use super::value::{Raw, Value};

/// What the documentation, `--help` and the flag parser have to know about a type.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kind {
    /// The type's name in docs/config.md and the placeholder of the flag.
    pub(crate) name: &'static str,
    /// Where it can be written.
    pub(crate) form: Form,
}

/// How a setting can be written outside the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// One value: `--flag VALUE`, the last one counts.
    One,
    /// `--flag` alone means true.
    Switch,
    /// `--flag VALUE --flag VALUE` or `--flag VALUE,VALUE`.
    Many,
    /// Only in the file: it has no flag and no environment variable.
    FileOnly,
}

/// Why a value was refused, with the line if it is another one than the setting's own.
#[derive(Debug, PartialEq)]
pub(crate) struct Refusal {
    /// The line inside a longer value; `None`: the line of the setting.
    pub(crate) line: Option<usize>,
    /// A sentence for the operator.
    pub(crate) message: String,
}

impl From<String> for Refusal {
    fn from(message: String) -> Refusal {
        Refusal { line: None, message }
    }
}

/// A type that settings have.
pub(crate) trait Setting: Sized {
    /// Name and form of the type.
    const KIND: Kind;

    /// Reads the value as written.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    fn read(value: &Value) -> Result<Self, Vec<Refusal>>;

    /// The value as TOML; `None` for a setting that is not set.
    fn toml(&self) -> Option<String>;
}

/// Reads a value that must be one text.
fn text<'v>(value: &'v Value, wanted: &str) -> Result<&'v str, Vec<Refusal>> {
    match &value.raw {
        Raw::Text(text) => Ok(text),
        _ => Err(refused(format!("{} is not {wanted}", value.describe()))),
    }
}

fn refused(message: impl Into<String>) -> Vec<Refusal> {
    vec![Refusal::from(message.into())]
}

/// A text as a TOML string.
pub(crate) fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

impl Setting for ByteSize {
    const KIND: Kind = Kind { name: "size", form: Form::One };

    fn read(value: &Value) -> Result<Self, Vec<Refusal>> {
        ByteSize::parse(text(value, "a size; write it as text, for example \"64 MiB\"")?).map_err(refused)
    }

    fn toml(&self) -> Option<String> {
        Some(quoted(&self.to_string()))
    }
}

impl Setting for Span {
    const KIND: Kind = Kind { name: "duration", form: Form::One };

    fn read(value: &Value) -> Result<Self, Vec<Refusal>> {
        Span::parse(text(value, "a duration; write it as text, for example \"30s\"")?).map_err(refused)
    }

    fn toml(&self) -> Option<String> {
        Some(quoted(&self.to_string()))
    }
}

/// A length of time that may also be `off`.
impl Setting for Option<Span> {
    const KIND: Kind = Kind { name: "duration or off", form: Form::One };

    fn read(value: &Value) -> Result<Self, Vec<Refusal>> {
        match text(value, "a duration; write it as text, for example \"30d\", or \"off\"")? {
            "off" => Ok(None),
            text => Span::parse(text).map(Some).map_err(refused),
        }
    }

    fn toml(&self) -> Option<String> {
        Some(self.map_or_else(|| quoted("off"), |span| quoted(&span.to_string())))
    }
}

impl Setting for PathBuf {
    const KIND: Kind = Kind { name: "path", form: Form::One };

    fn read(value: &Value) -> Result<Self, Vec<Refusal>> {
        match text(value, "a path; write it as text")? {
            "" => Err(refused("the path is empty")),
            path => Ok(PathBuf::from(path)),
        }
    }

    fn toml(&self) -> Option<String> {
        Some(quoted(&self.to_string_lossy()))
    }
}

/// A path that need not be set; the empty text means not set.
impl Setting for Option<PathBuf> {
    const KIND: Kind = PathBuf::KIND;

    fn read(value: &Value) -> Result<Self, Vec<Refusal>> {
        if value.raw == Raw::Text(String::new()) { Ok(None) } else { PathBuf::read(value).map(Some) }
    }

    fn toml(&self) -> Option<String> {
        self.as_ref().and_then(Setting::toml)
    }
}

/// A text that need not be set; the empty text means not set.
impl Setting for Option<String> {
    const KIND: Kind = Kind { name: "text", form: Form::One };

    fn read(value: &Value) -> Result<Self, Vec<Refusal>> {
        let text = text(value, "a text")?;
        Ok((!text.is_empty()).then(|| text.to_owned()))
    }

    fn toml(&self) -> Option<String> {
        self.as_deref().map(quoted)
    }
}

impl Setting for bool {
    const KIND: Kind = Kind { name: "boolean", form: Form::Switch };

    fn read(value: &Value) -> Result<Self, Vec<Refusal>> {
        match &value.raw {
            Raw::Boolean(truth) => Ok(*truth),
            Raw::Text(text) if text == "true" => Ok(true),
            Raw::Text(text) if text == "false" => Ok(false),
            _ => Err(refused(format!("{} is neither true nor false", value.describe()))),
        }
    }

    fn toml(&self) -> Option<String> {
        Some(self.to_string())
    }
}

impl Setting for u32 {
    const KIND: Kind = Kind { name: "number", form: Form::One };

    fn read(value: &Value) -> Result<Self, Vec<Refusal>> {
        let number = match &value.raw {
            Raw::Integer(number) => u32::try_from(*number).ok(),
            Raw::Text(text) => text.trim().parse().ok(),
            _ => None,
        };
        number.ok_or_else(|| {
            refused(format!("{} is not a whole number from 0 to {}", value.describe(), u32::MAX))
        })
    }

    fn toml(&self) -> Option<String> {
        Some(self.to_string())
    }
}

/// An address to listen on: an IP address and a port; `localhost` stands for 127.0.0.1.
impl Setting for SocketAddr {
    const KIND: Kind = Kind { name: "address", form: Form::One };

    fn read(value: &Value) -> Result<Self, Vec<Refusal>> {
        let wanted = "an address; write IP:PORT, for example \"127.0.0.1:5000\" or \"[::1]:5000\"";
        let text = text(value, wanted)?;
        let local = text.strip_prefix("localhost:").and_then(|port| port.parse().ok());
        match local {
            Some(port) => Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, port))),
            None => text.trim().parse().map_err(|_| refused(format!("{text:?} is not {wanted}"))),
        }
    }

    fn toml(&self) -> Option<String> {
        Some(quoted(&self.to_string()))
    }
}

/// Several of them; one text may name several with commas between.
pub(crate) fn read_many<T: Setting>(value: &Value, name: &str) -> Result<Vec<T>, Vec<Refusal>> {
    let parts = match &value.raw {
        Raw::Text(text) => {
            text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(Value::text).collect()
        }
        Raw::List(parts) => parts.clone(),
        _ => return Err(refused(format!("{} is not a {name}", value.describe()))),
    };
    let (mut read, mut refusals) = (Vec::new(), Vec::new());
    for part in parts {
        match T::read(&part) {
            Ok(one) => read.push(one),
            Err(why) => refusals.extend(why.into_iter().map(|why| Refusal { line: part.line, ..why })),
        }
    }
    if refusals.is_empty() { Ok(read) } else { Err(refusals) }
}

/// Several as a TOML array.
fn many_toml<T: Setting>(many: &[T]) -> String {
    let parts: Vec<String> = many.iter().filter_map(Setting::toml).collect();
    format!("[{}]", parts.join(", "))
}

/// Several addresses.
impl Setting for Vec<SocketAddr> {
    const KIND: Kind = Kind { name: "list of addresses", form: Form::Many };

    fn read(value: &Value) -> Result<Self, Vec<Refusal>> {
        read_many(value, Self::KIND.name)
    }

    fn toml(&self) -> Option<String> {
        Some(many_toml(self))
    }
}

/// Several networks.
impl Setting for Vec<IpNet> {
    const KIND: Kind = Kind { name: "list of networks", form: Form::Many };

    fn read(value: &Value) -> Result<Self, Vec<Refusal>> {
        read_many(value, Self::KIND.name)
    }

    fn toml(&self) -> Option<String> {
        (!self.is_empty()).then(|| many_toml(self))
    }
}

/// A network: an address and how many of its bits count, `10.0.0.0/8`; an address alone is a network of one.
impl Setting for IpNet {
    const KIND: Kind = Kind { name: "network", form: Form::One };

    fn read(value: &Value) -> Result<Self, Vec<Refusal>> {
        let wanted = "a network; write ADDRESS/BITS, for example \"10.0.0.0/8\" or \"fd00::/8\"";
        let text = text(value, wanted)?.trim();
        let network = text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
        network.map_err(|_| refused(format!("{text:?} is not {wanted}")))
    }

    fn toml(&self) -> Option<String> {
        Some(quoted(&self.to_string()))
    }
}

/// Declares an enum whose values are words of the configuration.
macro_rules! words {
    ($(#[doc = $about:literal])+ $name:ident { $($(#[doc = $doc:literal])+ $variant:ident = $word:literal,)+ }) => {
        $(#[doc = $about])+
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum $name { $($(#[doc = $doc])+ $variant,)+ }

        impl $crate::config::setting::Setting for $name {
            const KIND: $crate::config::setting::Kind = $crate::config::setting::Kind {
                name: $crate::config::setting::words!(@join $($word)+),
                form: $crate::config::setting::Form::One,
            };

            fn read(value: &$crate::config::value::Value) -> Result<Self, Vec<$crate::config::setting::Refusal>> {
                match &value.raw {
                    $($crate::config::value::Raw::Text(text) if text == $word => Ok($name::$variant),)+
                    _ => Err(vec![format!("{} is not one of {}", value.describe(), Self::KIND.name).into()]),
                }
            }

            fn toml(&self) -> Option<String> {
                let word = match self { $($name::$variant => $word,)+ };
                Some($crate::config::setting::quoted(word))
            }
        }
    };
    (@join $first:literal $($rest:literal)*) => { concat!("\"", $first, "\"" $(, ", \"", $rest, "\"")*) };
}
pub(crate) use words;

#[cfg(test)]
mod tests {
    use super::*;

    fn read<T: Setting>(raw: Raw) -> Result<Option<String>, String> {
        match T::read(&Value { raw, line: None }) {
            Ok(value) => Ok(value.toml()),
            Err(why) => Err(why.into_iter().map(|why| why.message).collect::<Vec<_>>().join("; ")),
        }
    }

    fn words(text: &str) -> Raw {
        Raw::Text(text.to_owned())
    }

    #[test]
    fn reads_what_fits_and_shows_it_as_toml() {
        let some = |text: &str| Ok(Some(text.to_owned()));
        assert_eq!(read::<ByteSize>(words("1024 MiB")), some("\"1 GiB\""));
        assert_eq!(read::<Span>(words("60m")), some("\"1h\""));
        assert_eq!(read::<bool>(Raw::Boolean(true)), some("true"));
        assert_eq!(read::<bool>(words("false")), some("false"));
        assert_eq!(read::<u32>(Raw::Integer(17)), some("17"));
        assert_eq!(read::<u32>(words("17")), some("17"));
        assert_eq!(read::<PathBuf>(words("a \"quoted\" path")), some("'a \"quoted\" path'"));
        assert_eq!(read::<Option<PathBuf>>(words("")), Ok(None));
        assert_eq!(read::<Option<PathBuf>>(words("/x")), some("\"/x\""));
        assert_eq!(read::<Option<String>>(words("x")), some("\"x\""));
        assert_eq!(read::<Option<String>>(words("")), Ok(None));
        assert_eq!(read::<SocketAddr>(words("localhost:80")), some("\"127.0.0.1:80\""));
        assert_eq!(read::<SocketAddr>(words("[::1]:80")), some("\"[::1]:80\""));
        assert_eq!(
            read::<Vec<SocketAddr>>(words("127.0.0.1:1, [::]:2")),
            some("[\"127.0.0.1:1\", \"[::]:2\"]")
        );
        assert_eq!(read::<Vec<SocketAddr>>(words("")), some("[]"));
    }

    #[test]
    fn refuses_what_does_not_fit_and_says_what_would() {
        let table = [
            (read::<ByteSize>(Raw::Integer(64)), "64 is not a size; write it as text"),
            (read::<Span>(Raw::Boolean(true)), "true is not a duration"),
            (read::<Span>(Raw::Other("date")), "a date is not a duration"),
            (read::<bool>(words("yes")), "\"yes\" is neither true nor false"),
            (read::<u32>(Raw::Integer(-1)), "-1 is not a whole number"),
            (read::<u32>(words("4294967296")), "is not a whole number from 0 to 4294967295"),
            (read::<PathBuf>(words("")), "empty"),
            (read::<PathBuf>(Raw::List(Vec::new())), "a list is not a path"),
            (read::<SocketAddr>(words("127.0.0.1")), "write IP:PORT"),
            (read::<SocketAddr>(words(":5000")), "write IP:PORT"),
            (read::<SocketAddr>(words("localhost:99999")), "write IP:PORT"),
            (read::<Vec<SocketAddr>>(Raw::Integer(5000)), "5000 is not a list of addresses"),
        ];
        for (outcome, part) in table {
            let error = outcome.expect_err(part);
            assert!(error.contains(part), "{error:?} should contain {part:?}");
        }
    }

    #[test]
    fn a_list_refuses_each_wrong_part_with_its_own_line() {
        let part = |text: &str, line| Value { raw: words(text), line: Some(line) };
        let list = Raw::List(vec![part("nonsense", 3), part("127.0.0.1:1", 4), part("more", 5)]);
        let refusals =
            <Vec<SocketAddr>>::read(&Value { raw: list, line: Some(2) }).expect_err("two wrong parts");
        assert_eq!(refusals.iter().map(|why| why.line).collect::<Vec<_>>(), [Some(3), Some(5)]);
    }
}
