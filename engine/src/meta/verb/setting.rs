//! Settings of the service layer, and what it tells of.

use crate::limits::{SETTING_BYTES_MAX, SETTING_KEY_BYTES_MAX};
use crate::meta::batch::{Batch, Expectation};
use crate::meta::key;
use crate::meta::record::{Event, EventKind, Record, SettingRecord};
use bytes::Bytes;
use strata_types::RepositoryName;

impl Batch {
    /// Writes a setting. A key of more than 512 bytes or a value of more than 64 KiB lets the commit of the batch fail with
    /// [`EngineError::TooLarge`](crate::EngineError::TooLarge).
    pub fn put_setting(&mut self, key: &[u8], value: Bytes) {
        self.bound_setting(key, &value);
        self.put(key::setting(key), SettingRecord(value).encode());
    }

    /// Writes a setting where there is none of this key; one that is there stays as it is. Bounds as of [`Batch::put_setting`].
    pub fn put_setting_if_absent(&mut self, key: &[u8], value: Bytes) {
        self.bound_setting(key, &value);
        self.put_if_absent(key::setting(key), SettingRecord(value).encode(), None);
    }

    /// Removes a setting. One that is not there is no error.
    pub fn delete_setting(&mut self, key: &[u8]) {
        self.delete(key::setting(key));
    }

    /// Expects that a setting has the value that was seen, or is not there.
    pub fn expect_setting(&mut self, key: &[u8], seen: Option<Bytes>) {
        self.expect_value(key::setting(key), seen.map(|value| SettingRecord(value).encode()));
    }

    /// Expects that there is a setting of this key, or that this very batch puts it.
    pub fn expect_setting_present(&mut self, key: &[u8]) {
        self.expect(Expectation::Present(key::setting(key)));
    }

    /// Tells of something that only the service layer knows of: appends an event with the batch's detail, about a repository where
    /// one is given.
    pub fn note(&mut self, repository: Option<&RepositoryName>) {
        let event = Event {
            at: self.at(),
            kind: EventKind::Noted,
            repository: repository.cloned(),
            digest: None,
            tag: None,
            detail: self.detail.clone(),
        };
        self.append(&event, None);
    }

    fn bound_setting(&mut self, key: &[u8], value: &Bytes) {
        if key.len() > SETTING_KEY_BYTES_MAX {
            self.refuse_too_large(SETTING_KEY_BYTES_MAX);
        } else if value.len() > SETTING_BYTES_MAX {
            self.refuse_too_large(SETTING_BYTES_MAX);
        }
    }
}
