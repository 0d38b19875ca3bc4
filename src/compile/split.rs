//! Splits as written become splits that can choose, with their ramps, guards and cookies.

use std::sync::Arc;

use super::Parts;
use crate::config::{Decimal, Errors, GuardSpec, Mode, RampSpec, SplitSpec, Weight};
use crate::guard::Guard;
use crate::metrics::Counted;
use crate::ramp::Ramp;
use crate::reason::Reason;
use crate::rule::Allocation;
use crate::split::Split;
use crate::variant::Target;

/// The rule that a split is of.
pub(super) struct Of<'a> {
    pub(super) path: &'a str,
    pub(super) name: &'a Arc<str>,
    /// Whether its decisions are carried out.
    pub(super) mode: Mode,
    pub(super) sticky: bool,
}

type Targets = Vec<(Arc<Target>, f64)>;

pub(super) fn compile(
    of: &Of<'_>,
    config: SplitSpec,
    seed: u64,
    parts: &mut Parts<'_>,
    errors: &mut Errors,
) -> Option<Allocation> {
    // What is only tried has no responses to watch: there its guard is checked, and waits.
    let guarded =
        config.guard.as_ref().filter(|_| of.mode == Mode::Enforce).map(|_| parts.guards.len());
    let targets = targets(of, &config, guarded, parts, errors);
    let persist = config.persist.map(|persist| parts.cookies.persist(persist, errors));
    if let Some(guard) = config.guard {
        let guard = compile_guard(of, guard, &targets, errors);
        parts.guards.extend(guard.filter(|_| of.mode == Mode::Enforce));
    }
    let ramp = config.ramp.filter(|ramp| check_ramp(ramp, &targets, &config.history, errors));
    let ramp = ramp.map(|ramp| {
        parts.ramps.push(compile_ramp(ramp, targets.clone()));
        parts.ramps.len().saturating_sub(1)
    });
    let split = Split::new(&targets, config.history)?;
    Some(Allocation { split, seed, persist, ramp, guard: guarded })
}

/// Why this variant of the split can be chosen.
fn reasons(of: &Of<'_>, config: &SplitSpec, variant: &str) -> Vec<Reason> {
    let takes_over = config.guard.as_ref().is_some_and(|guard| guard.fallback == variant);
    if of.mode == Mode::Shadow {
        return vec![Reason::Shadow];
    }
    let possible = [
        (of.sticky, Reason::Sticky),
        (config.persist.is_some(), Reason::Persisted),
        (takes_over, Reason::Guard),
    ];
    let possible = possible.into_iter().filter_map(|(can, reason)| can.then_some(reason));
    possible.chain([Reason::Random]).collect()
}

fn targets(
    of: &Of<'_>,
    config: &SplitSpec,
    guard: Option<usize>,
    parts: &mut Parts<'_>,
    errors: &mut Errors,
) -> Targets {
    let target = |Weight { variant: name, weight }: &Weight| {
        let variant = parts.find(&format!("{}.split.{name}", of.path), name, errors)?;
        let counted = Counted {
            rule: of.name,
            variant: name,
            reasons: &reasons(of, config, name),
            watched: of.mode == Mode::Enforce
                && config.guard.as_ref().is_some_and(|guard| guard.watch == *name),
            weighed: true,
        };
        let takes_part = |guard: &GuardSpec| guard.watch == *name || guard.fallback == *name;
        let guard = guard.filter(|_| config.guard.as_ref().is_some_and(takes_part));
        Some((parts.target(of.name, variant, &counted, guard), *weight))
    };
    config.weights.iter().filter_map(target).collect()
}

fn in_split(path: &str, name: &str, targets: &Targets, errors: &mut Errors) -> Option<Arc<Target>> {
    let found = targets.iter().find(|(target, _)| target.variant.name == name);
    if found.is_none() {
        let known: Vec<_> = targets.iter().map(|(t, _)| t.variant.name.as_str()).collect();
        let remedy = format!("must be one of the split's variants {}", known.join(", "));
        errors.invalid(path, format!("{name:?}"), remedy);
    }
    found.map(|(target, _)| Arc::clone(target))
}

fn compile_guard(
    of: &Of<'_>,
    config: GuardSpec,
    targets: &Targets,
    errors: &mut Errors,
) -> Option<Guard> {
    let watch = in_split(&format!("{}.watch", config.path), &config.watch, targets, errors);
    let path = format!("{}.fallback", config.path);
    let fallback = in_split(&path, &config.fallback, targets, errors);
    if config.watch == config.fallback {
        errors.invalid(&path, format!("{:?}", config.fallback), "must differ from watch");
    }
    Some(Guard {
        rule: Arc::clone(of.name),
        watch: watch?,
        fallback: fallback?,
        max_error_rate: config.max_error_rate,
        max_latency_ratio: config.max_latency_ratio,
        min_requests: config.min_requests,
        window: config.window,
        cooldown: config.cooldown,
    })
}

/// Whether there is a ramp to run: a held one leaves the weights as written.
fn check_ramp(
    ramp: &RampSpec,
    targets: &Targets,
    history: &[Vec<Weight>],
    errors: &mut Errors,
) -> bool {
    if !history.is_empty() {
        errors.forbidden(&ramp.path, "not beside `history`: a ramp moves the fewest by itself");
    }
    let path = format!("{}.variant", ramp.path);
    let found = in_split(&path, &ramp.variant, targets, errors).is_some();
    let rest = targets.iter().any(|(t, weight)| t.variant.name != ramp.variant && *weight > 0.0);
    if found && !rest && ramp.to < 100.0 {
        let remedy = "the split must have another variant with a weight above 0";
        errors.invalid(&format!("{}.to", ramp.path), Decimal(ramp.to), remedy);
    }
    !ramp.hold
}

fn compile_ramp(config: RampSpec, weights: Targets) -> Ramp {
    Ramp {
        weights,
        variant: config.variant,
        to: config.to / 100.0,
        start: config.start,
        duration: config.duration,
        steps: config.steps,
    }
}
