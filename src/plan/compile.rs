//! From a configuration as written to a plan: what its parts say of each other is checked, and
//! names are resolved.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use xxhash_rust::xxh64::xxh64;

use super::index::Index;
use super::sticky::{Cookies, check_layers};
use super::{Action, Plan, Rule, Variant, condition};
use crate::config::{self, Condition, Config, Errors, Weights};
use crate::layer::Slice;
use crate::matcher::Matcher;
use crate::split::Split;

type Variants = BTreeMap<String, Arc<Variant>>;

pub(super) fn compile(bytes: &[u8], env: &dyn Fn(&str) -> Option<String>) -> Result<Plan, Errors> {
    let mut errors = Errors::default();
    let config = Config::read(bytes, &mut errors);
    let plan = config.map(|config| plan(config, env, &mut errors));
    plan.filter(|_| errors.is_empty()).ok_or(errors)
}

/// What could not be compiled is left out: `errors` then refuses the plan.
fn plan(config: Config, env: &dyn Fn(&str) -> Option<String>, errors: &mut Errors) -> Plan {
    check_headers(&config, errors);
    check_names(&config.rules, errors);
    check_layers(&config.rules, errors);
    let named =
        |config::Variant { name, cluster }| (name.clone(), Arc::new(Variant { name, cluster }));
    let variants: Variants = config.variants.into_iter().map(named).collect();
    let mut cookies = Cookies::new(env);
    let rules = config.rules.into_iter();
    let rules = rules.filter_map(|rule| compile_rule(rule, &variants, &mut cookies, errors));
    let rules: Vec<_> = rules.collect();
    let index = Index::new(&rules);
    let Config { cluster_header, variant_header, .. } = config;
    Plan { cluster_header, variant_header, rules, index, issues: cookies.into_issues() }
}

fn check_headers(config: &Config, errors: &mut Errors) {
    match (&config.cluster_header, &config.variant_header) {
        (None, None) => errors.required("clusterHeader", "give it, or variantHeader, or both"),
        (Some(cluster), Some(variant)) if cluster == variant => {
            errors.invalid(
                "variantHeader",
                format!("{variant:?}"),
                "must differ from clusterHeader",
            );
        }
        _ => {}
    }
    if config.cluster_header.is_some() {
        for variant in config.variants.iter().filter(|variant| variant.cluster.is_none()) {
            let path = format!("variants.{}.cluster", variant.name);
            errors.required(&path, "clusterHeader needs every variant's cluster");
        }
    }
}

fn check_names(rules: &[config::Rule], errors: &mut Errors) {
    let mut seen = HashSet::new();
    for rule in rules.iter().filter(|rule| !rule.name.is_empty()) {
        if !seen.insert(&rule.name) {
            errors.duplicate(&format!("{}.name", rule.path), &rule.name);
        }
    }
}

fn compile_rule(
    rule: config::Rule,
    variants: &Variants,
    cookies: &mut Cookies<'_>,
    errors: &mut Errors,
) -> Option<Rule> {
    let entries = rule.entries.map(|entries| compile_entries(entries, errors));
    let slice = rule.layer.map(|layer| Slice::new(&layer.name, layer.start, layer.end));
    let key = rule.sticky.as_ref().map(|sticky| cookies.key(sticky, errors));
    let persist = rule.persist.map(|persist| Box::new(cookies.persist(persist, errors)));
    let action = match rule.action? {
        config::Action::To(name) => {
            Action::To(find(&format!("{}.to", rule.path), &name, variants, errors)?)
        }
        config::Action::Split { weights, history } => {
            let split = split(&format!("{}.split", rule.path), weights, history, variants, errors)?;
            let salt = rule.sticky.and_then(|sticky| sticky.salt);
            let seed = xxh64(salt.as_ref().unwrap_or(&rule.name).as_bytes(), 0);
            Action::Split { split, seed, persist }
        }
    };
    Some(Rule { name: rule.name, entries, slice, key, action })
}

fn compile_entries(entries: Vec<Vec<Condition>>, errors: &mut Errors) -> Vec<Vec<Matcher>> {
    let matchers = |conditions: Vec<Condition>| {
        conditions.into_iter().filter_map(|c| condition::compile(c, errors)).collect()
    };
    entries.into_iter().map(matchers).collect()
}

fn find(path: &str, name: &str, variants: &Variants, errors: &mut Errors) -> Option<Arc<Variant>> {
    let found = variants.get(name);
    if found.is_none() {
        let known: Vec<_> = variants.keys().map(String::as_str).collect();
        let remedy = match known.as_slice() {
            [] => "define it under variants".to_owned(),
            known => format!("must be one of the variants {}", known.join(", ")),
        };
        errors.invalid(path, format!("{name:?}"), remedy);
    }
    found.cloned()
}

/// Earlier weights may name variants that are gone.
fn split(
    path: &str,
    weights: Weights,
    history: Vec<Weights>,
    variants: &Variants,
    errors: &mut Errors,
) -> Option<Split> {
    let weights: Vec<_> = weights
        .into_iter()
        .filter_map(|(name, weight)| {
            Some((find(&format!("{path}.{name}"), &name, variants, errors)?, weight))
        })
        .collect();
    Split::new(&weights, history.into_iter().map(|step| step.into_iter().collect()).collect())
}
