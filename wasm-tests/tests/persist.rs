//! An assignment is kept over changes of the configuration, until it expires.

use anyhow::Result;
use serde_json::{Value, json};
use wasm_tests::client::{Client, Protocol};
use wasm_tests::message::{Reply, Request, pair};
use wasm_tests::native::{self, ENVIRONMENT};
use wasm_tests::updated::Updated;

fn configuration(split: Value, drain: Option<bool>) -> Value {
    let mut persist = json!({
        "cookie": "split-variant", "maxAge": "1h", "signing": {"env": "SPLIT_COOKIE_KEYS"}
    });
    if let Some(drain) = drain {
        persist["drain"] = json!(drain);
    }
    json!({
        "clusterHeader": "x-split-cluster",
        "variantHeader": "x-split-variant",
        "variants": {"a": {"cluster": "to-a"}, "b": {"cluster": "to-b"}, "c": {"cluster": "to-c"}},
        "rules": [{"name": "rollout", "split": split, "persist": persist}]
    })
}

struct Site(Updated);

impl Site {
    async fn start(split: Value) -> Result<Self> {
        let configuration = configuration(split, None);
        let clusters = ["to-a", "to-b", "to-c"];
        Ok(Self(Updated::start(&configuration, &ENVIRONMENT, &clusters).await?))
    }

    async fn update(&mut self, split: Value, drain: Option<bool>) -> Result<()> {
        self.0.update(&configuration(split, drain), &ENVIRONMENT).await
    }

    /// A visit with this cookie over each protocol: where both went, and the name in what is set.
    async fn visit(&self, cookie: &str) -> Result<(String, Option<String>)> {
        let mut visits = Vec::new();
        for protocol in [Protocol::Http1, Protocol::Http2] {
            let mut client = Client::connect(protocol, self.0.address()?).await?;
            let reply = client.send(&Request::get("/").with("cookie", cookie)).await?;
            // The assignment is between the client and the proxy: the upstream sees what was sent.
            assert_eq!(reply.seen()?.all("cookie").concat(), cookie.as_bytes());
            visits.push((reply.upstream().unwrap_or_default().to_owned(), assigned(&reply)));
        }
        assert_eq!(visits[0], visits[1]);
        Ok(visits.swap_remove(0))
    }

    async fn cookie(&self) -> Result<String> {
        let mut client = Client::connect(Protocol::Http1, self.0.address()?).await?;
        let reply = client.send(&Request::get("/")).await?;
        let set = reply.all("set-cookie").concat();
        let attributes = set.trim_start_matches(pair(&set));
        assert_eq!(attributes, "; Max-Age=3600; Path=/; SameSite=Lax; HttpOnly");
        assert!(!set.contains("to-"), "no cluster: {set}");
        Ok(pair(&set).to_owned())
    }
}

/// The variant in the only cookie that is set.
fn assigned(reply: &Reply) -> Option<String> {
    let set = reply.cookies();
    assert!(set.len() <= 1, "{set:?}");
    let value = set.first()?.strip_prefix("split-variant=")?;
    Some(value.split('.').next()?.to_owned())
}

fn kept(cluster: &str) -> (String, Option<String>) {
    (cluster.into(), None)
}

fn reassigned(variant: &str) -> (String, Option<String>) {
    (format!("to-{variant}"), Some(variant.into()))
}

#[tokio::test]
async fn row_27_kept_drained_and_reassigned_over_updates() -> Result<()> {
    let mut site = Site::start(json!({"a": 1})).await?;
    let cookie = site.cookie().await?;
    assert!(cookie.starts_with("split-variant=a."), "{cookie}");
    assert_eq!(site.visit(&cookie).await?, kept("to-a"));

    site.update(json!({"a": 0.000001, "b": 1_000_000}), None).await?;
    assert_eq!(site.visit(&cookie).await?, kept("to-a"), "whatever the weights do");

    site.update(json!({"a": 0, "b": 1}), None).await?;
    assert_eq!(site.visit(&cookie).await?, kept("to-a"), "drained");
    assert_eq!(site.visit("").await?, reassigned("b"), "nobody new");

    site.update(json!({"a": 0, "b": 1}), Some(false)).await?;
    assert_eq!(site.visit(&cookie).await?, reassigned("b"), "drain: false");

    site.update(json!({"b": 1, "c": 0}), None).await?;
    assert_eq!(site.visit(&cookie).await?, reassigned("b"), "gone from the split");

    site.update(json!({"a": 1, "b": 1_000_000}), None).await?;
    assert_eq!(site.visit(&cookie).await?, kept("to-a"), "back again");
    Ok(())
}

