//! What an earlier filter has proven, in a real Envoy: claims of tokens that `jwt_authn` verified, and
//! filter state. What a client says of itself decides nothing.

use anyhow::{Context, Result, ensure};
use base64ct::{Base64UrlUnpadded, Encoding};
use hmac::{Hmac, Mac};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use wasm_tests::bootstrap::{Listener, typed};
use wasm_tests::client::{Client, Protocol};
use wasm_tests::message::{Reply, Request};
use wasm_tests::scene::Scene;
use wasm_tests::{native, redirects};

const BOTH: [Protocol; 2] = [Protocol::Http1, Protocol::Http2];
const SECRET: &[u8] = b"an example key of 32 bytes......";
const NAMESPACE: &str = "envoy.filters.http.jwt_authn";

fn base64(bytes: &[u8]) -> String {
    let mut text = vec![0; Base64UrlUnpadded::encoded_len(bytes)];
    Base64UrlUnpadded::encode(bytes, &mut text).unwrap_or_default().to_owned()
}

/// A token with these claims, signed by HS256 (RFC 7515).
fn token(claims: Value, secret: &[u8]) -> Result<String> {
    let mut claims = claims;
    claims["iss"] = "https://idp.example".into();
    let head = json!({"alg": "HS256", "typ": "JWT"}).to_string();
    let body = format!("{}.{}", base64(head.as_bytes()), base64(claims.to_string().as_bytes()));
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(secret)?;
    mac.update(body.as_bytes());
    Ok(format!("{body}.{}", base64(&mac.finalize().into_bytes())))
}

/// `jwt_authn` as Istio's RequestAuthentication configures it: a token may be missing, and a wrong one is
/// refused. With `forward`, the token stays in the request.
fn jwt_authn(forward: bool) -> Value {
    let key = json!({"keys": [{"kty": "oct", "alg": "HS256", "k": base64(SECRET)}]});
    let provider = json!({
        "issuer": "https://idp.example",
        "local_jwks": {"inline_string": key.to_string()},
        "forward": forward,
        "payload_in_metadata": "payload",
        "normalize_payload_in_metadata": {"space_delimited_claims": ["scope", "permission"]}
    });
    let either = json!({"requirements": [{"provider_name": "idp"}, {"allow_missing": {}}]});
    let rules = json!([{"match": {"prefix": "/"}, "requires": {"requires_any": either}}]);
    let filter = json!({"providers": {"idp": provider}, "rules": rules});
    let name = "envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication";
    json!({"name": NAMESPACE, "typed_config": typed(name, filter)})
}

/// A filter that keeps a header as filter state, as one that looks a tenant up would.
fn state() -> Value {
    let format = json!({"text_format_source": {"inline_string": "%REQ(x-looked-up)%"},
                        "omit_empty_values": true});
    let value = json!({"object_key": "shop.tenant", "factory_key": "envoy.string",
                       "format_string": format, "skip_if_empty": true});
    let name = "envoy.extensions.filters.http.set_filter_state.v3.Config";
    let config = typed(name, json!({"on_request_headers": [value]}));
    json!({"name": "envoy.filters.http.set_filter_state", "typed_config": config})
}

fn claim(name: &str) -> Value {
    json!([NAMESPACE, "payload", name])
}

fn configuration() -> Value {
    let at = |path: &str| json!({"path": {"prefix": path}});
    let rule = |name: &str, path: &str, metadata: Value| {
        let mut entry = at(path);
        entry["metadata"] = metadata;
        json!({"name": name, "match": [entry], "to": "b"})
    };
    let is = |claim: Value, operator: Value| {
        let mut condition = operator;
        condition["path"] = claim;
        json!([condition])
    };
    json!({
        "clusterHeader": "x-split-cluster",
        "variantHeader": "x-split-variant",
        "debugHeader": "x-split-debug",
        "variants": {"a": {"cluster": "a"}, "b": {"cluster": "b"}},
        "rules": [
            rule("gold", "/tier", is(claim("tier"), json!({"exact": "gold"}))),
            rule("level", "/level", is(claim("level"), json!({"range": {"start": 5, "end": 10}}))),
            rule("none", "/none", is(claim("sub"), json!({"present": false}))),
            rule("nested", "/nested",
                 is(json!([NAMESPACE, "payload", "org", "id"]), json!({"prefix": "o-"}))),
            rule("boolean", "/boolean", is(claim("beta"), json!({"present": true}))),
            rule("list", "/list", is(claim("scope"), json!({"present": true}))),
            {"name": "tenant", "match": [{"path": {"prefix": "/tenant"},
             "filterState": {"shop.tenant": {"exact": "acme"}}}], "to": "b"},
            {"name": "by-tenant", "match": [at("/by-tenant")], "split": {"a": 1, "b": 1},
             "sticky": {"key": [{"filterState": "shop.tenant"}]}},
            {"name": "by-number", "match": [at("/by-number")], "split": {"a": 1, "b": 1},
             "sticky": {"key": [{"metadata": claim("level")}], "salt": "rollout"}},
            {"name": "rollout", "split": {"a": 1, "b": 1},
             "sticky": {"key": [{"metadata": claim("sub")}]}}
        ]
    })
}

