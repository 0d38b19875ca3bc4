//! A hold: everyone goes to one variant within one update, and comes back with the next.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use wasm_tests::message::{Reply, Request};
use wasm_tests::native::ENVIRONMENT;
use wasm_tests::raw;
use wasm_tests::updated::Updated;

const CLUSTERS: [&str; 3] = ["to-stable", "to-canary", "default"];
/// Of each path a rule that leads to the canary in a way of its own; no rule knows the last one.
const PATHS: [&str; 12] = [
    "/tester",
    "/sticky",
    "/kept",
    "/renewed",
    "/paged",
    "/forced",
    "/linked?split=canary",
    "/ramped",
    "/layered",
    "/engine",
    "/route",
    "/nobody",
];
/// Users of each path.
const USERS: usize = 20;

/// Pins, issued and persisted cookies that are signed, cookies that are renewed or kept for a page, forced
/// variants, a ramp that is over, a guard, a layer, a flag engine, weights in the route, and a rule in
/// shadow.
fn everything() -> Value {
    let signing = json!({"env": "SPLIT_COOKIE_KEYS"});
    let issue = json!({"cookie": "split-id", "maxAge": "1h", "signing": signing});
    let persist = |name| json!({"cookie": name, "maxAge": "1h", "signing": signing});
    let at = |path: &str| json!([{"path": {"exact": path}}]);
    let key = json!([{"cookie": "uid"}]);
    let forced = json!({"queryParam": "split", "cookie": "split-force", "maxAge": "8h",
                        "variants": ["canary"]});
    json!({
        "clusterHeader": "x-split-cluster",
        "variantHeader": "x-split-variant",
        "pointHeader": "x-split-point",
        "debugHeader": "x-split-debug",
        "metrics": "full",
        "variants": {
            "stable": {"cluster": "to-stable", "point": "first"},
            "canary": {"cluster": "to-canary", "point": "last"}
        },
        "rules": [
            {"name": "tried", "mode": "shadow", "to": "canary"},
            {"name": "tester", "match": at("/tester"), "to": "canary"},
            {"name": "sticky", "match": at("/sticky"), "split": {"stable": 50, "canary": 50},
             "sticky": {"issue": issue}},
            {"name": "kept", "match": at("/kept"), "split": {"stable": 50, "canary": 50},
             "persist": persist("kept")},
            {"name": "renewed", "match": at("/renewed"), "split": {"stable": 50, "canary": 50},
             "persist": {"cookie": "renewed", "maxAge": "1h", "renew": true}},
            {"name": "paged", "match": at("/paged"), "split": {"stable": 50, "canary": 50},
             "sticky": {"key": key},
             "persist": {"cookie": "paged", "maxAge": "session", "reassign": "navigation"}},
            {"name": "forced", "match": at("/forced"), "to": "stable", "override": forced},
            {"name": "linked", "match": at("/linked"), "to": "stable", "override": forced},
            {"name": "ramped", "match": at("/ramped"), "split": {"stable": 100, "canary": 0},
             "ramp": {"variant": "canary", "to": 100, "start": "2020-01-01T00:00:00Z",
                      "duration": "1h"},
             "guard": {"watch": "canary", "fallback": "stable", "maxErrorRate": "5%"}},
            {"name": "layered", "match": at("/layered"), "layer": "l", "slice": [0, 50],
             "to": "canary", "sticky": {"key": key}},
            {"name": "engine", "match": at("/engine"),
             "split": [{"canary": 50}, {"stable": 25}],
             "sticky": {"key": key, "engine": {"nginx": {"prefix": ""}}}},
            {"name": "route", "match": at("/route"), "split": "route",
             "persist": persist("point")}
        ]
    })
}

/// A user of a path, with the cookies that it was given.
struct User {
    path: &'static str,
    cookies: BTreeMap<String, String>,
}

