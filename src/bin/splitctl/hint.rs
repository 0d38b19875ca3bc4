//! Advice about a change of a rule, such as how to move fewer clients.

use traffic_split::config::{ActionSpec, SplitSpec, StickySpec};
use traffic_split::limits;

use crate::check::Checked;
use crate::curve;
use crate::document::{Node, Value};
use crate::movement::Movement;
use crate::output::percent;

/// The standard errors of a counted share up to which a deviation counts as chance.
const CHANCE: f64 = 5.0;

/// The words that YAML 1.1 reads as booleans or null.
const WORDS: [&str; 9] = ["y", "n", "yes", "no", "on", "off", "true", "false", "null"];

/// The advice about a movement of clients from the old configuration to the new one.
pub fn hints(old: &Checked, new: &Checked, movement: &Movement) -> Vec<String> {
    let (Some((before, index)), Some((after, _))) =
        (split(old, &movement.rule), split(new, &movement.rule))
    else {
        return Vec::new();
    };
    let mut hints = Vec::new();
    // A signed assignment is bound to the salt.
    let kept = before.split.persist.as_ref();
    let kept = kept.filter(|it| it.cookie.signing.is_none() || before.salt == after.salt);
    if let Some(persist) = kept {
        hints.push(format!(
            "Clients with the cookie {} keep their variant until it expires. That is not counted \
             here.",
            persist.cookie.name
        ));
    }
    let ramped = [old, new].iter().any(|it| curve::ramp(&it.config, &movement.rule).is_some());
    if let Some(at) = old.at().or_else(|| new.at()).filter(|_| ramped) {
        hints.push(format!("Ramps are taken as they stand at {at}."));
    }
    if before.sticky.key != after.sticky.key || before.sticky.ignore != after.sticky.ignore {
        hints.push(
            "The sticky key is not the same: a client whose identity differs under the new one is \
             drawn anew. That is not counted here."
                .to_owned(),
        );
    }
    let engines = [before, after].map(|it| it.sticky.engine.as_ref().map(|engine| engine.name()));
    if engines.iter().any(Option::is_some) {
        hints.extend(engine(engines));
    } else if before.salt != after.salt {
        hints.push(format!(
            "The salt is not the same, so every client is drawn anew. To keep them where they are, \
             give in sticky:\n\n  salt: {}",
            quoted(before.salt)
        ));
    } else if !ramped && movement.moved > movement.minimum + tolerance(movement) {
        hints.extend(history(&old.tree, index).map(|line| {
            format!(
                "{} of the clients move without need. With the earlier weights in the new rule, \
                 beside split, none of them do:\n\n  {line}",
                percent(movement.moved - movement.minimum),
            )
        }));
    }
    hints
}

/// The advice about a change between the filter's own hash and the buckets of a flag engine.
fn engine(engines: [Option<&str>; 2]) -> Option<String> {
    let named = |engine: Option<&str>| match engine {
        Some(name) => format!("the buckets of {name}"),
        None => "the filter's own hash".to_owned(),
    };
    let [before, after] = engines;
    (before != after).then(|| {
        format!(
            "The old rule assigns by {}, the new one by {}, so every client is drawn anew. `persist` \
             in both keeps the clients whose cookie has not expired.",
            named(before),
            named(after)
        )
    })
}

/// A sticky split as written, with its salt.
#[derive(Clone, Copy)]
struct StickySplit<'c> {
    split: &'c SplitSpec,
    sticky: &'c StickySpec,
    salt: &'c str,
}

/// The sticky split of the rule with this name, and the index of the rule.
fn split<'c>(checked: &'c Checked, name: &str) -> Option<(StickySplit<'c>, usize)> {
    let mut rules = checked.config.rules.iter().zip(0..);
    let (rule, index) = rules.find(|(rule, _)| rule.name == name)?;
    let (Some(ActionSpec::Split(split)), Some(sticky)) = (&rule.action, &rule.sticky) else {
        return None;
    };
    let salt = sticky.salt.as_deref().unwrap_or(&rule.name);
    Some((StickySplit { split, sticky, salt }, index))
}

/// The deviation that counts as chance: a share p of n keys has the standard error
/// sqrt(p (1 - p) / n).
fn tolerance(movement: &Movement) -> f64 {
    let variance = movement.moved * (1.0 - movement.moved) / movement.keys.max(1) as f64;
    CHANCE * variance.sqrt()
}

/// The line of YAML that keeps the old rule's history and its weights; `None` if they are more steps
/// than the filter takes.
fn history(old: &Node, index: usize) -> Option<String> {
    let rule = old.find(&format!("rules[{index}]"));
    let earlier = rule.get("history").map_or(&[][..], Node::elements);
    let steps: Vec<_> = earlier.iter().chain(rule.get("split")).map(weights).collect();
    (steps.len() <= limits::HISTORY).then(|| format!("history: [ {} ]", steps.join(", ")))
}

fn weights(split: &Node) -> String {
    // A list has one field in each element.
    let fields = split.elements().iter().flat_map(Node::fields).chain(split.fields());
    let weight = |(name, weight): &(String, Node)| match weight.value {
        Value::Number(weight) => format!("{}: {weight}", quoted(name)),
        _ => quoted(name),
    };
    format!("{{{}}}", fields.map(weight).collect::<Vec<_>>().join(", "))
}

/// Writes a text as a YAML scalar that every reader takes for a string.
fn quoted(text: &str) -> String {
    let plain = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
        && !WORDS.contains(&text.to_ascii_lowercase().as_str());
    if plain { text.to_owned() } else { format!("{text:?}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document;

    #[test]
    fn the_line_has_all_earlier_weights() {
        let yaml = "rules:\n- split: {a: 99.9, 'on': 0.1}\n  history: [ {a: 50, b: 30} ]";
        let tree = document::parse(yaml).unwrap().remove(0);
        let list = document::parse("rules:\n- split: [ {b: 1}, {a: 2} ]").unwrap().remove(0);
        assert_eq!(history(&list, 0).as_deref(), Some("history: [ {b: 1, a: 2} ]"));
        let line = "history: [ {a: 50, b: 30}, {a: 99.9, \"on\": 0.1} ]";
        assert_eq!(history(&tree, 0).as_deref(), Some(line));
    }
}