/// The site, and one whose redirects Envoy follows.
async fn start(forward: bool) -> Result<Scene> {
    let plain = Listener::new("plain", &configuration().to_string())?;
    let redirected = redirects::listener("redirected", &configuration())?;
    let mut listeners = [plain, redirected];
    for listener in &mut listeners {
        let place = listener.filters.len() - 1;
        listener.filters.insert(place, jwt_authn(forward));
        listener.filters.insert(place, state());
    }
    Scene::with(&listeners, ["a", "b"].into_iter(), 1).await
}

async fn send(scene: &Scene, protocol: Protocol, request: &Request) -> Result<Reply> {
    Client::connect(protocol, scene.address).await?.send(request).await
}

fn bearer(path: &str, token: &str) -> Request {
    Request::get(path).with("authorization", format!("Bearer {token}").as_str())
}

/// The rule, the variant and the reason that the filter tells.
fn told(reply: &Reply) -> Result<(String, String, String)> {
    let told = reply.header("x-split-debug").with_context(|| format!("{reply:?}"))?;
    let field = |name: &str| {
        let found = told.split("; ").find_map(|field| field.strip_prefix(name));
        found.unwrap_or_default().to_owned()
    };
    Ok((field("rule="), field("variant="), field("reason=")))
}

#[tokio::test]
async fn a_verified_claim_is_a_key() -> Result<()> {
    let scene = start(false).await?;
    // The same key in a header of the core: the recipe of the wire contract is one.
    let mut plain = configuration();
    let last = plain["rules"].as_array().map_or(0, |rules| rules.len() - 1);
    plain["rules"] = json!([plain["rules"][last]]);
    plain["rules"][0]["sticky"]["key"] = json!([{"header": "x-user"}]);
    let plan = native::plan(&plain.to_string())?;
    let expected = |key: &str| native::variant(&plan, &Request::get("/").with("x-user", key));
    let mut reached = BTreeSet::new();
    for protocol in BOTH {
        for user in 0..8 {
            let sub = format!("user-{user}");
            let request = bearer("/", &token(json!({"sub": sub}), SECRET)?);
            let reply = send(&scene, protocol, &request);
            let (rule, variant, reason) = told(&reply.await?)?;
            ensure!((rule.as_str(), reason.as_str()) == ("rollout", "sticky"), "{rule} {reason}");
            ensure!(Some(&variant) == expected(&sub).as_ref(), "{sub}");
            reached.insert(variant);
            let number = token(json!({"level": 4_200_000 + user}), SECRET)?;
            let reply = send(&scene, protocol, &bearer("/by-number", &number)).await?;
            let (_, variant, reason) = told(&reply)?;
            ensure!(reason == "sticky");
            ensure!(Some(variant) == expected(&format!("{}", 4_200_000 + user)), "{user}");
            let tenant =
                Request::get("/by-tenant").with("x-looked-up", format!("t-{user}").as_str());
            ensure!(told(&send(&scene, protocol, &tenant).await?)?.2 == "sticky");
        }
    }
    ensure!(reached.len() == 2, "nothing is shown by one variant");
    Ok(())
}

