//! Filters of lists of content, in the language of containerd's `filters` package.
//!
//! Grammar: `selector ("," selector)*`, all of which have to hold; of several filters, one has to. A selector is a path of fields with an
//! operator (`==`, `!=`, `~=` for a regular expression) and a value, or a path alone, which asks whether the field is there. A field is
//! `[A-Za-z0-9_]+` or quoted, a value is quoted or goes on to the next comma or space. Quotes are `"`, and for regular expressions also `/` and `|`, with the
//! escapes of Go. Spaces may stand before a field, an operator and a value.

mod scan;

use super::read::ContentInfo;
use crate::error::RegistryError;
use crate::registry::Result;
use regex::{Regex, RegexBuilder};
use scan::{Scanner, Token};
use std::borrow::Cow;

/// Most filters of one list.
pub const FILTERS_MAX: usize = 64;
/// Longest filter, bytes.
pub const FILTER_BYTES_MAX: usize = 4096;
/// Most memory of one regular expression, bytes.
const REGEX_BYTES_MAX: usize = 256 * 1024;

/// Which entries of a list are wanted.
#[derive(Debug, Clone, Default)]
pub struct ContentFilter {
    /// One of them has to hold; none: all entries are wanted.
    any: Vec<Vec<Selector>>,
}

#[derive(Debug, Clone)]
struct Selector {
    path: Vec<Vec<u8>>,
    wants: Wants,
}

#[derive(Debug, Clone)]
enum Wants {
    Present,
    Equal(Vec<u8>),
    NotEqual(Vec<u8>),
    /// `None`: it is no regular expression, and matches nothing.
    Matches(Option<Regex>),
}

impl ContentFilter {
    /// Reads filters; an empty one is one that holds for everything.
    ///
    /// # Errors
    /// [`RegistryError::FieldInvalid`] where one is not of the grammar, too long, or one too many.
    pub fn parse(filters: &[String]) -> Result<Self> {
        if filters.len() > FILTERS_MAX {
            return Err(invalid(format!("at most {FILTERS_MAX} are taken")));
        }
        let any = filters.iter().map(|filter| selectors(filter));
        Ok(Self { any: any.collect::<Result<_>>()? })
    }

    /// Whether content is wanted, by its digest and its labels. As in containerd, its size is no field.
    pub fn takes(&self, content: &ContentInfo) -> bool {
        self.wants(|path| content.field(path))
    }

    /// Whether an entry is wanted; `field` tells what it has at a path.
    pub(super) fn wants<'a>(&self, field: impl Fn(&[Vec<u8>]) -> Option<Cow<'a, str>>) -> bool {
        let holds = |selector: &Selector| {
            let found = field(&selector.path);
            let value = found.as_deref().unwrap_or_default();
            match &selector.wants {
                Wants::Present => found.is_some(),
                Wants::Equal(wanted) => found.is_some() && value.as_bytes() == wanted,
                Wants::NotEqual(wanted) => value.as_bytes() != wanted,
                Wants::Matches(regex) => regex.as_ref().is_some_and(|regex| regex.is_match(value)),
            }
        };
        self.any.is_empty() || self.any.iter().any(|all| all.iter().all(holds))
    }
}

fn invalid(why: impl Into<String>) -> RegistryError {
    RegistryError::FieldInvalid { field: "filters", why: why.into() }
}

fn selectors(filter: &str) -> Result<Vec<Selector>> {
    if filter.len() > FILTER_BYTES_MAX {
        return Err(invalid(format!("a filter has at most {FILTER_BYTES_MAX} bytes")));
    }
    if filter.is_empty() {
        return Ok(Vec::new());
    }
    let mut scanner = Scanner::new(filter);
    let mut all = vec![selector(&mut scanner)?];
    loop {
        match scanner.peek() {
            None => return Ok(all),
            Some(',') => {
                scanner.token().map_err(invalid)?;
                all.push(selector(&mut scanner)?);
            }
            Some(other) => return Err(invalid(format!("{other:?} is unexpected, at byte {}", scanner.at()))),
        }
    }
}

fn selector(scanner: &mut Scanner<'_>) -> Result<Selector> {
    let mut path = vec![field(scanner)?];
    while scanner.peek() == Some('.') {
        scanner.token().map_err(invalid)?;
        path.push(field(scanner)?);
    }
    if matches!(scanner.peek(), None | Some(',')) {
        return Ok(Selector { path, wants: Wants::Present });
    }
    let wants = match scanner.token().map_err(invalid)? {
        Token::Operator("==") => Wants::Equal(value(scanner, false)?),
        Token::Operator("!=") => Wants::NotEqual(value(scanner, false)?),
        Token::Operator("~=") => {
            let text = String::from_utf8(value(scanner, true)?).ok();
            let build = |text: String| RegexBuilder::new(&text).size_limit(REGEX_BYTES_MAX).build().ok();
            Wants::Matches(text.and_then(build))
        }
        _ => return Err(invalid("an operator is expected: ==, != or ~=")),
    };
    Ok(Selector { path, wants })
}

fn field(scanner: &mut Scanner<'_>) -> Result<Vec<u8>> {
    match scanner.token().map_err(invalid)? {
        Token::Field(text) => Ok(text.as_bytes().to_vec()),
        Token::Quoted('"', bytes) => Ok(bytes),
        _ => Err(invalid("a field is expected, as it is or in double quotes")),
    }
}

fn value(scanner: &mut Scanner<'_>, any_quote: bool) -> Result<Vec<u8>> {
    match scanner.token().map_err(invalid)? {
        Token::Field(text) | Token::Value(text) => Ok(text.as_bytes().to_vec()),
        Token::Quoted(quote, bytes) if any_quote || quote == '"' => Ok(bytes),
        Token::Quoted(..) => Err(invalid("only regular expressions are quoted by / or |")),
        _ => Err(invalid("a value is expected")),
    }
}

#[cfg(test)]
mod tests;
