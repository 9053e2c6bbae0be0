//! The table of operations and the table of routes say the same, and the description is one that tools can follow.

use super::*;
use crate::route::Endpoint;
use serde_json::Value;
use std::collections::BTreeSet;

fn described() -> Value {
    serde_json::from_slice(&description()).unwrap()
}

#[test]
fn every_route_has_its_operations_and_every_operation_its_route() {
    let routes: BTreeSet<(&str, &str)> = Endpoint::ALL
        .iter()
        .filter(|endpoint| endpoint.is_admin())
        .flat_map(|endpoint| endpoint.methods().split(", ").map(|method| (endpoint.template(), method)))
        .filter(|(_, method)| *method != "HEAD")
        .collect();
    let table: Vec<(&str, &str)> =
        operations().map(|operation| (operation.endpoint.template(), operation.method)).collect();
    assert_eq!(table.iter().copied().collect::<BTreeSet<_>>(), routes);
    assert_eq!(table.len(), routes.len(), "an operation is there twice");
    let described = described();
    let paths = described["paths"].as_object().unwrap();
    let count: usize = paths.values().map(|path| path.as_object().unwrap().len()).sum();
    assert_eq!(count, routes.len());
    for (template, method) in routes {
        assert!(paths[template][method.to_ascii_lowercase()].is_object(), "{method} {template}");
    }
}

#[test]
fn operations_are_told_apart_and_explained() {
    let ids: BTreeSet<&str> = operations().map(|operation| operation.id).collect();
    assert_eq!(ids.len(), operations().count());
    for operation in operations() {
        assert!(!operation.summary.is_empty(), "{}", operation.id);
        let takes_body = matches!(operation.method, "POST" | "PUT" | "PATCH");
        assert_eq!(operation.body.is_some(), takes_body, "{}", operation.id);
        assert_eq!(operation.answer.is_some(), operation.status != 204, "{}", operation.id);
        for part in operation.endpoint.template().split('/') {
            if let Some(name) = part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) {
                assert!(!document::meaning(name).is_empty(), "{name} of {}", operation.id);
            }
        }
    }
}

#[test]
fn every_reference_leads_somewhere() {
    fn walk<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
        match value {
            Value::Object(members) => {
                found.extend(members.get("$ref").and_then(Value::as_str));
                members.values().for_each(|member| walk(member, found));
            }
            Value::Array(items) => items.iter().for_each(|item| walk(item, found)),
            _ => {}
        }
    }
    let described = described();
    let mut references = Vec::new();
    walk(&described, &mut references);
    assert!(references.len() > 20);
    for reference in references {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(described.pointer(pointer).is_some(), "{reference}");
    }
}

#[test]
fn requests_are_closed_and_answers_are_open() {
    let schemas = described()["components"]["schemas"].clone();
    for (name, schema) in schemas.as_object().unwrap() {
        let is_request = name.ends_with("Request") || name == "Nothing";
        let is_object = schema["type"] == "object" && schema.get("properties").is_some();
        assert!(!is_object || (schema["additionalProperties"] == false) == is_request, "{name}: {schema}");
    }
    assert_eq!(schemas["Problem"]["properties"]["status"]["type"], "integer");
    assert_eq!(schemas["BackupRequest"].get("required"), None, "what has a default may be left out");
}

#[test]
fn the_kind_of_a_problem_leads_to_its_meaning() {
    let described = described();
    let kind = crate::document::Problem::kind_of("NO_SPACE");
    let (path, pointer) = kind.split_once('#').unwrap();
    assert_eq!(path, Endpoint::OpenApi.template());
    assert_eq!(described.pointer(pointer).unwrap()["status"], 507);
}
