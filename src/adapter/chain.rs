//! Several filters of this kind in one chain: by properties of the request, which no client can set,
//! each tells the others what it wrote. One without company has nobody to tell, and sets none.

use std::cell::Cell;
use std::rc::Rc;

use super::abi;
use super::vm::{Member, Vm};
use crate::Outcome;
use crate::config::MetricsLevel;
use crate::plan::Plan;
use crate::request::BAGGAGE;

/// The first of the properties for access logs; its value is `-` where no rule has matched.
const STATE: &str = "tsplit.rule";

/// The properties that not every decision has.
const OPTIONAL: [&str; 3] = ["tsplit.shadow", "tsplit.unit", "tsplit.first"];

/// A filter among those that may stand in its chain.
pub(super) struct Chain {
    /// A number that no other filter has, as text.
    id: String,
    /// The name by which access logs tell it from others.
    name: String,
    company: Rc<Cell<bool>>,
}

impl Chain {
    /// The filter of a plan, from now on company to the others that write what it writes.
    pub(super) fn join(plan: &Plan) -> Self {
        let chain = Chain {
            id: format!("{:016x}", fastrand::u64(..)),
            name: name(),
            company: Rc::default(),
        };
        let company = Rc::clone(&chain.company);
        Vm::with(|vm| {
            vm.members.push(Member { writes: writes(plan), company });
            introduce(&vm.members);
        });
        chain
    }

    /// Ends its company: no request begins under its configuration any more.
    pub(super) fn leave(&self) {
        Vm::with(|vm| {
            vm.members.retain(|member| !Rc::ptr_eq(&member.company, &self.company));
            introduce(&vm.members);
        });
    }

    /// Whether another filter writes a header or filter state that this one writes.
    pub(super) fn has_company(&self) -> bool {
        self.company.get()
    }

    /// Tells the other filters what this one has done to a request, and access logs what it decided.
    #[inline(never)]
    pub(super) fn announce(&self, plan: &Plan, outcome: &Outcome<'_>) {
        let carried_out = outcome.is_carried_out();
        if carried_out {
            plan.routing_headers().for_each(|header| self.claim(header));
        }
        outcome.written_in_baggage().for_each(|name| self.claim(name));
        // A decision in shadow is told of where there is no other.
        let decided = outcome.decision().rule().is_some();
        if let Some(header) = &plan.debug_header
            && (carried_out || decided && !is_claimed(header))
        {
            self.claim(header);
        }
        let state = outcome.filter_state();
        if state.is_empty() {
            return;
        }
        let told = read(STATE);
        let shared = carried_out || told.as_ref().is_none_or(|rule| rule == b"-");
        if told.is_some() && shared {
            // What an earlier filter said of its own decision is not of this one.
            let others =
                OPTIONAL.iter().filter(|name| state.iter().all(|(known, _)| known != *name));
            others.for_each(|property| set(property, "-"));
        }
        for (property, value) in state {
            if shared {
                set(property, &value);
            }
            let field = property.trim_start_matches("tsplit.");
            set(&format!("tsplit.{}.{field}", self.name), &value);
        }
    }

    /// Whether nobody has written this header after this filter.
    #[inline(never)]
    pub(super) fn owns(&self, header: &str) -> bool {
        read(&claim(header)).as_deref() == Some(self.id.as_bytes())
    }

    /// Whether this filter is to write the debug header: the one that decided does, else the last.
    #[inline(never)]
    pub(super) fn explains(&self, header: &str) -> bool {
        if is_claimed(header) {
            return self.owns(header);
        }
        // Responses meet the last filter first.
        self.claim(header);
        true
    }

    fn claim(&self, header: &str) {
        set(&claim(header), &self.id);
    }
}

/// Whether a filter of this kind wrote this header of the request, and not the client.
pub(super) fn is_claimed(header: &str) -> bool {
    read(&claim(header)).is_some()
}

/// The property with the number of the filter that wrote a header last.
fn claim(header: &str) -> String {
    format!("tsplit.by.{header}")
}

/// A property that cannot be read counts as absent: a header is then taken for the client's.
fn read(property: &str) -> Option<Vec<u8>> {
    abi::property(property).ok().flatten()
}

/// Where a property cannot be set, later filters take the header for the client's, and the access log
/// has no value.
fn set(property: &str, value: &str) {
    let _ = abi::set_property(property, value.as_bytes());
}

/// The plugin's root id, Istio's `pluginName`; its name where it has none.
fn name() -> String {
    let given = |property| read(property).filter(|name| !name.is_empty());
    let name = given("plugin_root_id").or_else(|| given("plugin_name")).unwrap_or_default();
    String::from_utf8_lossy(&name).into_owned()
}

/// The names of the headers, and the first of the filter state, that a plan writes.
fn writes(plan: &Plan) -> Vec<String> {
    let state = (plan.metrics_level == MetricsLevel::Full).then_some(STATE);
    let baggage = plan.baggage.then_some(BAGGAGE);
    let names = plan.routing_headers().chain(plan.debug_header.as_deref());
    let names = names.chain(state).chain(baggage);
    names.map(str::to_owned).collect()
}

/// Tells each filter whether it has company.
fn introduce(members: &[Member]) {
    for member in members {
        let other = |other: &&Member| !Rc::ptr_eq(&other.company, &member.company);
        let shares = |other: &Member| other.writes.iter().any(|name| member.writes.contains(name));
        member.company.set(members.iter().filter(other).any(shares));
    }
}
