//! Whether decisions are carried out.

use super::error::Errors;
use super::field::Object;
use crate::limits;

/// Whether what is decided is carried out, for a rule or for a whole configuration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Requests go where a rule sends them.
    #[default]
    Enforce,
    /// Rules are evaluated and counted, and no request is changed.
    Shadow,
}

/// Reads `mode`.
pub(super) fn read(object: &mut Object<'_>, errors: &mut Errors) -> Mode {
    let Some(field) = object.optional("mode") else { return Mode::default() };
    match field.text(limits::TEXT_BYTES, errors) {
        Some("shadow") => Mode::Shadow,
        Some("enforce") | None => Mode::Enforce,
        Some(_) => field.wrong("must be enforce or shadow", errors).unwrap_or_default(),
    }
}
