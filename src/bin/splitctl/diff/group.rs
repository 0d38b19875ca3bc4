//! Requests that all clients send, with those together that both configurations answer alike.

use traffic_split::HeaderList;
use traffic_split::config::{ActionSpec, KeySource, Part, RuleSpec};

use super::client::{Client, Shape};
use super::described::{Carried, Described};
use super::side::Side;

/// The most groups that are decided for all clients.
const MOST: usize = 64;

/// Requests that meet the same rules with the same keys.
pub struct Group {
    pub requests: Vec<Described>,
    /// The request as the old configuration gets it.
    pub old: Shape,
    /// The request as the new one gets it: an identity that it does not accept is left out.
    pub new: Shape,
    /// Whether all clients are decided alike.
    pub is_fixed: bool,
    /// Each request as both configurations get it from one client.
    pub samples: Vec<[HeaderList; 2]>,
    signature: Signature,
}

/// The input of a decision: the rules that are met, and what they read of one client's keys.
#[derive(PartialEq, Eq)]
struct Signature {
    rules: [Vec<usize>; 2],
    keys: [Vec<Asked>; 2],
}

/// The values by which a rule tells a client, for each place that it looks at.
#[derive(Default, PartialEq, Eq)]
struct Asked {
    values: Vec<Vec<Vec<u8>>>,
    /// Whether the last place has the key.
    is_told: bool,
}

