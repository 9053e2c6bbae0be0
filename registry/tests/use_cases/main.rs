//! The use cases of the service layer on a real store in a temporary directory. The wire is tested elsewhere.

#![cfg(test)]

mod blob;
mod content;
mod directory;
mod directory_model;
mod feed;
mod list;
mod manifest;
mod publish;
mod race;
mod referrer;
mod roles;
mod tag;
mod upload;
mod world;
