//! An explanation as a table for people.

use super::bucket::Buckets;
use super::explained::{Destination, Explained, Key};
use crate::output::{BAD, FAINT, GOOD, Ordered, STRONG, percent};

pub fn table(explained: &Explained) -> String {
    let mut lines = Vec::new();
    for step in &explained.rules {
        let (style, mark, what) = match step.matched {
            Some(true) => (GOOD, "✓", "matches"),
            Some(false) if step.shadow => (FAINT, "·", "is in shadow: only tried and counted"),
            Some(false) if step.outside => (BAD, "✗", "leaves it to other rules"),
            Some(false) => (BAD, "✗", "does not match"),
            None => (FAINT, "·", "is not reached"),
        };
        lines.push(format!("{style}{mark} {} {what}{style:#}", step.rule));
        lines.extend(step.why.iter().map(|why| format!("    {why}")));
    }
    if !lines.is_empty() {
        lines.push(String::new());
    }
    let mut fact = |name: &str, value: &str| lines.push(format!("{name:<8}  {value}"));
    fact("rule", explained.rule.as_deref().unwrap_or("none"));
    let none = if explained.point.is_some() { "chosen by the route" } else { "none" };
    let variant = explained.variant.as_deref().unwrap_or(none);
    match &explained.chances {
        None => fact("variant", &format!("{STRONG}{variant}{STRONG:#}")),
        Some(Ordered(chances)) => {
            let chances = chances.iter().map(|(name, share)| format!("{name} {}", percent(*share)));
            fact("variant", &format!("by chance: {}", chances.collect::<Vec<_>>().join(", ")));
        }
    }
    if let Some(point) = &explained.point {
        fact("point", point);
    }
    if let Some(Destination { name, route, place, total }) = &explained.destination {
        fact("goes to", &format!("{STRONG}{name}{STRONG:#}: place {place} of {total} in {route}"));
    }
    if let Some(cluster) = &explained.cluster {
        fact("cluster", cluster);
    }
    fact("reason", &reason(explained));
    if let Some(Key { source, value: Some(value), .. }) = &explained.key {
        fact("key", &format!("{source} = {value:?}"));
    }
    if let Some(hash) = &explained.hash {
        fact("hash", hash);
    }
    for (name, value) in &explained.headers.0 {
        match value {
            Some(value) => fact("header", &format!("{name}: {value}")),
            None => fact("header", &format!("{name} is removed")),
        }
    }
    for cookie in &explained.cookies {
        fact("cookie", &format!("{cookie} is set"));
    }
    for cookie in &explained.ended {
        fact("cookie", &format!("{cookie} ends"));
    }
    for flip in &explained.flips {
        fact("may flip", flip);
    }
    for note in &explained.notes {
        fact("note", note);
    }
    lines.join("\n")
}

/// The buckets of the rule that decided.
fn engine(explained: &Explained) -> Option<&Buckets> {
    explained.rules.iter().find(|step| step.matched == Some(true))?.engine.as_ref()
}

fn reason(explained: &Explained) -> String {
    let name = explained.reason;
    let why = match (name, &explained.key) {
        ("pinned", _) => "the rule names the variant",
        ("sticky", _) if engine(explained).is_some() => "the bucket of the flag engine chooses",
        ("hold", _) => "everyone is held at this variant",
        ("override", _) if explained.cookies.is_empty() => {
            "the cookie that a link set names the variant"
        }
        ("override", _) => "the link names the variant, and a cookie keeps it",
        ("otherwise", _) => "the flag engine leaves the client out",
        ("sticky", Some(key)) if key.issued => {
            return format!("{name}: a new identity is issued in {}, and hashed", key.source);
        }
        ("sticky", _) => "the hash of the key chooses",
        ("persisted", _) => "a cookie keeps the earlier choice",
        ("random", _) => return format!("{name}: {}", explained.draw),
        _ => "no rule matches, so Envoy's own route decides",
    };
    format!("{name}: {why}")
}
