//! From a configuration as written to a plan: names are resolved, texts and weights made ready.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use regex_lite::{Regex, RegexBuilder};

use super::{Action, Plan, Rule, Variant};
use crate::config::{self, Condition, Config, Errors, Operator, Subject};
use crate::key::Key;
use crate::limits;
use crate::matcher::{List, Matcher, Networks, Operand, Search, Test, Text};
use crate::split::{Arm, Split};

type Variants = BTreeMap<String, Arc<Variant>>;

pub(super) fn compile(bytes: &[u8]) -> Result<Plan, Errors> {
    let mut errors = Errors::default();
    let plan = Config::read(bytes, &mut errors).and_then(|config| plan(config, &mut errors));
    plan.filter(|_| errors.is_empty()).ok_or(errors)
}

fn plan(config: Config, errors: &mut Errors) -> Option<Plan> {
    check_headers(&config, errors);
    check_names(&config.rules, errors);
    let named =
        |config::Variant { name, cluster }| (name.clone(), Arc::new(Variant { name, cluster }));
    let variants: Variants = config.variants.into_iter().map(named).collect();
    let rules = config.rules.into_iter().filter_map(|rule| compile_rule(rule, &variants, errors));
    let rules = rules.collect();
    let Config { cluster_header, variant_header, .. } = config;
    Some(Plan { cluster_header, variant_header, rules })
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

fn compile_rule(rule: config::Rule, variants: &Variants, errors: &mut Errors) -> Option<Rule> {
    let entries = rule.entries.map(|entries| {
        let matchers = |conditions: Vec<Condition>| {
            conditions.into_iter().filter_map(|condition| matcher(condition, errors)).collect()
        };
        entries.into_iter().map(matchers).collect()
    });
    let action = match rule.action? {
        config::Action::To(name) => {
            Action::To(find(&format!("{}.to", rule.path), &name, variants, errors)?)
        }
        config::Action::Split { weights, sticky } => {
            let key = sticky
                .map(|sticky| Key::new(sticky.key, sticky.salt.as_deref().unwrap_or(&rule.name)));
            Action::Split(split(&format!("{}.split", rule.path), weights, variants, errors)?, key)
        }
    };
    Some(Rule { name: rule.name, entries, action })
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

fn split(
    path: &str,
    weights: Vec<(String, f64)>,
    variants: &Variants,
    errors: &mut Errors,
) -> Option<Split> {
    let arms: Vec<_> = weights
        .into_iter()
        .filter_map(|(name, weight)| {
            let variant = find(&format!("{path}.{name}"), &name, variants, errors)?;
            Some(Arm::new(variant, weight))
        })
        .collect();
    Split::new(arms)
}

fn matcher(condition: Condition, errors: &mut Errors) -> Option<Matcher> {
    let Condition { path, subject, operator, not, ignore_case } = condition;
    let not = not != (operator == Operator::Present(false));
    let test = match (subject, operator) {
        (_, Operator::Cidrs(cidrs)) => Test::SourceIp(Networks::new(&cidrs)),
        (subject, operator) => {
            let text = text(&path, operator, ignore_case, errors)?;
            match subject {
                Subject::Header(name) => Test::Header(name, text),
                Subject::Cookie(name) => Test::Cookie(name, text),
                Subject::QueryParam(name) => Test::QueryParam(name, text),
                Subject::Path => Test::Path(text),
                Subject::Method => Test::Method(text),
                Subject::Authority => Test::Authority(text),
                Subject::SourceIp => return None,
            }
        }
    };
    Some(Matcher { test, not })
}

fn text(path: &str, operator: Operator, ignore_case: bool, errors: &mut Errors) -> Option<Text> {
    let operand = |text: String| Operand::new(&text, ignore_case);
    Some(match operator {
        Operator::Exact(text) => Text::Exact(operand(text)),
        Operator::Prefix(text) => Text::Prefix(operand(text)),
        Operator::Suffix(text) => Text::Suffix(operand(text)),
        Operator::Contains(text) => Text::Contains(Search::new(&text, ignore_case)),
        Operator::In(texts) => Text::In(List::new(texts.iter().map(String::as_str), ignore_case)),
        Operator::Regex(pattern) => Text::Regex(regex(path, &pattern, ignore_case, errors)?),
        Operator::Range(start, end) => Text::Range(start..end),
        Operator::Present(_) => Text::Present,
        Operator::Cidrs(_) => return None,
    })
}

/// Compiled twice: alone, so that `a)|(b` is refused, and anchored, which is what matches.
fn regex(path: &str, pattern: &str, ignore_case: bool, errors: &mut Errors) -> Option<Regex> {
    let build = |pattern: &str| {
        RegexBuilder::new(pattern)
            .case_insensitive(ignore_case)
            .size_limit(limits::REGEX_PROGRAM_BYTES)
            .nest_limit(limits::REGEX_DEPTH)
            .build()
    };
    match build(pattern).and_then(|_| build(&format!("^(?:{pattern})$"))) {
        Ok(regex) => Some(regex),
        Err(error) => {
            errors.invalid(&format!("{path}.regex"), format!("{pattern:?}"), error);
            None
        }
    }
}
