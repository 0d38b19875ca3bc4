//! Splits as written become splits that can choose, with their ramps, guards and cookies.

use std::sync::Arc;

use super::Parts;
use crate::config::{Decimal, Errors, GuardSpec, Mode, RampSpec, SplitSpec, Weight};
use crate::engine::Engine;
use crate::guard::Guard;
use crate::metrics::Counted;
use crate::ramp::Ramp;
use crate::reason::Reason;
use crate::rule::Allocation;
use crate::split::{Split, Weighted};
use crate::variant::Target;

/// The rule that is being compiled, as far as its split depends on it.
pub(super) struct RuleContext<'a> {
    pub(super) path: &'a str,
    pub(super) name: &'a Arc<str>,
    /// Whether its decisions are carried out.
    pub(super) mode: Mode,
    pub(super) sticky: bool,
    /// Whether it issues identities.
    pub(super) issues: bool,
    pub(super) salt: &'a str,
    /// XXH64 of the salt.
    pub(super) seed: u64,
    /// The flag engine that chooses.
    pub(super) engine: Option<Arc<Engine>>,
}

pub(super) fn compile(
    rule: &RuleContext<'_>,
    config: SplitSpec,
    parts: &mut Parts<'_>,
    errors: &mut Errors,
) -> Option<Allocation> {
    // A rule in shadow has no responses to watch: its guard is checked, and waits.
    let guarded =
        config.guard.as_ref().filter(|_| rule.mode == Mode::Enforce).map(|_| parts.guards.len());
    let targets = targets(rule, &config, guarded, parts, errors);
    check_page(rule, &config, errors);
    let otherwise = otherwise(rule, &config, &targets, parts, errors);
    let persist = config.persist.map(|persist| parts.cookies.persist(persist, rule.salt, errors));
    if let Some(guard) = config.guard {
        let guard = compile_guard(rule, guard, &targets, errors);
        parts.guards.extend(guard.filter(|_| rule.mode == Mode::Enforce));
    }
    let ramp = config.ramp.filter(|ramp| check_ramp(ramp, &targets, errors));
    let mut split = Split::new(&targets, config.history)?;
    let ramp = ramp.map(|ramp| {
        parts.ramps.push(compile_ramp(ramp, targets, &split));
        parts.ramps.len().saturating_sub(1)
    });
    if let Some(engine) = &rule.engine {
        split = split.by_engine(Arc::clone(engine), otherwise);
    }
    Some(Allocation { split, seed: rule.seed, persist, ramp, guard: guarded })
}

/// The reasons for which this variant of the split can be chosen.
fn reasons(rule: &RuleContext<'_>, config: &SplitSpec, variant: &str) -> Vec<Reason> {
    let takes_over = config.guard.as_ref().is_some_and(|guard| guard.fallback == variant);
    let mut reasons = rule.reasons(config.persist.is_some(), takes_over);
    if config.otherwise.as_deref() == Some(variant) && rule.mode == Mode::Enforce {
        reasons.push(Reason::Otherwise);
    }
    reasons
}

impl RuleContext<'_> {
    /// The reasons for which a target can be chosen: `persisted` where a cookie keeps it, `takes_over`
    /// where it is a guard's fallback.
    pub(super) fn reasons(&self, persisted: bool, takes_over: bool) -> Vec<Reason> {
        if self.mode == Mode::Shadow {
            return vec![Reason::Shadow];
        }
        let possible = [
            (self.sticky, Reason::Sticky),
            (persisted, Reason::Persisted),
            (takes_over, Reason::Guard),
        ];
        let drawn = self.engine.is_none().then_some(Reason::Random);
        let possible = possible.into_iter().filter_map(|(can, reason)| can.then_some(reason));
        possible.chain(drawn).collect()
    }

    /// A guard over two of the rule's targets.
    pub(super) fn guard(
        &self,
        config: GuardSpec,
        watch: Arc<Target>,
        fallback: Arc<Target>,
    ) -> Guard {
        Guard {
            rule: Arc::clone(self.name),
            watch,
            fallback,
            max_error_rate: config.max_error_rate,
            max_latency_ratio: config.max_latency_ratio,
            min_requests: config.min_requests,
            window: config.window,
            cooldown: config.cooldown,
            waits: false,
        }
    }
}