#[tokio::test]
async fn nothing_that_a_client_says_of_itself_is_a_claim() -> Result<()> {
    let scene = start(false).await?;
    let unsigned = format!("{}.{}.", base64(br#"{"alg":"none"}"#), base64(br#"{"sub":"ann"}"#));
    for protocol in BOTH {
        for request in [
            Request::get("/"),
            Request::get("/").with("sub", "ann"),
            Request::get("/").with("payload", r#"{"sub":"ann"}"#),
            Request::get("/").with("x-jwt-payload", base64(br#"{"sub":"ann"}"#).as_str()),
            Request::get("/").with(NAMESPACE, r#"{"payload":{"sub":"ann"}}"#),
            Request::get("/").with("metadata", "ann").with("cookie", "sub=ann"),
            bearer("/", &token(json!({"sub": ""}), SECRET)?),
            bearer("/", &token(json!({"sub": ["ann"]}), SECRET)?),
            bearer("/", &token(json!({"sub": {"id": "ann"}}), SECRET)?),
            bearer("/", &token(json!({"sub": true}), SECRET)?),
            bearer("/", &token(json!({"sub": null}), SECRET)?),
            bearer("/", &token(json!({"sub": 1.5}), SECRET)?),
            bearer("/", &token(json!({"sub": "k".repeat(9_000)}), SECRET)?),
        ] {
            let reply = send(&scene, protocol, &request).await?;
            let (rule, _, reason) = told(&reply)?;
            ensure!(rule == "rollout" && reason.starts_with("random"), "{request:?}: {reason}");
        }
        for wrong in
            [token(json!({"sub": "ann"}), b"another key of 32 bytes or more.")?, unsigned.clone()]
        {
            let reply = send(&scene, protocol, &bearer("/", &wrong)).await?;
            ensure!(reply.status == 401, "{reply:?}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn conditions_ask_for_claims_and_filter_state() -> Result<()> {
    let scene = start(false).await?;
    let claims = json!({"sub": "ann", "tier": "gold", "level": 7, "beta": true,
                        "org": {"id": "o-1"}, "scope": "read write"});
    let good = token(claims, SECRET)?;
    let other =
        token(json!({"sub": "bob", "tier": "silver", "level": 10, "org": {"id": "x"}}), SECRET)?;
    for protocol in BOTH {
        for (path, token, rule) in [
            ("/tier", Some(&good), "gold"),
            ("/tier", Some(&other), "rollout"),
            ("/tier", None, "rollout"),
            ("/level", Some(&good), "level"),
            ("/level", Some(&other), "rollout"),
            ("/none", Some(&good), "rollout"),
            ("/none", None, "none"),
            ("/nested", Some(&good), "nested"),
            ("/nested", Some(&other), "rollout"),
            // Booleans and lists are no text.
            ("/boolean", Some(&good), "rollout"),
            ("/list", Some(&good), "rollout"),
        ] {
            let request = token.map_or_else(|| Request::get(path), |token| bearer(path, token));
            let reply = send(&scene, protocol, &request).await?;
            ensure!(told(&reply)?.0 == rule, "{path}: {:?}", told(&reply)?);
        }
        for (looked_up, rule) in
            [(Some("acme"), "tenant"), (Some("acm"), "rollout"), (None, "rollout")]
        {
            let request = Request::get("/tenant").with("shop.tenant", "acme");
            let request =
                looked_up.into_iter().fold(request, |it, value| it.with("x-looked-up", value));
            ensure!(told(&send(&scene, protocol, &request).await?)?.0 == rule, "{looked_up:?}");
        }
    }
    Ok(())
}

/// Where the token stays in the request, `jwt_authn` verifies it in each run.
#[tokio::test]
async fn a_second_run_knows_the_claim_as_well() -> Result<()> {
    let scene = start(true).await?;
    let address = scene.envoy.address("redirected")?;
    for protocol in BOTH {
        for user in 0..8 {
            let token = token(json!({"sub": format!("user-{user}")}), SECRET)?;
            let mut variants = BTreeSet::new();
            for path in ["/", "/to?http://example.com/new", "/failing"] {
                let request = bearer(path, &token);
                let reply = Client::connect(protocol, address).await?.send(&request).await?;
                let (_, variant, reason) = told(&reply)?;
                ensure!(reason == "sticky", "{path}: {reason}");
                variants.insert(variant);
            }
            ensure!(variants.len() == 1, "user-{user}: {variants:?}");
        }
    }
    Ok(())
}
