//! Whatever a request holds, it gets a variant that the configuration has for its rule, or none,
//! and no byte that the client sent ends up in a routing header or a `Set-Cookie`.

use std::sync::LazyLock;

use arbitrary::{Result, Unstructured};
use serde_json::Value;
use traffic_split::testing::FixedEnvironment;
use traffic_split::{Decision, HeaderList, Outcome, Plan, Snapshot, decide, shadows};

use crate::cases::CONFIGURATIONS;
use crate::given::{any_environment, any_request, env};

static PLANS: LazyLock<Vec<(&Value, Plan)>> = LazyLock::new(|| {
    let plan = |config: &'static Value| {
        let plan = Plan::compile(config.to_string().as_bytes(), &env);
        (config, plan.unwrap_or_else(|errors| panic!("{errors}\n{config}")))
    };
    CONFIGURATIONS.iter().map(plan).collect()
});

/// A request of any bytes to one of the plans.
pub fn requests(bytes: &[u8]) -> bool {
    let mut u = Unstructured::new(bytes);
    let Ok((index, request, environment)) = input(&mut u) else { return false };
    let Some((config, plan)) = PLANS.get(index) else { return false };
    let snapshot = Snapshot::new(plan, environment.now);
    let decision = decide(plan, &snapshot, &request, &mut environment.clone());
    let again = decide(plan, &snapshot, &request, &mut environment.clone());
    assert_eq!(format!("{decision:?}"), format!("{again:?}"));

    assert_chosen(config, &decision, false);
    assert!(decision.rule().is_some() || !takes_all(config, false), "{decision:?}");
    let mut shadowed = false;
    for shadow in shadows(plan, &snapshot, &request, &mut environment.clone()) {
        assert_chosen(config, &shadow, true);
        shadowed = true;
    }
    assert!(shadowed || !takes_all(config, true), "no rule in shadow");

    let variant = decision.variant().map(|variant| variant.name.as_str());
    let cluster = variant.and_then(|variant| config["variants"][variant]["cluster"].as_str());
    let outcome = Outcome::decide(plan, &snapshot, &request, &mut environment.clone());
    let (cookie, routing): (Vec<_>, Vec<_>) =
        outcome.request_headers().partition(|change| change.name == "cookie");
    let written: Vec<_> = routing.iter().map(|change| (change.name, change.value)).collect();
    let expected = [("clusterHeader", cluster), ("variantHeader", variant)];
    let expected = expected
        .into_iter()
        .filter_map(|(field, value)| Some((config[field].as_str()?, value.map(str::as_bytes))));
    assert_eq!(written, expected.collect::<Vec<_>>());
    for change in cookie {
        let value = change.value.expect("cookies are never removed");
        assert!(!value.iter().any(|b| matches!(b, b'\0' | b'\r' | b'\n')), "{value:?}");
    }
    for header in outcome.into_response().headers {
        let plain = |b: u8| b == b' ' || b.is_ascii_graphic();
        assert!(header.value.bytes().all(plain), "{header:?}");
    }
    decision.rule().is_some()
}

/// Whether there is a rule, in shadow or not, that matches every request.
fn takes_all(config: &Value, shadow: bool) -> bool {
    let mut rules = config["rules"].as_array().into_iter().flatten();
    rules.any(|rule| {
        let all = rule["match"].is_null() && rule["slice"].is_null();
        all && (rule["mode"] == "shadow") == shadow
    })
}

/// Whether the rule is there, is in shadow or not, and has the variant.
fn assert_chosen(config: &Value, decision: &Decision<'_>, shadow: bool) {
    let mut rules = config["rules"].as_array().into_iter().flatten();
    let rule = rules.find(|rule| rule["name"].as_str() == decision.rule());
    let variant = decision.variant().map(|variant| variant.name.as_str());
    match (rule, variant) {
        (Some(rule), Some(variant)) => {
            assert_eq!(rule["mode"] == "shadow", shadow, "{decision:?}");
            let pinned = rule["to"].as_str() == Some(variant);
            let ramped = rule["ramp"]["variant"].as_str() == Some(variant);
            let weight = rule["split"][variant].as_f64();
            let kept = weight == Some(0.0) && decision.reason().name() == "persisted";
            let weighted = weight.is_some_and(|weight| weight > 0.0);
            assert!(pinned || ramped || kept || weighted, "{decision:?}");
        }
        (None, None) => {}
        _ => panic!("{decision:?}"),
    }
}

fn input(u: &mut Unstructured<'_>) -> Result<(usize, HeaderList, FixedEnvironment)> {
    let index = u.choose_index(PLANS.len())?;
    let mut environment = any_environment(u)?;
    // Half of them about the time of the ramp, 2026-12-01T09:00:00Z.
    let now = environment.now;
    environment.now =
        if u.arbitrary()? { now % (1 << 40) } else { 1_796_000_000 + now % (1 << 18) };
    Ok((index, any_request(u)?, environment))
}
