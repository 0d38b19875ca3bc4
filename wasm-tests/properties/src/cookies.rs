//! A cookie that was issued is accepted, as long as it lasts and where it was issued; one that was
//! altered is not, and is issued anew.

use std::sync::LazyLock;

use arbitrary::{Result, Unstructured};
use serde_json::json;
use traffic_split::testing::{Entropy, FixedEnvironment};
use traffic_split::{HeaderList, Outcome, Plan, Snapshot, limits};

use crate::given::{any_environment, env};

const DAY: u64 = 86_400;
const HOSTS: [&str; 4] = ["h", "H:8080", "other", ""];

static PLAN: LazyLock<Plan> = LazyLock::new(|| {
    let config = json!({
        "variantHeader": "x-split-variant",
        "variants": { "a": {}, "b": {} },
        "rules": [ { "name": "r", "split": { "a": 1, "b": 1 }, "sticky": { "issue": {
            "cookie": "id", "maxAge": "1d", "signing": { "env": "KEYS" } } } } ]
    });
    let plan = Plan::compile(config.to_string().as_bytes(), &env);
    plan.unwrap_or_else(|errors| panic!("{errors}"))
});

static SNAPSHOT: LazyLock<Snapshot> = LazyLock::new(|| Snapshot::new(&PLAN, 0));

/// A client's second visit.
struct Return<'a> {
    host: &'static str,
    now: u64,
    /// The change that the client made to its cookie: bytes kept, bytes put in, bytes left out.
    altered: Option<(usize, &'a [u8], usize)>,
    /// Sent before its cookie, in the same line: other cookies, of the same name too.
    before: &'a [u8],
}

/// A client is issued an identity, and comes back with it or with what it made of it.
pub fn cookies(bytes: &[u8]) -> bool {
    let mut u = Unstructured::new(bytes);
    let Ok((environment, back)) = input(&mut u) else { return false };
    let issued = visit("h", None, &mut environment.clone());
    let value = issued.cookie.as_deref().and_then(|pair| pair.strip_prefix(b"id="));
    let value = value.expect("an identity is issued").to_vec();
    assert!(value.len() <= limits::SIGNED_BYTES);

    let sent = back.altered.map_or_else(|| value.clone(), |altered| alter(&value, altered));
    let line = [back.before, b";id=", &sent].concat();
    let mut later = FixedEnvironment { now: back.now, ..environment.clone() };
    let again = visit(back.host, Some(&line), &mut later);

    // However it was altered, a pair with the value itself may be left.
    let is_intact = |pair: &[u8]| {
        let halves = pair.iter().position(|b| *b == b'=').map(|at| pair.split_at(at));
        halves.is_some_and(|(name, rest)| trim(name) == b"id" && trim(&rest[1..]) == value)
    };
    let intact = line.split(|b| *b == b';').map(trim).any(is_intact);
    let in_time = environment.now <= back.now.saturating_add(limits::CLOCK_SKEW)
        && back.now < environment.now + DAY;
    let here = back.host.eq_ignore_ascii_case("h") || back.host == "H:8080";
    if intact && in_time && here {
        assert_eq!(again, Visit { variant: issued.variant, ..Visit::default() });
    } else {
        assert_eq!(again.set_cookies.len(), 1, "accepted: {line:?}");
    }
    true
}

/// The answer that a client got.
#[derive(Debug, Default, PartialEq)]
struct Visit {
    variant: String,
    /// The request's `cookie` header, where it was rewritten.
    cookie: Option<Vec<u8>>,
    set_cookies: Vec<String>,
}

fn visit(host: &str, cookie: Option<&[u8]>, environment: &mut FixedEnvironment) -> Visit {
    let cookie = cookie.map(|line| ("cookie", line));
    let request = HeaderList::new([(":authority", host.as_bytes())].into_iter().chain(cookie));
    let outcome = Outcome::decide(&PLAN, &SNAPSHOT, &request, environment);
    let variant = outcome.decision().variant();
    let variant = variant.map(|variant| variant.name.clone()).unwrap_or_default();
    let rewritten = outcome.request_headers().find(|change| change.name == "cookie");
    let cookie = rewritten.and_then(|change| change.value).map(<[u8]>::to_vec);
    let headers = outcome.into_response().headers;
    Visit { variant, cookie, set_cookies: headers.into_iter().map(|h| h.value).collect() }
}

fn alter(value: &[u8], (kept, others, left_out): (usize, &[u8], usize)) -> Vec<u8> {
    let (head, tail) = value.split_at(kept.min(value.len()));
    [head, others, tail.get(left_out..).unwrap_or_default()].concat()
}

fn trim(value: &[u8]) -> &[u8] {
    let blank = |b: &u8| matches!(b, b' ' | b'\t');
    let start = value.iter().position(|b| !blank(b)).unwrap_or(value.len());
    let end = value.iter().rposition(|b| !blank(b)).map_or(start, |last| last + 1);
    value.get(start..end).unwrap_or_default()
}

fn input<'a>(u: &mut Unstructured<'a>) -> Result<(FixedEnvironment, Return<'a>)> {
    let mut environment = any_environment(u)?;
    if environment.entropy == Entropy::Missing {
        environment.entropy = Entropy::Fixed([0; 16]);
    }
    environment.now %= 1 << 40;
    // Half of them within the day.
    let seconds = if u.arbitrary()? { DAY } else { 3 * DAY };
    let later = u.int_in_range(0..=seconds)?;
    let now = if u.ratio(1, 8)? {
        environment.now.saturating_sub(later)
    } else {
        environment.now + later
    };
    let altered = match u.arbitrary()? {
        true => None,
        false => {
            let (kept, left_out) = (u.int_in_range(0..=100)?, u.int_in_range(0..=3)?);
            Some((kept, piece(u, 4)?, left_out))
        }
    };
    let host = *u.choose(&HOSTS)?;
    Ok((environment, Return { host, now, altered, before: piece(u, 40)? }))
}

fn piece<'a>(u: &mut Unstructured<'a>, most: usize) -> Result<&'a [u8]> {
    let length = u.int_in_range(0..=most)?;
    u.bytes(length.min(u.len()))
}
