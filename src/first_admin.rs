//! The first start with accounts: the key of the first administrator reaches its operator, once.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

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
    let mut kept: Option<PathBuf> = None;
    let made = registry.make_first_administrator(|created| {
        keep(&path, created)?;
        kept = Some(path.clone());
        Ok(())
    })?;
    Ok(made.map(|created| said(&created, kept.as_deref())))
}

/// Writes the key where nobody else can read it; never over what is there.
fn keep(path: &Path, created: &CreatedKey) -> io::Result<()> {
    let opened = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let mut file = opened.map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => io::Error::other(format!(
            "{} is there already, although this store has no accounts; move it away",
            path.display()
        )),
        _ => io::Error::new(error.kind(), format!("{}: {error}", path.display())),
    })?;
    writeln!(file, "STRATA_KEY_ID={}", created.key.id)?;
    writeln!(file, "STRATA_KEY_SECRET={}", created.secret.expose())?;
    file.sync_all()
}

fn said(created: &CreatedKey, kept: Option<&Path>) -> String {
    let account = &created.account.name;
    match kept {
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
    }
}
