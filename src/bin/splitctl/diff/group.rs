//! Requests that all clients send, with those together that both configurations answer alike.

use traffic_split::HeaderList;
use traffic_split::config::{ActionSpec, Part};

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

/// The input of a decision: the rules that are met, and the values of one client's keys.
#[derive(PartialEq, Eq)]
struct Signature {
    rules: [Vec<usize>; 2],
    keys: [Vec<Values>; 2],
}

/// The values of one place of keys.
type Values = Vec<Vec<u8>>;

/// The groups of these requests, and the number of requests that are left out.
pub fn groups(
    sides: [&Side<'_>; 2],
    described: Vec<Described>,
    carried: &Carried,
    accepted: &[String],
) -> (Vec<Group>, usize) {
    let mut groups: Vec<Group> = Vec::new();
    let mut left_out = 0;
    for request in described {
        let old = request.shape(carried, &carried.issued);
        let new = request.shape(carried, accepted);
        let samples = [sample(&old), sample(&new)];
        let [before, after] = [0, 1].map(|i| met(sides.get(i).copied(), samples.get(i)));
        let is_fixed = old.is_fixed() && new.is_fixed() || before.is_fixed && after.is_fixed;
        // Where rules alone decide, a key does not matter.
        let keys = match before.is_fixed && after.is_fixed {
            true => Default::default(),
            false => samples.each_ref().map(|sample| carried.values(sample)),
        };
        let signature = Signature { rules: [before.rules, after.rules], keys };
        if let Some(group) = groups.iter_mut().find(|group| group.signature == signature) {
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
#[derive(Default)]
struct Met {
    /// Their indexes, up to the first one that takes every client.
    rules: Vec<usize>,
    /// Whether the client does not matter.
    is_fixed: bool,
}

fn met(side: Option<&Side<'_>>, request: Option<&HeaderList>) -> Met {
    let (Some(side), Some(request)) = (side, request) else { return Met::default() };
    let config = &side.checked.config;
    let held = config.hold.is_some();
    let mut rules = Vec::new();
    for (place, (rule, spec)) in side.plan().rules().iter().zip(&config.rules).enumerate() {
        if rule.is_shadow() || !rule.matches(request) {
            continue;
        }
        rules.push(place);
        let takes_all =
            held || spec.layer.is_none() && (rule.engine().is_none() || rule.otherwise().is_some());
        if takes_all {
            let is_to = held || matches!(spec.action, Some(ActionSpec::To(_)));
            let is_fixed = rules.len() == 1 && is_to;
            return Met { rules, is_fixed };
        }
    }
    Met { is_fixed: rules.is_empty(), rules }
}

/// The request of one client.
fn sample(shape: &Shape) -> HeaderList {
    let mut client = Client::default();
    client.set(b"user-0");
    let mut request = shape.request();
    shape.fill(&client, &mut request);
    request
}

impl Carried {
    /// The values of a request in the places of keys and of issued identities.
    fn values(&self, request: &HeaderList) -> Vec<Values> {
        let issued = self.issued.iter().map(|name| Some(Part::Cookie(name.clone())));
        let parts = self.keys.iter().map(|(key, _)| key.part().cloned()).chain(issued);
        let value = |part: Option<Part>| match part {
            Some(part) => part.values(request).into_iter().map(<[u8]>::to_vec).collect(),
            None => request.source.iter().map(|it| it.to_string().into_bytes()).collect(),
        };
        parts.map(value).collect()
    }
}
