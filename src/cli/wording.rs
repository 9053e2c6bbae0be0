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

/// `17 B`, `1.5 KiB`, `20.0 MiB`: to a tenth.
pub(super) fn size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    // In tenths, rounded half up, so that no number loses what a float would lose.
    let (mut unit, mut tenths) = ("B", u128::from(bytes) * 10);
    for larger in UNITS {
        if tenths < 10_240 {
            break;
        }
        (unit, tenths) = (larger, (tenths + 512) / 1024);
    }
    if unit == "B" { format!("{bytes} B") } else { format!("{}.{} {unit}", tenths / 10, tenths % 10) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_said_as_people_say_them() {
        assert_eq!([0, 1, 2].map(|number| count(number, "blob")), ["0 blobs", "1 blob", "2 blobs"]);
        assert_eq!([1, 2].map(repositories), ["1 repository", "2 repositories"]);
        assert_eq!((verb(1), verb(2)), ("is", "are"));
        let sizes = [0, 1023, 1024, 1536, 20 << 20, (1 << 30) + 1, u64::MAX].map(size);
        assert_eq!(sizes, ["0 B", "1023 B", "1.0 KiB", "1.5 KiB", "20.0 MiB", "1.0 GiB", "16.0 EiB"]);
        let said =
            [0, 999, 1500, 59_940, 60_000, 3_599_000, 9_000_000].map(|ms| time(Duration::from_millis(ms)));
        assert_eq!(said, ["0 ms", "999 ms", "1.5 s", "59.9 s", "1 min 0 s", "59 min 59 s", "2 h 30 min"]);
    }
}
