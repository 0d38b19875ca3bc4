//! Any bytes are refused with reasons, or become a plan that decides.

use arbitrary::{Result, Unstructured};
use serde_json::Value;
use traffic_split::testing::FixedEnvironment;
use traffic_split::{HeaderList, Outcome, Plan, Snapshot, limits};

use crate::cases::CONFIGURATIONS;
use crate::given::env;
use crate::written;

/// Bytes as they are, a configuration written after them that is right in most places, or one that
/// is right but for a few bytes.
pub fn configuration(bytes: &[u8]) -> bool {
    let Some((first, rest)) = bytes.split_first() else { return check(b"") };
    let mut u = Unstructured::new(rest);
    let config = match first % 3 {
        0 => Ok(rest.to_vec()),
        1 => written::configuration(&mut u).map(|json| json.to_string().into_bytes()),
        _ => damaged(&mut u),
    };
    config.is_ok_and(|config| check(&config))
}

fn damaged(u: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    let text = u.choose(&CONFIGURATIONS)?.to_string().into_bytes();
    let (head, tail) = text.split_at(u.int_in_range(0..=text.len())?);
    let left_out = u.int_in_range(0..=8)?;
    let others = u.bytes(usize::min(u.len(), 8))?;
    Ok([head, others, tail.get(left_out..).unwrap_or_default()].concat())
}

/// Whether the configuration is taken.
fn check(config: &[u8]) -> bool {
    match Plan::compile(config, &env) {
        Ok(plan) => {
            let request = HeaderList::new([("x", "a")]);
            // Within every ramp that is written here.
            let snapshot = Snapshot::new(&plan, 1_796_100_000 + config.len() as u64);
            let environment = &mut FixedEnvironment::default();
            let outcome = Outcome::decide(&plan, &snapshot, &request, environment);
            let decision = outcome.decision();
            assert_eq!(decision.rule().is_some(), decision.variant().is_some());
            let routing = outcome.request_headers().filter(|change| change.name != "cookie");
            assert_eq!(routing.count(), routing_headers(config));
            let metrics = plan.metrics().iter().count();
            outcome.count(|index, _| assert!((index as usize) < metrics));
            for rule in plan.rules() {
                let weights = rule.weights(&snapshot);
                assert!(weights.iter().all(|(_, w)| w.is_finite() && *w > 0.0), "{weights:?}");
                assert!(!weights.is_empty(), "{plan}");
            }
            for metric in plan.metrics().iter() {
                assert!(metric.name.bytes().all(|b| b.is_ascii_graphic()), "{metric:?}");
            }
            assert!(!plan.to_string().contains('\n'), "{plan}");
            true
        }
        Err(errors) => {
            let text = errors.to_string();
            let lines = errors.iter().count();
            assert!((1..=limits::ERRORS).contains(&lines), "{text}");
            // One line of the log each, whatever the configuration holds, and a bounded one.
            assert!((lines..=lines + 1).contains(&text.lines().count()), "{text:?}");
            assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{text:?}");
            assert!(text.lines().all(|line| line.len() <= LINE), "{text}");
            false
        }
    }
}

/// How many routing headers a request has written or removed.
fn routing_headers(config: &[u8]) -> usize {
    let config: Value = serde_json::from_slice(config).expect("a plan of JSON");
    let headers = ["clusterHeader", "variantHeader", "pointHeader"];
    headers.into_iter().filter(|field| config[field].is_string()).count()
}

/// Bytes of an error: a path whose names are as long as they may be, a value's head, the remedy
/// with the names of every variant.
const LINE: usize = 64 << 10;
