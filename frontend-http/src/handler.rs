//! Handlers: parse, call one use case, render. Rules live in the registry crate.

pub(crate) mod admin;
pub(crate) mod base;
pub(crate) mod blob;
pub(crate) mod health;
pub(crate) mod list;
pub(crate) mod manifest;
pub(crate) mod token;
pub(crate) mod upload;
