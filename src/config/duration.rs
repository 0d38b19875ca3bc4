//! Durations, as in `30d`, `12h` or `1h30m`.

use super::decimal::Decimal;
use super::error::Errors;
use super::field::Field;
use crate::limits;

/// The units, and the seconds that each has.
const UNITS: [(char, u64); 4] = [('d', 86_400), ('h', 3_600), ('m', 60), ('s', 1)];

/// Reads a duration of at least a second and at most `limit`, in seconds.
pub(super) fn read(field: &Field<'_>, limit: u64, errors: &mut Errors) -> Option<u64> {
    read_or(field, limit, "", errors)
}

/// The same where a word may stand in its place, which errors name.
pub(super) fn read_or(
    field: &Field<'_>,
    limit: u64,
    word: &str,
    errors: &mut Errors,
) -> Option<u64> {
    let meant = match field.as_number() {
        Some(seconds) if seconds >= 1.0 && seconds.fract() == 0.0 => {
            format!("{}s", Decimal(seconds))
        }
        _ => "30d or 1h30m".to_owned(),
    };
    let mut remedy = format!("must be a duration in d, h, m and s, as in {meant}");
    if !word.is_empty() {
        remedy.push_str(", or the word ");
        remedy.push_str(word);
    }
    let text = field.text_as(limits::TEXT_BYTES, &remedy, errors)?;
    match parse(text) {
        Some(seconds) if (1..=limit).contains(&seconds) => Some(seconds),
        Some(_) => field.wrong(&format!("must be from 1s to {}d", limit / 86_400), errors),
        None => field.wrong(&remedy, errors),
    }
}

/// Reads a duration, in seconds: whole numbers with the units `d`, `h`, `m` and `s`, which add up.
/// `None` for any other text, and for more seconds than a `u64` holds.
///
/// ```
/// use traffic_split::config::parse_duration;
///
/// assert_eq!(parse_duration("1h30m"), Some(5_400));
/// assert_eq!(parse_duration("30d"), Some(2_592_000));
/// assert_eq!(parse_duration("90"), None);
/// ```
pub fn parse(text: &str) -> Option<u64> {
    let mut sum = 0_u64;
    let mut number = String::new();
    for c in text.chars() {
        if c.is_ascii_digit() {
            number.push(c);
        } else {
            let (_, seconds) = UNITS.iter().find(|(unit, _)| *unit == c)?;
            sum = sum.checked_add(number.parse::<u64>().ok()?.checked_mul(*seconds)?)?;
            number.clear();
        }
    }
    (number.is_empty() && !text.is_empty()).then_some(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses() {
        for (text, seconds) in [
            ("30d", Some(2_592_000)),
            ("1h30m", Some(5_400)),
            ("0s", Some(0)),
            ("90", None),
            ("", None),
            ("d", None),
            ("1w", None),
            ("-1s", None),
            ("1.5h", None),
            ("99999999999999999999s", None),
            ("9999999999999999d", None),
        ] {
            assert_eq!(parse(text), seconds, "{text}");
        }
    }
}
