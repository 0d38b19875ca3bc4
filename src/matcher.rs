//! Conditions, ready to be asked of a request.

mod list;
mod network;
mod search;
mod text;

pub(crate) use list::{List, folded};
pub(crate) use network::Networks;
pub(crate) use search::Search;
pub(crate) use text::{Operand, Text};

use crate::config::Part;
use crate::request::{self, Request};

/// A condition that is ready to be asked.
#[derive(Debug)]
pub(crate) struct Matcher {
    pub(crate) test: Test,
    pub(crate) not: bool,
}

/// The question of a condition.
#[derive(Debug)]
pub(crate) enum Test {
    Text(Part, Text),
    /// The question to the authority as it stands, and to its host alone.
    Host(Text),
    SourceIp(Networks),
}

impl Matcher {
    /// Whether the request meets the condition. What is absent passes no test, so it meets a
    /// condition only if that is negated.
    pub(crate) fn matches(&self, request: &impl Request) -> bool {
        self.test.passes(request) != self.not
    }
}

impl Test {
    fn passes(&self, request: &impl Request) -> bool {
        match self {
            Test::Text(part, text) => {
                let mut left = None;
                part.any(request, |value| text.matches(value, request.ignored(), &mut left))
            }
            Test::Host(text) => passes_host(text, request),
            Test::SourceIp(networks) => {
                request.source_address().is_some_and(|address| networks.contain(address))
            }
        }
    }
}

/// Whether the authority passes a test as it stands, or by its host alone.
#[inline(never)]
fn passes_host(text: &Text, request: &impl Request) -> bool {
    let mut left = None;
    request::authority(request)
        .into_iter()
        .flatten()
        .any(|value| text.matches(value, request.ignored(), &mut left))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Cidr;
    use crate::request::HeaderList;

    #[test]
    fn an_absent_part_meets_only_a_negated_condition() {
        for (value, passes) in [(Some("a"), true), (Some("b"), false), (None, false)] {
            let request = HeaderList::new(value.map(|value| ("x", value)));
            for not in [false, true] {
                let text = Text::Exact(Operand::new("a", false));
                let matcher = Matcher { test: Test::Text(Part::Header("x".into()), text), not };
                assert_eq!(matcher.matches(&request), passes != not, "{value:?} {not}");
            }
        }
        for (source, passes) in [("10.1.2.3", true), ("11.1.2.3", false), ("", false)] {
            let request = HeaderList::default().with_source(source.parse().ok());
            let networks =
                Networks::new(&[Cidr { address: "10.0.0.0".parse().unwrap(), prefix: 8 }]);
            let matcher = Matcher { test: Test::SourceIp(networks), not: false };
            assert_eq!(matcher.matches(&request), passes, "{source}");
        }
    }
}
