//! The way to a decision, for people: what each rule made of the request, and with which key.

use crate::config::{KeySource, Part};
use crate::decide::decide;
use crate::decision::Decision;
use crate::environment::Environment;
use crate::identity::Issued;
use crate::key::Identity;
use crate::plan::Plan;
use crate::reason::Reason;
use crate::request::Request;
use crate::rule::Rule;
use crate::snapshot::Snapshot;

/// A decision and the way to it.
#[derive(Debug)]
pub struct Explanation<'p> {
    /// The decision of [`decide`]. If it depends on chance, it is one of several possible ones.
    pub decision: Decision<'p>,
    /// The rules in order, up to the one that decided.
    pub steps: Vec<Step<'p>>,
}

/// The answer of one rule to the request.
#[derive(Debug)]
pub struct Step<'p> {
    /// The rule.
    pub rule: &'p Rule,
    /// Whether the request meets its `match`.
    pub matches: bool,
    /// The first entry of its `match` that the request meets.
    pub met: Option<usize>,
    /// The condition that failed first, for each entry that the request does not meet.
    pub missed: Vec<Missed>,
    /// The client's identity, where the rule matches and asks for one.
    pub key: Option<FoundKey>,
    /// The position of the client in the rule's layer, in percent.
    pub position: Option<f64>,
}

/// A condition that the request does not meet, by its place in the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Missed {
    /// The entry of the rule's `match`.
    pub entry: usize,
    /// The condition in that entry, in the order of [`crate::config::RuleSpec::entries`].
    pub condition: usize,
}

/// A client's identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundKey {
    /// The part of the request that has it, or the cookie in which it is issued.
    pub source: KeySource,
    /// The bytes that are hashed.
    pub value: Vec<u8>,
    /// Whether it is issued to the client with this very request.
    pub issued: bool,
}

/// Decides as [`decide`] does, and tells the way to the decision.
///
/// ```
/// use traffic_split::testing::FixedEnvironment;
/// use traffic_split::{HeaderList, Plan, Snapshot, explain};
///
/// let config = br#"{ "variantHeader": "x-v", "variants": { "canary": {} },
///     "rules": [{ "name": "testers", "to": "canary",
///                 "match": [{ "headers": { "x-group": { "exact": "beta" } } }] }] }"#;
/// let plan = Plan::compile(config, &|_| None).unwrap();
/// let snapshot = Snapshot::new(&plan, 0);
/// let request = HeaderList::new([("x-group", "alpha")]);
/// let explanation = explain(&plan, &snapshot, &request, &mut FixedEnvironment::default());
/// assert!(!explanation.steps[0].matches);
/// assert_eq!(explanation.decision.rule(), None);
/// ```
pub fn explain<'p>(
    plan: &'p Plan,
    snapshot: &'p Snapshot,
    request: &impl Request,
    environment: &mut impl Environment,
) -> Explanation<'p> {
    let decision = decide(plan, snapshot, request, environment);
    let mut steps = Vec::new();
    for rule in &plan.rules {
        steps.push(step(rule, request, environment, decision.issued));
        if decision.rule() == Some(rule.name()) {
            if let Some(last) = steps.last_mut().filter(|_| decision.reason() == Reason::Override) {
                // Nobody asked for a key.
                (last.key, last.position) = (None, None);
            }
            break;
        }
    }
    Explanation { decision, steps }
}

/// `issued` is what the decision issued, so that no other identity is drawn here.
fn step<'p>(
    rule: &'p Rule,
    request: &impl Request,
    environment: &mut impl Environment,
    issued: Issued,
) -> Step<'p> {
    let entries: Vec<_> = rule.missed(request).collect();
    let missed = |(entry, condition): (usize, &Option<usize>)| {
        Some(Missed { entry, condition: (*condition)? })
    };
    let matches = rule.matches(request);
    let key = if matches { key(rule, request, environment, issued) } else { None };
    Step {
        rule,
        matches,
        met: entries.iter().position(Option::is_none),
        missed: entries.iter().enumerate().filter_map(missed).collect(),
        position: rule.slice().and_then(|slice| Some(slice.position(&key.as_ref()?.value))),
        key,
    }
}

