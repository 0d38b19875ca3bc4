//! The mode of a rule or of a configuration.

use super::error::Errors;
use super::field::{Field, Object};
use crate::limits;

/// Whether a rule's decisions are carried out, or those of a whole configuration.
///
/// ```
/// use traffic_split::config::{Config, Mode};
///
/// let config = br#"{ "variantHeader": "x-variant", "variants": { "v2": {} },
///                    "rules": [ { "name": "dry-run", "mode": "shadow", "to": "v2" } ] }"#;
/// let config = Config::parse(config).unwrap();
/// assert_eq!(config.mode, Mode::Enforce);
/// assert_eq!(config.rules[0].mode, Mode::Shadow);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Each request goes to the variant that was decided; the default.
    #[default]
    Enforce,
    /// Decisions are counted, and nothing is written into a request.
    Shadow,
}

/// Reads `mode`.
pub(super) fn read(object: &mut Object<'_>, errors: &mut Errors) -> Mode {
    object.given("mode", mode, errors).value().unwrap_or_default()
}

fn mode(field: &Field<'_>, errors: &mut Errors) -> Option<Mode> {
    let remedy = "must be enforce or shadow";
    match field.text_as(limits::TEXT_BYTES, remedy, errors)? {
        "enforce" => Some(Mode::Enforce),
        "shadow" => Some(Mode::Shadow),
        _ => field.wrong(remedy, errors),
    }
}
