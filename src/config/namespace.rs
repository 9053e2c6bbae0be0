//! Which registry the content of a containerd's namespace lives in, as `NAMESPACE=REGISTRY`.
use strata_types::RepositoryName;

use super::setting::{Form, Kind, Refusal, Setting, quoted, read_many};
use super::value::{Raw, Value};

/// Longest name of a namespace, bytes; that of containerd.
const NAME_BYTES_MAX: usize = 76;

/// A namespace and its registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Namespace {
    /// The namespace, as containerd names it.
    pub(crate) name: String,
    /// The registry.
    pub(crate) registry: String,
}

impl Setting for Namespace {
    const KIND: Kind = Kind { name: "NAMESPACE=REGISTRY", form: Form::One };

    fn read(value: &Value) -> Result<Self, Vec<Refusal>> {
        let Raw::Text(text) = &value.raw else {
            return Err(vec![format!("{} is not a NAMESPACE=REGISTRY", value.describe()).into()]);
        };
        let read = text.trim().split_once('=').map(|(name, registry)| (name.trim(), registry.trim()));
        match read {
            Some((name, registry)) if is_namespace(name) && is_registry(registry) => {
                Ok(Namespace { name: name.to_owned(), registry: registry.to_owned() })
            }
            _ => Err(vec![
                format!(
                    "{text:?} is not a namespace and its registry; write for example \"k8s.io=kubernetes\""
                )
                .into(),
            ]),
        }
    }

    fn toml(&self) -> Option<String> {
        Some(quoted(&format!("{}={}", self.name, self.registry)))
    }
}

/// Several namespaces.
impl Setting for Vec<Namespace> {
    const KIND: Kind = Kind { name: "list of NAMESPACE=REGISTRY", form: Form::Many };

    fn read(value: &Value) -> Result<Self, Vec<Refusal>> {
        let read: Vec<Namespace> = read_many(value, Self::KIND.name)?;
        for (at, namespace) in read.iter().enumerate() {
            if read.iter().take(at).any(|other| other.name == namespace.name) {
                return Err(vec![format!("namespace {:?} is named twice", namespace.name).into()]);
            }
        }
        Ok(read)
    }

    fn toml(&self) -> Option<String> {
        let parts: Vec<String> = self.iter().filter_map(Setting::toml).collect();
        (!parts.is_empty()).then(|| format!("[{}]", parts.join(", ")))
    }
}

/// Words of letters and digits with `.`, `_` or `-` between them.
fn is_namespace(name: &str) -> bool {
    let is_word = |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric());
    name.len() <= NAME_BYTES_MAX && name.split(['.', '_', '-']).all(is_word)
}

/// One segment of a repository's name.
fn is_registry(name: &str) -> bool {
    !name.contains('/') && RepositoryName::parse(name).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<Namespace>, Vec<Refusal>> {
        Setting::read(&Value::text(text))
    }

    #[test]
    fn are_pairs_of_names() {
        let read_two = read("k8s.io=kubernetes, Default-1=default").unwrap_or_default();
        let names: Vec<_> = read_two.iter().map(|one| (one.name.as_str(), one.registry.as_str())).collect();
        assert_eq!(names, [("k8s.io", "kubernetes"), ("Default-1", "default")]);
        assert_eq!(read_two.toml().as_deref(), Some(r#"["k8s.io=kubernetes", "Default-1=default"]"#));
        for text in ["k8s.io", "=a", "a=", "a=B", "a=b/c", "a b=c", "a..b=c", "-a=b", "a=b,a=c"] {
            assert!(read(text).is_err(), "{text}");
        }
        assert!(read(&format!("{}=a", "n".repeat(77))).is_err());
    }
}
