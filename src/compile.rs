//! From a configuration as written to a plan: what its parts say of each other is checked, and
//! names are resolved.

mod caching;
mod condition;
mod headers;
mod hold;
mod overrides;
mod rerun;
mod route;
mod split;
mod sticky;
mod unit;

use std::collections::BTreeSet;
use std::sync::Arc;

use xxhash_rust::xxh64::xxh64;

use crate::config::{
    ActionSpec, Condition, Config, Errors, MetricsLevel, Mode, RuleSpec, VariantSpec,
};
use crate::guard::Guard;
use crate::index::Index;
use crate::layer::Slice;
use crate::matcher::Matcher;
use crate::metrics::{Counted, Metrics};
use crate::plan::Plan;
use crate::ramp::Ramp;
use crate::reason::Reason;
use crate::rule::{Action, Gate, Rule};
use crate::sorted::sorted;
use crate::variant::{Target, Variant};
use condition::Searches;
use split::RuleContext;
use sticky::{CookieRegistry, check_layers};

type Env<'e> = &'e dyn Fn(&str) -> Option<String>;

impl Plan {
    /// Reads, checks and compiles a configuration, which is JSON. `env` looks up an environment
    /// variable: signing keys are kept there.
    ///
    /// # Errors
    /// Every mistake in it, each with its path and what would be right.
    ///
    /// ```
    /// use traffic_split::Plan;
    ///
    /// let config = br#"{ "variantHeader": "x-v", "variants": { "stable": {}, "canary": {} },
    ///     "rules": [{ "name": "rollout", "split": { "stable": 90, "canary": -5 } }] }"#;
    /// let errors = Plan::compile(config, &|_| None).unwrap_err().to_string();
    /// assert_eq!(errors, "rules[0].split.canary: Invalid value: -5: must be at least 0");
    /// ```
    pub fn compile(config: &[u8], env: &dyn Fn(&str) -> Option<String>) -> Result<Plan, Errors> {
        let mut errors = Errors::default();
        let spec = Config::read(config, &mut errors);
        let plan = spec.map(|spec| plan(spec, env, &mut errors));
        plan.filter(|_| errors.is_empty()).ok_or(errors)
    }
}

/// Compiles a configuration. A part that is wrong is left out, and `errors` then refuses the plan.
fn plan(mut config: Config, env: Env<'_>, errors: &mut Errors) -> Plan {
    headers::check(&config, errors);
    check_names(&config.rules, errors);
    check_layers(&config.rules, errors);
    condition::check_texts(&config.rules, errors);
    hold::enforce(&mut config);
    let caching = caching::compile(&config);
    let reruns_matter = rerun::matters(&config);
    let unit = config.unit.as_ref();
    let unit = unit.and_then(|unit| unit::compile(unit, config.metrics, env, errors));
    let mut parts = Parts {
        variants: config.variants.into_iter().map(variant).collect(),
        cookies: CookieRegistry::new(env),
        ramps: Vec::new(),
        guards: Vec::new(),
        metrics: Metrics::new(config.metrics),
        metrics_level: config.metrics,
        mode: config.mode,
        attributed: 0,
        searches: Searches::of(&config.rules),
    };
    let hold = config.hold.and_then(|name| parts.find("hold", &name, errors));
    if hold.is_some() {
        parts.metrics_level = MetricsLevel::Off;
    }
    let rules = config.rules.into_iter();
    let rules = rules.filter_map(|rule| compile_rule(rule, &mut parts, errors));
    let mut rules: Vec<_> = rules.collect();
    if let Some(variant) = &hold {
        rules = hold::hold(rules, variant, config.metrics, &mut parts);
    }
    let (issues, endings) = parts.cookies.into_parts();
    let index = Index::new(&rules);
    let shadows = rules.iter().any(|rule| rule.mode == Mode::Shadow);
    Plan {
        cluster_header: config.cluster_header,
        variant_header: config.variant_header,
        point_header: config.point_header,
        rules,
        index,
        hold,
        issues,
        endings,
        ramps: parts.ramps,
        guards: parts.guards,
        shadows,
        reruns_matter,
        mode: parts.mode,
        metrics_level: parts.metrics_level,
        metrics: parts.metrics,
        generation: config.generation,
        generation_text: config.generation.to_string(),
        unit,
        baggage: config.baggage,
        debug_header: config.debug_header,
        response_header: config.response_header,
        server_timing: config.server_timing,
        caching,
    }
}

fn variant(VariantSpec { name, cluster, point }: VariantSpec) -> Arc<Variant> {
    Arc::new(Variant { name, cluster, point })
}

