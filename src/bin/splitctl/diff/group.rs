//! Requests that all clients send, with those together that both configurations answer alike.

use traffic_split::HeaderList;

use super::asked::Asked;
use super::client::{Client, Shape};
use super::described::{Carried, Described};
use super::narrow::Narrow;
use super::reading::{KEYS, Reading};
use super::side::Side;

/// The most groups that are decided for all clients.
const MOST: usize = 64;

/// Requests that meet the same rules with the same keys.
pub struct Group {
    pub requests: Vec<Described>,
    /// The request as each configuration gets it: an identity that the new one does not accept is left
    /// out for it.
    pub shapes: [Shape; 2],
    /// Whether all clients are decided alike.
    pub is_fixed: bool,
    /// Each request as both configurations get it from one client.
    pub samples: Vec<[HeaderList; 2]>,
    /// The rules and the keys that decide these requests, where they can be told from the rest.
    pub narrow: Option<Narrow>,
    signature: Signature,
}

/// The input of a decision: the rules that are met, and what they read of one client. Where a condition
/// tells clients from each other, the rules that are met differ too, and no other request is alike.
#[derive(PartialEq, Eq)]
struct Signature {
    read: [(Vec<usize>, Vec<Asked>); 2],
    by_condition: Option<[Shape; 2]>,
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
    let mut groups: Vec<Group> = Vec::new();
    let mut left_out = 0;
    for request in described {
        let group = Group::new(sides, request, (carried, accepted), made_up);
        let is_like = |known: &&mut Group| {
            known.is_fixed == group.is_fixed && known.signature == group.signature
        };
        if let Some(known) = groups.iter_mut().find(is_like) {
            known.requests.extend(group.requests);
            known.samples.extend(group.samples);
        } else if groups.len() == MOST {
            left_out += 1;
        } else {
            groups.push(group);
        }
    }
    (groups, left_out)
}

impl Group {
    /// The group of one request.
    fn new(
        sides: [&Side<'_>; 2],
        request: Described,
        (carried, accepted): (&Carried, &[String]),
        made_up: bool,
    ) -> Self {
        let shapes = [&carried.issued[..], accepted].map(|ids| request.shape(carried, ids));
        let [first, second] = KEYS.map(|key| shapes.each_ref().map(|shape| sent_by(key, shape)));
        // In a request that is the same for everyone, no client has a key of its own.
        let made_up = made_up || shapes.iter().all(Shape::is_fixed);
        let ([old, new], [old_first, new_first], [old_second, new_second]) =
            (sides, &first, &second);
        let mut readings = [
            Reading::new(old, [old_first, old_second], made_up),
            Reading::new(new, [new_first, new_second], made_up),
        ];
        let by_condition = readings.iter().any(|it| it.by_condition);
        let by_rule = !by_condition && readings.iter().all(|it| it.met.is_fixed);
        let is_told = !by_condition && readings.iter().all(|it| it.is_told);
        let is_fixed = by_rule || is_told;
        // Where rules alone decide, a key does not matter.
        if by_rule {
            readings.iter_mut().flat_map(|it| &mut it.asked).flatten().for_each(Asked::forget_key);
        }
        let narrow =
            (made_up && !is_fixed && !by_condition).then(|| Narrow::new(&readings)).flatten();
        let signature = Signature {
            by_condition: by_condition.then(|| shapes.clone()),
            read: readings.map(|Reading { met, asked: [asked, _], .. }| (met.rules, asked)),
        };
        let (requests, samples) = (vec![request], vec![first]);
        Group { requests, shapes, is_fixed, samples, narrow, signature }
    }
}

/// The request of one client.
fn sent_by(key: &str, shape: &Shape) -> HeaderList {
    let mut request = shape.request();
    shape.fill(&Client::of(key), &mut request);
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
