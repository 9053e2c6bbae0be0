//! One entry: an event, and who it was.

use serde_json::{Map, Value};
use std::net::IpAddr;
use std::sync::Arc;
use strata_engine::UnixMillis;
use strata_engine::meta::{Event, EventKind};
use strata_types::{Digest, RepositoryName, Tag};

/// Something that was done, or tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// Goes up by one with every entry.
    pub number: u64,
    /// When.
    pub at: UnixMillis,
    /// The account that did it, where there was one.
    pub account: Option<Arc<str>>,
    /// The id of the key that it came with.
    pub key: Option<Arc<str>>,
    /// The address that the request came from.
    pub remote: Option<IpAddr>,
    /// The request, as the request log names it.
    pub request: Option<Arc<str>>,
    /// What was done: a thing and a verb, such as `tag.set` or `account.create`.
    pub action: Arc<str>,
    /// To what: an account's name, a key's id, a repository with tag or digest; empty for the instance as a whole.
    pub target: String,
    /// The repository that it was done in.
    pub repository: Option<RepositoryName>,
    /// The blob or manifest.
    pub digest: Option<Digest>,
    /// The tag.
    pub tag: Option<Tag>,
    /// What came of it: `done`, or why not.
    pub result: Arc<str>,
    /// How often it was so: more than once for refusals that came close together.
    pub count: u64,
}

/// What is said of those that the store did as they were asked.
const DONE: &str = "done";

impl AuditEntry {
    /// The entry of an event. What its detail does not say stays empty, whoever has written it.
    pub(crate) fn of(number: u64, event: Event) -> Self {
        let detail = match serde_json::from_slice(&event.detail) {
            Ok(Value::Object(detail)) => detail,
            _ => Map::new(),
        };
        let text = |name: &str| detail.get(name).and_then(Value::as_str);
        let action = action(event.kind).or_else(|| text("action")).unwrap_or("note");
        let target = text("target").map_or_else(|| target(&event), str::to_owned);
        Self {
            number,
            at: event.at,
            account: text("account").map(Arc::from),
            key: text("key").map(Arc::from),
            remote: text("remote").and_then(|remote| remote.parse().ok()),
            request: text("request").map(Arc::from),
            action: action.into(),
            target,
            result: text("result").unwrap_or(DONE).into(),
            count: detail.get("count").and_then(Value::as_u64).unwrap_or(1),
            repository: event.repository,
            digest: event.digest,
            tag: event.tag,
        }
    }

    /// Whether the action is this one, `tag.set`, or any of a thing, `tag`.
    pub(crate) fn is(&self, wanted: &str) -> bool {
        self.action.strip_prefix(wanted).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    }

    /// The same without who it was, from where and by which request.
    pub(crate) fn without_who(self) -> Self {
        Self { account: None, key: None, remote: None, request: None, ..self }
    }

    /// The registry that it is about, where it is about one.
    pub fn registry(&self) -> Option<&str> {
        let of_thing = || match self.action.split_once('.')?.0 {
            "registry" => Some(self.target.as_str()),
            "role" => self.target.split_once('@').map(|(_, registry)| registry),
            _ => None,
        };
        self.repository.as_ref().map(RepositoryName::registry).or_else(of_thing)
    }
}

/// What the store calls it; `None` for what only the service layer knows of.
const fn action(kind: EventKind) -> Option<&'static str> {
    Some(match kind {
        EventKind::RepositoryCreated => "repository.create",
        EventKind::BlobPushed => "blob.push",
        EventKind::BlobMounted => "blob.mount",
        EventKind::BlobDeleted => "blob.delete",
        EventKind::ManifestPushed => "manifest.push",
        EventKind::ManifestDeleted => "manifest.delete",
        EventKind::TagSet => "tag.set",
        EventKind::TagDeleted => "tag.delete",
        EventKind::RepositoryDeleted => "repository.delete",
        EventKind::BlobQuarantined => "blob.quarantine",
        EventKind::BlobHealed => "blob.heal",
        EventKind::Noted => return None,
    })
}

fn target(event: &Event) -> String {
    let name = event.repository.as_ref().map_or("", RepositoryName::as_str);
    match (&event.tag, &event.digest) {
        (Some(tag), _) => format!("{name}:{tag}"),
        (None, Some(digest)) if name.is_empty() => digest.to_string(),
        (None, Some(digest)) => format!("{name}@{digest}"),
        (None, None) => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn event(kind: EventKind, repository: Option<&str>, detail: &'static str) -> Event {
        Event {
            at: UnixMillis(7),
            kind,
            repository: repository.map(|name| RepositoryName::parse(name).unwrap()),
            digest: None,
            tag: None,
            detail: Bytes::from_static(detail.as_bytes()),
        }
    }

    #[test]
    fn an_entry_says_who_did_what_from_where() {
        let detail = r#"{"account":"ada","key":"SKX","remote":"192.0.2.7","request":"r1"}"#;
        let mut set = event(EventKind::TagSet, Some("hy/box"), detail);
        set.tag = Some(Tag::parse("v1").unwrap());
        set.digest = Some(Digest::Sha256([7; 32]));
        let entry = AuditEntry::of(3, set.clone());
        assert_eq!(
            (entry.number, entry.at, &*entry.action, &*entry.result),
            (3, UnixMillis(7), "tag.set", "done")
        );
        assert_eq!((entry.account.as_deref(), entry.key.as_deref()), (Some("ada"), Some("SKX")));
        assert_eq!(entry.remote, Some([192, 0, 2, 7].into()));
        assert_eq!((entry.target.as_str(), entry.registry()), ("hy/box:v1", Some("hy")));
        set.tag = None;
        let digest = Digest::Sha256([7; 32]);
        assert_eq!(AuditEntry::of(3, set.clone()).target, format!("hy/box@{digest}"));
        set.repository = None;
        assert_eq!(AuditEntry::of(3, set).target, digest.to_string());
    }

    #[test]
    fn what_only_the_service_layer_knows_of_says_it_itself() {
        let detail = r#"{"action":"account.create","target":"bob","result":"refused","account":"ada"}"#;
        let entry = AuditEntry::of(1, event(EventKind::Noted, None, detail));
        assert_eq!(
            (&*entry.action, entry.target.as_str(), &*entry.result),
            ("account.create", "bob", "refused")
        );
        assert_eq!(entry.registry(), None);
        let detail = r#"{"action":"registry.change","target":"hy"}"#;
        assert_eq!(AuditEntry::of(1, event(EventKind::Noted, None, detail)).registry(), Some("hy"));
        for (target, registry) in [("bob@hy", Some("hy")), ("bob", None)] {
            let mut entry = entry.clone();
            (entry.action, entry.target) = ("role.set.viewer".into(), target.to_owned());
            assert_eq!((entry.registry(), entry.count), (registry, 1));
        }
    }

    #[test]
    fn a_detail_of_whatever_kind_is_no_error() {
        for detail in ["", "{", "[]", "7", r#"{"account":7,"remote":"nowhere"}"#] {
            let entry = AuditEntry::of(1, event(EventKind::Noted, None, detail));
            assert_eq!((&*entry.action, entry.account, entry.remote), ("note", None, None), "{detail:?}");
        }
    }
}
