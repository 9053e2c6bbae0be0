//! Upload sessions.

use crate::meta::batch::Batch;
use crate::meta::key;
use crate::meta::record::{GenerationOwner, Record, UploadRecord};
use strata_types::UploadId;

impl Batch {
    /// Writes the state of an upload session, and names its file. Sessions are exclusive in the process, so nothing is
    /// expected. A session never changes its generation once it has one.
    pub fn put_upload(&mut self, id: &UploadId, record: &UploadRecord) {
        self.put(key::upload(id), record.encode());
        if let Some(generation) = record.generation {
            self.put(key::generation(generation), GenerationOwner::Upload(*id).encode());
        }
    }

    /// Removes an upload session, and the ingest that it belongs to. Its file loses its name, unless this batch gives it to a blob: the caller removes the
    /// bytes, and where the generation is below the settled one, leaves a tombstone with this batch.
    pub fn delete_upload(&mut self, id: &UploadId, record: &UploadRecord) {
        self.delete(key::upload(id));
        if id.is_named() {
            self.delete(key::ingest(&record.repository, id));
        }
        if let Some(generation) = record.generation {
            let row = key::generation(generation);
            if !self.puts(&row) {
                self.delete(row);
            }
        }
    }
}
