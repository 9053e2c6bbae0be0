//! Pages of the lists of the admin API: `limit` and `cursor` of a query. The answer's `next` is the cursor of the page behind it; what a
//! cursor says is between a list and itself.

use crate::exchange::Exchange;
use crate::query::Query;
use std::fmt;

/// Entries of a page where the request names no number.
pub(crate) const LIMIT_DEFAULT: usize = 100;
/// Most entries of a page; whoever asks for more gets so many.
pub(crate) const LIMIT_MAX: usize = 1000;

/// Which part of a list is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Slice {
    /// Most entries: 1 to [`LIMIT_MAX`].
    pub(crate) limit: usize,
    /// The `next` of the page before; `None` is the beginning.
    pub(crate) cursor: Option<String>,
}

/// Why a page cannot be given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SliceError {
    /// `limit` is not a number of entries.
    Limit,
    /// `cursor` is none that the list has given.
    Cursor,
}

impl fmt::Display for SliceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Limit => "limit must be a whole number, 1 or more",
            Self::Cursor => "cursor is not a place in this list",
        })
    }
}

impl Slice {
    fn parse(query: Query<'_>) -> Result<Self, SliceError> {
        let limit = match query.get("limit") {
            None => LIMIT_DEFAULT,
            Some(text) if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) => {
                // A number too large to hold is as good as the largest.
                text.parse().unwrap_or(LIMIT_MAX).min(LIMIT_MAX)
            }
            Some(_) => return Err(SliceError::Limit),
        };
        let cursor = query.get("cursor").filter(|cursor| !cursor.is_empty());
        let slice = Self { limit, cursor: cursor.map(std::borrow::Cow::into_owned) };
        if limit == 0 { Err(SliceError::Limit) } else { Ok(slice) }
    }

    /// What the page begins behind.
    ///
    /// # Errors
    /// [`SliceError::Cursor`] where `read` does not take the cursor.
    pub(crate) fn after<T, E>(&self, read: impl Fn(&str) -> Result<T, E>) -> Result<Option<T>, SliceError> {
        self.cursor.as_deref().map(read).transpose().map_err(|_| SliceError::Cursor)
    }
}

impl Exchange<'_> {
    /// What part of a list is asked for.
    ///
    /// # Errors
    /// [`SliceError::Limit`].
    pub(crate) fn slice(&self) -> Result<Slice, SliceError> {
        Slice::parse(self.query)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_slices() {
        for (query, limit, cursor) in [
            ("", LIMIT_DEFAULT, None),
            ("limit=1", 1, None),
            ("limit=5&cursor=a%2Fb", 5, Some("a/b")),
            ("cursor=", LIMIT_DEFAULT, None),
            ("limit=1001", LIMIT_MAX, None),
            ("limit=99999999999999999999999", LIMIT_MAX, None),
        ] {
            let slice = Slice::parse(Query::new(Some(query))).unwrap();
            assert_eq!((slice.limit, slice.cursor.as_deref()), (limit, cursor), "{query}");
        }
        for query in ["limit=", "limit", "limit=0", "limit=-1", "limit=%2B1", "limit=1x", "limit=٣"] {
            assert_eq!(Slice::parse(Query::new(Some(query))), Err(SliceError::Limit), "{query}");
        }
    }
}
