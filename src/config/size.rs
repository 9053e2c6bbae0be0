//! [`ByteSize`]: a number of bytes as people write it, "64 MiB".
use std::fmt;

const UNITS: [(&str, u64); 13] = [
    ("b", 1),
    ("kb", 1000),
    ("mb", 1000 * 1000),
    ("gb", 1000 * 1000 * 1000),
    ("tb", 1000 * 1000 * 1000 * 1000),
    ("kib", 1 << 10),
    ("mib", 1 << 20),
    ("gib", 1 << 30),
    ("tib", 1 << 40),
    ("ki", 1 << 10),
    ("mi", 1 << 20),
    ("gi", 1 << 30),
    ("ti", 1 << 40),
];
const SHOWN: [(&str, u64); 4] = [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
const HINT: &str = "write a number and a unit, for example \"64 MiB\"";

/// A number of bytes. Grammar: `DIGITS [ "." DIGITS ] [SPACE] UNIT`, UNIT one of B, KB, MB, GB, TB (powers of 1000),
/// KiB, MiB, GiB, TiB and Ki, Mi, Gi, Ti (powers of 1024), upper or lower case. Shown in the largest binary unit that
/// divides it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ByteSize(u64);

impl ByteSize {
    /// A size of that many bytes.
    pub(crate) const fn new(bytes: u64) -> ByteSize {
        ByteSize(bytes)
    }

    /// The size in bytes.
    pub(crate) const fn bytes(self) -> u64 {
        self.0
    }

    /// The size in bytes as a memory size; `usize::MAX` where it does not fit.
    pub(crate) fn to_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }

    /// Reads the grammar above.
    ///
    /// # Errors
    /// A sentence for the operator that names the text and shows the form.
    pub(crate) fn parse(text: &str) -> Result<ByteSize, String> {
        let wrong = || format!("{text:?} is not a size; {HINT}");
        let trimmed = text.trim();
        let digits_end = trimmed.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(trimmed.len());
        let (number, unit) = trimmed.split_at(digits_end);
        let unit = unit.trim_start().to_ascii_lowercase();
        if unit.is_empty() && number != "0" {
            return Err(wrong());
        }
        let factor = match unit.as_str() {
            "" => 1,
            unit => {
                UNITS.iter().find(|(name, _)| *name == unit).map(|(_, factor)| *factor).ok_or_else(wrong)?
            }
        };
        let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
        if fraction.is_empty() || fraction.len() > 6 {
            return Err(wrong());
        }
        let whole: u128 = whole.parse().map_err(|_| wrong())?;
        let parts: u128 = fraction.parse().map_err(|_| wrong())?;
        let scale = 10_u128.pow(fraction.len() as u32);
        let bytes = whole
            .checked_mul(u128::from(factor))
            .and_then(|whole| whole.checked_add(parts * u128::from(factor) / scale))
            .and_then(|bytes| u64::try_from(bytes).ok());
        bytes.map(ByteSize).ok_or_else(|| format!("{text:?} is more bytes than a machine can count"))
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, factor) = SHOWN
            .into_iter()
            .find(|(_, factor)| self.0 >= *factor && self.0.is_multiple_of(*factor))
            .unwrap_or(("B", 1));
        write!(out, "{} {name}", self.0 / factor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_unit_and_shows_the_largest_that_divides() {
        let table = [
            ("0", 0, "0 B"),
            ("0 B", 0, "0 B"),
            ("17 B", 17, "17 B"),
            ("1 KB", 1000, "1000 B"),
            ("64MiB", 64 << 20, "64 MiB"),
            (" 64 mib ", 64 << 20, "64 MiB"),
            ("256Mi", 256 << 20, "256 MiB"),
            ("1.5 GiB", 1536 << 20, "1536 MiB"),
            ("0.5 KiB", 512, "512 B"),
            ("2 TiB", 2 << 40, "2 TiB"),
            ("4 GB", 4_000_000_000, "3906250 KiB"),
            ("16777215 TiB", 16_777_215 << 40, "16777215 TiB"),
        ];
        for (text, bytes, shown) in table {
            let size = ByteSize::parse(text).unwrap_or_else(|error| panic!("{text:?}: {error}"));
            assert_eq!(size.bytes(), bytes, "{text:?}");
            assert_eq!(size.to_string(), shown, "{text:?}");
            assert_eq!(ByteSize::parse(&size.to_string()), Ok(size), "{text:?} read back");
        }
    }

    #[test]
    fn refuses_what_is_not_a_size_with_the_form_to_write() {
        for text in [
            "",
            "64",
            "MiB",
            "64 M",
            "-1 MiB",
            "1,5 GiB",
            "1. GiB",
            ".5 GiB",
            "1.2.3 GiB",
            "64 MiBs",
            "0x10 B",
        ] {
            let error = ByteSize::parse(text).expect_err(text);
            assert!(error.contains(&format!("{text:?}")) && error.contains("64 MiB"), "{text:?}: {error}");
        }
        let error = ByteSize::parse("16777216 TiB").expect_err("2^64 bytes do not fit");
        assert!(error.contains("more bytes"), "{error}");
    }
}
