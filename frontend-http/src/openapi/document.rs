//! The description as JSON.

use super::operation::{Body, Operation, Parameter};
use super::operations;
use crate::document::Problem;
use crate::error::status_of;
use bytes::Bytes;
use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};
use std::sync::OnceLock;
use strata_types::{ErrorCode, Failure, Outcome};

const INTRODUCTION: &str = "Manages a Strata registry. Times are milliseconds since 1970, sizes are bytes. Answers may gain \
    members; readers skip what they do not know. Requests have no member that is not named here, and say `Content-Type: application/json`. \
    Lists come in pages: `limit` says how long, and `next` of an answer is the `cursor` of the page behind it. What has an `ETag` can be \
    changed with `If-Match`: the change is refused (412) where another came before it. Errors are problem details (RFC 9457).";

/// The description, made once.
pub fn description() -> Bytes {
    static MADE: OnceLock<Bytes> = OnceLock::new();
    MADE.get_or_init(|| crate::response::json_bytes(&make())).clone()
}

/// Makes the schemas of both directions: a member with a default may be missing in a request and is there in an answer.
struct Schemas {
    requests: SchemaGenerator,
    answers: SchemaGenerator,
}

impl Schemas {
    fn new() -> Self {
        let settings = || {
            SchemaSettings::draft2020_12().with(|settings| {
                settings.definitions_path = "/components/schemas".into();
                settings.meta_schema = None;
            })
        };
        Self {
            requests: settings().for_deserialize().into_generator(),
            answers: settings().for_serialize().into_generator(),
        }
    }

    fn definitions(&mut self) -> Map<String, Value> {
        let mut all = self.requests.take_definitions(true);
        all.extend(self.answers.take_definitions(true));
        all
    }
}

fn make() -> Value {
    let mut schemas = Schemas::new();
    let mut paths = Map::new();
    for operation in operations() {
        let path = paths.entry(operation.endpoint.template()).or_insert_with(|| json!({}));
        if let Some(path) = path.as_object_mut() {
            path.insert(operation.method.to_ascii_lowercase(), describe(operation, &mut schemas));
        }
    }
    let problem = schemas.answers.subschema_for::<Problem>();
    let problem = json!({
        "description": "The request was refused",
        "content": { "application/problem+json": { "schema": problem } },
    });
    json!({
        "openapi": "3.1.0",
        "info": { "title": "Strata", "version": env!("CARGO_PKG_VERSION"), "description": INTRODUCTION },
        "security": [{}, { "key": [] }, { "token": [] }],
        "paths": paths,
        "components": {
            "schemas": schemas.definitions(),
            "responses": { "problem": problem },
            "securitySchemes": {
                "key": { "type": "http", "scheme": "basic", "description": "Id and secret of a key" },
                "token": { "type": "http", "scheme": "bearer", "description": "A token of `/token`" },
            },
        },
        "x-problems": problems(),
    })
}

fn describe(operation: &Operation, schemas: &mut Schemas) -> Value {
    let mut answer = json!({ "description": "Done" });
    if let (Some(schema), Some(answer)) = (operation.answer, answer.as_object_mut()) {
        let content = json!({ "application/json": { "schema": schema(&mut schemas.answers) } });
        answer.insert("content".to_owned(), content);
    }
    let mut responses = Map::new();
    responses.insert(operation.status.to_string(), answer);
    responses.insert("default".to_owned(), json!({ "$ref": "#/components/responses/problem" }));
    let mut described = json!({
        "operationId": operation.id,
        "summary": operation.summary,
        "responses": responses,
    });
    let parameters: Vec<Value> =
        in_path(operation.endpoint.template()).chain(operation.parameters().map(in_query)).collect();
    if let Some(described) = described.as_object_mut() {
        if !parameters.is_empty() {
            described.insert("parameters".to_owned(), parameters.into());
        }
        if let Some(body) = operation.body {
            let content = match body {
                Body::Json(schema) => {
                    json!({ "application/json": { "schema": schema(&mut schemas.requests) } })
                }
                Body::Bytes => json!({ "application/octet-stream": {} }),
            };
            described.insert("requestBody".to_owned(), json!({ "content": content, "required": true }));
        }
    }
    described
}

/// The parameters of a template.
fn in_path(template: &'static str) -> impl Iterator<Item = Value> {
    let names = template.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    names.map(|name| {
        json!({
            "name": name,
            "in": "path",
            "required": true,
            "description": meaning(name),
            "schema": { "type": "string" },
        })
    })
}

/// What a parameter of a path stands for.
pub(super) fn meaning(parameter: &str) -> &'static str {
    match parameter {
        "name" => "The repository; its slashes as they are, or as `%2F`",
        "registry" => "The registry: the first segment of its repositories' names, or `default`",
        "reference" => "A digest, or a tag that stands for it",
        "tag" => "The tag",
        "account" => "The name of the account",
        "key" => "The id of the key",
        "digest" => "A digest, such as `sha256:…`",
        "id" => "What the list calls it",
        _ => "",
    }
}

fn in_query(parameter: &Parameter) -> Value {
    json!({
        "name": parameter.name,
        "in": "query",
        "description": parameter.says,
        "schema": { "type": parameter.kind },
    })
}

/// What each code means: `type` of a problem leads here.
fn problems() -> Map<String, Value> {
    let spec = ErrorCode::ALL.iter().map(|code| (Outcome::from(*code), code.meaning()));
    let own = Failure::ALL.iter().map(|failure| (Outcome::from(*failure), failure.meaning()));
    let entry = |(outcome, meaning): (Outcome, &str)| {
        let status = status_of(outcome).as_u16();
        (outcome.as_str().to_owned(), json!({ "status": status, "title": meaning }))
    };
    spec.chain(own).map(entry).collect()
}
