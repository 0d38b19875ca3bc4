//! A number as errors show it.

use std::fmt;

/// Shows a number with at most six digits behind the point, and with a power of ten if it is very
/// large or very small. Numbers of configurations need no more, and printing any `f64` exactly would
/// take tables in the module.
pub(crate) struct Decimal(pub(crate) f64);

const MILLIONTHS: f64 = 1e6;
/// Numbers from here up are written with a power of ten.
const LARGE: f64 = 1e15;
/// Numbers below this one, other than 0, are written with a power of ten.
const SMALL: f64 = 1e-6;

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0.0 { "-" } else { "" };
        let (mut size, mut power) = (self.0.abs(), 0_i32);
        while size >= if power == 0 { LARGE } else { 10.0 } && power < 400 {
            (size, power) = (size / 10.0, power.saturating_add(1));
        }
        while size > 0.0 && size < if power == 0 { SMALL } else { 1.0 } {
            (size, power) = (size * 10.0, power.saturating_sub(1));
        }
        let millionths = ((size - size.trunc()) * MILLIONTHS).round();
        let (whole, millionths) = match (millionths < MILLIONTHS, size.ceil()) {
            (true, _) => (size.trunc(), millionths),
            (false, 10.0) if power != 0 => {
                power = power.saturating_add(1);
                (1.0, 0.0)
            }
            (false, next) => (next, 0.0),
        };
        write!(f, "{sign}{}", whole as u64)?;
        if millionths > 0.0 {
            let digits = format!("{:06}", millionths as u32);
            write!(f, ".{}", digits.trim_end_matches('0'))?;
        }
        if power == 0 { Ok(()) } else { write!(f, "e{power}") }
    }
}

#[cfg(test)]
mod tests {
    use super::Decimal;

    #[test]
    fn as_people_write_them() {
        for (number, text) in [
            (0.0, "0"),
            (-5.0, "-5"),
            (2.5, "2.5"),
            (0.000001, "0.000001"),
            (9.9999999, "10"),
            (99.9999999, "100"),
            (1_000_001.0, "1000001"),
            (1e15, "1e15"),
            (-1.5e300, "-1.5e300"),
            (1e-7, "1e-7"),
            (2.5e-9, "2.5e-9"),
            (9.999_999_9e20, "1e21"),
            (f64::MAX, "1.797693e308"),
        ] {
            assert_eq!(Decimal(number).to_string(), text);
        }
    }
}
