//! The tries that a client needs until it is in a canary of 1 %, by all that README says a client can do.
//! A search is geometric: 100 tries on average, with a standard deviation of 99.5, and 69 in the middle.

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use traffic_split::testing::FixedEnvironment;
use traffic_split::{Environment, Outcome, Plan, Snapshot};
use wasm_tests::message::{Request, pair};
use wasm_tests::native;

const SEARCHES: usize = 2000;
const MOST: u32 = 5000;

/// Chance by a fixed seed.
struct Chance(fastrand::Rng);

impl Environment for Chance {
    fn random(&mut self) -> u64 {
        self.0.u64(..)
    }

    fn entropy(&mut self) -> Option<[u8; 16]> {
        Some(self.0.u128(..).to_le_bytes())
    }

    fn now(&mut self) -> u64 {
        1_800_000_000
    }
}

/// A canary of 1 % under this rule.
fn plan(rule: Value) -> Result<Plan> {
    let mut whole = json!({"name": "rollout", "split": {"stable": 99, "canary": 1}});
    for (name, value) in rule.as_object().into_iter().flatten() {
        whole[name] = value.clone();
    }
    let variants = json!({"stable": {}, "canary": {}});
    native::plan(
        &json!({"variantHeader": "x-v", "variants": variants, "rules": [whole]}).to_string(),
    )
}

fn signed(cookie: &str) -> Value {
    json!({"cookie": cookie, "maxAge": "1h", "signing": {"env": "SPLIT_COOKIE_KEYS"}})
}

/// The variant of a request, and the cookies that it is answered with.
fn visit(plan: &Plan, request: &Request, chance: &mut impl Environment) -> (String, Vec<String>) {
    let (snapshot, request) = (Snapshot::new(plan, 0), native::request(request));
    let outcome = Outcome::decide(plan, &snapshot, &request, chance);
    let variant = outcome.decision().variant().map_or(String::new(), |it| it.name.clone());
    let set = outcome.into_response().headers.into_iter().filter(|it| it.name == "set-cookie");
    (variant, set.map(|it| pair(&it.value).to_owned()).collect())
}

/// The tries of each search, from few to many; a try begins without cookies.
fn tries(plan: &Plan, mut attempt: impl FnMut(u64) -> Request) -> Result<Vec<u32>> {
    let mut chance = Chance(fastrand::Rng::with_seed(11));
    let mut number = 0;
    let mut search = || {
        (1..=MOST).find(|_| {
            number += 1;
            visit(plan, &attempt(number), &mut chance).0 == "canary"
        })
    };
    let mut found: Vec<_> = (0..SEARCHES).filter_map(|_| search()).collect();
    ensure!(found.len() == SEARCHES, "a search of {MOST} tries found nothing");
    found.sort_unstable();
    Ok(found)
}

/// The mean within three standard errors of 2.2 each, and the median within three of 2.2 as well (its
/// standard error is 1 over twice the density times the square root of n).
fn assert_hundred(tries: &[u32], what: &str) {
    let mean = tries.iter().map(|count| f64::from(*count)).sum::<f64>() / SEARCHES as f64;
    let median = tries[SEARCHES / 2];
    println!("{what}: {mean:.1} tries on average, {median} in the middle");
    assert!((mean - 100.0).abs() < 6.7, "{what}: {mean}");
    assert!((62..=76).contains(&median), "{what}: {median}");
}

#[test]
fn a_client_that_sets_its_key_finds_a_canary_of_one_percent_in_a_hundred_tries() -> Result<()> {
    // Signed or not, and whatever else is signed.
    for extra in [json!({}), json!({"issue": signed("split-id")})] {
        let mut sticky = json!({"key": [{"header": "x-user-id"}]});
        for (name, value) in extra.as_object().into_iter().flatten() {
            sticky[name] = value.clone();
        }
        let plan = plan(json!({"sticky": sticky, "persist": signed("split-variant")}))?;
        let chosen =
            |number: u64| Request::get("/").with("x-user-id", format!("anyone-{number}").as_str());
        assert_hundred(&tries(&plan, chosen)?, "chosen keys");
    }
    Ok(())
}

/// And the proxy then signs where the search ended.
#[test]
fn a_client_that_drops_its_cookies_is_drawn_anew_signed_or_not() -> Result<()> {
    let unsigned = json!({"cookie": "split-id", "maxAge": "1h"});
    for (what, rule) in [
        ("unsigned identities", json!({"sticky": {"issue": unsigned}})),
        ("signed identities", json!({"sticky": {"issue": signed("split-id")}})),
        ("signed assignments", json!({"persist": signed("split-variant")})),
    ] {
        let plan = plan(rule)?;
        assert_hundred(&tries(&plan, |_| Request::get("/"))?, what);
        // Who keeps the cookie stays, and so does a second client that has a copy of it.
        let chance = &mut Chance(fastrand::Rng::with_seed(5));
        let (variant, set) = visit(&plan, &Request::get("/"), chance);
        let known = Request::get("/").with("cookie", set.join("; ").as_str());
        for _ in 0..1000 {
            assert_eq!(visit(&plan, &known, chance), (variant.clone(), Vec::new()), "{what}");
        }
    }
    Ok(())
}

#[test]
fn a_client_that_drops_its_cookies_keeps_a_key_that_an_earlier_filter_sets() -> Result<()> {
    let key = json!([{"header": "x-jwt-sub", "trusted": true}]);
    let plan = plan(json!({"sticky": {"key": key, "issue": signed("split-id")}}))?;
    let chance = &mut FixedEnvironment { now: 1_800_000_000, ..FixedEnvironment::default() };
    for user in 0..100 {
        let known = Request::get("/").with("x-jwt-sub", format!("user-{user}").as_str());
        let first = visit(&plan, &known, chance);
        for forged in 0..100 {
            let cookie = format!("split-id={forged}");
            let again = visit(&plan, &known.clone().with("cookie", cookie.as_str()), chance);
            assert_eq!(again, first, "user {user}");
        }
    }
    Ok(())
}

/// README and the reference have these figures.
#[test]
fn the_number_of_tries_is_what_the_documents_say() -> Result<()> {
    for (document, sentence) in [
        ("README.md", "100 tries on average for a canary of 1 %"),
        ("src/configuration.md", "100 on average for a canary of 1 %"),
    ] {
        let text = std::fs::read_to_string(wasm_tests::root().join(document))?;
        assert!(text.contains(sentence), "{document}: {sentence}");
    }
    Ok(())
}
