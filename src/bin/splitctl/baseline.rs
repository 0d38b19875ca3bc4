//! The variant that the others of a rule are compared with. Weights do not tell it: once a canary has
//! more than half of the traffic it would be compared with itself, and pass however often it fails.

use anyhow::{Context, Result};
use traffic_split::config::{ActionSpec, Config, SplitSpec};

/// The baseline of a rule out of the variants `known`: the one that is wanted, or the one that its guard
/// or its ramp tells.
pub fn choose<'n>(
    config: &Config,
    (file, name): (&str, &str),
    known: &[&'n str],
    wanted: Option<&str>,
) -> Result<&'n str> {
    match wanted {
        Some(wanted) => known.iter().copied().find(|name| *name == wanted).with_context(|| {
            let known = known.join(", ");
            format!("{file}: rule {name} has no variant {wanted:?}; there are: {known}")
        }),
        None => of(config, name, known).with_context(|| {
            let known = known.join(", ");
            format!(
                "{file}: rule {name}: neither a guard nor a ramp tells which variant is the \
                 baseline; name one of {known} by --baseline"
            )
        }),
    }
}

/// The baseline of a rule by its guard or its ramp, out of the variants `known`. `None` if neither of
/// them leaves one variant.
fn of<'n>(config: &Config, rule: &str, known: &[&'n str]) -> Option<&'n str> {
    let spec = config.rule(rule)?;
    let Some(ActionSpec::Split(split)) = &spec.action else { return None };
    known.iter().copied().find(|name| is_fallback(split, name)).or_else(|| {
        let ramp = split.ramp.as_ref()?;
        let mut others = known.iter().copied().filter(|name| *name != ramp.variant);
        others.next().filter(|_| others.next().is_none())
    })
}

fn is_fallback(split: &SplitSpec, name: &str) -> bool {
    split.guard.as_ref().is_some_and(|guard| guard.fallback == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_baseline_is_told_by_guard_or_ramp_and_not_by_weights() {
        let guard = r#""guard": { "watch": "c", "fallback": "s", "maxErrorRate": "5%" }"#;
        let ramp = r#""ramp": { "variant": "c", "to": 90, "start": "2026-12-01T09:00:00Z",
                                "duration": "1h" }"#;
        for (split, more, expected) in [
            (r#"{ "s": 40, "c": 60 }"#, guard, Some("s")),
            (r#"{ "s": 40, "c": 60 }"#, ramp, Some("s")),
            (r#"{ "s": 40, "c": 50, "d": 10 }"#, guard, Some("s")),
            (r#"{ "s": 40, "c": 50, "d": 10 }"#, ramp, None),
            (r#"{ "s": 90, "c": 10 }"#, r#""sticky": { "key": [ { "cookie": "uid" } ] }"#, None),
        ] {
            let config = format!(
                r#"{{ "variantHeader": "x-v", "variants": {{ "s": {{}}, "c": {{}}, "d": {{}} }},
                     "rules": [ {{ "name": "r", "split": {split}, {more} }} ] }}"#
            );
            let config = Config::parse(config.as_bytes()).unwrap();
            assert_eq!(of(&config, "r", &["s", "c", "d"][..split.matches(':').count()]), expected);
        }
    }
}
