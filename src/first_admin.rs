//! The first start with accounts: the key of the first administrator reaches its operator, once.

use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use strata_registry::{CreatedKey, FirstAdministratorError, Registry, Secret};

/// The file in the data directory.
const FILE: &str = "admin.key";

/// The key that the environment gives the first administrator; only there, so that it stands in no file and no command line.
///
/// # Errors
/// Only one of the two is set.
pub(crate) fn given(
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Option<(String, Secret)>, &'static str> {
    // An empty one counts as not set, as compose files write it.
    let set = |name| variable(name).filter(|value| !value.is_empty());
    match (set("STRATA_ADMIN_KEY_ID"), set("STRATA_ADMIN_KEY_SECRET")) {
        (Some(id), Some(secret)) => Ok(Some((id, Secret::new(secret)))),
        (None, None) => Ok(None),
        _ => Err("set STRATA_ADMIN_KEY_ID and STRATA_ADMIN_KEY_SECRET, or neither of them"),
    }
}

/// Makes the first administrator where there are accounts to be and none is there yet. What is to be printed of it; `None` where there is
/// nothing to say.
pub(crate) fn make(registry: &Registry, data: &Path) -> Result<Option<String>, FirstAdministratorError> {
    let path = data.join(FILE);
    // Whether the key is in the file, and not only with whoever gave it.
    let mut is_kept = false;
    let left = || match left_over(&path)? {
        LeftOver::Key(id, secret) => Ok(Some((id, secret))),
        LeftOver::Nothing | LeftOver::Torn => Ok(None),
    };
    let made = registry.make_first_administrator(
        || {
            is_kept = true;
            left()
        },
        |created| keep(&path, created),
    )?;
    Ok(made.map(|created| said(&created, is_kept.then_some(&*path))))
}

/// What is at the place of the key before there is any account: a start that was ended between writing the key and storing the account
/// leaves one.
enum LeftOver {
    Nothing,
    /// The key, whole. It is taken and not replaced: whoever waited for the file may have read it.
    Key(String, Secret),
    /// The beginning of one, which nobody can have used.
    Torn,
}

/// Names of what is kept, in the order of the lines.
const NAMES: [&str; 2] = ["STRATA_KEY_ID=", "STRATA_KEY_SECRET="];

/// Longest file that is looked at, bytes.
const FILE_BYTES_MAX: u64 = 4096;

/// Looks at what is at the place of the key.
///
/// # Errors
/// Something else is there, or others can read it.
fn left_over(path: &Path) -> io::Result<LeftOver> {
    let found = match fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(LeftOver::Nothing),
        Err(error) => return Err(at(path, &error)),
    };
    let refused = |why: &str| {
        io::Error::other(format!(
            "{} is there already, although this store has no accounts, and {why}; move it away",
            path.display()
        ))
    };
    if !found.is_file() || found.len() > FILE_BYTES_MAX {
        return Err(refused("it is no key that this server wrote"));
    }
    if found.permissions().mode() & 0o077 != 0 {
        return Err(refused("others than its owner may read it"));
    }
    let mut text = String::new();
    let file = OpenOptions::new().read(true).open(path).map_err(|error| at(path, &error))?;
    if file.take(FILE_BYTES_MAX).read_to_string(&mut text).is_err() {
        return Err(refused("it is no key that this server wrote"));
    }
    read(&text).ok_or_else(|| refused("it is no key that this server wrote"))
}

/// Reads what [`keep`] writes, or the beginning of it; `None` for anything else.
fn read(text: &str) -> Option<LeftOver> {
    let [id, secret] = NAMES;
    let is_value = |value: &str| value.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
    let is_begun =
        |line: &str, name: &str| name.starts_with(line) || line.strip_prefix(name).is_some_and(is_value);
    let Some((first, rest)) = text.split_once('\n') else {
        return is_begun(text, id).then_some(LeftOver::Torn);
    };
    let key = first.strip_prefix(id).filter(|value| is_value(value))?;
    match rest.strip_suffix('\n') {
        None => is_begun(rest, secret).then_some(LeftOver::Torn),
        Some(line) => {
            let value = line.strip_prefix(secret).filter(|value| is_value(value))?;
            Some(LeftOver::Key(key.to_owned(), Secret::new(value.to_owned())))
        }
    }
}

/// Writes the key where nobody else can read it: into a new file, or over the torn one that was found there.
fn keep(path: &Path, created: &CreatedKey) -> io::Result<()> {
    let opened = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path);
    let mut file = opened.map_err(|error| at(path, &error))?;
    file.set_permissions(Permissions::from_mode(0o600))?;
    let [id, secret] = NAMES;
    writeln!(file, "{id}{}", created.key.id)?;
    writeln!(file, "{secret}{}", created.secret.expose())?;
    file.sync_all()
}

fn at(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

fn said(created: &CreatedKey, kept: Option<&Path>) -> String {
    let account = &created.account.name;
    let mut text = match kept {
        Some(path) => format!(
            "account {account} was made to look after this registry; its key is shown this once\n  \
             key id  {}\n  secret  {}\n  kept in {} (take it away from there)\n",
            created.key.id,
            created.secret.expose(),
            path.display()
        ),
        None => format!(
            "account {account} was made to look after this registry, with the key {} that was given\n",
            created.key.id
        ),
    };
    text.push_str(
        "next:  strata login --server URL, then strata registry create NAME, and push to HOST/NAME/IMAGE\n",
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_as_it_was_written_and_torn_ones_are_known() {
        let text = "STRATA_KEY_ID=SKABC\nSTRATA_KEY_SECRET=strata_x-_9\n";
        for end in 0..text.len() {
            let torn = text.get(..end).expect("ASCII");
            assert!(matches!(read(torn), Some(LeftOver::Torn)), "{torn:?}");
        }
        let Some(LeftOver::Key(id, secret)) = read(text) else { panic!("a key") };
        assert_eq!((&*id, secret.expose()), ("SKABC", "strata_x-_9"));
        for other in [
            "something else",
            "\n",
            "STRATA_KEY_ID=a b",
            "STRATA_KEY_ID=a\nx",
            "STRATA_KEY_ID=a\n\n",
            &format!("{text}x"),
        ] {
            assert!(read(other).is_none(), "{other:?}");
        }
    }
}
