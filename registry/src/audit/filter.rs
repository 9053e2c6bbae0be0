//! Which entries of the audit log are asked for.

use super::entry::AuditEntry;
use strata_engine::UnixMillis;
use strata_types::RepositoryName;

/// What entries must be like; what is `None` is no condition.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AuditFilter {
    /// Done by this account.
    pub account: Option<String>,
    /// This action, `tag.set`, or any of a thing, `tag`.
    pub action: Option<String>,
    /// In this registry, or about it.
    pub registry: Option<String>,
    /// In this repository.
    pub repository: Option<String>,
    /// With this result.
    pub result: Option<String>,
    /// At this moment or later.
    pub from: Option<UnixMillis>,
    /// Before this moment.
    pub until: Option<UnixMillis>,
}

impl AuditFilter {
    /// Whether an entry is asked for.
    pub(super) fn takes(&self, entry: &AuditEntry) -> bool {
        let is = |wanted: &Option<String>, found: Option<&str>| {
            wanted.as_deref().is_none_or(|wanted| found == Some(wanted))
        };
        is(&self.account, entry.account.as_deref())
            && self.action.as_deref().is_none_or(|wanted| entry.is(wanted))
            && is(&self.registry, entry.registry())
            && is(&self.repository, entry.repository.as_ref().map(RepositoryName::as_str))
            && is(&self.result, Some(&entry.result))
            && self.from.is_none_or(|from| entry.at >= from)
            && self.until.is_none_or(|until| entry.at < until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use strata_engine::meta::{Event, EventKind};

    #[test]
    fn every_condition_counts() {
        let event = Event {
            at: UnixMillis(50),
            kind: EventKind::ManifestPushed,
            repository: Some(RepositoryName::parse("hy/box").unwrap()),
            digest: None,
            tag: None,
            detail: Bytes::from_static(br#"{"account":"ada"}"#),
        };
        let entry = AuditEntry::of(1, event);
        let text = |text: &str| Some(text.to_owned());
        let (all, at) = (AuditFilter::default(), |at| Some(UnixMillis(at)));
        let taken = [
            all.clone(),
            AuditFilter { account: text("ada"), ..all.clone() },
            AuditFilter { action: text("manifest.push"), ..all.clone() },
            AuditFilter { action: text("manifest"), ..all.clone() },
            AuditFilter { registry: text("hy"), ..all.clone() },
            AuditFilter { repository: text("hy/box"), ..all.clone() },
            AuditFilter { result: text("done"), ..all.clone() },
            AuditFilter { from: at(50), until: at(51), ..all.clone() },
        ];
        let left = [
            AuditFilter { account: text("bob"), ..all.clone() },
            AuditFilter { action: text("manifest.p"), ..all.clone() },
            AuditFilter { action: text("tag"), ..all.clone() },
            AuditFilter { registry: text("h"), ..all.clone() },
            AuditFilter { repository: text("hy"), ..all.clone() },
            AuditFilter { result: text("refused"), ..all.clone() },
            AuditFilter { from: at(51), ..all.clone() },
            AuditFilter { until: at(50), ..all },
        ];
        for filter in taken {
            assert!(filter.takes(&entry), "{filter:?}");
        }
        for filter in left {
            assert!(!filter.takes(&entry), "{filter:?}");
        }
    }
}
