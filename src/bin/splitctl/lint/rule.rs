//! Splits, keys, cookies, ramps and guards that do not do what they seem to.

use traffic_split::config::{
    ActionSpec, ConditionTest, CookieSpec, GuardSpec, KeySource, Operator, Part, PersistSpec,
    RampSpec, RuleSpec, SplitSpec, Weight, format_time,
};
use traffic_split::limits;

use super::{Circumstances, Finding, Lint};
use crate::check::Checked;
use crate::output::percent;
use crate::rules::{self, RuleAt};

/// The least ratio of latencies that the guard's classes can tell.
const RATIO: f64 = 1.5;

/// The share by which a ramp that began may differ from its split without a word.
const AHEAD: f64 = 0.01;

/// Headers whose values are often longer than a key or a searched value may be.
const LONG: [(&str, &str); 4] = [
    ("authorization", "tokens are often longer, and change with each login"),
    ("cookie", "it holds all cookies of the client, and changes with any of them"),
    ("proxy-authorization", "tokens are often longer, and change with each login"),
    ("x-forwarded-client-cert", "it may hold whole chains of certificates"),
];

/// The warnings about a rule, without those about its conditions.
pub fn find(rule: &RuleSpec, checked: &Checked, circumstances: Circumstances) -> Vec<Finding> {
    let mut found = long(rule);
    let issued = rule.sticky.as_ref().and_then(|sticky| Some((sticky, sticky.issue.as_ref()?)));
    if let Some((sticky, cookie)) = issued {
        found.extend(insecure(&format!("{}.issue", sticky.path), cookie, circumstances));
    }
    let forced = rule.overrides.as_ref();
    found.extend(forced.and_then(|it| insecure(&it.path, &it.cookie, circumstances)));
    let guard = match &rule.action {
        Some(ActionSpec::Split(split)) => {
            found.extend(idle_history(&rule.path, split));
            found.extend(split.ramp.as_ref().and_then(|ramp| ramped(rule, ramp, checked)));
            found.extend(split.persist.iter().flat_map(|persist| drained(split, persist)));
            split.guard.as_ref()
        }
        Some(ActionSpec::Route(route)) => route.guard.as_ref(),
        _ => None,
    };
    found.extend(rule.persist().and_then(|it| insecure(&it.path, &it.cookie, circumstances)));
    if let Some(guard) = guard {
        found.extend(narrow(guard));
        found.extend(circumstances.rate.and_then(|rate| blind(rule, guard, checked, rate)));
    }
    found
}

fn insecure(path: &str, cookie: &CookieSpec, circumstances: Circumstances) -> Option<Finding> {
    if cookie.secure || circumstances.is_plain {
        return None;
    }
    let why = format!("browsers send {} over connections without TLS too", cookie.name);
    Some(Finding::new(Lint::InsecureCookie, path, why))
}

/// Keys, and values that are searched, which are likely to be longer than a limit.
fn long(rule: &RuleSpec) -> Vec<Finding> {
    let why = |part: &Part| {
        let Part::Header(name) = part else { return None };
        LONG.iter().find(|(known, _)| known == name).map(|(_, why)| *why)
    };
    let keys = rule.sticky.iter().flat_map(|sticky| {
        let keys = sticky.key.iter().enumerate();
        keys.filter_map(|(place, source)| {
            let why = why(source.part()?)?;
            let (most, source): (_, &KeySource) = (limits::KEY_BYTES, source);
            let message =
                format!("a key has at most {most} bytes, and {source} is a long one: {why}");
            Some(Finding::new(Lint::LongKey, format!("{}.key[{place}]", sticky.path), message))
        })
    });
    let searched = rule.entries.iter().flatten().flatten().filter_map(|condition| {
        let ConditionTest::Text { part, operator, .. } = &condition.test else { return None };
        let why = why(part).filter(|_| {
            matches!(operator, Operator::Regex(_) | Operator::Contains(_) | Operator::Member(_))
        })?;
        let most = limits::SEARCH_BYTES;
        let message = format!("regex and contains look at no value over {most} bytes: {why}");
        Some(Finding::new(Lint::LongKey, &condition.path, message))
    });
    keys.chain(searched).collect()
}

