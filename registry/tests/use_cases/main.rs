//! The use cases of the service layer on a real store in a temporary directory. The wire is tested elsewhere.

#![cfg(test)]

mod blob;
mod list;
mod manifest;
mod race;
mod referrer;
mod tag;
mod upload;
mod world;
