//! The keys and cookies that clients carry, and advice by which fewer of them move.

use traffic_split::config::{Config, CookieSpec, KeySource, RuleSpec};

use super::described::Carried;
use super::group::Group;
use super::pairs::{Pair, Pairs, entries};
use super::side::{At, Side};
use super::sticky;
use crate::hint::{self, Remedy};
use crate::keys::Source;
use crate::movement::{self, Kept, Movement};
use crate::routes::changes;

/// The standard errors of a counted share up to which a deviation counts as chance.
const CHANCE: f64 = 5.0;

/// The places of keys in both configurations. Where a rule looks in other places now, the values differ
/// from place to place, as those of clients do.
pub fn carried(pairs: &Pairs<'_>, configs: [&Config; 2]) -> Carried {
    let [old, _] = configs;
    let mut keys: Vec<KeySource> = Vec::new();
    for key in
        configs.iter().flat_map(|config| &config.rules).filter_map(|rule| rule.sticky.as_ref())
    {
        for source in &key.key {
            if !keys.contains(source) {
                keys.push(source.clone());
            }
        }
    }
    let differs = pairs.both.iter().any(|pair| {
        let key = |rule: &RuleSpec| rule.sticky.as_ref().map(|sticky| sticky.key.clone());
        matches!((key(pair.old), key(pair.new)), (Some(old), Some(new)) if old != new)
    });
    let mark = |place: usize| if differs { place } else { 0 };
    let keys = keys.into_iter().enumerate().map(|(place, key)| (key, mark(place))).collect();
    let mut issued: Vec<_> = issues(old).map(|cookie| cookie.name.clone()).collect();
    issued.sort();
    issued.dedup();
    Carried { keys, issued }
}

/// The cookies with identities.
pub fn issues(config: &Config) -> impl Iterator<Item = &CookieSpec> {
    let sticky = config.rules.iter().filter_map(|rule| rule.sticky.as_ref());
    sticky.filter_map(|sticky| sticky.issue.as_ref())
}

/// The names of the cookies with identities of the old configuration that the new one accepts.
pub fn accepted([old, new]: [&Config; 2]) -> Vec<String> {
    let counts = |old: &&CookieSpec| issues(new).any(|new| sticky::accepts(old, new));
    let mut names: Vec<_> = issues(old).filter(counts).map(|cookie| cookie.name.clone()).collect();
    names.sort();
    names.dedup();
    names
}

/// The cookies whose assignments still count.
pub fn kept<'c>(pairs: &Pairs<'c>) -> Vec<Kept<'c>> {
    let kept = |pair: &Pair<'c>| {
        let (old, new) = (pair.old.persist()?, pair.new.persist()?);
        let counts = sticky::keeps(pair, old, new);
        counts.then_some(Kept { rule: &pair.old.name, cookie: new })
    };
    pairs.both.iter().filter_map(kept).collect()
}

/// The names of places in the order in which they are shown.
pub fn order(sides: [&Side<'_>; 2]) -> Vec<String> {
    let variants = || sides.iter().flat_map(|side| &side.checked.config.variants);
    let names = variants().map(|variant| variant.name.clone());
    let clusters = variants().filter_map(|variant| variant.cluster.clone());
    let entries = sides.iter().flat_map(|side| side.route).flat_map(|route| &route.entries);
    names.chain(clusters).chain(entries.map(|entry| entry.name.clone())).collect()
}

/// The advice that holds: each remedy is tried on the clients.
pub fn advice(
    sides: [&Side<'_>; 2],
    pairs: &Pairs<'_>,
    movements: &[Movement<'_>],
    keys: &Source,
    kept: &[Kept<'_>],
) -> Vec<String> {
    let [before, after] = sides;
    let mut moved: Vec<f64> = movements.iter().map(Movement::moved).collect();
    let least: Vec<f64> = movements.iter().map(Movement::minimum).collect();
    let chance = |share: f64| CHANCE * (share * (1.0 - share) / keys.count().max(1) as f64).sqrt();
    let mut taken: Vec<Remedy> = Vec::new();
    let mut advice = Vec::new();
    if hint::is_held(before, after) {
        return advice;
    }
    for remedy in hint::remedies(before, pairs) {
        // Nothing is tried where as few move as these shares allow.
        let keeps_shares = taken.iter().chain([&remedy]).all(Remedy::keeps_shares);
        let least = if keeps_shares { &least[..] } else { &[] };
        let mut both = moved.iter().zip(least.iter().chain(std::iter::repeat(&0.0)));
        if !remedy.even && both.all(|(moved, least)| *moved <= least + chance(*moved)) {
            continue;
        }
        let edited = after.edited(|json| {
            taken.iter().chain([&remedy]).for_each(|remedy| remedy.edit(json));
        });
        let Ok(edited) = edited else { continue };
        let groups = movements.iter().map(|movement| movement.group);
        let tried = movement::count([before, &edited], groups, keys, kept);
        let with: Vec<f64> = tried.iter().map(Movement::moved).collect();
        // It is told by the requests for which it does most.
        let best = moved.iter().zip(&with).max_by(|a, b| (a.0 - a.1).total_cmp(&(b.0 - b.1)));
        let Some((without, fewer)) = best else { continue };
        if let Some(text) = remedy.advice(*without, *fewer, chance(*without)) {
            advice.push(text);
            moved = with;
            taken.push(remedy);
        }
    }
    advice
}

/// The changes of a route with weights that move its clients.
pub fn routes(sides: [&Side<'_>; 2], movements: &[Movement<'_>]) -> Vec<String> {
    let [before, after] = sides;
    let all = |at: fn(&At<'_>) -> bool| {
        let cells = movements.iter().flat_map(|movement| &movement.cells);
        cells.flat_map(|cell| [cell.from.at, cell.to.at]).any(|place| at(&place))
    };
    let mut hints = Vec::new();
    if let (Some(old), Some(new)) = (before.route, after.route) {
        hints.extend(changes(old, new));
    }
    if all(|at| matches!(at, At::Point(_))) {
        hints.push(
            "The route has weights, and is not given: a client with the same point as before counts as \
             staying. Give the configuration and two files with the old and the new route."
                .to_owned(),
        );
    }
    hints
}

/// The rules whose `match` has changed, where no request is matched by one of the two alone.
pub fn unseen(sides: [&Side<'_>; 2], pairs: &Pairs<'_>, groups: &[Group]) -> Vec<String> {
    let told = |pair: &Pair<'_>| {
        let [before, after] = pair.places;
        let [old, new] = sides.map(Side::plan);
        let (old, new) = (old.rules().get(before)?, new.rules().get(after)?);
        let mut requests = groups.iter().flat_map(|group| &group.samples);
        requests.any(|[a, b]| old.matches(a) != new.matches(b)).then_some(())
    };
    let changed = pairs.both.iter().filter(|pair| entries(pair.old) != entries(pair.new));
    let unseen = changed.filter(|pair| told(pair).is_none());
    let hint = |pair: &Pair<'_>| {
        format!(
            "The `match` of the rule {} has changed, and no request here is answered otherwise for it. \
             Describe one with --request.",
            pair.new.name
        )
    };
    unseen.map(hint).collect()
}
