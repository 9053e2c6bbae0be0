//! The bodies of the fuzz targets: each takes any bytes and panics where what is promised for them does not hold.

mod authorization;
mod call;
mod filter;
mod form;
mod frame;
mod lane;
mod manifest;
mod names;
mod operations;
mod path;
mod ranges;
mod record;
mod scope;
mod session;
mod token;

/// The body of a target.
pub type Target = fn(&[u8]);

/// Every target by its name, which is that of its file in `fuzz/fuzz_targets/` and of its folder in `fuzz/corpus/`.
pub const TARGETS: [(&str, Target); 15] = [
    ("authorization", authorization::run),
    ("call", call::run),
    ("filter", filter::run),
    ("form", form::run),
    ("frame", frame::run),
    ("lane", lane::run),
    ("manifest", manifest::run),
    ("names", names::run),
    ("operations", operations::run),
    ("path", path::run),
    ("ranges", ranges::run),
    ("record", record::run),
    ("scope", scope::run),
    ("session", session::run),
    ("token", token::run),
];

/// Runs the target named.
pub fn run(name: &str, data: &[u8]) {
    let (_, target) = TARGETS.iter().find(|(target, _)| *target == name).expect("a target of that name");
    target(data);
}
