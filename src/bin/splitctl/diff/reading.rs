//! The rules that a request meets in one configuration, and what they read of its clients.

use traffic_split::HeaderList;
use traffic_split::config::{ActionSpec, Config};

use super::asked::Asked;
use super::client::Client;
use super::side::Side;
use super::tells;

/// The keys of the clients by whom a request is judged.
pub const KEYS: [&str; 2] = ["user-0", "user-1"];

/// The values that one configuration reads of two clients who send the same request, each with its key.
pub struct Reading<'r> {
    pub config: &'r Config,
    pub met: Met,
    pub asked: [Vec<Asked>; 2],
    /// Whether clients are told from each other by a condition.
    pub by_condition: bool,
    /// Whether all clients are told alike.
    pub is_told: bool,
}

impl<'r> Reading<'r> {
    pub fn new(side: &'r Side<'_>, clients: [&HeaderList; 2], made_up: bool) -> Self {
        let config = &side.checked.config;
        let [sample, _] = clients;
        let met = met(side, sample);
        let asked = clients.map(|client| met.asked(side, client, made_up));
        let [first, second] = &asked;
        let is_told = first == second && met.is_told(first, decided(side, sample));
        let by_condition = tells::is_told(config, clients, made_up);
        Reading { config, met, asked, by_condition, is_told }
    }
}

/// The rules that may decide a request.
pub struct Met {
    /// Their indexes, up to the first one that takes every client.
    pub rules: Vec<usize>,
    /// Whether each of them needs a key.
    needs_key: Vec<bool>,
    /// Whether the client does not matter.
    pub is_fixed: bool,
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
