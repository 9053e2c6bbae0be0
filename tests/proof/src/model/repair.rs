//! Bytes that change on the disk: found, set aside, never served, never swept, healed by a push.

use super::run::Model;
use super::step::Step;
use crate::universe::{self, REPOSITORIES};
use strata_registry::RegistryError;

impl Model {
    /// Reads everything; of a store that nobody damaged nothing is found.
    pub(super) fn scrub(&mut self) {
        match self.engine().scrub() {
            Ok(findings) => assert!(findings.is_empty() || self.faulty, "{findings:#?}"),
            Err(error) => assert!(self.faulty, "{error}"),
        }
    }

    pub(super) fn damage(&mut self, blob: usize, then: usize) {
        let linked: Vec<usize> = (0..REPOSITORIES)
            .filter(|number| self.oracle.shelves[*number].links.contains_key(&blob))
            .collect();
        let len = universe::content(blob).len();
        if self.faulty || linked.is_empty() || len == 0 {
            return;
        }
        self.engine().settle();
        self.world.damage_blob(&universe::blob(blob), then * 31 % len).expect("rows");
        let findings = self.engine().scrub().expect("a scrub");
        assert!(!findings.is_empty(), "damage is found");
        match then % 4 {
            0 => self.end(Step::Restart),
            1 => self.end(Step::Kill),
            2 => self.end(Step::PowerCut { seed: then as u64, survivors: 0 }),
            _ => {}
        }
        self.expect_unserved(blob);
        // Collecting in between takes no bytes of what is set aside.
        if then.is_multiple_of(3) {
            self.collect(None);
            self.compare();
        }
        let to = linked[0];
        self.push(to, blob);
        for number in &linked {
            if self.oracle.shelves[*number].links.contains_key(&blob) {
                let read = self.read(*number, blob);
                assert!(read.is_ok_and(|bytes| bytes == universe::content(blob)), "a push heals");
                let now = self.now();
                self.oracle.shelves[*number].see(blob, now);
            }
        }
        let findings = self.engine().scrub().expect("a scrub");
        assert!(findings.is_empty(), "{findings:#?}");
    }

    /// Asserts that nobody is sent the bytes of a blob that is set aside.
    pub(super) fn expect_unserved(&mut self, blob: usize) {
        let now = self.now();
        for number in 0..REPOSITORIES {
            if self.oracle.shelves[number].links.contains_key(&blob) {
                let read = self.read(number, blob);
                let unknown = matches!(read, Err(RegistryError::BlobUnknown { .. }));
                assert!(unknown, "bad bytes are not served: {read:?}");
                // Asked for, it counts as seen, whatever the answer was.
                self.oracle.shelves[number].see(blob, now);
            }
        }
    }
}
