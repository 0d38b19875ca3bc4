//! Scalars as Kubernetes reads them. kubectl and the API server turn YAML into JSON with
//! `sigs.k8s.io/yaml`, which is YAML 1.1 by go-yaml 2: `on` is a boolean, `010` is 8, and the name of
//! a field becomes the text of what it reads.

use super::Value;

/// The types that a tag can ask for (YAML 1.1, "Language-Independent Types").
#[derive(Clone, Copy, PartialEq)]
pub enum Tag {
    /// The scalar stays the text that it is.
    Text,
    Bool,
    Integer,
    Float,
    Null,
}

/// A scalar, as go-yaml resolves it.
#[derive(Clone, Debug, PartialEq)]
pub enum Scalar {
    Null,
    Bool(bool),
    Integer(i64),
    /// An integer above the largest `i64`.
    Large(u64),
    Float(f64),
    Text(String),
}

/// Resolves an unquoted scalar.
pub fn plain(text: &str) -> Scalar {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Scalar::Null,
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            Scalar::Bool(true)
        }
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            Scalar::Bool(false)
        }
        ".nan" | ".NaN" | ".NAN" => Scalar::Float(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => Scalar::Float(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => Scalar::Float(f64::NEG_INFINITY),
        _ => number(text).unwrap_or_else(|| Scalar::Text(text.to_owned())),
    }
}

/// Resolves a scalar, quoted or not, whose tag asks for a type; `None` if it is of another one.
pub fn tagged(tag: Tag, text: &str) -> Option<Scalar> {
    match (tag, plain(text)) {
        (Tag::Text, _) => Some(Scalar::Text(text.to_owned())),
        (Tag::Float, Scalar::Integer(value)) => Some(Scalar::Float(value as f64)),
        (Tag::Bool, scalar @ Scalar::Bool(_))
        | (Tag::Integer, scalar @ (Scalar::Integer(_) | Scalar::Large(_)))
        | (Tag::Float, scalar @ Scalar::Float(_))
        | (Tag::Null, scalar @ Scalar::Null) => Some(scalar),
        _ => None,
    }
}

impl Scalar {
    /// The name that a field gets from it; `None` if it is refused as a name.
    pub fn name(&self) -> Option<String> {
        match self {
            Scalar::Null | Scalar::Large(_) => None,
            Scalar::Bool(value) => Some(value.to_string()),
            Scalar::Integer(value) => Some(value.to_string()),
            Scalar::Float(value) => Some(single(*value)),
            Scalar::Text(text) => Some(text.clone()),
        }
    }

    pub fn value(self) -> Value {
        match self {
            Scalar::Null => Value::Null,
            Scalar::Bool(value) => Value::Bool(value),
            Scalar::Integer(value) => super::number(value.into()),
            Scalar::Large(value) => super::number(value.into()),
            Scalar::Float(value) => Value::Number(value),
            Scalar::Text(text) => Value::Text(text),
        }
    }
}

/// Reads a number as go-yaml does: an integer with any prefix of Go or C, else a float.
fn number(text: &str) -> Option<Scalar> {
    if !text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.')) {
        return None;
    }
    if text.starts_with('.') && !joins_digits(text) {
        return None;
    }
    let digits = text.replace('_', "");
    let odd = || i64::from_str_radix(digits.strip_prefix("0b")?, 2).ok().map(Scalar::Integer);
    integer(&digits).or_else(|| float(&digits)).or_else(odd)
}

/// Whether every underscore stands between two digits.
fn joins_digits(text: &str) -> bool {
    let joins = |three: &[u8]| match three {
        [before, b'_', after] => before.is_ascii_digit() && after.is_ascii_digit(),
        _ => true,
    };
    !text.ends_with('_') && text.as_bytes().windows(3).all(joins)
}

/// Reads an integer as Go's `ParseInt` and `ParseUint` do with the base 0.
fn integer(text: &str) -> Option<Scalar> {
    let (sign, rest) = match text.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    let prefix = rest.get(..2).map(str::to_ascii_lowercase);
    let (digits, radix) = match prefix.as_deref() {
        Some("0x") => (rest.get(2..)?, 16),
        Some("0o") => (rest.get(2..)?, 8),
        Some("0b") => (rest.get(2..)?, 2),
        Some(prefix) if prefix.starts_with('0') => (rest.get(1..)?, 8),
        _ => (rest, 10),
    };
    if !digits.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return None;
    }
    let signed = i64::from_str_radix(&format!("{sign}{digits}"), radix).ok().map(Scalar::Integer);
    let is_signed = text.starts_with(['+', '-']);
    let unsigned = || u64::from_str_radix(digits, radix).ok().map(Scalar::Large);
    signed.or_else(|| unsigned().filter(|_| !is_signed))
}

/// Reads a float of digits, a point and an exponent. Like Go, it takes none that is too large.
fn float(text: &str) -> Option<Scalar> {
    let is_digit = |b: u8| b.is_ascii_digit() || matches!(b, b'+' | b'-' | b'.' | b'e' | b'E');
    let has_digit = text.bytes().any(|b| b.is_ascii_digit());
    if !has_digit || !text.bytes().all(is_digit) {
        return None;
    }
    text.parse().ok().filter(|value: &f64| value.is_finite()).map(Scalar::Float)
}

/// Writes a float as Go's `FormatFloat(value, 'g', -1, 32)` does: with the digits that tell it from
/// every other `f32`, and with a power of ten below 0.0001 and from 1,000,000 up.
fn single(value: f64) -> String {
    let value = value as f32;
    if value.is_nan() {
        return ".nan".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { ".inf" } else { "-.inf" }.to_owned();
    }
    let scientific = format!("{value:e}");
    match scientific.split_once('e').and_then(|(digits, power)| Some((digits, power.parse().ok()?)))
    {
        Some((digits, power)) if !(-4..6).contains(&power) => exponent(digits, power),
        _ => value.to_string(),
    }
}

/// Go writes an exponent with its sign and at least two digits.
fn exponent(digits: &str, power: i32) -> String {
    let sign = if power < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", power.unsigned_abs())
}
