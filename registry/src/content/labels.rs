//! Labels of content: what they may be.

use crate::error::RegistryError;
use crate::registry::Result;
use std::collections::BTreeMap;

/// Labels by name.
pub type Labels = BTreeMap<String, String>;

/// Longest label, name and value together, bytes; that of containerd.
pub const LABEL_BYTES_MAX: usize = 4096;
/// Most labels of one blob.
pub const LABELS_MAX: usize = 256;
/// Most bytes of all labels of one blob, names and values together.
pub const LABELS_BYTES_MAX: usize = 64 * 1024;

/// Refuses labels that are too large or too many; those without a value are not kept.
pub(super) fn checked(mut labels: Labels) -> Result<Labels> {
    let mut sum = 0;
    for (name, value) in &labels {
        let len = name.len() + value.len();
        sum += len;
        if len > LABEL_BYTES_MAX {
            let shown: String = name.chars().take(64).collect();
            return Err(invalid(format!(
                "name and value have {len} bytes, at most {LABEL_BYTES_MAX} are kept, of the label {shown}"
            )));
        }
    }
    labels.retain(|_, value| !value.is_empty());
    if labels.len() > LABELS_MAX || sum > LABELS_BYTES_MAX {
        return Err(invalid(format!(
            "a blob has at most {LABELS_MAX} labels of {LABELS_BYTES_MAX} bytes together"
        )));
    }
    Ok(labels)
}

const fn invalid(why: String) -> RegistryError {
    RegistryError::FieldInvalid { field: "labels", why }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(entries: impl IntoIterator<Item = (String, String)>) -> Labels {
        entries.into_iter().collect()
    }

    #[test]
    fn are_bounded_each_and_together() {
        let of = |name: usize, value: usize| labels([("n".repeat(name), "v".repeat(value))]);
        assert_eq!(checked(of(96, 4000)).unwrap(), of(96, 4000));
        assert_eq!(checked(of(96, 4001)).unwrap_err().outcome().as_str(), "REQUEST_INVALID");
        let many = |count: usize, len: usize| {
            labels((0..count).map(|number| (format!("{number:04}"), "v".repeat(len))))
        };
        assert_eq!(checked(many(256, 1)).unwrap().len(), 256);
        assert!(checked(many(257, 1)).is_err());
        assert!(checked(many(17, 4000)).is_err());
    }

    #[test]
    fn without_a_value_are_none() {
        let given = labels([("a".to_owned(), String::new()), ("b".to_owned(), "c".to_owned())]);
        assert_eq!(checked(given).unwrap().into_keys().collect::<Vec<_>>(), ["b"]);
    }
}
