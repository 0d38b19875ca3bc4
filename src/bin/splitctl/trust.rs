//! Warnings about signed cookies beside keys that clients can set.

use traffic_split::config::{ActionSpec, CookieSpec, RuleSpec};

use crate::check::Checked;
use crate::routes::Warning;

/// The warnings for a configuration in this file: one for each source of a key that nobody vouches for.
pub fn warnings(checked: &Checked, file: &str) -> Vec<Warning> {
    let mut warnings = Vec::new();
    for rule in &checked.config.rules {
        let Some(sticky) = &rule.sticky else { continue };
        let signed: Vec<_> = signed(rule).map(|cookie| cookie.name.as_str()).collect();
        if signed.is_empty() {
            continue;
        }
        let sources = sticky.key.iter().zip(&sticky.trusted).enumerate();
        for (at, (source, _)) in sources.filter(|(_, (_, trusted))| !**trusted) {
            // Nobody sends an address.
            if source.part().is_none() {
                continue;
            }
            let (path, cookies) = (format!("{}.key[{at}]", sticky.path), signed.join(" and "));
            let line = checked.tree.find(&path).line;
            let message = format!(
                "{path}: a client chooses its {source}, and by it a variant: signing {cookies} proves \
                 nothing; give trusted: true if an earlier filter sets or removes it"
            );
            warnings.push(Warning { file: file.to_owned(), line, message });
        }
    }
    warnings
}

/// The signed cookies of a rule.
fn signed(rule: &RuleSpec) -> impl Iterator<Item = &CookieSpec> {
    let issue = rule.sticky.as_ref().and_then(|sticky| sticky.issue.as_ref());
    let persist = match &rule.action {
        Some(ActionSpec::Split(split)) => split.persist.as_ref(),
        Some(ActionSpec::Route(route)) => route.persist.as_ref(),
        Some(ActionSpec::To(_)) | None => None,
    };
    let cookies = issue.into_iter().chain(persist.map(|persist| &persist.cookie));
    cookies.filter(|cookie| cookie.signing.is_some())
}
