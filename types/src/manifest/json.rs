//! Walking JSON with a path at hand, so that every fault can say where it is.
//!
//! Values stay raw slices of the body until they are asked for; unknown fields are checked for syntax and skipped.

use super::error::{ManifestError, ManifestFault};
use crate::limits::{MANIFEST_DEPTH_MAX, MANIFEST_REFERENCES_MAX};
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

/// A value with the path that leads to it.
#[derive(Debug, Clone)]
pub(super) struct Node<'a> {
    raw: &'a RawValue,
    at: String,
}

/// The known fields of an object.
#[derive(Debug)]
pub(super) struct Fields<'a> {
    at: String,
    found: Vec<(&'static str, &'a RawValue)>,
}

impl ManifestFault {
    pub(super) fn at(self, at: impl Into<String>) -> ManifestError {
        ManifestError { at: at.into(), fault: self }
    }
}

impl<'a> Node<'a> {
    /// The whole body, checked for encoding, depth and syntax.
    pub(super) fn root(bytes: &'a [u8]) -> Result<Self, ManifestError> {
        let text = std::str::from_utf8(bytes)
            .map_err(|e| ManifestFault::NotUtf8 { offset: e.valid_up_to() }.at(String::new()))?;
        check_depth(bytes)?;
        let raw = serde_json::from_str::<&RawValue>(text).map_err(|e| syntax(&e, ""))?;
        Ok(Self { raw, at: String::new() })
    }

    /// The object's fields of these names. `null` counts as absent, as it does for the Go decoders of most clients.
    pub(super) fn fields(&self, known: &'static [&'static str]) -> Result<Fields<'a>, ManifestError> {
        let mut found: Vec<(&'static str, &'a RawValue)> = Vec::new();
        self.each_field(|key, value| {
            let Some(name) = known.iter().copied().find(|name| folds_to(key, name)) else { return Ok(()) };
            let at = join(&self.at, key);
            if name != key {
                return Err(ManifestFault::CaseVariant { known: name }.at(at));
            }
            if found.iter().any(|(seen, _)| *seen == name) {
                return Err(ManifestFault::Duplicate.at(at));
            }
            found.push((name, value));
            Ok(())
        })?;
        Ok(Fields { at: self.at.clone(), found })
    }

    /// Calls `take` with every field of the object, in the order of the body.
    pub(super) fn each_field(
        &self,
        take: impl FnMut(&str, &'a RawValue) -> Result<(), ManifestError>,
    ) -> Result<(), ManifestError> {
        if !self.raw.get().starts_with('{') {
            return Err(self.wrong("an object"));
        }
        let mut refused = None;
        let visitor = ObjectVisitor { take, refused: &mut refused };
        let outcome = serde_json::Deserializer::from_str(self.raw.get()).deserialize_map(visitor);
        match refused {
            Some(error) => Err(error),
            None => outcome.map_err(|e| syntax(&e, &self.at)),
        }
    }

    /// The array's items; at most [`MANIFEST_REFERENCES_MAX`].
    pub(super) fn items(&self) -> Result<Vec<Node<'a>>, ManifestError> {
        if !self.raw.get().starts_with('[') {
            return Err(self.wrong("an array"));
        }
        let raw = serde_json::Deserializer::from_str(self.raw.get())
            .deserialize_seq(ArrayVisitor)
            .map_err(|e| syntax(&e, &self.at))?
            .ok_or_else(|| ManifestFault::TooManyReferences.at(self.at.as_str()))?;
        Ok(raw
            .into_iter()
            .enumerate()
            .map(|(i, raw)| Node { raw, at: format!("{}[{i}]", self.at) })
            .collect())
    }

    pub(super) fn text(&self) -> Result<String, ManifestError> {
        if !self.raw.get().starts_with('"') {
            return Err(self.wrong("a string"));
        }
        serde_json::from_str(self.raw.get()).map_err(|e| syntax(&e, &self.at))
    }

    /// A length in bytes: a whole number that a signed 64-bit integer holds, since that is what clients read it into.
    pub(super) fn size(&self) -> Result<u64, ManifestError> {
        serde_json::from_str::<u64>(self.raw.get())
            .ok()
            .filter(|size| i64::try_from(*size).is_ok())
            .ok_or_else(|| ManifestFault::Size.at(self.at.as_str()))
    }

    /// Whether it is the integer `wanted`; no other spelling of the number.
    pub(super) fn is_number(&self, wanted: u64) -> bool {
        serde_json::from_str::<u64>(self.raw.get()).is_ok_and(|number| number == wanted)
    }

    pub(super) fn is_object(&self) -> bool {
        self.raw.get().starts_with('{')
    }

    pub(super) fn child(&self, key: &str, raw: &'a RawValue) -> Self {
        Self { raw, at: join(&self.at, key) }
    }

    pub(super) fn at(&self) -> &str {
        &self.at
    }

    pub(super) fn wrong(&self, expected: &'static str) -> ManifestError {
        ManifestFault::WrongType { expected }.at(self.at.as_str())
    }
}

