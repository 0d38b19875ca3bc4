//! Signed cookies beside keys that clients can set.

use traffic_split::config::{CookieSpec, RuleSpec};

use super::{Finding, Lint};

/// One warning for each source of a rule's key that nobody vouches for, and for an unsigned override.
pub fn find(rule: &RuleSpec) -> Vec<Finding> {
    let signed: Vec<_> = signed(rule).map(|cookie| cookie.name.as_str()).collect();
    if signed.is_empty() {
        return Vec::new();
    }
    let mut found: Vec<_> = unsigned(rule, &signed).into_iter().collect();
    found.extend(untrusted(rule, &signed));
    found
}

/// An override by which anyone chooses a variant.
fn unsigned(rule: &RuleSpec, signed: &[&str]) -> Option<Finding> {
    let overrides = rule.overrides.as_ref().filter(|it| it.cookie.signing.is_none())?;
    let message = format!(
        "anyone chooses a variant by the query parameter {}: signing {} proves nothing",
        overrides.query_param,
        signed.join(" and ")
    );
    Some(Finding::new(Lint::UnsignedOverride, &overrides.path, message))
}

fn untrusted(rule: &RuleSpec, signed: &[&str]) -> Vec<Finding> {
    let Some(sticky) = &rule.sticky else { return Vec::new() };
    let sources = sticky.key.iter().zip(&sticky.trusted).enumerate();
    // Nobody sends an address.
    let chosen = sources.filter(|(_, (source, trusted))| !**trusted && source.part().is_some());
    let finding = |(at, (source, _))| {
        let cookies = signed.join(" and ");
        let message = format!(
            "a client chooses its {source}, and by it a variant: signing {cookies} proves nothing"
        );
        Finding::new(Lint::UntrustedKey, format!("{}.key[{at}]", sticky.path), message)
    };
    chosen.map(finding).collect()
}

/// The signed cookies of a rule.
fn signed(rule: &RuleSpec) -> impl Iterator<Item = &CookieSpec> {
    let issue = rule.sticky.as_ref().and_then(|sticky| sticky.issue.as_ref());
    let cookies = issue.into_iter().chain(rule.persist().map(|persist| &persist.cookie));
    cookies.filter(|cookie| cookie.signing.is_some())
}
