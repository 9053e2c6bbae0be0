//! The config of an image (image-spec, "OCI Image Configuration"), read tolerantly: a member that is missing or of another type than it
//! should be counts as not there, and what is no JSON object has nothing to tell.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use strata_types::media_type::{DOCKER_IMAGE_CONFIG, essence};

/// The type of an OCI image's config.
const OCI_IMAGE_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
/// Most entries of a list or a map that are told.
const ENTRIES_MAX: usize = 1000;

/// What an image runs on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Platform {
    /// The operating system, as Go names it.
    pub os: Option<String>,
    /// The processor, as Go names it.
    pub architecture: Option<String>,
    /// The variant of the processor.
    pub variant: Option<String>,
    /// The version of the operating system.
    pub os_version: Option<String>,
}

/// What a config says about how an image runs and how it was made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImageConfig {
    /// When the image was made, as written.
    pub created: Option<String>,
    /// Who made it.
    pub author: Option<String>,
    /// The user that it runs as.
    pub user: Option<String>,
    /// Its environment.
    pub env: Vec<String>,
    /// What it runs.
    pub entrypoint: Vec<String>,
    /// What it runs that with.
    pub cmd: Vec<String>,
    /// Where it runs.
    pub working_dir: Option<String>,
    /// The ports that it listens on.
    pub exposed_ports: Vec<String>,
    /// The directories that it keeps data in.
    pub volumes: Vec<String>,
    /// What it is told with to stop.
    pub stop_signal: Option<String>,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
}

/// One step of how an image was made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HistoryEntry {
    /// When, as written.
    pub created: Option<String>,
    /// By what command.
    pub created_by: Option<String>,
    /// By whom.
    pub author: Option<String>,
    /// A comment.
    pub comment: Option<String>,
    /// Whether it made no layer.
    pub empty_layer: bool,
}

/// All that is told of a config.
#[derive(Debug, Default)]
pub(super) struct Told {
    pub(super) platform: Option<Platform>,
    pub(super) config: Option<ImageConfig>,
    pub(super) history: Vec<HistoryEntry>,
}

/// Whether a config of this type is that of an image.
pub(super) fn is_of_image(media_type: &str) -> bool {
    let media_type = essence(media_type);
    media_type.eq_ignore_ascii_case(OCI_IMAGE_CONFIG) || media_type.eq_ignore_ascii_case(DOCKER_IMAGE_CONFIG)
}

/// The members of a config; values stay as they are until they are asked for.
#[derive(Debug, Default, Deserialize)]
struct Raw<'a> {
    #[serde(borrow, default)]
    created: Option<&'a RawValue>,
    #[serde(borrow, default)]
    author: Option<&'a RawValue>,
    #[serde(borrow, default)]
    os: Option<&'a RawValue>,
    #[serde(borrow, default)]
    architecture: Option<&'a RawValue>,
    #[serde(borrow, default)]
    variant: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "os.version")]
    os_version: Option<&'a RawValue>,
    #[serde(borrow, default)]
    config: Option<&'a RawValue>,
    #[serde(borrow, default)]
    history: Option<&'a RawValue>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawRun<'a> {
    #[serde(borrow, default)]
    user: Option<&'a RawValue>,
    #[serde(borrow, default)]
    env: Option<&'a RawValue>,
    #[serde(borrow, default)]
    entrypoint: Option<&'a RawValue>,
    #[serde(borrow, default)]
    cmd: Option<&'a RawValue>,
    #[serde(borrow, default)]
    working_dir: Option<&'a RawValue>,
    #[serde(borrow, default)]
    exposed_ports: Option<&'a RawValue>,
    #[serde(borrow, default)]
    volumes: Option<&'a RawValue>,
    #[serde(borrow, default)]
    stop_signal: Option<&'a RawValue>,
    #[serde(borrow, default)]
    labels: Option<&'a RawValue>,
}

#[derive(Debug, Default, Deserialize)]
struct RawStep<'a> {
    #[serde(borrow, default)]
    created: Option<&'a RawValue>,
    #[serde(borrow, default)]
    created_by: Option<&'a RawValue>,
    #[serde(borrow, default)]
    author: Option<&'a RawValue>,
    #[serde(borrow, default)]
    comment: Option<&'a RawValue>,
    #[serde(borrow, default)]
    empty_layer: Option<&'a RawValue>,
}

