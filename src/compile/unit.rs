//! The key of units.

use super::Env;
use super::sticky::found;
use crate::config::{Errors, MetricsLevel, Signing};
use crate::limits;
use crate::unit::UnitKey;

/// The key that `unit` names.
pub(super) fn compile(
    unit: &Signing,
    level: MetricsLevel,
    env: Env<'_>,
    errors: &mut Errors,
) -> Option<UnitKey> {
    if level != MetricsLevel::Full {
        errors.forbidden("unit", "access logs have units under `metrics: full` alone");
    }
    let single = found(env, unit)
        .and_then(|keys| keys.single().ok_or_else(|| "has several keys".to_owned()));
    let remedy = format!("give one key of at least {} bytes", limits::SIGNING_KEY_BYTES);
    single
        .map_err(|wrong| errors.invalid(&unit.path, &unit.env, format!("{wrong}: {remedy}")))
        .ok()
        .map(UnitKey)
}
