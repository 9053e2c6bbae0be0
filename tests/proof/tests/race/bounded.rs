//! All orders in which a task loses its turn at most so many times, each once.
//!
//! A turn that is lost is a *preemption*: another task goes on although the one whose turn it was could have. Who goes on when a task has come to its
//! end, or waits, costs nothing. What goes wrong between two tasks nearly always needs one or two, and the number of orders grows with the length of the
//! scene to the power of that number, not exponentially.

use shuttle::scheduler::{Schedule, Scheduler, Task, TaskId};

/// One decision of the order that is being tried.
#[derive(Debug)]
struct Level {
    options: Vec<TaskId>,
    chosen: usize,
    /// Preemptions before it.
    spent: usize,
    /// Whether the first option goes on with whose turn it is, so that any other is a preemption.
    goes_on: bool,
}

impl Level {
    fn spent_after(&self) -> usize {
        self.spent + usize::from(self.goes_on && self.chosen > 0)
    }
}

/// The scheduler. Every run must decide the same where the order is the same.
#[derive(Debug)]
pub(crate) struct Bounded {
    preemptions_max: usize,
    orders_max: usize,
    orders: usize,
    levels: Vec<Level>,
    step: usize,
}

impl Bounded {
    /// Orders with at most `preemptions_max` preemptions; ends after `orders_max` of them.
    pub(crate) const fn new(preemptions_max: usize, orders_max: usize) -> Self {
        Self { preemptions_max, orders_max, orders: 0, levels: Vec::new(), step: 0 }
    }

    /// Goes on to the next order: the last decision that can be made otherwise is. `false` where there is none.
    fn advance(&mut self) -> bool {
        while let Some(last) = self.levels.last_mut() {
            if last.chosen + 1 < last.options.len() {
                last.chosen += 1;
                return true;
            }
            self.levels.pop();
        }
        false
    }
}

impl Scheduler for Bounded {
    fn new_execution(&mut self) -> Option<Schedule> {
        if self.orders == self.orders_max || (self.orders > 0 && !self.advance()) {
            return None;
        }
        self.orders += 1;
        self.step = 0;
        Some(Schedule::new(0))
    }

    fn next_task(
        &mut self,
        runnable: &[&Task],
        current: Option<TaskId>,
        _is_yielding: bool,
    ) -> Option<TaskId> {
        if self.step == self.levels.len() {
            let spent = self.levels.last().map_or(0, Level::spent_after);
            let mut options: Vec<TaskId> = runnable.iter().map(|task| task.id()).collect();
            let place = options.iter().position(|task| Some(*task) == current);
            if let Some(place) = place {
                options.swap(0, place);
                if spent == self.preemptions_max {
                    options.truncate(1);
                }
            }
            self.levels.push(Level { options, chosen: 0, spent, goes_on: place.is_some() });
        }
        let level = &self.levels[self.step];
        let next = level.options[level.chosen];
        assert!(runnable.iter().any(|task| task.id() == next), "the same order went another way");
        self.step += 1;
        Some(next)
    }

    fn next_u64(&mut self) -> u64 {
        panic!("nothing here is random")
    }
}
