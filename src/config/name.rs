//! The names of rules, variants and layers.

use super::error::Errors;
use crate::limits;

/// Checks the name of a rule, a variant or a layer. It is plain, since headers, metrics and logs show
/// it as it is.
pub(crate) fn check_name(path: &str, name: &str, errors: &mut Errors) -> Option<String> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    if !name.is_empty() && name.len() <= limits::NAME_BYTES && name.bytes().all(plain) {
        return Some(name.to_owned());
    }
    let remedy = format!("must be 1 to {} letters, digits, '-', '_' or '.'", limits::NAME_BYTES);
    errors.invalid(path, format!("{name:?}"), remedy);
    None
}
