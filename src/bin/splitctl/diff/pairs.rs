//! The rules of two configurations, each old one with the new one that takes its place.

use std::collections::BTreeSet;

use anyhow::{Result, anyhow};
use traffic_split::config::{ActionSpec, ConditionTest, Config, RuleSpec};

/// A rule in both configurations, with its index in each.
#[derive(Clone, Copy)]
pub struct Pair<'c> {
    pub old: &'c RuleSpec,
    pub new: &'c RuleSpec,
    pub places: [usize; 2],
}

/// The rules of two configurations.
pub struct Pairs<'c> {
    pub both: Vec<Pair<'c>>,
    pub gone: Vec<&'c RuleSpec>,
    pub added: Vec<&'c RuleSpec>,
}

/// The names of a rule before and after, as in `--rule rollout=web`; one where both are the same.
#[derive(Clone, Debug)]
pub struct Named {
    pub old: String,
    pub new: String,
}

/// Reads `NAME` or `OLD=NEW`.
pub fn named(text: &str) -> Result<Named, String> {
    let (old, new) = text.split_once('=').unwrap_or((text, text));
    match old.is_empty() || new.is_empty() {
        true => Err("give a rule as NAME, or as OLD=NEW".to_owned()),
        false => Ok(Named { old: old.to_owned(), new: new.to_owned() }),
    }
}

/// Pairs the rules by these names, then by their own ones. Of the rest, rules with the same variants and
/// the same kind of action belong together, in their order.
pub fn pairs<'c>(old: &'c Config, new: &'c Config, given: &[Named]) -> Pairs<'c> {
    let mut both: Vec<Pair<'c>> = Vec::new();
    let mut pair = |fits: &dyn Fn(&RuleSpec, &RuleSpec) -> bool| {
        for (i, before) in old.rules.iter().enumerate() {
            let free = |j: usize, both: &[Pair<'_>]| both.iter().all(|pair| pair.places[1] != j);
            if both.iter().any(|pair| pair.places[0] == i) {
                continue;
            }
            let mut others = new.rules.iter().enumerate();
            if let Some((j, after)) = others.find(|(j, rule)| free(*j, &both) && fits(before, rule))
            {
                both.push(Pair { old: before, new: after, places: [i, j] });
            }
        }
    };
    let is_given = |name: &str, of: fn(&Named) -> &String| {
        given.iter().any(|named| named.old != named.new && of(named) == name)
    };
    pair(&|a, b| given.iter().any(|named| named.old == a.name && named.new == b.name));
    pair(&|a, b| {
        a.name == b.name && !is_given(&a.name, |n| &n.old) && !is_given(&b.name, |n| &n.new)
    });
    let known = |rules: &[RuleSpec], name: &str| rules.iter().any(|rule| rule.name == name);
    pair(&|a, b| {
        !known(&new.rules, &a.name)
            && !known(&old.rules, &b.name)
            && alike(a, b)
            && entries(a) == entries(b)
    });
    pair(&|a, b| {
        !known(&new.rules, &a.name) && !known(&old.rules, &b.name) && alike(a, b) && is_split(a)
    });
    both.sort_by_key(|pair| pair.places);
    let has = |side: usize, i: usize| both.iter().any(|pair| pair.places.get(side) == Some(&i));
    let alone = |rules: &'c [RuleSpec], side: usize| {
        rules.iter().enumerate().filter(|(i, _)| !has(side, *i)).map(|(_, rule)| rule).collect()
    };
    Pairs { gone: alone(&old.rules, 0), added: alone(&new.rules, 1), both }
}

impl<'c> Pairs<'c> {
    /// The pair of the rules with these names.
    ///
    /// # Errors
    /// The names that there are.
    pub fn find(&self, named: &Named) -> Result<Pair<'c>> {
        let found = self.both.iter().find(|pair| pair.old.name == named.old);
        found.copied().ok_or_else(|| {
            let names: Vec<_> = self.both.iter().map(|pair| pair.old.name.as_str()).collect();
            anyhow!("both have no rule {:?}; there are: {}", named.old, names.join(", "))
        })
    }
}

fn is_split(rule: &RuleSpec) -> bool {
    matches!(rule.action, Some(ActionSpec::Split(_) | ActionSpec::Route(_)))
}

/// Whether two rules choose between the same variants.
fn alike(a: &RuleSpec, b: &RuleSpec) -> bool {
    let names = |rule: &RuleSpec| -> BTreeSet<String> {
        match &rule.action {
            Some(ActionSpec::To(name)) => BTreeSet::from([name.clone()]),
            Some(ActionSpec::Split(split)) => {
                split.weights.iter().map(|weight| weight.variant.clone()).collect()
            }
            Some(ActionSpec::Route(_)) | None => BTreeSet::new(),
        }
    };
    is_split(a) == is_split(b) && names(a) == names(b)
}

/// The conditions of a rule without their paths.
pub fn entries(rule: &RuleSpec) -> Option<Vec<Vec<(&ConditionTest, bool)>>> {
    let entries = rule.entries.as_ref()?;
    Some(entries.iter().map(|entry| entry.iter().map(|it| (&it.test, it.not)).collect()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(rules: &[(&str, &str)]) -> Config {
        let rule = |(name, action): &(&str, &str)| format!(r#"{{ "name": "{name}", {action} }}"#);
        let rules: Vec<_> = rules.iter().map(rule).collect();
        let json = format!(
            r#"{{ "variantHeader": "v", "variants": {{ "a": {{}}, "b": {{}}, "c": {{}} }},
                  "rules": [{}] }}"#,
            rules.join(",")
        );
        Config::parse(json.as_bytes()).unwrap()
    }

    fn names(old: &[(&str, &str)], new: &[(&str, &str)], given: &[&str]) -> Vec<(String, String)> {
        let given: Vec<_> = given.iter().map(|text| named(text).unwrap()).collect();
        let (old, new) = (config(old), config(new));
        let pairs = pairs(&old, &new, &given);
        pairs.both.iter().map(|pair| (pair.old.name.clone(), pair.new.name.clone())).collect()
    }

    #[test]
    fn a_renamed_rule_is_found_by_its_variants() {
        const AB: &str = r#""split": { "a": 9, "b": 1 }"#;
        const BA: &str = r#""split": { "a": 5, "b": 5 }"#;
        const AC: &str = r#""split": { "a": 9, "c": 1 }"#;
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        assert_eq!(names(&[("x", AB)], &[("y", BA)], &[]), [pair("x", "y")]);
        assert_eq!(names(&[("x", AB)], &[("y", AC)], &[]), []);
        assert_eq!(names(&[("x", AB)], &[("y", AC)], &["x=y"]), [pair("x", "y")]);
        let (old, new) = ([("x", AB), ("z", AC)], [("z", AC), ("x", BA)]);
        assert_eq!(names(&old, &new, &[]), [pair("x", "x"), pair("z", "z")]);
        // Given names come first.
        assert_eq!(names(&old, &new, &["x=z"]), [pair("x", "z")]);
        assert_eq!(
            names(&[("x", r#""to": "a""#)], &[("y", r#""to": "a""#)], &[]),
            [pair("x", "y")]
        );
        assert_eq!(names(&[("x", r#""to": "a""#)], &[("y", r#""to": "b""#)], &[]), []);
    }
}