/// The groups of these requests, and the number of requests that are left out. `made_up` says that no key
/// of a client is one that a rule might not take.
pub fn groups(
    sides: [&Side<'_>; 2],
    described: Vec<Described>,
    carried: &Carried,
    accepted: &[String],
    made_up: bool,
) -> (Vec<Group>, usize) {
    let [side, new_side] = sides;
    let mut groups: Vec<Group> = Vec::new();
    let mut left_out = 0;
    for request in described {
        let old = request.shape(carried, &carried.issued);
        let new = request.shape(carried, accepted);
        let [samples, others] =
            ["user-0", "user-1"].map(|key| [sent_by(key, &old), sent_by(key, &new)]);
        let [sample, new_sample] = &samples;
        let (before, after) = (met(side, sample), met(new_side, new_sample));
        let by_rule = before.is_fixed && after.is_fixed;
        // Where rules alone decide, a key does not matter.
        let asked = |clients: &[HeaderList; 2]| -> [Vec<Asked>; 2] {
            if by_rule {
                return Default::default();
            }
            let [first, second] = clients;
            [before.asked(side, first, made_up), after.asked(new_side, second, made_up)]
        };
        let keys = asked(&samples);
        let [old_keys, new_keys] = &keys;
        let is_told = keys == asked(&others)
            && before.is_told(old_keys, decided(side, sample))
            && after.is_told(new_keys, decided(new_side, new_sample));
        let is_fixed = old.is_fixed() && new.is_fixed() || by_rule || is_told;
        let signature = Signature { rules: [before.rules, after.rules], keys };
        let is_like =
            |group: &&mut Group| group.is_fixed == is_fixed && group.signature == signature;
        if let Some(group) = groups.iter_mut().find(is_like) {
            group.requests.push(request);
            group.samples.push(samples);
        } else if groups.len() == MOST {
            left_out += 1;
        } else {
            let (requests, samples) = (vec![request], vec![samples]);
            groups.push(Group { requests, old, new, is_fixed, samples, signature });
        }
    }
    (groups, left_out)
}

/// The rules that may decide a request.
struct Met {
    /// Their indexes, up to the first one that takes every client.
    rules: Vec<usize>,
    /// Whether each of them needs a key.
    needs_key: Vec<bool>,
    /// Whether the client does not matter.
    is_fixed: bool,
}

fn met(side: &Side<'_>, request: &HeaderList) -> Met {
    let config = &side.checked.config;
    let held = config.hold.is_some();
    let (mut rules, mut needs_key) = (Vec::new(), Vec::new());
    for (place, (rule, spec)) in side.plan().rules().iter().zip(&config.rules).enumerate() {
        if rule.is_shadow() || !rule.matches(request) {
            continue;
        }
        let is_to = held || matches!(spec.action, Some(ActionSpec::To(_)));
        rules.push(place);
        needs_key.push(!is_to || !held && spec.layer.is_some());
        let takes_all =
            held || spec.layer.is_none() && (rule.engine().is_none() || rule.otherwise().is_some());
        if takes_all {
            let is_fixed = rules.len() == 1 && is_to;
            return Met { rules, needs_key, is_fixed };
        }
    }
    Met { is_fixed: rules.is_empty(), rules, needs_key }
}

impl Met {
    /// The values by which each rule tells a client.
    fn asked(&self, side: &Side<'_>, request: &HeaderList, made_up: bool) -> Vec<Asked> {
        let rules = &side.checked.config.rules;
        let rules = self.rules.iter().filter_map(|place| rules.get(*place));
        rules.map(|rule| Asked::new(rule, request, made_up)).collect()
    }

    /// Whether each rule that needs a key has one, up to the rule at a place.
    fn is_told(&self, asked: &[Asked], decided: Option<usize>) -> bool {
        let rules = self.rules.iter().zip(&self.needs_key).zip(asked);
        let mut reached = rules.filter(|((place, _), _)| decided.is_none_or(|it| **place <= it));
        asked.len() == self.rules.len() && reached.all(|((_, needs), it)| it.is_told || !needs)
    }
}

/// The place of the rule that decides the request of a client.
fn decided(side: &Side<'_>, request: &HeaderList) -> Option<usize> {
    let client = Client::default();
    let rule = side.place(request, &mut client.chance(side.now())).rule?;
    side.plan().rules().iter().position(|known| known.name() == rule)
}

impl Asked {
    fn new(rule: &RuleSpec, request: &HeaderList, made_up: bool) -> Self {
        let mut asked = Asked::default();
        let Some(sticky) = &rule.sticky else { return asked };
        for source in &sticky.key {
            let values = values(source.part(), request);
            // A text inside another one is not looked for here.
            let is_plain = made_up && !matches!(source, KeySource::Inner(..));
            asked.is_told =
                is_plain && values.first().is_some_and(|value| sticky.is_identity(value));
            asked.values.push(values);
            if asked.is_told {
                return asked;
            }
        }
        let issued = sticky.issue.iter().map(|cookie| Part::Cookie(cookie.name.clone()));
        asked.values.extend(issued.map(|part| values(Some(&part), request)));
        asked
    }
}

/// The values of a part of a request, or of its address.
fn values(part: Option<&Part>, request: &HeaderList) -> Vec<Vec<u8>> {
    match part {
        Some(part) => part.values(request).into_iter().map(<[u8]>::to_vec).collect(),
        None => request.source.iter().map(|it| it.to_string().into_bytes()).collect(),
    }
}

/// The request of one client.
fn sent_by(key: &str, shape: &Shape) -> HeaderList {
    let mut client = Client::default();
    client.set(key.as_bytes());
    let mut request = shape.request();
    shape.fill(&client, &mut request);
    request
}

#[cfg(test)]
mod tests {
    use crate::diff::tests::rules;

    const RULE: &str = "- { name: r, split: { a: 90, b: 10 }, sticky: { ignore: [none], key: [ { cookie: u }, \
                        { sourceIp: true } ] } }\n";

    #[test]
    fn requests_that_one_key_tells_are_decided_once() {
        let new = RULE.replace("90, b: 10", "50, b: 50");
        let requests = [
            "/ | sourceIp: 192.0.2.1",
            "/ | sourceIp: 192.0.2.2",
            "/ | cookie: u=none | sourceIp: 192.0.2.1",
            "/ | cookie: u=none | sourceIp: 192.0.2.2",
        ];
        let arguments: Vec<_> = requests.iter().flat_map(|it| ["--request", it]).collect();
        let report = rules(RULE, &new, &arguments);
        let of = |it: &crate::diff::report::Requests| (it.requests.len(), it.moved);
        let [(2, moved), (1, first), (1, second)] =
            report.requests.iter().map(of).collect::<Vec<_>>()[..]
        else {
            panic!("{:?}", report.requests.iter().map(of).collect::<Vec<_>>())
        };
        assert!((moved - 0.4).abs() < 0.01, "{moved}");
        // Who is told by a given address is one client, whatever its cookies.
        assert!([first, second].iter().all(|moved| [0.0, 1.0].contains(moved)), "{first} {second}");
    }
}