impl User {
    fn new((number, path): (usize, &'static str)) -> Self {
        let mut user = User::unknown(path);
        user.cookies.insert("uid".to_owned(), format!("user-{number}"));
        user
    }

    /// One without an identity, who brings a choice, and an assignment that is due to be renewed.
    fn unknown(path: &'static str) -> Self {
        let brought = ["split-force", "renewed"].map(|name| (name.to_owned(), "canary".to_owned()));
        User { path, cookies: brought.into() }
    }

    async fn visit(&mut self, site: &Updated) -> Result<Reply> {
        let cookies = self.cookies.iter().map(|(name, value)| format!("{name}={value}"));
        let cookies = cookies.collect::<Vec<_>>().join("; ");
        let request = Request::get(self.path).with("cookie", cookies.as_str());
        let request = request.with("sec-fetch-mode", "navigate").with("sec-fetch-dest", "document");
        let reply = raw::send(site.address()?, &request).await?;
        for pair in reply.cookies() {
            let (name, value) = pair.split_once('=').context("no value")?;
            self.cookies.insert(name.into(), value.into());
        }
        Ok(reply)
    }
}

/// The place where a request arrived, and its point there.
fn place(reply: &Reply) -> Result<(String, Vec<u8>)> {
    let seen = reply.seen()?;
    let point = seen.all("x-split-point").concat();
    Ok((seen.upstream, point))
}

async fn places(users: &mut [User], site: &Updated) -> Result<Vec<(String, Vec<u8>)>> {
    let mut places = Vec::new();
    for user in users {
        places.push(place(&user.visit(site).await?)?);
    }
    Ok(places)
}

#[tokio::test]
async fn everyone_goes_to_stable_within_one_update_and_comes_back_with_the_next() -> Result<()> {
    let mut site = Updated::start(&everything(), &ENVIRONMENT, &CLUSTERS).await?;
    let users = (0..USERS).flat_map(|number| PATHS.map(|path| (number, path)));
    let mut users: Vec<_> = users.map(User::new).collect();
    places(&mut users, &site).await?;
    // They have their cookies now.
    let before = places(&mut users, &site).await?;
    for path in PATHS.iter().filter(|path| !["/nobody", "/route"].contains(path)) {
        let canary =
            |(user, place): &(&User, &(String, _))| user.path == *path && place.0 == "to-canary";
        ensure!(users.iter().zip(&before).any(|both| canary(&both)), "{path}: none in the canary");
    }

    for mode in ["enforce", "shadow"] {
        let mut held = everything();
        held["hold"] = "stable".into();
        held["mode"] = mode.into();
        site.update(&held, &ENVIRONMENT).await?;
        let new = PATHS.map(User::unknown);
        for user in users.iter_mut().chain(&mut Vec::from(new)) {
            let reply = user.visit(&site).await?;
            let seen = reply.seen()?;
            let variant = seen.all("x-split-variant").concat();
            let told = reply.header("x-split-debug").context("no debug header")?;
            ensure!(reply.all("set-cookie").is_empty(), "{} sets {reply:?}", user.path);
            // The rule in shadow knows every request.
            let told_is = told == "rule=tried; variant=stable; reason=hold; point=0";
            let (to, point) = place(&reply)?;
            ensure!(
                (to.as_str(), &variant[..], &point[..], told_is)
                    == ("to-stable", b"stable", b"0", true),
                "{} in {mode}: {to}, {told}",
                user.path
            );
        }
        let counted = site.envoy().prometheus().await?;
        let held: f64 = counted
            .iter()
            .filter(|(name, _)| name.contains("reason=\"hold\""))
            .map(|(_, n)| n)
            .sum();
        ensure!(held >= (users.len() + PATHS.len()) as f64, "only {held} counted");
    }

    site.update(&everything(), &ENVIRONMENT).await?;
    let after = places(&mut users, &site).await?;
    for ((user, before), after) in users.iter().zip(before).zip(after) {
        ensure!(
            before == after,
            "{} at {}: {before:?}, then {after:?}",
            user.cookies["uid"],
            user.path
        );
    }
    Ok(())
}

/// The default route decides about what no rule knows, as ever.
#[tokio::test]
async fn what_no_rule_knows_goes_by_the_default_route() -> Result<()> {
    let mut held = everything();
    held["hold"] = "stable".into();
    held["rules"].as_array_mut().context("no rules")?.remove(0);
    let mut site = Updated::start(&everything(), &ENVIRONMENT, &CLUSTERS).await?;
    site.update(&held, &ENVIRONMENT).await?;
    for path in PATHS {
        let reply =
            raw::send(site.address()?, &Request::get(path).with("x-split-cluster", "to-canary"))
                .await?;
        let (to, told) = (place(&reply)?.0, reply.header("x-split-debug").unwrap_or_default());
        let (expected, rule) = match path {
            "/nobody" => ("default", "rule=-; variant=-; reason=unmatched".to_owned()),
            _ => {
                let rule = path[1..].split('?').next().unwrap_or_default();
                ("to-stable", format!("rule={rule}; variant=stable; reason=hold; point=0"))
            }
        };
        ensure!((to.as_str(), told) == (expected, rule.as_str()), "{path}: {to}, {told}");
    }
    Ok(())
}