/// Reads a config.
pub(super) fn read(bytes: &[u8]) -> Told {
    let Ok(raw) = serde_json::from_slice::<Raw<'_>>(bytes) else { return Told::default() };
    let platform = Platform {
        os: text(raw.os),
        architecture: text(raw.architecture),
        variant: text(raw.variant),
        os_version: text(raw.os_version),
    };
    let run =
        raw.config.and_then(|run| serde_json::from_str::<RawRun<'_>>(run.get()).ok()).unwrap_or_default();
    let config = ImageConfig {
        created: text(raw.created),
        author: text(raw.author),
        user: text(run.user),
        env: texts(run.env),
        entrypoint: texts(run.entrypoint),
        cmd: texts(run.cmd),
        working_dir: text(run.working_dir),
        exposed_ports: keys(run.exposed_ports),
        volumes: keys(run.volumes),
        stop_signal: text(run.stop_signal),
        labels: labels(run.labels),
    };
    let steps = raw.history.map(items).unwrap_or_default();
    Told {
        platform: (platform != Platform::default()).then_some(platform),
        config: Some(config),
        history: steps.into_iter().map(step).collect(),
    }
}

fn step(raw: &RawValue) -> HistoryEntry {
    let raw = serde_json::from_str::<RawStep<'_>>(raw.get()).unwrap_or_default();
    HistoryEntry {
        created: text(raw.created),
        created_by: text(raw.created_by),
        author: text(raw.author),
        comment: text(raw.comment),
        empty_layer: value(raw.empty_layer).unwrap_or_default(),
    }
}

/// The value, if it is of that type.
fn value<T: DeserializeOwned>(raw: Option<&RawValue>) -> Option<T> {
    serde_json::from_str(raw?.get()).ok()
}

/// A text that says something.
fn text(raw: Option<&RawValue>) -> Option<String> {
    value::<String>(raw).filter(|text| !text.is_empty())
}

/// The items of a list.
fn items(raw: &RawValue) -> Vec<&RawValue> {
    let mut items: Vec<&RawValue> = serde_json::from_str(raw.get()).unwrap_or_default();
    items.truncate(ENTRIES_MAX);
    items
}

/// The texts of a list; of a single text, that one, as a command can be written.
fn texts(raw: Option<&RawValue>) -> Vec<String> {
    let Some(raw) = raw else { return Vec::new() };
    match value::<String>(Some(raw)) {
        Some(text) => vec![text],
        None => items(raw).into_iter().filter_map(|item| value(Some(item))).collect(),
    }
}

fn members(raw: Option<&RawValue>) -> BTreeMap<String, &RawValue> {
    raw.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default()
}

fn keys(raw: Option<&RawValue>) -> Vec<String> {
    members(raw).into_keys().take(ENTRIES_MAX).collect()
}

fn labels(raw: Option<&RawValue>) -> BTreeMap<String, String> {
    let texts = members(raw).into_iter().filter_map(|(key, raw)| Some((key, value(Some(raw))?)));
    texts.take(ENTRIES_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_what_a_builder_writes() {
        let told = read(
            br#"{"architecture":"arm64","os":"linux","variant":"v8","created":"2026-01-02T03:04:05Z","author":"anna",
            "config":{"User":"1000","Env":["PATH=/bin","A=b"],"Entrypoint":["/run"],"Cmd":["-x"],"WorkingDir":"/w",
            "ExposedPorts":{"80/tcp":{}},"Volumes":{"/data":{}},"StopSignal":"SIGINT","Labels":{"k":"v"}},
            "rootfs":{"type":"layers","diff_ids":[]},
            "history":[{"created_by":"COPY . .","created":"2026"},{"created_by":"CMD","empty_layer":true,"comment":"c"}]}"#,
        );
        let platform = told.platform.unwrap();
        assert_eq!(
            (platform.os.as_deref(), platform.architecture.as_deref(), platform.variant.as_deref()),
            (Some("linux"), Some("arm64"), Some("v8"))
        );
        let config = told.config.unwrap();
        assert_eq!(config.env, ["PATH=/bin", "A=b"]);
        assert_eq!((config.entrypoint, config.cmd), (vec!["/run".to_owned()], vec!["-x".to_owned()]));
        assert_eq!(
            (config.exposed_ports, config.volumes),
            (vec!["80/tcp".to_owned()], vec!["/data".to_owned()])
        );
        assert_eq!(config.labels["k"], "v");
        assert_eq!((config.user.as_deref(), config.author.as_deref()), (Some("1000"), Some("anna")));
        assert_eq!(told.history.len(), 2);
        assert!(!told.history[0].empty_layer && told.history[1].empty_layer);
        assert_eq!(told.history[0].created_by.as_deref(), Some("COPY . ."));
    }

    #[test]
    fn odd_members_count_as_not_there() {
        let told = read(
            br#"{"architecture":7,"os":["linux"],"created":null,"config":{"Env":{"a":1},"Cmd":"sh -c x","Labels":{"k":1,"l":"m"},
            "ExposedPorts":[1]},"history":[7,{"created_by":{},"empty_layer":"yes"},[]]}"#,
        );
        assert_eq!(told.platform, None);
        let config = told.config.unwrap();
        assert_eq!(
            (config.env.len(), config.cmd, config.exposed_ports.len()),
            (0, vec!["sh -c x".to_owned()], 0)
        );
        assert_eq!(config.labels.into_iter().collect::<Vec<_>>(), [("l".to_owned(), "m".to_owned())]);
        assert_eq!(told.history, vec![HistoryEntry::default(); 3]);
        for text in ["", "null", "[]", "7", "{", "\"x\"", r#"{"os":"a","os":"b"}"#] {
            let told = read(text.as_bytes());
            assert!(told.platform.is_none() && told.history.is_empty(), "{text}");
        }
    }

    #[test]
    fn long_lists_are_cut() {
        let list = format!(
            "{{\"history\":[{}0],\"config\":{{\"Env\":[{}\"\"]}}}}",
            "{},".repeat(5000),
            "\"a=b\",".repeat(5000)
        );
        let told = read(list.as_bytes());
        assert_eq!((told.history.len(), told.config.unwrap().env.len()), (ENTRIES_MAX, ENTRIES_MAX));
        let deep = format!("{{\"config\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(read(deep.as_bytes()).platform.is_none());
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&bytes).history.len();
        }
    }
}
