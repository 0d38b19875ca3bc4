//! A configuration with every feature, and requests that come to each of its rules.

use anyhow::Result;
use serde_json::{Value, json};
use std::fmt::Write;

/// Users who come back again and again.
pub(super) const USERS: usize = 997;

/// Every feature; another number is another configuration, with the same assignments. (A rule of
/// another name would have metrics of its own, and Envoy keeps those that it ever had.)
pub(super) fn configuration(number: u32) -> Value {
    let signing = json!({"env": "SPLIT_COOKIE_KEYS"});
    let issue = json!({"cookie": "id", "maxAge": "30d", "signing": signing});
    let users = json!({"key": [{"cookie": "uid"}], "issue": issue});
    json!({
        "clusterHeader": "x-split-cluster",
        "variantHeader": "x-split-variant",
        "debugHeader": "x-split-debug",
        "metrics": "full",
        "variants": {"stable": {"cluster": "stable"}, "canary": {"cluster": "canary"}, "old": {"cluster": "old"}},
        "rules": [
            {"name": "number", "match": [{"path": {"exact": format!("/{number}")}}], "to": "old"},
            {"name": "tried", "mode": "shadow", "split": {"stable": 1, "canary": 1}, "sticky": users},
            {"name": "agents", "match": [{"headers": {"user-agent": {"regex": "(curl|wget)/[0-9.]+"}}}],
             "to": "stable"},
            {"name": "testers", "match": [{"cookies": {"group": {"in": ["alpha", "BETA"], "ignoreCase": true}}}],
             "to": "canary"},
            {"name": "near", "match": [{"sourceIp": ["10.0.0.0/8"]},
             {"sourceIp": ["127.0.0.0/8"], "headers": {"x-near": {"present": true}}}], "to": "canary"},
            {"name": "shaped", "match": [{
                "method": {"exact": "GET"}, "authority": {"prefix": "shop."},
                "path": {"suffix": ".html"}, "queryParams": {"page": {"range": {"start": 1, "end": 10}}},
                "headers": {"x-shape": {"contains": "oun"}, "x-none": {"exact": "a", "not": true}}}],
             "to": "stable"},
            {"name": "kept", "match": [{"path": {"prefix": "/kept"}}], "split": {"stable": 1, "canary": 1},
             "persist": {"cookie": "kept", "maxAge": "1h", "signing": signing}},
            {"name": "drained", "match": [{"path": {"exact": "/drained"}}], "split": {"stable": 1, "old": 0},
             "persist": {"cookie": "drained", "maxAge": "1h"}},
            {"name": "ramped", "match": [{"path": {"prefix": "/ramped"}}],
             "split": {"stable": 90, "canary": 10}, "sticky": users,
             "ramp": {"variant": "canary", "to": 50, "start": "2026-01-01T00:00:00Z", "duration": "365d"},
             "guard": {"watch": "canary", "fallback": "stable", "maxErrorRate": "5%", "window": "10s"}},
            {"name": "slice", "layer": "l", "slice": [0, 10], "to": "canary", "sticky": users},
            {"name": "rest", "split": {"stable": 90, "canary": 10}, "history": [{"stable": 1}],
             "sticky": users}
        ]
    })
}

/// The same configuration with a mistake, each number with one of four.
pub(super) fn mistaken(number: u32) -> String {
    let text = configuration(number).to_string();
    match number % 4 {
        0 => text.replace("\"to\"", "\"too\""),
        1 => text.replace(":90", ":-90"),
        2 => text.replace("SPLIT_COOKIE_KEYS", "NO_SUCH_KEYS"),
        _ => text.replace('}', ""),
    }
}

/// The kinds of requests, by the rule that they meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Agent,
    Tester,
    Near,
    Shaped,
    /// A request with an assignment that nobody made.
    Forged,
    /// A request with the assignment that the forged one was answered with.
    Kept,
    Drained,
    Ramped,
    User,
    /// Without an identity.
    New,
}

impl Kind {
    /// The kinds in turn; `kept` says whether there is an assignment to come back with.
    pub(super) fn of(n: u64, kept: bool) -> Self {
        match n % 11 {
            0 => Self::Agent,
            1 => Self::Tester,
            2 => Self::Near,
            3 => Self::Shaped,
            4 if kept => Self::Kept,
            4 => Self::Forged,
            5 => Self::Drained,
            6 => Self::Ramped,
            7 | 8 => Self::New,
            _ => Self::User,
        }
    }

    pub(super) fn user(n: u64) -> usize {
        (n / 11) as usize % USERS
    }

    /// Writes such a request.
    pub(super) fn write(self, n: u64, kept: &str, to: &mut String) -> Result<()> {
        let (path, fields) = match self {
            Self::Agent => ("/", "user-agent: curl/8.1\r\n"),
            Self::Tester => ("/", "cookie: a=b; group=beta\r\n"),
            Self::Near => ("/", "x-near: 1\r\n"),
            Self::Shaped => ("/a.html?a=b&page=9", "x-shape: round\r\n"),
            Self::Forged => ("/kept", "cookie: kept=stable.0.ffffffff.AAAA\r\n"),
            Self::Kept => ("/kept/again", ""),
            Self::Drained => ("/drained", "cookie: drained=old\r\n"),
            Self::Ramped => ("/ramped", ""),
            Self::User => ("/reviews", ""),
            Self::New => ("/", "cookie: id=forged\r\n"),
        };
        write!(to, "GET {path} HTTP/1.1\r\nhost: shop.example.com\r\naccept: */*\r\n{fields}")?;
        match self {
            Self::Kept => write!(to, "cookie: {kept}\r\n")?,
            Self::Ramped | Self::User => write!(to, "cookie: uid=user-{}\r\n", Self::user(n))?,
            _ => {}
        }
        // Nobody's header, and what a client would like.
        to.push_str("x-split-cluster: old\r\nx-split-variant: old\r\n\r\n");
        Ok(())
    }

    /// Whether an answer came from where it had to, by the rule that had to decide.
    pub(super) fn is_answered_by(self, status: u16, upstream: &str, debug: &str) -> bool {
        let (decided, upstreams): (&[&str], &[&str]) = match self {
            Self::Agent => (&["rule=agents; variant=stable; reason=pinned"], &["stable"]),
            Self::Tester => (&["rule=testers; variant=canary; reason=pinned"], &["canary"]),
            Self::Near => (&["rule=near; variant=canary; reason=pinned"], &["canary"]),
            Self::Shaped => (&["rule=shaped; variant=stable; reason=pinned"], &["stable"]),
            Self::Forged => (&["rule=kept; "], &["stable", "canary"]),
            Self::Kept => (&["rule=kept; "], &["stable", "canary"]),
            Self::Drained => (&["rule=drained; variant=old; reason=persisted"], &["old"]),
            Self::Ramped => (&["rule=ramped; "], &["stable", "canary"]),
            Self::User | Self::New => (&["rule=slice; ", "rule=rest; "], &["stable", "canary"]),
        };
        let reason = match self {
            Self::Forged => "reason=random; absent=seal",
            Self::Kept => "reason=persisted",
            _ => "",
        };
        status == 200
            && upstreams.contains(&upstream)
            && decided.iter().any(|start| debug.starts_with(start))
            && debug.ends_with(reason)
            && debug.contains(&format!("variant={upstream};"))
    }
}
