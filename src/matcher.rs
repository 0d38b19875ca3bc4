//! Conditions, ready to be asked of a request.

mod list;
mod network;
mod search;
mod text;

pub(crate) use list::List;
pub(crate) use network::Networks;
pub(crate) use search::Search;
pub(crate) use text::{Operand, Text};

use crate::request::{self, Request};

/// One condition.
#[derive(Debug)]
pub(crate) struct Matcher {
    pub(crate) test: Test,
    pub(crate) not: bool,
}

/// A part of the request and what is asked of it.
#[derive(Debug)]
pub(crate) enum Test {
    /// True if any one of a repeated header's values passes; they are never joined
    /// (CVE-2026-26308).
    Header(String, Text),
    Cookie(String, Text),
    QueryParam(String, Text),
    Path(Text),
    Method(Text),
    Authority(Text),
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
        let header = |name, text: &Text| request::header(request, name).any(|v| text.matches(v));
        match self {
            Test::Header(name, text) => header(name, text),
            Test::Method(text) => header(":method", text),
            Test::Authority(text) => header(":authority", text),
            Test::Cookie(name, text) => {
                request::cookie(request, name).is_some_and(|value| text.matches(value))
            }
            Test::QueryParam(name, text) => {
                request::query_param(request, name).is_some_and(|value| text.matches(value))
            }
            Test::Path(text) => request::path(request).is_some_and(|value| text.matches(value)),
            Test::SourceIp(networks) => {
                request.source_address().is_some_and(|address| networks.contain(address))
            }
        }
    }
}
