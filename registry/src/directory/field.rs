//! What the fields of accounts, keys and registries may hold.

use crate::error::RegistryError;
use crate::registry::Result;
use strata_types::RepositoryName;

/// Longest name of an account or of a registry that is made, bytes.
pub(crate) const NAME_BYTES_MAX: usize = 64;
/// Longest description, bytes.
pub(crate) const DESCRIPTION_BYTES_MAX: usize = 512;
/// Longest e-mail address (RFC 5321), bytes.
const EMAIL_BYTES_MAX: usize = 254;

/// A name is a segment of a repository name.
pub(super) fn name(text: &str) -> Result<()> {
    if text.len() <= NAME_BYTES_MAX && !text.contains('/') && RepositoryName::parse(text).is_ok() {
        return Ok(());
    }
    let why = format!(
        "a name is made of at most {NAME_BYTES_MAX} lower-case letters, digits and the separators . _ __ - between them"
    );
    Err(RegistryError::FieldInvalid { field: "name", why })
}

pub(super) fn description(text: &str) -> Result<()> {
    if text.len() <= DESCRIPTION_BYTES_MAX && !text.chars().any(char::is_control) {
        return Ok(());
    }
    let why = format!("a description is one line of at most {DESCRIPTION_BYTES_MAX} bytes");
    Err(RegistryError::FieldInvalid { field: "description", why })
}

pub(super) fn email(text: &str) -> Result<()> {
    let is_fine = |c: char| !c.is_control() && !c.is_whitespace();
    let parts = text.rsplit_once('@').filter(|(user, host)| !user.is_empty() && !host.is_empty());
    if text.len() <= EMAIL_BYTES_MAX && text.chars().all(is_fine) && parts.is_some() {
        return Ok(());
    }
    Err(RegistryError::FieldInvalid { field: "email", why: "this is no e-mail address".to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_looked_at() {
        for good in ["a", "anna", "ci-robot", "a.b_c__d", "0", &"a".repeat(64)] {
            assert!(name(good).is_ok(), "{good}");
        }
        for bad in ["", "A", "a/b", "..", "a b", "-a", "a\0", "ä", "a%2f", "a\n", &"a".repeat(65)] {
            assert!(name(bad).is_err(), "{bad:?}");
        }
        assert!(description("what it is for: ä").is_ok() && description("").is_ok());
        assert!(description("two\nlines").is_err() && description(&"a".repeat(513)).is_err());
        assert!(email("anna@example.org").is_ok() && email("a@b@c").is_ok());
        for bad in ["", "anna", "@", "a@", "@b", "a b@c", "a@b\n", &format!("a@{}", "b".repeat(254))] {
            assert!(email(bad).is_err(), "{bad:?}");
        }
    }
}
