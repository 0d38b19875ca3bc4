//! What decides the requests of a group. With the rest left out, a million clients are decided in a
//! fraction of the time; a test holds both against each other.

use serde_json::Value;
use traffic_split::config::{Config, KeySource};

use super::asked::Asked;
use super::client::Shape;
use super::described::{Carried, Described};
use super::group::Reading;

/// The rules that are met without their conditions, and a request with the keys that they look at.
pub struct Narrow {
    /// The request as each configuration gets it.
    pub shapes: [Shape; 2],
    rules: [Vec<Part>; 2],
}

/// What stays of a rule.
struct Part {
    /// Its place in the configuration.
    place: usize,
    /// The places of its key that a request has, by their numbers.
    key: Vec<usize>,
    issues: bool,
    forces: bool,
}

impl Narrow {
    /// What decides a request; `None` where clients are told from each other by more than their keys.
    pub fn new(
        readings: &[Reading<'_>; 2],
        request: &Described,
        carried: &Carried,
        accepted: &[String],
    ) -> Option<Self> {
        let tells = |reading: &Reading<'_>| {
            let [first, second] = &reading.asked;
            let mut rules = first.iter().zip(second);
            rules.any(|(a, b)| a.forced != b.forced || a.kept != b.kept)
        };
        if readings.iter().any(|it| it.config.hold.is_some() || tells(it)) {
            return None;
        }
        let rules = readings.each_ref().map(parts);
        let asks = |key: &KeySource| {
            let mut sides = readings.iter().zip(&rules);
            sides.any(|(reading, rules)| rules.iter().any(|rule| rule.asks(reading.config, key)))
        };
        let keys = carried.keys.iter().filter(|(key, _)| asks(key)).cloned().collect();
        let issues = rules.iter().flatten().any(|rule| rule.issues);
        let cookies = |names: &[String]| if issues { names.to_vec() } else { Vec::new() };
        let carried = Carried { keys, issued: cookies(&carried.issued) };
        let shapes = [&carried.issued, &cookies(accepted)].map(|it| request.shape(&carried, it));
        Some(Narrow { shapes, rules })
    }

    /// Leaves out of a configuration, the old one or the new one, what decides none of these requests.
    pub fn edit(&self, side: usize, json: &mut Value) {
        let parts = self.rules.get(side).into_iter().flatten();
        let Some(rules) = json.get_mut("rules").and_then(Value::as_array_mut) else { return };
        *rules = parts.filter_map(|part| part.of(rules.get(part.place)?)).collect();
    }
}

fn parts(reading: &Reading<'_>) -> Vec<Part> {
    let [asked, _] = &reading.asked;
    let part = |(place, asked): (&usize, &Asked)| Part {
        place: *place,
        key: (0..).zip(&asked.key).filter(|(_, it)| !it.is_empty()).map(|(it, _)| it).collect(),
        issues: !asked.is_told,
        forces: !asked.is_unforced(),
    };
    reading.met.rules.iter().zip(asked).map(part).collect()
}

impl Part {
    fn asks(&self, config: &Config, source: &KeySource) -> bool {
        let sticky = config.rules.get(self.place).and_then(|rule| rule.sticky.as_ref());
        let mut key = sticky.into_iter().flat_map(|sticky| (0..).zip(&sticky.key));
        key.any(|(place, known)| known == source && self.key.contains(&place))
    }

    fn of(&self, rule: &Value) -> Option<Value> {
        let mut rule = rule.clone();
        let fields = rule.as_object_mut()?;
        fields.remove("match");
        if !self.forces {
            fields.remove("override");
        }
        let Some(sticky) = fields.get_mut("sticky").and_then(Value::as_object_mut) else {
            return Some(rule);
        };
        if !self.issues {
            sticky.remove("issue");
        }
        if let Some(key) = sticky.get_mut("key").and_then(Value::as_array_mut) {
            let mut place = 0..;
            let is_asked = |_: &Value| place.next().is_some_and(|it: usize| self.key.contains(&it));
            key.retain(is_asked);
        }
        Some(rule)
    }
}