#[tokio::test]
async fn what_was_not_assigned_here_is_reassigned() -> Result<()> {
    let site = Site::start(json!({"a": 0, "b": 1})).await?;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_secs();
    let all_a = native::plan(&configuration(json!({"a": 1}), None).to_string())?;
    let at = |now, host: &str| -> Result<String> {
        let request = Request { authority: host.into(), ..Request::default() };
        let set = native::set_cookie(&all_a, &request, &mut native::issuing([0; 16], now))?;
        Ok(pair(&set).to_owned())
    };
    let ours = at(now, "example.com")?;
    assert_eq!(site.visit(&ours).await?, kept("to-a"));
    for wrong in [
        "split-variant=a".to_owned(),
        "split-variant=to-a".into(),
        "split-variant=".into(),
        ours.replace("=a.", "=c."),
        ours.replace("split-variant=", "split-variant2="),
        at(now, "example.org")?,
        at(now - 3600, "example.com")?,
        at(now + 400, "example.com")?,
    ] {
        assert_eq!(site.visit(&wrong).await?, reassigned("b"), "{wrong}");
    }
    assert_eq!(site.visit(&format!("split-variant=b; {ours}")).await?, kept("to-a"));
    Ok(())
}

/// The same cookie, keys and variants: another rule, or another salt, is another experiment.
#[tokio::test]
async fn row_25_an_assignment_of_another_experiment_is_reassigned() -> Result<()> {
    let site = Site::start(json!({"a": 0, "b": 1})).await?;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_secs();
    let by = |rule: &str, salt: Option<&str>| -> Result<String> {
        let mut other = configuration(json!({"a": 1}), None);
        other["rules"][0]["name"] = json!(rule);
        if let Some(salt) = salt {
            other["rules"][0]["sticky"] = json!({"key": [{"cookie": "uid"}], "salt": salt});
        }
        let plan = native::plan(&other.to_string())?;
        let set =
            native::set_cookie(&plan, &Request::get("/"), &mut native::issuing([0; 16], now))?;
        Ok(pair(&set).to_owned())
    };
    assert_eq!(site.visit(&by("rollout", None)?).await?, kept("to-a"));
    assert_eq!(site.visit(&by("renamed", Some("rollout"))?).await?, kept("to-a"), "one salt");
    assert_eq!(site.visit(&by("checkout", None)?).await?, reassigned("b"));
    assert_eq!(site.visit(&by("rollout", Some("checkout"))?).await?, reassigned("b"));
    Ok(())
}

/// An hour and a half may pass, and the client keeps its variant: it has come back meanwhile.
#[tokio::test]
async fn an_active_client_is_renewed() -> Result<()> {
    let renewed = |signed: bool, renew: bool| {
        let mut configuration = configuration(json!({"a": 1, "b": 1_000_000}), None);
        let persist = &mut configuration["rules"][0]["persist"];
        persist["renew"] = json!(renew);
        if !signed {
            persist.as_object_mut().map(|persist| persist.remove("signing"));
        }
        configuration
    };
    let mut site = Site::start(json!({"b": 1})).await?;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_secs();
    for signed in [true, false] {
        site.0.update(&renewed(signed, true), &ENVIRONMENT).await?;
        let mut all_a = renewed(signed, true);
        all_a["rules"][0]["split"] = json!({"a": 1});
        let plan = native::plan(&all_a.to_string())?;
        let issued = |at| -> Result<String> {
            let mut environment = native::issuing([0; 16], at);
            let set = native::set_cookie(&plan, &Request::get("/"), &mut environment)?;
            Ok(pair(&set).to_owned())
        };
        assert_eq!(site.visit(&issued(now - 100)?).await?, kept("to-a"), "young");
        let (went, set) = site.visit(&issued(now - 3000)?).await?;
        assert_eq!((went.as_str(), set.is_some()), ("to-a", true), "old");
        let mut client = Client::connect(Protocol::Http1, site.0.address()?).await?;
        let request = Request::get("/").with("cookie", issued(now - 3000)?.as_str());
        let set = client.send(&request).await?.all("set-cookie").concat();
        assert!(set.contains("; Max-Age=3600; Path=/"), "{set}");
        assert_eq!(site.visit(pair(&set)).await?, kept("to-a"), "it begins anew");
        let ended = site.visit(&issued(now - 3600)?).await?;
        let expected = if signed { reassigned("b").0 } else { "to-a".into() };
        assert_eq!(ended.0, expected, "only a signature ends by itself");
        // Without renewal it is read all the same.
        site.0.update(&renewed(signed, false), &ENVIRONMENT).await?;
        assert_eq!(site.visit(&issued(now - 3000)?).await?, kept("to-a"));
    }
    Ok(())
}

