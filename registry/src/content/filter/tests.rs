//! What filters take, by the cases of containerd's own tests and by texts at random.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

fn filter(texts: &[&str]) -> Result<ContentFilter> {
    ContentFilter::parse(&texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>())
}

/// An entry with a name and labels.
fn wants(filter: &ContentFilter, name: &str, labels: &[(&str, &str)]) -> bool {
    let labels: BTreeMap<&str, &str> = labels.iter().copied().collect();
    filter.wants(|path| {
        let (first, rest) = path.split_first()?;
        let found = match &first[..] {
            b"name" => name,
            b"labels" => *labels.get(std::str::from_utf8(&rest.join(&b'.')).ok()?)?,
            _ => return None,
        };
        Some(Cow::Owned(found.to_owned()))
    })
}

/// Which of the entries `bar`, `baz` and `bazo` a filter takes.
fn taken(text: &str) -> String {
    let filter = filter(&[text]).unwrap();
    let entries: [(&str, &[(&str, &str)]); 3] = [
        ("bar", &[("foo", "true")]),
        ("baz", &[("foo", "present"), ("more complex label with \\ and \\.post", "present")]),
        ("bazo", &[("foo", "omg_asdf.asdf-qwer"), ("a.b", "1/2")]),
    ];
    let taken = entries.iter().filter(|(name, labels)| wants(&filter, name, labels));
    taken.map(|(name, _)| *name).collect::<Vec<_>>().join(" ")
}

#[test]
fn take_what_they_say() {
    for (text, expected) in [
        ("", "bar baz bazo"),
        ("name", "bar baz bazo"),
        ("name,labels.foo", "bar baz bazo"),
        ("nothing", ""),
        ("labels.nothing", ""),
        ("labels", ""),
        ("name==bar", "bar"),
        ("name == bar", "bar"),
        ("name==\"bar\"", "bar"),
        ("name==\"b\\x61r\"", "bar"),
        ("name==\"b\\141r\"", "bar"),
        ("name==\"b\\u0061r\"", "bar"),
        ("name!=bar", "baz bazo"),
        ("size!=5", "bar baz bazo"),
        ("size==5", ""),
        ("name==bar,labels.foo==true", "bar"),
        ("name==bar,labels.foo==false", ""),
        ("name!=bar, labels.foo!=present", "bazo"),
        ("labels.foo==omg_asdf.asdf-qwer", "bazo"),
        ("labels.\"a.b\"==1/2", "bazo"),
        ("labels.a.b==1/2", "bazo"),
        ("labels.\"more complex label with \\\\ and \\\\.post\"", "baz"),
        ("name~=ba", "bar baz bazo"),
        ("name~=^baz$", "baz"),
        ("name~=/^ba[rz]$/", "bar baz"),
        ("name~=|^ba[rz]$|", "bar baz"),
        ("name~=/^ba[rz]$/,labels.foo~=/^t/", "bar"),
        ("nothing~=^$", "bar baz bazo"),
        ("name~=/(/", ""),
    ] {
        assert_eq!(taken(text), expected, "{text}");
    }
}

#[test]
fn of_several_one_has_to_hold() {
    let some = filter(&["name==bar", "labels.foo==present"]).unwrap();
    assert!(wants(&some, "bar", &[]) && wants(&some, "x", &[("foo", "present")]) && !wants(&some, "x", &[]));
    assert!(wants(&filter(&[]).unwrap(), "x", &[]));
}

#[test]
fn refuse_what_is_not_of_the_grammar() {
    for text in [
        "name==",
        "name=",
        "name===bar",
        "name=bar",
        "name bar",
        "name==bar baz",
        "name==bar ,labels.foo",
        "name==bar,",
        ",name",
        ".name",
        "name.",
        "name..x",
        "name==/bar/",
        "name==|bar|",
        "/name/==bar",
        "name==\"bar",
        "name==\"b\\qr\"",
        "name==\"b\\x6\"",
        "name==\"b\\777\"",
        "name==\"\\UFFFFFFFF\"",
        "name~=/\\d/",
        "name==\"b\nr\"",
        "name==.bar",
        "ñame==bar",
        "name\0",
        "name==\u{fffd}",
    ] {
        let refused = filter(&[text]).unwrap_err();
        assert!(matches!(refused, RegistryError::FieldInvalid { field: "filters", .. }), "{text}: {refused}");
    }
    assert!(filter(&["name"; 64]).is_ok() && filter(&["name"; 65]).is_err());
    assert!(filter(&[&"n".repeat(4096)]).is_ok() && filter(&[&"n".repeat(4097)]).is_err());
}

#[test]
fn a_regular_expression_that_needs_much_memory_matches_nothing() {
    let huge = filter(&["name~=/((a{200}){200}){200}/"]).unwrap();
    assert!(!wants(&huge, "aaa", &[]));
}

proptest! {
    #[test]
    fn any_text_is_a_filter_or_refused(texts in proptest::collection::vec("[a-z.,=!~\"/|\\\\ \u{0}-\u{ff}]{0,40}", 0..3)) {
        match ContentFilter::parse(&texts) {
            Ok(filter) => drop(wants(&filter, "bar", &[("a", "b")])),
            Err(error) => prop_assert_eq!(error.outcome().as_str(), "REQUEST_INVALID"),
        }
    }

    #[test]
    fn what_is_quoted_is_what_it_was(value in "\\PC{0,20}") {
        // Stands for bytes that are no text.
        prop_assume!(!value.contains(char::REPLACEMENT_CHARACTER));
        let quoted = value.replace('\\', "\\\\").replace('"', "\\\"");
        let filter = filter(&[&format!("name==\"{quoted}\"")]).unwrap();
        prop_assert!(wants(&filter, &value, &[]));
    }
}