impl<'a> Fields<'a> {
    pub(super) fn optional(&self, name: &str) -> Option<Node<'a>> {
        let raw = self.found.iter().find(|(known, _)| *known == name)?.1;
        (raw.get() != "null").then(|| Node { raw, at: join(&self.at, name) })
    }

    pub(super) fn required(&self, name: &str) -> Result<Node<'a>, ManifestError> {
        self.optional(name).ok_or_else(|| ManifestFault::Missing.at(join(&self.at, name)))
    }

    /// Whether the field stands there, be it as `null`.
    pub(super) fn is_named(&self, name: &str) -> bool {
        self.found.iter().any(|(known, _)| *known == name)
    }
}

fn join(at: &str, key: &str) -> String {
    // A key is the client's text and may be as long as the body; a path needs only enough to find it.
    let key: String = key.chars().take(80).collect();
    if at.is_empty() { key } else { format!("{at}.{key}") }
}

fn syntax(error: &serde_json::Error, at: &str) -> ManifestError {
    ManifestFault::Syntax(error.to_string()).at(at)
}

/// Whether Go's decoder takes `key` for the field `name`: ASCII case does not matter to it, and two letters outside ASCII fold into it.
fn folds_to(key: &str, name: &str) -> bool {
    let mut letters = key.chars().map(|c| match c {
        '\u{17f}' => 's',
        '\u{212a}' => 'k',
        c => c.to_ascii_lowercase(),
    });
    name.chars().all(|n| letters.next() == Some(n.to_ascii_lowercase())) && letters.next().is_none()
}

/// Refuses bodies that are nested too deep, before anything recursive looks at them.
fn check_depth(bytes: &[u8]) -> Result<(), ManifestError> {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for byte in bytes {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => depth += 1,
            b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > MANIFEST_DEPTH_MAX {
            return Err(ManifestFault::TooDeep { max: MANIFEST_DEPTH_MAX }.at(String::new()));
        }
    }
    Ok(())
}

struct ObjectVisitor<'r, F> {
    take: F,
    refused: &'r mut Option<ManifestError>,
}

impl<'de, F> Visitor<'de> for ObjectVisitor<'_, F>
where
    F: FnMut(&str, &'de RawValue) -> Result<(), ManifestError>,
{
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(Key(key)) = map.next_key()? {
            let value = map.next_value::<&'de RawValue>()?;
            if let Err(error) = (self.take)(&key, value) {
                *self.refused = Some(error);
                return Err(A::Error::custom("refused"));
            }
        }
        Ok(())
    }
}

/// Gives `None` for more items than are accepted.
struct ArrayVisitor;

impl<'de> Visitor<'de> for ArrayVisitor {
    type Value = Option<Vec<&'de RawValue>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut items = Vec::new();
        let mut count = 0;
        // Reads on to the end: the syntax was checked, and the deserializer wants its closing bracket.
        while let Some(item) = seq.next_element::<&'de RawValue>()? {
            count += 1;
            if count <= MANIFEST_REFERENCES_MAX {
                items.push(item);
            }
        }
        Ok((count <= MANIFEST_REFERENCES_MAX).then_some(items))
    }
}

/// A key, borrowed where it has no escapes.
struct Key<'de>(Cow<'de, str>);

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct KeyVisitor;
        impl<'de> Visitor<'de> for KeyVisitor {
            type Value = Key<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }

            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Key(Cow::Borrowed(text)))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Key(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(KeyVisitor)
    }
}
