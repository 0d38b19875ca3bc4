//! The usual reasons for which a user gets another variant tomorrow, where a request shows one.

mod apart;
mod kept;
mod key;
mod part;
#[cfg(test)]
mod tests;

use traffic_split::config::{ActionSpec, RuleSpec, format_time};
use traffic_split::{Explanation, FoundKey, HeaderList, Reason, Rule, Snapshot};

use crate::check::Checked;
use crate::curve;

/// A request, and the rule that decided it.
struct Decided<'a> {
    checked: &'a Checked,
    request: &'a HeaderList,
    rule: &'a Rule,
    spec: &'a RuleSpec,
    reason: Reason,
    /// The name of the variant.
    variant: Option<&'a str>,
    key: Option<&'a FoundKey>,
}

/// The reasons that a configuration has for this request.
pub fn reasons(
    checked: &Checked,
    explanation: &Explanation<'_>,
    request: &HeaderList,
) -> Vec<String> {
    let mut reasons = outside(checked, explanation);
    let decision = &explanation.decision;
    let is_free = !matches!(decision.reason(), Reason::Hold | Reason::Override);
    let spec = decision.rule().filter(|_| is_free).and_then(|name| checked.config.rule(name));
    if let (Some(spec), Some(step)) = (spec, explanation.steps.last()) {
        let decided = Decided {
            checked,
            request,
            rule: step.rule,
            spec,
            reason: decision.reason(),
            variant: decision.variant().map(|variant| variant.name.as_str()),
            key: step.key.as_ref(),
        };
        reasons.extend(key::reasons(&decided));
        reasons.extend(kept::reasons(&decided));
        reasons.extend(apart::reasons(&decided));
        reasons.extend(decided.ramped());
        reasons.extend(decided.guarded());
    }
    reasons
}

/// The rules that leave a client to others because it has no key.
fn outside(checked: &Checked, explanation: &Explanation<'_>) -> Vec<String> {
    let left = explanation.steps.iter().zip(&checked.config.rules).filter(|(step, rule)| {
        let decided = explanation.decision.rule() == Some(rule.name.as_str());
        let needs_key = rule.layer.is_some() || step.rule.engine().is_some();
        !decided && step.matches && !step.rule.is_shadow() && step.key.is_none() && needs_key
    });
    let reason = |(_, rule): (_, &RuleSpec)| {
        format!(
            "the rule {} leaves a client without a key to other rules: with one, as after a login, the \
             client may be the rule's, and flip",
            rule.name
        )
    };
    left.map(reason).collect()
}

impl Decided<'_> {
    /// The text of the key, unless it is new with this request.
    fn sent_key(&self) -> Option<&[u8]> {
        self.key.filter(|key| !key.issued).map(|key| key.value.as_slice())
    }

    /// Whether the hash of the key has chosen.
    fn is_hashed(&self) -> bool {
        self.reason == Reason::Sticky && !matches!(self.spec.action, Some(ActionSpec::To(_)))
    }

    /// The variant at the end of a ramp, where it is another one.
    fn ramped(&self) -> Option<String> {
        let ramp = curve::ramp(&self.checked.config, &self.spec.name)?;
        let key = self.sent_key().filter(|_| self.is_hashed())?;
        let (now, end) = (self.checked.snapshot.now(), ramp.start + ramp.duration);
        let at_end = Snapshot::new(&self.checked.plan, end);
        let variant = &self.rule.assign(&at_end, key).ok()?.name;
        let moves = now < end && self.variant != Some(variant);
        moves.then(|| format!("the ramp moves the client to {variant} by {}", format_time(end)))
    }

    fn guarded(&self) -> Option<String> {
        let Some(ActionSpec::Split(split)) = &self.spec.action else { return None };
        let guard = split.guard.as_ref();
        let guard = guard.filter(|guard| Some(guard.watch.as_str()) == self.variant)?;
        Some(format!(
            "where the guard of {} trips, its clients go to {} until it is closed again",
            guard.watch, guard.fallback
        ))
    }
}
