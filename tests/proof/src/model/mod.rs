//! Random sequences of everything that can happen to a registry, against a plain model of what it has promised.
//!
//! The registry is the real one, on the real engine; the disk and the metadata are the simulated ones, so that it can be killed, robbed
//! of its power and given faults between any two steps. After each step the store must show what the model does.

mod check;
mod collect;
mod enumerate;
mod oracle;
mod repair;
mod run;
mod session;
mod step;
mod undo;

pub use enumerate::Scenario;
pub use oracle::{Link, Oracle, Shelf};
pub use run::Model;
pub use step::{Step, Steps};

/// Runs the steps that `bytes` spell, then closes and opens the store and looks at every byte of it. Returns how many steps there were.
/// With `STRATA_MODEL_TRACE` set, tells each.
pub fn run(bytes: &[u8]) -> usize {
    let mut steps = Steps::new(bytes);
    let mut model = Model::new(steps.byte());
    let mut count = 0;
    let trace = std::env::var_os("STRATA_MODEL_TRACE").is_some();
    for step in steps {
        if trace {
            println!("{count}: {step:?}");
        }
        model.step(step);
        count += 1;
    }
    model.finish();
    count
}
