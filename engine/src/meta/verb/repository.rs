//! Repositories come to be with their first row.

use crate::meta::batch::Batch;
use crate::meta::key;
use crate::meta::record::{EventKind, Record, RepositoryRecord};
use strata_types::RepositoryName;

impl Batch {
    /// Makes sure that the repository exists; only where it did not, the event is appended. The verbs that write into a
    /// repository do this themselves.
    pub fn create_repository(&mut self, repository: &RepositoryName) {
        let row = key::repository(repository);
        if self.puts(&row) {
            return;
        }
        let record = RepositoryRecord { created_at: self.at() };
        let event = self.event(EventKind::RepositoryCreated, repository, None, None);
        self.put_if_absent(row, record.encode(), Some(&event));
    }
}
