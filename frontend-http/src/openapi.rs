//! The description of the admin API (OpenAPI 3.1), made of the table of [operations](mod@operations) and of the [documents](crate::document)
//! that go over its wire. Served at `/api/v1/openapi.json`; nothing of it is written by hand.

mod document;
mod operation;
mod operations;

pub use document::description;
pub use operation::Operation;
pub use operations::operations;

#[cfg(test)]
mod tests;