/// The things that rules refer to, and those that they add to the plan.
struct Parts<'e> {
    variants: Vec<Arc<Variant>>,
    cookies: CookieRegistry<'e>,
    ramps: Vec<Ramp>,
    guards: Vec<Guard>,
    metrics: Metrics,
    metrics_level: MetricsLevel,
    mode: Mode,
    /// The pairs of a rule and a variant whose responses are told apart by their clusters.
    attributed: usize,
    searches: Searches,
}

impl Parts<'_> {
    fn find(&self, path: &str, name: &str, errors: &mut Errors) -> Option<Arc<Variant>> {
        let found = self.variants.iter().find(|variant| variant.name == name);
        if found.is_none() && !errors.has("variants") {
            let known = self.variants.iter().map(|variant| variant.name.as_str()).collect();
            let remedy = match sorted(known).as_slice() {
                [] => "define it under variants".to_owned(),
                known => format!("must be one of the variants {}", known.join(", ")),
            };
            errors.invalid(path, format!("{name:?}"), remedy);
        }
        found.cloned()
    }

    /// A variant of a rule, with its metrics.
    fn target(
        &mut self,
        rule: &Arc<str>,
        variant: Arc<Variant>,
        counted: &Counted<'_>,
        guard: Option<usize>,
    ) -> Arc<Target> {
        let metrics = self.metrics.target(self.metrics_level, counted);
        let (rule, variant) = (Arc::clone(rule), Some(variant));
        Arc::new(Target { rule, variant, metrics, guard, by_cluster: Vec::new() })
    }
}

fn check_names(rules: &[RuleSpec], errors: &mut Errors) {
    let mut seen = BTreeSet::new();
    for rule in rules.iter().filter(|rule| !rule.name.is_empty()) {
        if !seen.insert(rule.name.as_str()) {
            errors.duplicate(&format!("{}.name", rule.path), &rule.name);
        }
    }
}

fn compile_rule(rule: RuleSpec, parts: &mut Parts<'_>, errors: &mut Errors) -> Option<Rule> {
    let name: Arc<str> = rule.name.as_str().into();
    let salt = rule.salt().to_owned();
    let entries = match rule.entries {
        Some(entries) => compile_entries(entries, &mut parts.searches, errors).map(Some),
        None => Some(None),
    };
    let slice = rule.layer.map(|layer| Slice::new(&layer.name, layer.start, layer.end));
    let forced = rule.overrides;
    let key = rule.sticky.as_ref().map(|sticky| parts.cookies.key(sticky, errors));
    // A rule of a plan in shadow is only counted, as is one that is in shadow itself.
    let mode = if parts.mode == Mode::Shadow { Mode::Shadow } else { rule.mode };
    let engine = rule.sticky.and_then(|sticky| sticky.engine);
    let (sticky, seed) = (key.is_some(), xxh64(salt.as_bytes(), 0));
    let issues = key.as_ref().is_some_and(|key| key.issue.is_some());
    let path = &rule.path;
    let context =
        RuleContext { path, name: &name, mode, sticky, issues, salt: &salt, seed, engine };
    let overrides = forced.and_then(|spec| overrides::compile(&context, &spec, parts, errors));
    let gate =
        (slice.is_some() || overrides.is_some()).then(|| Box::new(Gate { overrides, slice }));
    let action = match rule.action? {
        ActionSpec::To(to) => {
            let variant = parts.find(&format!("{}.to", rule.path), &to, errors)?;
            let reason = match mode {
                Mode::Enforce => Reason::Pinned,
                Mode::Shadow => Reason::Shadow,
            };
            let reasons = &[reason];
            let counted = Counted {
                rule: &name,
                variant: Some(&to),
                reasons,
                watched: false,
                weighed: false,
                assigned: false,
            };
            Action::To(parts.target(&name, variant, &counted, None))
        }
        ActionSpec::Split(split) => {
            let allocation = Box::new(split::compile(&context, *split, parts, errors)?);
            match context.engine {
                Some(_) => Action::Engine(allocation),
                None => Action::Split(allocation),
            }
        }
        ActionSpec::Route(route) => {
            Action::Route(Box::new(route::compile(&context, *route, parts, errors)?))
        }
    };
    Some(Rule { name, entries: entries?, gate, key, mode: rule.mode, action })
}

/// The matchers of a rule's entries; `None` if one of its conditions could not be compiled. All of
/// them are tried, so that `errors` tells of each.
fn compile_entries(
    entries: Vec<Vec<Condition>>,
    searches: &mut Searches,
    errors: &mut Errors,
) -> Option<Vec<Vec<Matcher>>> {
    let mut matcher = |condition| condition::compile(condition, searches, errors);
    let compiled: Vec<Vec<Option<Matcher>>> =
        entries.into_iter().map(|entry| entry.into_iter().map(&mut matcher).collect()).collect();
    compiled.into_iter().map(|entry| entry.into_iter().collect()).collect()
}