fn targets(
    rule: &RuleContext<'_>,
    config: &SplitSpec,
    guard: Option<usize>,
    parts: &mut Parts<'_>,
    errors: &mut Errors,
) -> Vec<Weighted> {
    let target = |Weight { variant: name, weight }: &Weight| {
        let variant = parts.find(&format!("{}.split.{name}", rule.path), name, errors)?;
        let counted = Counted {
            rule: rule.name,
            variant: Some(name),
            reasons: &reasons(rule, config, name),
            watched: rule.mode == Mode::Enforce
                && config.guard.as_ref().is_some_and(|guard| guard.watch == *name),
            weighed: true,
            assigned: rule.mode == Mode::Enforce && (rule.issues || config.persist.is_some()),
        };
        let takes_part = |guard: &GuardSpec| guard.watch == *name || guard.fallback == *name;
        let guard = guard.filter(|_| config.guard.as_ref().is_some_and(takes_part));
        let target = parts.target(rule.name, variant, &counted, guard);
        Some(Weighted { target, weight: *weight })
    };
    config.weights.iter().filter_map(target).collect()
}

/// Checks that a page has a variant even where the engine leaves its client out: the next rule would
/// have the page, and this one its parts.
fn check_page(rule: &RuleContext<'_>, config: &SplitSpec, errors: &mut Errors) {
    let by_page = config.persist.as_ref().is_some_and(|persist| persist.by_page);
    if by_page && rule.engine.is_some() && config.otherwise.is_none() {
        let remedy = "name the variant of the pages of clients whom the engine leaves out";
        let at = format!("{}.otherwise", rule.path);
        errors.required(&at, format!("{remedy}: `reassign` needs it"));
    }
}

/// The target of the clients that the engine leaves out. A cookie may keep it for a page.
fn otherwise(
    rule: &RuleContext<'_>,
    config: &SplitSpec,
    targets: &[Weighted],
    parts: &mut Parts<'_>,
    errors: &mut Errors,
) -> Option<Arc<Target>> {
    let name = config.otherwise.as_deref()?;
    if let Some(known) = targets.iter().find(|known| known.name() == name) {
        return Some(Arc::clone(&known.target));
    }
    let variant = parts.find(&format!("{}.otherwise", rule.path), name, errors)?;
    let reasons: &[Reason] = match rule.mode {
        Mode::Enforce if config.persist.is_some() => &[Reason::Persisted, Reason::Otherwise],
        Mode::Enforce => &[Reason::Otherwise],
        Mode::Shadow => &[Reason::Shadow],
    };
    let rule = rule.name;
    let counted = Counted {
        rule,
        variant: Some(name),
        reasons,
        watched: false,
        weighed: true,
        assigned: false,
    };
    Some(parts.target(rule, variant, &counted, None))
}

fn in_split(
    path: &str,
    name: &str,
    targets: &[Weighted],
    errors: &mut Errors,
) -> Option<Arc<Target>> {
    let found = targets.iter().find(|known| known.name() == name);
    if found.is_none() {
        let known: Vec<_> = targets.iter().map(Weighted::name).collect();
        let remedy = format!("must be one of the split's variants {}", known.join(", "));
        errors.invalid(path, format!("{name:?}"), remedy);
    }
    found.map(|known| Arc::clone(&known.target))
}

fn compile_guard(
    rule: &RuleContext<'_>,
    config: GuardSpec,
    targets: &[Weighted],
    errors: &mut Errors,
) -> Option<Guard> {
    let watch = in_split(&format!("{}.watch", config.path), &config.watch, targets, errors);
    let path = format!("{}.fallback", config.path);
    let fallback = in_split(&path, &config.fallback, targets, errors);
    if config.watch == config.fallback && fallback.is_some() {
        errors.invalid(&path, format!("{:?}", config.fallback), "must differ from watch");
    }
    Some(rule.guard(config, watch?, fallback?))
}

/// Whether there is a ramp to run: a held one leaves the weights as written.
fn check_ramp(ramp: &RampSpec, targets: &[Weighted], errors: &mut Errors) -> bool {
    let path = format!("{}.variant", ramp.path);
    let found = in_split(&path, &ramp.variant, targets, errors).is_some();
    let rest = targets.iter().any(|known| known.name() != ramp.variant && known.weight > 0.0);
    if found && !rest && ramp.to < 100.0 {
        let remedy = "the split must have another variant with a weight above 0";
        errors.invalid(&format!("{}.to", ramp.path), Decimal(ramp.to), remedy);
    }
    !ramp.hold
}

fn compile_ramp(config: RampSpec, weights: Vec<Weighted>, split: &Split) -> Ramp {
    Ramp {
        weights,
        history: split.history().cloned(),
        variant: config.variant,
        to: config.to / 100.0,
        start: config.start,
        duration: config.duration,
        steps: config.steps,
    }
}
