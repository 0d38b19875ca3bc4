//! Conditions, ready to be asked of a request.

mod list;
mod network;
mod search;
mod text;

pub(crate) use list::List;
pub(crate) use network::Networks;
pub(crate) use search::Search;
pub(crate) use text::{Operand, Text};

use crate::config::Part;
use crate::request::Request;

/// One condition.
#[derive(Debug)]
pub(crate) struct Matcher {
    pub(crate) test: Test,
    pub(crate) not: bool,
}

/// What is asked of a request.
#[derive(Debug)]
pub(crate) enum Test {
    Text(Part, Text),
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
            Test::Text(part, text) => part.any(request, |value| text.matches(value)),
            Test::SourceIp(networks) => {
                request.source_address().is_some_and(|address| networks.contain(address))
            }
        }
    }
}
