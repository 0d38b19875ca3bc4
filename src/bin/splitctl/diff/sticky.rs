//! The differences between two rules in what a client is told by and what it keeps.

use traffic_split::config::{CookieSpec, PersistSpec, StickySpec};

use super::pairs::Pair;

/// The causes for which clients are drawn anew, in words.
pub fn changes(pair: &Pair<'_>, old: &StickySpec, new: &StickySpec) -> Vec<String> {
    let name = &pair.new.name;
    let mut causes = Vec::new();
    if old.key != new.key {
        let sources = |sticky: &StickySpec| {
            let keys: Vec<_> = sticky.key.iter().map(ToString::to_string).collect();
            if keys.is_empty() { "none".to_owned() } else { keys.join(", then ") }
        };
        let same_set =
            old.key.len() == new.key.len() && old.key.iter().all(|key| new.key.contains(key));
        let what = if same_set { "order of keys" } else { "key" };
        causes.push(format!(
            "The {what} of the rule {name} is {}, before {}: a client whose value differs under the \
             new one is drawn anew. Clients are counted who have each of them, with another value in each.",
            sources(new),
            sources(old)
        ));
    }
    if old.ignore != new.ignore {
        causes.push(format!(
            "The values that are no identity are not the same in the rule {name}: clients with one of \
             them are drawn anew."
        ));
    }
    causes.extend(issue(name, old.issue.as_ref(), new.issue.as_ref()));
    let engines = [old, new].map(|it| it.engine.as_ref().map(|engine| engine.name()));
    causes.extend(engine(engines));
    causes
}

fn issue(rule: &str, old: Option<&CookieSpec>, new: Option<&CookieSpec>) -> Option<String> {
    let again = "clients without a key are issued a new identity, and drawn anew";
    match (old, new) {
        (Some(old), Some(new)) if old.name != new.name => Some(format!(
            "The rule {rule} issues identities in the cookie {}, before in {}: {again}.",
            new.name, old.name
        )),
        (Some(old), Some(new)) if !accepts(old, new) => Some(format!(
            "The cookie {} of the rule {rule} is signed otherwise: {again}.",
            new.name
        )),
        (Some(old), None) => Some(format!(
            "The rule {rule} issues no identities, before in the cookie {}: clients without a key are \
             drawn for each request.",
            old.name
        )),
        (None, Some(new)) => Some(format!(
            "The rule {rule} issues identities in the cookie {} to clients without a key, who were \
             drawn for each request.",
            new.name
        )),
        _ => None,
    }
}

/// Whether a cookie that was set before is accepted.
pub fn accepts(old: &CookieSpec, new: &CookieSpec) -> bool {
    let env = |cookie: &CookieSpec| cookie.signing.as_ref().map(|signing| signing.env.clone());
    // A signature binds the domain.
    old.name == new.name && env(old) == env(new) && (env(old).is_none() || old.domain == new.domain)
}

/// Whether an assignment that was kept before still counts.
pub fn keeps(pair: &Pair<'_>, old: &PersistSpec, new: &PersistSpec) -> bool {
    // A signature binds the salt as well.
    accepts(&old.cookie, &new.cookie)
        && (old.cookie.signing.is_none() || pair.old.salt() == pair.new.salt())
}

/// A change between the filter's own hash and the buckets of a flag engine.
fn engine(engines: [Option<&str>; 2]) -> Option<String> {
    let named = |engine: Option<&str>| match engine {
        Some(name) => format!("the buckets of {name}"),
        None => "the filter's own hash".to_owned(),
    };
    let [before, after] = engines;
    (before != after).then(|| {
        format!(
            "The old rule assigns by {}, the new one by {}, so every client is drawn anew. `persist` \
             in both keeps the clients whose cookie has not expired.",
            named(before),
            named(after)
        )
    })
}
