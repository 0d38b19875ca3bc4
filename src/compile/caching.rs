//! The request headers on which responses depend.

use crate::caching::Caching;
use crate::config::{ConditionTest, Config, Mode, Part, RuleSpec};
use crate::navigation;

/// The directives for caches that a configuration asks for. Nothing of a response depends on a plan in shadow.
pub(super) fn compile(config: &Config) -> Caching {
    let vary = config.caching.vary && config.mode == Mode::Enforce;
    let mut names = Vec::new();
    for rule in config.rules.iter().filter(|rule| vary && rule.mode == Mode::Enforce) {
        for name in looked_at(rule) {
            if !names.iter().any(|known| known == name) {
                names.push(name.to_owned());
            }
        }
    }
    Caching { private: config.caching.private, vary: names }
}

/// The headers that a rule's conditions, its key and its cookies are in.
fn looked_at(rule: &RuleSpec) -> impl Iterator<Item = &str> {
    let conditions = rule.entries.iter().flatten().flatten();
    let conditions = conditions.filter_map(|condition| match &condition.test {
        ConditionTest::Text { part, .. } => header(part),
        ConditionTest::SourceIp(_) => None,
    });
    let key = rule.sticky.iter().flat_map(|sticky| &sticky.key);
    let key = key.filter_map(|source| header(source.part()?));
    let page = rule.persist().filter(|persist| persist.by_page).map(|_| navigation::HEADERS);
    let cookie = rule.cookies().next().map(|_| "cookie");
    conditions.chain(key).chain(cookie).chain(page.into_iter().flatten())
}

/// The header that a part of the request is in; `None` where it belongs to what is asked for, which
/// every cache tells apart.
fn header(part: &Part) -> Option<&str> {
    match part {
        Part::Header(name) => Some(name),
        Part::Cookie(_) | Part::CookieAnyCase(_) => Some("cookie"),
        Part::Baggage(_) => Some("baggage"),
        Part::QueryParam(_) | Part::Path | Part::Method | Part::Authority => None,
        // No header tells a cache of it.
        Part::Property(_) => None,
    }
}
