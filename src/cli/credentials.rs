//! The access keys that `strata login` keeps: one for each server, in `strata/credentials.json` below the user's directory of
//! configurations. Nobody but the user may read it: the directory is made with mode 0700 and the file with 0600, and a file that others may read is refused.
use std::collections::BTreeMap;
use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use strata_registry::Secret;

use super::place::Refusal;

/// Most bytes of the file: thousands of servers.
const BYTES_MAX: u64 = 1 << 20;

/// An access key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct AccessKey {
    /// Its id.
    #[serde(rename = "key_id")]
    pub(super) id: String,
    /// Its secret.
    #[serde(serialize_with = "exposed", deserialize_with = "kept_secret")]
    pub(super) secret: Secret,
}

fn exposed<S: Serializer>(secret: &Secret, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(secret.expose())
}

fn kept_secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Secret, D::Error> {
    String::deserialize(deserializer).map(Secret::new)
}

/// What is kept: keys by the origin of their server.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Credentials {
    pub(super) servers: BTreeMap<String, AccessKey>,
}

/// The key of the environment, which counts before any that is kept: an argument could be read by everybody on the machine.
pub(super) fn of_environment() -> Result<Option<AccessKey>, Refusal> {
    const NAMES: [&str; 2] = ["STRATA_KEY_ID", "STRATA_KEY_SECRET"];
    match NAMES.map(|name| std::env::var(name).ok().filter(|value| !value.is_empty())) {
        [Some(id), Some(secret)] => Ok(Some(AccessKey { id, secret: Secret::new(secret) })),
        [None, None] => Ok(None),
        [Some(_), None] => Err(Refusal::wrong_use("STRATA_KEY_ID is set and STRATA_KEY_SECRET is not")),
        [None, Some(_)] => Err(Refusal::wrong_use("STRATA_KEY_SECRET is set and STRATA_KEY_ID is not")),
    }
}

/// The file that keeps them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CredentialsFile {
    path: PathBuf,
}

impl CredentialsFile {
    /// Where it is for this user; `None` for one without a home.
    pub(super) fn find() -> Option<CredentialsFile> {
        let set = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let configurations =
            set("XDG_CONFIG_HOME").or_else(|| set("HOME").map(|home| home.join(".config")))?;
        Some(CredentialsFile { path: configurations.join("strata").join("credentials.json") })
    }

    /// What is kept; nothing where there is no file.
    ///
    /// # Errors
    /// Others may read it; it cannot be read; it is no such file.
    pub(super) fn read(&self) -> Result<Credentials, Refusal> {
        let refused = |why: &dyn std::fmt::Display| {
            Refusal::new(format!("the credentials in {} cannot be used: {why}", self.path.display()))
        };
        let file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Credentials::default()),
            Err(error) => return Err(refused(&error)),
        };
        // What was opened is looked at, so that nothing can be put in its place in between.
        let found = file.metadata().map_err(|error| refused(&error))?;
        let user = rustix::process::geteuid().as_raw();
        if found.uid() != user && found.uid() != 0 {
            return Err(refused(&format!("the file belongs to user {}, not to you", found.uid())));
        }
        let mode = found.mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(refused(&format!(
                "others may read or write the file (mode {mode:04o}). Mend it with `chmod 600 {}`; \
                 if they may have read it, make new keys",
                self.path.display()
            )));
        }
        let mut text = Vec::new();
        file.take(BYTES_MAX).read_to_end(&mut text).map_err(|error| refused(&error))?;
        // What the parser says could hold a piece of a secret.
        serde_json::from_slice(&text).map_err(|error| {
            refused(&format!(
                "line {} is not what `strata login` writes; remove the file and log in again",
                error.line()
            ))
        })
    }

    /// Reads, changes, and writes what is kept; of two who do so at once, one waits.
    ///
    /// # Errors
    /// As [`read`](Self::read); it cannot be written.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut Credentials) -> T) -> Result<T, Refusal> {
        let refused = |error: io::Error| {
            Refusal::new(format!("the credentials cannot be kept in {}: {error}", self.path.display()))
        };
        let lock = self.lock().map_err(refused)?;
        let mut credentials = self.read()?;
        let answer = change(&mut credentials);
        self.write(&credentials).map_err(refused)?;
        drop(lock);
        Ok(answer)
    }

    /// Makes the directory, and holds it until the handle is dropped.
    fn lock(&self) -> io::Result<File> {
        let directory = self.directory()?;
        DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        let held = File::open(directory)?;
        if held.metadata()?.mode() & 0o077 != 0 {
            held.set_permissions(Permissions::from_mode(0o700))?;
        }
        held.lock()?;
        Ok(held)
    }

    /// Puts a new file in the place of the old one, whole and synced.
    fn write(&self, credentials: &Credentials) -> io::Result<()> {
        let mut text = serde_json::to_vec_pretty(credentials)?;
        text.push(b'\n');
        let new = self.path.with_extension(format!("json.{}", std::process::id()));
        // One that was left by a process that was killed, under the lock of this directory.
        let _ = std::fs::remove_file(&new);
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
        let written = file.write_all(&text).and_then(|()| file.sync_all());
        let placed = written.and_then(|()| std::fs::rename(&new, &self.path));
        if placed.is_err() {
            let _ = std::fs::remove_file(&new);
        }
        placed?;
        File::open(self.directory()?)?.sync_all()
    }

    fn directory(&self) -> io::Result<&Path> {
        self.path.parent().ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(directory: &Path) -> CredentialsFile {
        CredentialsFile { path: directory.join("strata").join("credentials.json") }
    }

    fn key(secret: &str) -> AccessKey {
        AccessKey { id: "SKA".to_owned(), secret: Secret::new(secret) }
    }

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).expect("it is there").mode() & 0o777
    }

    #[test]
    fn what_is_kept_is_read_again_and_nobody_else_reads_it() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = file(directory.path());
        assert_eq!(file.read().expect("nothing is kept"), Credentials::default());
        for (server, secret) in [("http://a", "one"), ("http://b", "two"), ("http://a", "three")] {
            file.change(|kept| kept.servers.insert(server.to_owned(), key(secret))).expect("it is kept");
        }
        let kept = file.read().expect("it is there").servers;
        assert_eq!(kept.values().map(|key| key.secret.expose()).collect::<Vec<_>>(), ["three", "two"]);
        assert!(!format!("{kept:?}").contains("three"));
        assert_eq!((mode(&file.path), mode(file.path.parent().expect("a directory"))), (0o600, 0o700));
        assert_eq!(std::fs::read_dir(directory.path().join("strata")).expect("it is there").count(), 1);
    }

    #[test]
    fn a_file_that_others_may_read_or_that_is_none_is_refused() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = file(directory.path());
        file.change(|kept| kept.servers.insert("http://a".to_owned(), key("one"))).expect("it is kept");
        for open in [0o640, 0o604, 0o620, 0o777] {
            std::fs::set_permissions(&file.path, Permissions::from_mode(open)).expect("it is mine");
            let refused = file.read().expect_err("it is refused").to_string();
            assert!(refused.contains("chmod 600") && !refused.contains("one"), "{refused}");
        }
        std::fs::set_permissions(&file.path, Permissions::from_mode(0o600)).expect("it is mine");
        std::fs::write(&file.path, r#"{"servers": {"http://a": "strata_secret"}}"#).expect("it is mine");
        let refused = file.read().expect_err("it is refused").to_string();
        assert!(refused.contains("line 1") && !refused.contains("strata_secret"), "{refused}");
    }
}
