//! Runs on a simulated disk and a clock that is moved by hand: what goes, what stays, and who wins.

mod pin;
mod policy;
mod race;
mod segments;
mod world;
