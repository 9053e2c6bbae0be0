//! Moments as text (RFC 3339), in UTC: written and read.

const DAY_SECONDS: u64 = 86_400;

/// `2026-11-21T17:05:09Z` of a number of seconds since 1970.
pub fn rfc3339(seconds: u64) -> String {
    let (days, rest) = (seconds / DAY_SECONDS, seconds % DAY_SECONDS);
    // Days since 1st March of year 0, in eras of 400 years of 146,097 days: there the leap day is the last of its year.
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// The seconds since 1970 of a moment in UTC: `2026-11-21`, `2026-11-21T17:05`, `2026-11-21T17:05:09Z`, also with a space in place of the
/// `T` and without the `Z`. `None` where the text is none, or of a day that the calendar does not have.
pub fn parse(text: &str) -> Option<u64> {
    let text = text.strip_suffix(['Z', 'z']).unwrap_or(text);
    let (date, time) = text.split_once(['T', 't', ' ']).unwrap_or((text, "00:00"));
    let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
    let [hour, minute, second] = match time.len() {
        5 => numbers(&format!("{time}:00"), ':', [2, 2, 2])?,
        _ => numbers(time, ':', [2, 2, 2])?,
    };
    if year < 1970 || !(1..=12).contains(&month) || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    // As above: years begin in March.
    let (year, month_from_march) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (153 * month_from_march + 2) / 5;
    let seconds = (days + day.checked_sub(1)? - 719_468) * DAY_SECONDS + hour * 3600 + minute * 60 + second;
    // The 31st of April has come out as the 1st of May.
    rfc3339(seconds).starts_with(date).then_some(seconds)
}

/// Three numbers of so many digits each.
fn numbers(text: &str, divider: char, digits: [usize; 3]) -> Option<[u64; 3]> {
    let mut parts = text.split(divider);
    let mut next = |digits: usize| {
        let part = parts.next().filter(|part| part.len() == digits)?;
        part.bytes().all(|byte| byte.is_ascii_digit()).then(|| part.parse().ok())?
    };
    let found = [next(digits[0])?, next(digits[1])?, next(digits[2])?];
    parts.next().is_none().then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_those_of_the_calendar() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (86_399, "1970-01-01T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (951_868_800, "2000-03-01T00:00:00Z"),
            (1_700_000_000, "2023-11-14T22:13:20Z"),
            (1_709_164_800, "2024-02-29T00:00:00Z"),
            (1_735_689_599, "2024-12-31T23:59:59Z"),
            (1_735_689_600, "2025-01-01T00:00:00Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(rfc3339(seconds), text);
            assert_eq!(parse(text), Some(seconds), "{text}");
        }
        // Each day follows the one before.
        let mut last = rfc3339(0);
        for day in 1..100_000 {
            let next = rfc3339(day * DAY_SECONDS);
            assert!(next > last, "{next} after {last}");
            assert_eq!(parse(&next), Some(day * DAY_SECONDS));
            last = next;
        }
    }

    #[test]
    fn moments_are_read_as_people_write_them() {
        let noon = Some(1_795_262_709);
        for text in ["2026-11-21T12:05:09Z", "2026-11-21 12:05:09", "2026-11-21t12:05:09z"] {
            assert_eq!(parse(text), noon, "{text}");
        }
        assert_eq!(parse("2026-11-21T12:05"), noon.map(|noon| noon - 9));
        assert_eq!(parse("2026-11-21"), parse("2026-11-21T00:00:00Z"));
        for text in [
            "",
            "2026",
            "2026-11",
            "2026-13-01",
            "2026-02-29",
            "2026-04-31",
            "2026-11-00",
            "1969-12-31",
            "2026-11-21T24:00:00Z",
            "2026-11-21T12:60",
            "2026-11-21T12",
            "2026-11-21T12:05:09+01:00",
            "26-11-21",
            "2026-11-21-01",
            "+026-11-21",
            "2026-11-21T",
            "yesterday",
            "2026-1١-21",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
