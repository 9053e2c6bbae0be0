//! The order of operations on one handle: a sync begins when the writes before it have ended.
//!
//! The kernel keeps none between operations that are under way together. Who syncs after the end of his writes never waits
//! here; who does not is as safe as with one thread that does one thing after the other.

use super::Operation;
use crate::disk::request::Work;
use std::collections::{HashMap, VecDeque};

/// Operations that wait for others on the same handle. Owned by the reactor's thread.
#[derive(Debug, Default)]
pub(super) struct Order {
    handles: HashMap<usize, Handle>,
}

#[derive(Debug, Default)]
struct Handle {
    /// Writes that have begun and not ended.
    writes: usize,
    /// A sync that waits for them, and the writes and syncs behind it.
    waiting: VecDeque<Operation>,
}

impl Order {
    /// Gives the operation back if it may begin, else keeps it until [`Order::ended`] lets it go.
    pub(super) fn admit(&mut self, operation: Operation) -> Option<Operation> {
        match operation.request.work() {
            Work::Read { .. } => return Some(operation),
            Work::Write { .. } => {
                let handle = self.handles.entry(operation.target.key()).or_default();
                if handle.waiting.is_empty() {
                    handle.writes += 1;
                    return Some(operation);
                }
                handle.waiting.push_back(operation);
            }
            Work::Sync => {
                let Some(handle) = self.handles.get_mut(&operation.target.key()) else {
                    return Some(operation);
                };
                // A handle is kept only while it has writes under way.
                handle.waiting.push_back(operation);
            }
        }
        None
    }

    /// Says that an admitted operation has ended, and passes on to `begin` what waited for that.
    pub(super) fn ended(&mut self, operation: &Operation, mut begin: impl FnMut(Operation)) {
        if !matches!(operation.request.work(), Work::Write { .. }) {
            return;
        }
        let key = operation.target.key();
        let Some(handle) = self.handles.get_mut(&key) else { return };
        handle.writes = handle.writes.saturating_sub(1);
        while let Some(next) = handle.waiting.pop_front() {
            match next.request.work() {
                Work::Sync if handle.writes > 0 => {
                    handle.waiting.push_front(next);
                    break;
                }
                Work::Sync | Work::Read { .. } => {}
                Work::Write { .. } => handle.writes += 1,
            }
            begin(next);
        }
        if handle.writes == 0 {
            self.handles.remove(&key);
        }
    }

    /// Whether nothing is kept back.
    pub(super) fn is_empty(&self) -> bool {
        self.handles.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::super::Target;
    use super::*;
    use crate::disk::request::Request;
    use std::sync::Arc;

    fn operation(target: &Arc<Target>, work: Work) -> Operation {
        Operation { target: Arc::clone(target), request: Request::new(work, drop), may_wait: false }
    }

    fn write(target: &Arc<Target>) -> Operation {
        operation(target, Work::Write { bytes: bytes::Bytes::from_static(b"x"), offset: 0, alignment: 1 })
    }

    fn is_sync(operation: &Operation) -> bool {
        matches!(operation.request.work(), Work::Sync)
    }

    #[test]
    fn a_sync_waits_for_the_writes_before_it_and_later_ones_for_the_sync() {
        let target = Arc::new(Target::new(tempfile::tempfile().unwrap()));
        let other = Arc::new(Target::new(tempfile::tempfile().unwrap()));
        let mut order = Order::default();
        let first = order.admit(write(&target)).unwrap();
        let second = order.admit(write(&target)).unwrap();
        assert!(order.admit(operation(&target, Work::Sync)).is_none());
        assert!(order.admit(write(&target)).is_none(), "it comes after the sync");
        assert!(order.admit(operation(&other, Work::Sync)).is_some(), "another handle");
        assert!(order.admit(operation(&target, Work::Read { buffer: vec![0], offset: 0 })).is_some());
        order.ended(&first, |_| panic!("one write is still under way"));
        let mut begun = Vec::new();
        order.ended(&second, |operation| begun.push(operation));
        assert_eq!(begun.iter().map(is_sync).collect::<Vec<_>>(), [true, false]);
        assert!(!order.is_empty());
        order.ended(&begun.remove(1), |_| panic!("nothing waits"));
        assert!(order.is_empty());
    }
}
