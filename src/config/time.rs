//! Points in time, as in `2026-12-01T09:00:00Z` (RFC 3339, UTC).

use super::error::Errors;
use super::field::Field;
use crate::limits;

/// Reads a point in time, in seconds since 1970.
pub(super) fn read(field: &Field<'_>, errors: &mut Errors) -> Option<u64> {
    let remedy = "must be a time in UTC, as in 2026-12-01T09:00:00Z";
    let text = field.text_as(limits::TEXT_BYTES, remedy, errors)?;
    parse(text).or_else(|| field.wrong(remedy, errors))
}

/// Reads a time, in seconds since 1970: RFC 3339 section 5.6, from 1970 to 9999, with `Z` only and
/// without fractions, so that there is one way to write it. `None` for any other text.
///
/// ```
/// use traffic_split::config::parse_time;
///
/// assert_eq!(parse_time("1970-01-02T00:00:01Z"), Some(86_401));
/// assert_eq!(parse_time("1970-01-02T00:00:01+01:00"), None);
/// ```
pub fn parse(text: &str) -> Option<u64> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
    let [hour, minute, second] = numbers(time, ':', [2, 2, 2])?;
    let valid = (1970..=9999).contains(&year)
        && (1..=12).contains(&month)
        && (1..=days_in(year, month)).contains(&day)
        && hour < 24
        && minute < 60
        && second < 60;
    if !valid {
        return None;
    }
    let years: u64 = (1970..year).map(days_in_year).sum();
    let months: u64 = (1..month).map(|month| days_in(year, month)).sum();
    let days = years.checked_add(months)?.checked_add(day)?.checked_sub(1)?;
    let minutes = hour.checked_mul(60)?.checked_add(minute)?;
    let seconds = minutes.checked_mul(60)?.checked_add(second)?;
    days.checked_mul(86_400)?.checked_add(seconds)
}

/// Writes a time, given in seconds since 1970, as [`parse`] reads it. Times after the year 9999 are
/// written as the last second of it.
///
/// ```
/// use traffic_split::config::format_time;
///
/// assert_eq!(format_time(86_401), "1970-01-02T00:00:01Z");
/// assert_eq!(format_time(u64::MAX), "9999-12-31T23:59:59Z");
/// ```
pub fn format(seconds: u64) -> String {
    let seconds = seconds.min(LAST);
    let (mut days, second) = (seconds / 86_400, seconds % 86_400);
    let mut rest = |length: &dyn Fn(u64) -> u64, first: u64| {
        let mut at = first;
        while days >= length(at) {
            days = days.saturating_sub(length(at));
            at = at.saturating_add(1);
        }
        at
    };
    let year = rest(&days_in_year, 1970);
    let month = rest(&|month| days_in(year, month), 1);
    let (day, hour, minute) = (days.saturating_add(1), second / 3600, second / 60 % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{:02}Z", second % 60)
}

/// 9999-12-31T23:59:59Z.
const LAST: u64 = 253_402_300_799;

fn numbers(text: &str, separator: char, widths: [usize; 3]) -> Option<[u64; 3]> {
    let mut parts = text.split(separator);
    let mut next = |width: usize| {
        let digits = parts.next()?;
        let plain = digits.len() == width && digits.bytes().all(|b| b.is_ascii_digit());
        plain.then(|| digits.parse().ok())?
    };
    let [first, second, third] = widths;
    let found = [next(first)?, next(second)?, next(third)?];
    parts.next().is_none().then_some(found)
}

fn leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

fn days_in_year(year: u64) -> u64 {
    if leap(year) { 366 } else { 365 }
}

fn days_in(year: u64, month: u64) -> u64 {
    match month {
        2 if leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses() {
        for (text, seconds) in [
            ("1970-01-01T00:00:00Z", Some(0)),
            ("2000-02-29T23:59:59Z", Some(951_868_799)),
            ("2026-12-01T09:00:00Z", Some(1_796_115_600)),
            ("2026-12-01T09:30:05Z", Some(1_796_117_405)),
            ("2100-03-01T00:00:00Z", Some(4_107_542_400)),
            ("2026-02-29T00:00:00Z", None),
            ("2026-04-31T00:00:00Z", None),
            ("2026-13-01T00:00:00Z", None),
            ("2026-00-01T00:00:00Z", None),
            ("2026-01-00T00:00:00Z", None),
            ("2026-01-01T24:00:00Z", None),
            ("2026-01-01T00:60:00Z", None),
            ("2026-01-01T00:00:60Z", None),
            ("2026-01-01T00:00:00", None),
            ("2026-01-01T00:00:00+01:00", None),
            ("2026-01-01T00:00:00.5Z", None),
            ("2026-01-01 00:00:00Z", None),
            ("2026-1-1T00:00:00Z", None),
            ("2026-01-01-01T00:00:00Z", None),
            ("+026-01-01T00:00:00Z", None),
            ("", None),
        ] {
            assert_eq!(parse(text), seconds, "{text}");
            assert_eq!(seconds.map(format).as_deref(), seconds.map(|_| text));
        }
        assert_eq!(parse(&format(u64::MAX)), Some(LAST));
    }
}
