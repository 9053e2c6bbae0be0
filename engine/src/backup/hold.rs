//! Holds: while there is one, no file of a blob or segment is removed.
//!
//! Rows go as ever, and their tombstones stay; only the removal of files waits. Called by `blob::Files` and by whoever else removes
//! files, through [`Holds::when_free`].

use crate::sync::lock;
use std::fmt;
use std::sync::{Arc, Mutex};

type Removal = Box<dyn FnOnce() + Send>;

/// The holds of a store.
#[derive(Default)]
pub(crate) struct Holds(Mutex<State>);

#[derive(Default)]
struct State {
    held: usize,
    waiting: Vec<Removal>,
}

impl fmt::Debug for Holds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = lock(&self.0);
        f.debug_struct("Holds").field("held", &state.held).field("waiting", &state.waiting.len()).finish()
    }
}

/// One hold. Ends when dropped.
#[derive(Debug)]
pub(crate) struct Hold(Arc<Holds>);

impl Holds {
    /// Begins a hold.
    pub(crate) fn take(self: &Arc<Self>) -> Hold {
        lock(&self.0).held += 1;
        Hold(Arc::clone(self))
    }

    /// Whether there is a hold: for those who ask after the commit that took the row away, and come again later.
    pub(crate) fn is_held(&self) -> bool {
        lock(&self.0).held > 0
    }

    /// Calls `removal` now, or when the last hold ends.
    ///
    /// RACE: a hold that begins between the look and the removal does not matter. The row of what is removed was taken away by a commit
    /// before this was called, so the checkpoint of that hold, which is made after it began, does not name it.
    pub(crate) fn when_free(&self, removal: impl FnOnce() + Send + 'static) {
        {
            let mut state = lock(&self.0);
            if state.held > 0 {
                state.waiting.push(Box::new(removal));
                return;
            }
        }
        removal();
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let waiting = {
            let mut state = lock(&self.0.0);
            state.held -= 1;
            if state.held > 0 {
                return;
            }
            std::mem::take(&mut state.waiting)
        };
        for removal in waiting {
            removal();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn removals_wait_for_the_last_hold() {
        let (holds, removed) = (Arc::<Holds>::default(), Arc::<AtomicUsize>::default());
        let remove = || {
            let removed = Arc::clone(&removed);
            holds.when_free(move || {
                removed.fetch_add(1, Ordering::Relaxed);
            });
        };
        remove();
        assert_eq!(removed.load(Ordering::Relaxed), 1);
        let (first, second) = (holds.take(), holds.take());
        remove();
        drop(first);
        remove();
        assert!(holds.is_held());
        assert_eq!(removed.load(Ordering::Relaxed), 1);
        drop(second);
        assert_eq!(removed.load(Ordering::Relaxed), 3);
        assert!(!holds.is_held());
    }
}
