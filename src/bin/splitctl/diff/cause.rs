//! The differences between two configurations that can move clients, in words.

use traffic_split::config::{
    ActionSpec, Config, LayerSpec, Mode, OverrideSpec, RampSpec, RuleSpec, SplitSpec,
};

use super::pairs::{Pair, Pairs, entries};
use super::{sticky, variants};
use crate::output::percent;
use crate::yaml::weights;

/// The causes: layers and slices first, which no salt and no history makes up for.
pub fn causes(old: &Config, new: &Config, pairs: &Pairs<'_>) -> Vec<String> {
    if let Some(cause) = hold(old, new) {
        return vec![cause];
    }
    let mut causes: Vec<String> = pairs.both.iter().filter_map(layer).collect();
    causes.extend(rerouted(old, new));
    causes.extend(top(old, new));
    causes.extend(variants::changes(old, new));
    causes.extend(pairs.gone.iter().map(|rule| {
        format!("The rule {} is gone: its requests go to the rules after it.", rule.name)
    }));
    causes.extend(pairs.added.iter().map(|rule| format!("The rule {} is new.", rule.name)));
    causes.extend(order(pairs));
    causes.extend(pairs.both.iter().flat_map(rule));
    causes
}

/// A hold, beside which no rule has a say.
fn hold(old: &Config, new: &Config) -> Option<String> {
    let back = "every client goes back to where the rules have it";
    match (&old.hold, &new.hold) {
        (None, Some(new)) => Some(format!(
            "The new configuration holds everyone at {new}, whatever its rules say. Take `hold` out \
             again, and {back}."
        )),
        (Some(old), None) => {
            Some(format!("The old configuration holds everyone at {old}: {back}."))
        }
        (Some(old), Some(new)) if old != new => {
            Some(format!("Everyone is held at {new}, before at {old}."))
        }
        (Some(held), Some(_)) => Some(format!("Both configurations hold everyone at {held}.")),
        (None, None) => None,
    }
}

/// Whether a routing header that routes read is gone, or has another name.
pub fn is_rerouted(old: &Config, new: &Config) -> bool {
    !rerouted(old, new).is_empty()
}

/// The routing headers with their fields, before and after.
fn headers<'c>(
    old: &'c Config,
    new: &'c Config,
) -> impl Iterator<Item = (&'static str, Option<&'c str>, Option<&'c str>)> {
    let of = |config: &'c Config| {
        [&config.cluster_header, &config.variant_header, &config.point_header]
            .map(|header| header.as_deref())
    };
    let fields = ["clusterHeader", "variantHeader", "pointHeader"];
    fields.into_iter().zip(of(old)).zip(of(new)).map(|((field, old), new)| (field, old, new))
}

/// The routing headers whose routes have to change as well.
fn rerouted(old: &Config, new: &Config) -> Vec<String> {
    let cause = |(field, old, new): (&str, Option<&str>, Option<&str>)| {
        let old = old.filter(|_| old != new)?;
        let effect = format!("a route that reads {old} gives everyone the default route");
        Some(match new {
            Some(new) => {
                format!("{field} is {new}, before {old}: {effect}. Change the routes first.")
            }
            None => format!("{field} is gone: {effect}."),
        })
    };
    headers(old, new).filter_map(cause).collect()
}

fn top(old: &Config, new: &Config) -> Vec<String> {
    let mut causes = Vec::new();
    causes.extend(match (old.mode, new.mode) {
        (Mode::Enforce, Mode::Shadow) => {
            Some("The new configuration is in shadow: Envoy's own route decides.")
        }
        (Mode::Shadow, Mode::Enforce) => Some("The new configuration is no longer in shadow."),
        _ => None,
    });
    if old.cluster_header.is_some() != new.cluster_header.is_some() {
        causes.push("Only one of the two has a clusterHeader: places are compared by variants.");
    }
    causes.into_iter().map(str::to_owned).collect()
}

/// A rule that stands before another one that it stood behind.
fn order(pairs: &Pairs<'_>) -> Option<String> {
    let mut behind = pairs.both.windows(2).filter_map(|pair| match pair {
        [a, b] if a.places[1] > b.places[1] => Some((a, b)),
        _ => None,
    });
    let (a, b) = behind.next()?;
    Some(format!("The rule {} stands before {} now; it stood behind it.", b.new.name, a.new.name))
}

