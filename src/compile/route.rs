//! Splits whose weights the route has. Their responses are told apart by the cluster that Envoy chose,
//! where the variants name their clusters.

use std::sync::Arc;

use super::Parts;
use super::split::RuleContext;
use crate::config::{Errors, GuardSpec, MetricsLevel, Mode, RouteSpec};
use crate::limits;
use crate::metrics::Counted;
use crate::rule::Route;
use crate::variant::{Target, Variant};

/// The watched variant and the fallback of a guard.
type Pair = [Arc<Variant>; 2];

pub(super) fn compile(
    rule: &RuleContext<'_>,
    config: RouteSpec,
    parts: &mut Parts<'_>,
    errors: &mut Errors,
) -> Option<Route> {
    let persist = config.persist.map(|persist| parts.cookies.persist(persist, rule.salt, errors));
    let pair = match &config.guard {
        Some(guard) => Some(pair(guard, parts, errors)?),
        None => None,
    };
    let counted = Counted {
        rule: rule.name,
        variant: None,
        reasons: &rule.reasons(persist.is_some(), pair.is_some()),
        watched: false,
        weighed: false,
        assigned: false,
    };
    let metrics = parts.metrics.target(parts.metrics_level, &counted);
    let mut target = Target {
        rule: Arc::clone(rule.name),
        variant: None,
        metrics,
        guard: None,
        by_cluster: Vec::new(),
    };
    // A rule in shadow has no responses of its own: its guard is checked, and waits.
    if rule.mode == Mode::Enforce {
        target.guard = pair.as_ref().map(|_| parts.guards.len());
        target.by_cluster = by_cluster(rule, pair.as_ref(), target.guard, parts, errors);
        if let (Some(guard), Some([watch, fallback])) = (config.guard, &pair) {
            let find = |variant: &Variant| target_of(variant, &target.by_cluster);
            parts.guards.push(rule.guard(guard, find(watch)?, find(fallback)?));
        }
    }
    let guard = target.guard;
    Some(Route { target: Arc::new(target), seed: rule.seed, persist, guard })
}

/// The variants of a guard, whose clusters have to tell their responses apart.
fn pair(guard: &GuardSpec, parts: &Parts<'_>, errors: &mut Errors) -> Option<Pair> {
    let mut find = |field: &str, name: &str| {
        let variant = parts.find(&format!("{}.{field}", guard.path), name, errors)?;
        if variant.cluster.is_none() && !errors.has_within(&format!("variants.{name}")) {
            let remedy = format!("{}.{field} tells responses apart by it", guard.path);
            errors.required(&format!("variants.{name}.cluster"), remedy);
        }
        Some(variant)
    };
    let (watch, fallback) = (find("watch", &guard.watch), find("fallback", &guard.fallback));
    let (watch, fallback) = (watch?, fallback?);
    let path = format!("{}.fallback", guard.path);
    if guard.watch == guard.fallback {
        errors.invalid(&path, format!("{:?}", guard.fallback), "must differ from watch");
    } else if watch.cluster.is_some() && watch.cluster == fallback.cluster {
        let remedy = "must have another cluster than watch: responses are told apart by it";
        errors.invalid(&path, format!("{:?}", guard.fallback), remedy);
    }
    Some([watch, fallback])
}

/// The variants whose responses are counted, by their clusters: all with `metrics: full`, or else those
/// of the guard. Of several variants with one cluster, those of the guard and the first come first.
fn by_cluster(
    rule: &RuleContext<'_>,
    pair: Option<&Pair>,
    guard: Option<usize>,
    parts: &mut Parts<'_>,
    errors: &mut Errors,
) -> Vec<(String, Arc<Target>)> {
    let all = (parts.metrics_level == MetricsLevel::Full).then(|| parts.variants.clone());
    let variants = pair.cloned().into_iter().flatten().chain(all.into_iter().flatten());
    let mut known: Vec<(String, Arc<Target>)> = Vec::new();
    for variant in variants {
        let Some(cluster) = variant.cluster.clone() else { continue };
        if known.iter().any(|(taken, _)| *taken == cluster) {
            continue;
        }
        parts.attributed = parts.attributed.saturating_add(1);
        if parts.attributed > limits::ATTRIBUTED {
            let most = limits::ATTRIBUTED;
            let remedy = format!("more than {most} pairs of such a rule and a cluster of variants");
            errors.forbidden(
                &format!("{}.split", rule.path),
                format!("{remedy}; use `metrics: counts`"),
            );
            break;
        }
        let takes_part = pair.is_some_and(|pair| pair.contains(&variant));
        let counted = Counted {
            rule: rule.name,
            variant: Some(&variant.name),
            reasons: &[],
            watched: pair.is_some_and(|[watch, _]| *watch == variant),
            weighed: false,
            assigned: false,
        };
        let guard = guard.filter(|_| takes_part);
        let target = parts.target(rule.name, Arc::clone(&variant), &counted, guard);
        // Sorted as it grows: the module would get larger by a sort of its own.
        let place = known.partition_point(|(before, _)| *before < cluster);
        known.insert(place, (cluster, target));
    }
    known
}

fn target_of(variant: &Variant, known: &[(String, Arc<Target>)]) -> Option<Arc<Target>> {
    let found = known.iter().find(|(_, target)| target.name() == variant.name);
    found.map(|(_, target)| Arc::clone(target))
}
