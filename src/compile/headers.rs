//! The routing headers, checked against what the variants and rules need of them.

use std::collections::BTreeSet;

use crate::config::{ActionSpec, Config, Errors, RuleSpec, VariantSpec};

pub(super) fn check(config: &Config, errors: &mut Errors) {
    check_names(config, errors);
    check_points(config, errors);
    if config.cluster_header.is_some() {
        for variant in config.variants.iter().filter(|variant| variant.cluster.is_none()) {
            let path = format!("variants.{}", variant.name);
            if !errors.has_within(&path) {
                let remedy = "clusterHeader needs every variant's cluster";
                errors.required(&format!("{path}.cluster"), remedy);
            }
        }
    }
}

/// There is a routing header, and no two have one name.
fn check_names(config: &Config, errors: &mut Errors) {
    let headers = [
        ("clusterHeader", &config.cluster_header),
        ("variantHeader", &config.variant_header),
        ("pointHeader", &config.point_header),
    ];
    let mut named = headers.iter().filter_map(|(field, name)| Some((field, name.as_ref()?)));
    let mut seen: Vec<(&str, &String)> = Vec::new();
    for (field, name) in named.by_ref() {
        match seen.iter().find(|(_, known)| *known == name) {
            Some((other, _)) => {
                errors.invalid(field, format!("{name:?}"), format!("must differ from {other}"));
            }
            None => seen.push((field, name)),
        }
    }
    let is_wrong = headers.iter().any(|(field, _)| errors.has(field));
    if seen.is_empty() && needs_point(config).is_none() && !is_wrong {
        errors.required("clusterHeader", "give it, or variantHeader, or both");
    }
}

/// Checks that there is a header for the points, and that whoever needs a point has one.
fn check_points(config: &Config, errors: &mut Errors) {
    if config.point_header.is_none() {
        if let Some(path) = needs_point(config).filter(|_| !errors.has("pointHeader")) {
            errors.required("pointHeader", format!("{path} writes a point into it"));
        }
        return;
    }
    check_named(config, errors);
    check_hold(config, errors);
}

/// Checks that without another routing header each variant that a rule names has a point.
fn check_named(config: &Config, errors: &mut Errors) {
    if config.cluster_header.is_some() || config.variant_header.is_some() {
        return;
    }
    let named: BTreeSet<&str> = config.rules.iter().flat_map(named).collect();
    for variant in &config.variants {
        if variant.point.is_none() && named.contains(variant.name.as_str()) {
            let path = format!("variants.{}.point", variant.name);
            errors.required(
                &path,
                "give it, or clusterHeader or variantHeader: no route could tell it otherwise",
            );
        }
    }
}

/// Checks that a hold has a point: where routes choose by it, nothing else leads to the variant.
fn check_hold(config: &Config, errors: &mut Errors) {
    let held = |variant: &&VariantSpec| config.hold.as_ref() == Some(&variant.name);
    let held = config.variants.iter().find(held).filter(|variant| variant.point.is_none());
    let path = held.map(|variant| format!("variants.{}.point", variant.name));
    if let Some(path) = path.filter(|path| !errors.has(path)) {
        errors.required(&path, "`hold` needs it: a route with weights chooses by the point alone");
    }
}

/// The path of the first field that asks for a point.
fn needs_point(config: &Config) -> Option<String> {
    let variant = config.variants.iter().find(|variant| variant.point.is_some());
    let variant = variant.map(|variant| format!("variants.{}.point", variant.name));
    let by_route = |rule: &&RuleSpec| matches!(rule.action, Some(ActionSpec::Route(_)));
    let rule = || config.rules.iter().find(by_route).map(|rule| format!("{}.split", rule.path));
    variant.or_else(rule)
}

/// The variants that requests of a rule may go to by the rule's own choice.
fn named(rule: &RuleSpec) -> Vec<&str> {
    let mut named = match &rule.action {
        Some(ActionSpec::To(to)) => vec![to.as_str()],
        Some(ActionSpec::Split(split)) => {
            split.weights.iter().map(|weight| weight.variant.as_str()).collect()
        }
        Some(ActionSpec::Route(_)) | None => Vec::new(),
    };
    named.extend(rule.overrides.iter().flat_map(|it| &it.variants).map(String::as_str));
    named
}
