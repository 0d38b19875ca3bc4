//! The routing headers, checked against what the variants and rules need of them.

use std::collections::BTreeSet;

use crate::config::{ActionSpec, Config, Errors, RuleSpec, VariantSpec};

pub(super) fn check(config: &Config, errors: &mut Errors) {
    check_names(config, errors);
    if config.response_header.is_some() && config.response_header == config.debug_header {
        let name = config.response_header.as_deref().unwrap_or_default();
        errors.invalid("responseHeader", format!("{name:?}"), "must differ from debugHeader");
    }
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
    check_chosen(config, errors);
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

/// Checks that a variant has a point which a hold or a client chooses where routes have the weights:
/// nothing else leads to it.
fn check_chosen(config: &Config, errors: &mut Errors) {
    let held = config.hold.iter().map(|name| ("`hold`", name));
    let overrides = config.rules.iter().filter(by_route).filter_map(|rule| rule.overrides.as_ref());
    let forced = overrides.flat_map(|it| it.variants.iter().map(|name| (it.path.as_str(), name)));
    for (at, name) in held.chain(forced) {
        let path = format!("variants.{name}.point");
        let lacks = |variant: &VariantSpec| variant.name == *name && variant.point.is_none();
        if config.variants.iter().any(lacks) && !errors.has(&path) {
            let why = format!("{at} needs it: a route with weights chooses by the point alone");
            errors.required(&path, why);
        }
    }
}

fn by_route(rule: &&RuleSpec) -> bool {
    matches!(rule.action, Some(ActionSpec::Route(_)))
}

/// The path of the first field that asks for a point.
fn needs_point(config: &Config) -> Option<String> {
    let variant = config.variants.iter().find(|variant| variant.point.is_some());
    let variant = variant.map(|variant| format!("variants.{}.point", variant.name));
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