/// A session's cookie has no time for the browser.
#[tokio::test]
async fn a_session_has_no_max_age() -> Result<()> {
    let mut configuration = configuration(json!({"a": 1}), None);
    configuration["rules"][0]["persist"]["maxAge"] = json!("session");
    configuration["rules"][0]["sticky"] = json!({"issue": {
        "cookie": "split-id", "maxAge": "session", "signing": {"env": "SPLIT_COOKIE_KEYS"}}});
    let clusters = ["to-a", "to-b", "to-c"];
    let site = Site(Updated::start(&configuration, &ENVIRONMENT, &clusters).await?);
    let mut client = Client::connect(Protocol::Http1, site.0.address()?).await?;
    let set = client.send(&Request::get("/")).await?.all("set-cookie");
    let pairs: Vec<_> = set.iter().map(|set| pair(set)).collect();
    for (set, pair) in set.iter().zip(&pairs) {
        assert_eq!(set.strip_prefix(pair), Some("; Path=/; SameSite=Lax; HttpOnly"));
    }
    assert_eq!(pairs.len(), 2, "{set:?}");
    assert_eq!(site.visit(&pairs.join("; ")).await?, kept("to-a"));
    Ok(())
}

/// Every value with a time of the wire contract is read, by its payload.
#[tokio::test]
async fn every_dated_cookie_of_the_wire_contract() -> Result<()> {
    let path = wasm_tests::root().join("wasm-tests/vectors/dated-v1.json");
    let all: Value = serde_json::from_slice(&std::fs::read(path)?)?;
    let vectors: Vec<_> = all["vectors"].as_array().into_iter().flatten().collect();
    let mut configuration = configuration(json!({"b": 1}), None);
    configuration["rules"][0]["persist"].as_object_mut().map(|persist| persist.remove("signing"));
    for vector in &vectors {
        let payload = vector["payload"].as_str().unwrap_or_default();
        configuration["variants"][payload] = json!({"cluster": "to-a"});
        configuration["rules"][0]["split"][payload] = json!(0);
    }
    let clusters = ["to-a", "to-b", "to-c"];
    let site = Site(Updated::start(&configuration, &ENVIRONMENT, &clusters).await?);
    for vector in &vectors {
        let cookie = format!("split-variant={}", vector["value"].as_str().unwrap_or_default());
        assert_eq!(site.visit(&cookie).await?, kept("to-a"), "{vector}");
        assert_eq!(site.visit(&format!("{cookie}x")).await?, reassigned("b"), "{vector}");
    }
    assert_eq!(vectors.len(), 8);
    Ok(())
}

/// Version 1 says nothing of its rule: it is believed for as long as it lasts.
#[tokio::test]
async fn every_signed_cookie_of_the_wire_contract() -> Result<()> {
    let site = Site::start(json!({"a": 0, "b": 1})).await?;
    let path = wasm_tests::root().join("wasm-tests/vectors/signed-v1-v2.json");
    let all: Value = serde_json::from_slice(&std::fs::read(path)?)?;
    let (mut believed, mut others) = (0, 0);
    for vector in all["vectors"].as_array().into_iter().flatten() {
        let text = |field: &str| vector[field].as_str().unwrap_or_default();
        let ours = (text("name"), text("scope")) == ("split-variant", "example.com")
            && text("payload") == "a"
            && ENVIRONMENT[1].1.split(',').any(|key| key == text("key"))
            && (vector["version"] == 1 || text("salt") == "rollout");
        let cookie = format!("split-variant={}", text("value"));
        match ours {
            true => assert_eq!(site.visit(&cookie).await?, kept("to-a"), "{vector}"),
            false => assert_eq!(site.visit(&cookie).await?, reassigned("b"), "{vector}"),
        }
        *(if ours { &mut believed } else { &mut others }) += 1;
    }
    assert_eq!((believed, others), (6, 10));
    Ok(())
}
