//! One operation of the admin API: a method of an endpoint, what it takes and what it answers.

use crate::route::Endpoint;
use schemars::{JsonSchema, Schema, SchemaGenerator};

/// Makes the schema of one type, for reference or in place.
pub(super) type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// The body of a request.
#[derive(Debug, Clone, Copy)]
pub(super) enum Body {
    /// One JSON object.
    Json(SchemaOf),
    /// Bytes as they are.
    Bytes,
}

/// A parameter of the query.
#[derive(Debug, Clone, Copy)]
pub(super) struct Parameter {
    pub(super) name: &'static str,
    pub(super) kind: &'static str,
    pub(super) says: &'static str,
}

/// A parameter that is a text.
pub(super) const fn text(name: &'static str, says: &'static str) -> Parameter {
    Parameter { name, kind: "string", says }
}

/// A method of an endpoint.
#[derive(Debug, Clone, Copy)]
pub struct Operation {
    pub(super) endpoint: Endpoint,
    pub(super) method: &'static str,
    pub(super) id: &'static str,
    pub(super) summary: &'static str,
    pub(super) query: &'static [Parameter],
    pub(super) is_list: bool,
    pub(super) body: Option<Body>,
    pub(super) status: u16,
    pub(super) answer: Option<SchemaOf>,
}

/// An operation that takes nothing and is answered with `204`.
pub(super) const fn operation(
    method: &'static str,
    endpoint: Endpoint,
    id: &'static str,
    summary: &'static str,
) -> Operation {
    Operation {
        endpoint,
        method,
        id,
        summary,
        query: &[],
        is_list: false,
        body: None,
        status: 204,
        answer: None,
    }
}

impl Operation {
    /// The method, upper case.
    pub const fn method(&self) -> &'static str {
        self.method
    }

    /// The endpoint.
    pub const fn endpoint(&self) -> Endpoint {
        self.endpoint
    }

    /// What it does, in a few words.
    pub const fn summary(&self) -> &'static str {
        self.summary
    }

    /// The parameters of its query, by name.
    pub fn query(&self) -> impl Iterator<Item = &'static str> {
        self.parameters().map(|parameter| parameter.name)
    }

    pub(super) fn parameters(&self) -> impl Iterator<Item = &'static Parameter> {
        const PAGE: &[Parameter] = &[
            Parameter {
                name: "limit",
                kind: "integer",
                says: "Entries of the page, 1 or more; 100 where it is not said, 1000 at most",
            },
            text("cursor", "The `next` of the page before"),
        ];
        self.query.iter().chain(if self.is_list { PAGE } else { &[] })
    }

    pub(super) const fn with(self, query: &'static [Parameter]) -> Self {
        Self { query, ..self }
    }

    /// Pages with `limit` and `cursor`.
    pub(super) const fn in_pages(self) -> Self {
        Self { is_list: true, ..self }
    }

    pub(super) const fn takes<T: JsonSchema>(self) -> Self {
        Self { body: Some(Body::Json(SchemaGenerator::subschema_for::<T>)), ..self }
    }

    pub(super) const fn takes_bytes(self) -> Self {
        Self { body: Some(Body::Bytes), ..self }
    }

    pub(super) const fn answers<T: JsonSchema>(self) -> Self {
        Self { answer: Some(SchemaGenerator::subschema_for::<T>), status: 200, ..self }
    }

    pub(super) const fn under(self, status: u16) -> Self {
        Self { status, ..self }
    }
}
