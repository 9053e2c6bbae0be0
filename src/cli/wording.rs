//! How the command line says numbers: with the right plural, and times as people say them.
use std::time::Duration;

/// `1 blob`, `2 blobs`; for words whose plural is an s.
pub(super) fn count(number: u64, word: &str) -> String {
    format!("{number} {word}{}", plural(number))
}

/// `1 repository`, `2 repositories`.
pub(super) fn repositories(number: u64) -> String {
    format!("{number} {}", if number == 1 { "repository" } else { "repositories" })
}

/// What stands behind such a word.
pub(super) const fn plural(number: u64) -> &'static str {
    if number == 1 { "" } else { "s" }
}

/// `is` or `are`.
pub(super) const fn verb(number: u64) -> &'static str {
    if number == 1 { "is" } else { "are" }
}

/// `12 ms`, `3.4 s`, `5 min 7 s`, `2 h 30 min`.
pub(super) fn time(took: Duration) -> String {
    let seconds = took.as_secs();
    match seconds {
        0 => format!("{} ms", took.as_millis()),
        1..60 => format!("{:.1} s", took.as_secs_f64()),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_said_as_people_say_them() {
        assert_eq!([0, 1, 2].map(|number| count(number, "blob")), ["0 blobs", "1 blob", "2 blobs"]);
        assert_eq!([1, 2].map(repositories), ["1 repository", "2 repositories"]);
        assert_eq!((verb(1), verb(2)), ("is", "are"));
        let said =
            [0, 999, 1500, 59_940, 60_000, 3_599_000, 9_000_000].map(|ms| time(Duration::from_millis(ms)));
        assert_eq!(said, ["0 ms", "999 ms", "1.5 s", "59.9 s", "1 min 0 s", "59 min 59 s", "2 h 30 min"]);
    }
}
