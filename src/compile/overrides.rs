//! The variants that clients of a rule may force.

use super::Parts;
use super::split::RuleContext;
use crate::config::{Errors, Mode, OverrideSpec};
use crate::metrics::Counted;
use crate::overrides::Override;
use crate::reason::Reason;

/// The variants with counters of their own: no guard and no verdict hears of a choice. A rule in shadow
/// is checked, and forces nobody.
pub(super) fn compile(
    rule: &RuleContext<'_>,
    spec: &OverrideSpec,
    parts: &mut Parts<'_>,
    errors: &mut Errors,
) -> Option<Override> {
    let mut targets = Vec::new();
    for (place, name) in spec.variants.iter().enumerate() {
        let path = format!("{}.variants[{place}]", spec.path);
        let Some(variant) = parts.find(&path, name, errors) else { continue };
        if spec.variants.iter().take(place).any(|known| known == name) {
            errors.duplicate(&path, name);
        } else if rule.mode == Mode::Enforce {
            let counted = Counted {
                rule: rule.name,
                variant: Some(name),
                reasons: &[Reason::Override],
                watched: false,
                weighed: false,
                assigned: false,
            };
            targets.push(parts.target(rule.name, variant, &counted, None));
        }
    }
    let (cookie, signer, bit) = parts.cookies.overrides(spec, rule.salt, errors)?;
    let query_param = spec.query_param.clone();
    let compiled = Override { query_param, signer, cookie, bit, targets };
    (rule.mode == Mode::Enforce).then_some(compiled)
}