fn key(
    rule: &Rule,
    request: &impl Request,
    environment: &mut impl Environment,
    mut issued: Issued,
) -> Option<FoundKey> {
    let key = rule.key.as_ref()?;
    let identity = key.identity(request, environment, &mut issued)?;
    let value = identity.as_bytes().to_vec();
    let source = match key.sent(request) {
        Some((source, _)) => source.clone(),
        None => KeySource::Part(Part::Cookie(key.issue.as_ref()?.cookie.name.clone())),
    };
    Some(FoundKey { source, value, issued: matches!(identity, Identity::Issued(_)) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::HeaderList;
    use crate::testing::FixedEnvironment;

    const CONFIG: &str = r#"{
        "variantHeader": "v", "variants": { "a": {}, "b": {} },
        "rules": [
            { "name": "testers", "to": "b", "match": [
                { "headers": { "group": { "exact": "beta" } }, "path": { "prefix": "/x" } },
                { "cookies": { "preview": { "present": true } } } ] },
            { "name": "rollout", "split": { "a": 1, "b": 1 },
              "layer": "l", "slice": [0, 100],
              "sticky": { "key": [ { "cookie": "uid" }, { "header": "user" } ],
                          "issue": { "cookie": "id", "maxAge": "1d" } } } ] }"#;

    fn cookie(name: &str) -> KeySource {
        KeySource::Part(Part::Cookie(name.into()))
    }

    fn explained(headers: &[(&'static str, &str)], check: impl FnOnce(Explanation<'_>, &Snapshot)) {
        let plan = Plan::compile(CONFIG.as_bytes(), &|_| None).unwrap();
        let snapshot = Snapshot::new(&plan, 0);
        let request = HeaderList::new(headers.iter().copied());
        check(explain(&plan, &snapshot, &request, &mut FixedEnvironment::default()), &snapshot);
    }

    #[test]
    fn a_rule_that_decides_ends_the_way() {
        explained(&[("cookie", "preview=")], |explanation, _| {
            assert_eq!(explanation.decision.reason(), Reason::Pinned);
            assert_eq!(explanation.steps.len(), 1);
            assert_eq!(explanation.steps[0].met, Some(1));
            assert_eq!(explanation.steps[0].missed, [Missed { entry: 0, condition: 0 }]);
            assert_eq!(explanation.steps[0].key, None);
        });
    }

    #[test]
    fn every_entry_says_what_failed_first() {
        explained(&[("group", "beta"), (":path", "/"), ("cookie", "uid=7")], |explanation, _| {
            let missed = [Missed { entry: 0, condition: 1 }, Missed { entry: 1, condition: 0 }];
            assert_eq!(explanation.steps[0].missed, missed);
            assert!(!explanation.steps[0].matches);
        });
    }

    #[test]
    fn the_key_is_the_one_that_was_hashed() {
        for (headers, source, value) in [
            ([("cookie", "uid=7"), ("user", "8")], cookie("uid"), "7"),
            (
                [("cookie", "uid="), ("user", " 8")],
                KeySource::Part(Part::Header("user".into())),
                "8",
            ),
        ] {
            explained(&headers, |explanation, snapshot| {
                let step = &explanation.steps[1];
                let key = step.key.as_ref().unwrap();
                assert_eq!(*key, FoundKey { source, value: value.into(), issued: false });
                assert_eq!(
                    step.rule.assign(snapshot, &key.value).ok(),
                    explanation.decision.variant()
                );
            });
        }
    }

    #[test]
    fn an_issued_identity_is_the_decisions() {
        explained(&[], |explanation, snapshot| {
            let step = &explanation.steps[1];
            let key = step.key.as_ref().unwrap();
            assert!(key.issued);
            assert_eq!(key.source, cookie("id"));
            assert!(step.position.is_some_and(|position| position < 100.0));
            assert_eq!(step.rule.assign(snapshot, &key.value).ok(), explanation.decision.variant());
        });
    }
}
