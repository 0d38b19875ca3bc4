//! Filter state for access logs: what was decided, and what analysts need to know of it.

use std::borrow::Cow;
use std::sync::Arc;

use super::Outcome;
use crate::config::{MetricsLevel, Mode};
use crate::decision::Decision;
use crate::environment::Environment;
use crate::plan::Plan;
use crate::reason::Reason;
use crate::request::Request;
use crate::unit::UnitKey;
use crate::variant::Target;

impl Outcome<'_> {
    /// The filter state to set for access logs, by name: none but under `metrics: full`.
    pub fn filter_state(&self) -> Vec<(&'static str, Cow<'_, str>)> {
        match self.plan.metrics_level {
            MetricsLevel::Full => self.state(),
            MetricsLevel::Off | MetricsLevel::Counts => Vec::new(),
        }
    }

    #[inline(never)]
    fn state(&self) -> Vec<(&'static str, Cow<'_, str>)> {
        let [rule, variant] = self.names();
        let is_analysed = self.reason.is_analysed() && !self.decision.for_page;
        let analysis = if is_analysed { "1" } else { "0" };
        let mut state = vec![
            ("tsplit.rule", rule.into()),
            ("tsplit.variant", variant.into()),
            ("tsplit.reason", self.reason.name().into()),
            ("tsplit.generation", self.plan.generation_text.as_str().into()),
            ("tsplit.analysis", analysis.into()),
        ];
        let shadow = |target: &Arc<Target>| format!("{}={}", target.rule, target.name());
        let shadows: Vec<_> = self.shadows.iter().filter_map(|s| s.target.map(shadow)).collect();
        if !shadows.is_empty() {
            state.push(("tsplit.shadow", shadows.join(",").into()));
        }
        if let Some(unit) = self.told.as_ref().and_then(|told| told.unit.as_ref()) {
            state.push(("tsplit.unit", unit.as_str().into()));
        }
        if self.is_first() {
            state.push(("tsplit.first", "1".into()));
        }
        state
    }

    /// Whether this response is the first of its unit: its rule has issued the identity, or has made an
    /// assignment for a client who returned none.
    pub(super) fn is_first(&self) -> bool {
        let Some(target) = self.decision.target.filter(|_| self.cookies.is_some()) else {
            return false;
        };
        let issued = || {
            let key = self.plan.rule_of(target)?.key.as_ref()?;
            Some(self.decision.issued.has(key.issue.as_ref()?))
        };
        // A forced variant is kept as well, and so is a page's fallback.
        let assigns = matches!(self.reason, Reason::Sticky | Reason::Random);
        assigns && self.decision.keep.is_some() && !self.decision.returns
            || self.decision.issued.id.is_some() && issued() == Some(true)
    }
}

/// The unit of the client whom a rule told apart by its key; `None` where it has none.
pub(super) fn unit(
    plan: &Plan,
    key: &UnitKey,
    decision: &Decision<'_>,
    request: &impl Request,
    environment: &mut impl Environment,
) -> Option<String> {
    let recognised = plan.rule_of(decision.target?)?.key.as_ref()?;
    if let Some(identity) = recognised.known(request, environment) {
        return Some(key.unit(identity.as_bytes()));
    }
    // In shadow, no client gets the identity.
    let issued = Some(decision.issued).filter(|_| plan.mode == Mode::Enforce)?;
    issued.has(recognised.issue.as_ref()?).then_some(())?;
    Some(key.unit(issued.id?.as_bytes()))
}