/// A history without which nobody would move either.
fn idle_history(path: &str, split: &SplitSpec) -> Option<Finding> {
    let path = format!("{path}.history");
    let steps: Vec<_> = split.history.iter().chain([&split.weights]).collect();
    let mut names: Vec<&str> =
        steps.iter().flat_map(|it| it.iter()).map(|it| &*it.variant).collect();
    names.sort_unstable();
    names.dedup();
    if split.history.is_empty() {
        return None;
    }
    if names.len() <= 2 {
        let why = "between two variants a change of weights moves the fewest clients by itself";
        return Some(Finding::new(Lint::IdleHistory, path, why));
    }
    let same = steps.windows(2).position(|pair| matches!(pair, [a, b] if are_alike(a, b)))?;
    let why = "it has the same shares as the weights after it, and so moves nobody";
    Some(Finding::new(Lint::IdleHistory, format!("{path}[{same}]"), why))
}

/// Whether two sets of weights give every variant the same share.
fn are_alike(one: &[Weight], other: &[Weight]) -> bool {
    let share = |weights: &[Weight], name: &str| {
        let sum: f64 = weights.iter().map(|it| it.weight).sum();
        weights.iter().find(|it| it.variant == name).map_or(0.0, |it| it.weight / sum)
    };
    let names = one.iter().chain(other).map(|it| &*it.variant);
    names.into_iter().all(|name| rules::rounded(share(one, name) - share(other, name)) == 0.0)
}

/// A ramp that is over, or that stands elsewhere than its split.
fn ramped(rule: &RuleSpec, ramp: &RampSpec, checked: &Checked) -> Option<Finding> {
    let (now, end) = (checked.snapshot.now(), ramp.start.saturating_add(ramp.duration));
    if ramp.hold || now < ramp.start {
        return None;
    }
    if end <= now {
        let why =
            format!("it ended at {}: {} stays at {} %", format_time(end), ramp.variant, ramp.to);
        return Some(Finding::new(Lint::FinishedRamp, &ramp.path, why));
    }
    let Some(ActionSpec::Split(split)) = &rule.action else { return None };
    let sum: f64 = split.weights.iter().map(|it| it.weight).sum();
    let written = split.weights.iter().find(|it| it.variant == ramp.variant)?.weight / sum;
    let share = share(rule, &ramp.variant, checked)?;
    if (share - written).abs() < AHEAD {
        return None;
    }
    let why = format!(
        "it began at {} and is at {} by now: whoever applies it anew moves from the {} of its split at once",
        format_time(ramp.start),
        percent(share),
        percent(written)
    );
    Some(Finding::new(Lint::RampAhead, &ramp.path, why))
}

/// The share that a variant has of a rule's clients now.
fn share(rule: &RuleSpec, variant: &str, checked: &Checked) -> Option<f64> {
    let compiled = checked.plan.rules().iter().find(|known| known.name() == rule.name)?;
    if compiled.is_by_route() {
        return None;
    }
    let at = RuleAt { rule: compiled, snapshot: &checked.snapshot, route: None };
    at.shares().into_iter().find(|(name, _)| *name == variant).map(|(_, share)| share)
}

/// The variants of weight 0 that keep their clients.
fn drained(split: &SplitSpec, persist: &PersistSpec) -> Vec<Finding> {
    let ramped = |name: &str| split.ramp.as_ref().is_some_and(|it| it.variant == name && !it.hold);
    let empty = split.weights.iter().filter(|it| it.weight == 0.0 && !ramped(&it.variant));
    let finding = |it: &Weight| {
        let cookie = &persist.cookie.name;
        let why = format!(
            "{} has the weight 0, and keeps the clients whose {cookie} names it",
            it.variant
        );
        Finding::new(Lint::DrainedVariant, &persist.path, why)
    };
    // By page, they keep it no longer than the page.
    empty.filter(|_| persist.drain && !persist.by_page).map(finding).collect()
}

fn narrow(guard: &GuardSpec) -> Option<Finding> {
    let ratio = guard.max_latency_ratio.filter(|ratio| *ratio < RATIO)?;
    let why =
        format!("two variants that differ by a millisecond can read as {ratio} times as slow");
    Some(Finding::new(Lint::NarrowLatency, format!("{}.maxLatencyRatio", guard.path), why))
}

/// A guard that gets too few responses to conclude anything at this rate.
fn blind(rule: &RuleSpec, guard: &GuardSpec, checked: &Checked, rate: f64) -> Option<Finding> {
    let share = share(rule, &guard.watch, checked).filter(|share| *share > 0.0)?;
    let responses = rate * share * guard.window as f64;
    let needed = f64::from(guard.min_requests);
    if responses >= needed {
        return None;
    }
    let why = format!(
        "at {rate} requests a second in a proxy, {} gets {:.0} responses in a window of {}s, and the \
         guard waits for {needed}: {:.0} requests a second give them",
        guard.watch,
        responses.floor(),
        guard.window,
        (needed / (share * guard.window as f64)).ceil()
    );
    Some(Finding::new(Lint::BlindGuard, &guard.path, why))
}