/// The clients that enter or leave a rule by its slice.
fn layer(pair: &Pair<'_>) -> Option<String> {
    let name = &pair.new.name;
    let shown =
        |it: &LayerSpec| format!("the slice [{}, {}] of the layer {}", it.start, it.end, it.name);
    let size = |it: &LayerSpec| it.end - it.start;
    let moved = |left: f64, entered: f64| {
        let parts = [(left, "leave it"), (entered, "enter it")];
        let parts = parts.iter().filter(|(share, _)| *share > 0.0);
        let parts: Vec<_> = parts
            .map(|(share, what)| format!("{} of the clients {what}", percent(share / 100.0)))
            .collect();
        parts.join(", ")
    };
    match (&pair.old.layer, &pair.new.layer) {
        (Some(a), Some(b)) if a.name != b.name => Some(format!(
            "The rule {name} takes {}, before {}: each layer draws its own clients.",
            shown(b),
            shown(a)
        )),
        (Some(a), Some(b)) if (a.start, a.end) != (b.start, b.end) => {
            let both = (a.end.min(b.end) - a.start.max(b.start)).max(0.0);
            let moved = moved(size(a) - both, size(b) - both);
            Some(format!(
                "The rule {name} takes {}, before [{}, {}]: {moved}.",
                shown(b),
                a.start,
                a.end
            ))
        }
        (None, Some(b)) => Some(format!(
            "The rule {name} takes {} alone: {}.",
            shown(b),
            moved(100.0 - size(b), 0.0)
        )),
        (Some(a), None) => Some(format!(
            "The rule {name} takes all clients, before {}: {}.",
            shown(a),
            moved(0.0, 100.0 - size(a))
        )),
        _ => None,
    }
}

/// The other causes of one rule.
fn rule(pair: &Pair<'_>) -> Vec<String> {
    let Pair { old, new, .. } = pair;
    let name = &new.name;
    let mut causes = Vec::new();
    if entries(old) != entries(new) {
        causes.push(format!("The `match` of the rule {name} is not the same."));
    }
    causes.extend(match (old.mode, new.mode) {
        (Mode::Enforce, Mode::Shadow) => {
            Some(format!("The rule {name} is in shadow: the rules after it decide."))
        }
        (Mode::Shadow, Mode::Enforce) => Some(format!("The rule {name} is no longer in shadow.")),
        _ => None,
    });
    causes.extend(action(old, new));
    causes.extend(forced(old, new));
    match (&old.sticky, &new.sticky) {
        (Some(a), Some(b)) => causes.extend(sticky::changes(pair, a, b)),
        (Some(_), None) if is_split(new) => causes.push(format!(
            "The rule {name} is no longer sticky: it draws anew for each request, so nobody stays."
        )),
        (None, Some(_)) if is_split(new) => {
            causes.push(format!("The rule {name} is sticky now: before, it drew for each request."));
        }
        (None, None) if is_split(new) && action(old, new).is_some() => causes.push(format!(
            "The rule {name} is not sticky: it draws for each request, so its shares change, and nobody \
             stays or moves."
        )),
        _ => {}
    }
    causes
}

/// The clients whose forced variants end. No other client is moved by an override.
fn forced(old: &RuleSpec, new: &RuleSpec) -> Option<String> {
    let (name, before) = (&new.name, old.overrides.as_ref()?);
    let Some(after) = &new.overrides else {
        return Some(format!("The rule {name} has no `override` now: forced variants end."));
    };
    let env = |it: &OverrideSpec| it.cookie.signing.as_ref().map(|signing| signing.env.clone());
    if before.cookie.name != after.cookie.name || env(before) != env(after) {
        return Some(format!(
            "The `override` of the rule {name} has another cookie: forced variants end."
        ));
    }
    let gone = before.variants.iter().filter(|it| !after.variants.contains(it));
    let gone: Vec<_> = gone.map(String::as_str).collect();
    (!gone.is_empty())
        .then(|| format!("The `override` of the rule {name} no longer lists {}.", gone.join(", ")))
}

fn is_split(rule: &RuleSpec) -> bool {
    matches!(rule.action, Some(ActionSpec::Split(_) | ActionSpec::Route(_)))
}

fn action(old: &RuleSpec, new: &RuleSpec) -> Option<String> {
    let (name, before, after) = (&new.name, old.action.as_ref()?, new.action.as_ref()?);
    match (before, after) {
        (ActionSpec::Split(a), ActionSpec::Split(b))
            if a.weights != b.weights || a.ramp != b.ramp =>
        {
            changed(name, a, b)
        }
        (ActionSpec::Split(_), ActionSpec::Split(_))
        | (ActionSpec::Route(_), ActionSpec::Route(_)) => None,
        (ActionSpec::To(a), ActionSpec::To(b)) => {
            (a != b).then(|| format!("The rule {name} sends its requests to {b}, before to {a}."))
        }
        (_, ActionSpec::To(to)) => Some(format!("The rule {name} sends all its requests to {to}.")),
        (_, ActionSpec::Split(b)) => {
            Some(format!("The rule {name} splits its requests: {}.", weights(&b.weights)))
        }
        (_, ActionSpec::Route(_)) => {
            Some(format!("The rule {name} leaves the weights to the route."))
        }
    }
}

fn changed(name: &str, old: &SplitSpec, new: &SplitSpec) -> Option<String> {
    let (a, b) = (weights(&old.weights), weights(&new.weights));
    if a != b {
        return Some(format!("The weights of the rule {name} are {b}, before {a}."));
    }
    let same = |old: &SplitSpec, new: &SplitSpec| {
        let bare = |split: &SplitSpec| {
            split.ramp.clone().map(|ramp| RampSpec { path: String::new(), ..ramp })
        };
        bare(old) == bare(new)
    };
    (!same(old, new)).then(|| format!("The ramp of the rule {name} is not the same."))
}
