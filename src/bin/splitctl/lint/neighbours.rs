//! Plugins of one workload that get into each other's way.

use traffic_split::config::Config;

use super::workload::Placed;
use super::{Lint, Warning, cover};

/// The warnings about plugins beside each other.
pub fn find(placed: &[Placed<'_>]) -> Vec<Warning> {
    let mut found = Vec::new();
    for (index, other) in placed.iter().enumerate() {
        for one in placed.iter().take(index).filter(|one| one.shares_workload(other)) {
            found.extend(shared_rules(one, other));
            found.extend(shared_name(one, other));
            if one.shares_requests(other) {
                let headers = shared_headers(one, other);
                if !headers.is_empty() {
                    let (first, last) =
                        if one.runs_before(other) { (one, other) } else { (other, one) };
                    found.extend(undone(first, last));
                }
                found.extend(headers);
            }
        }
    }
    found
}

/// The routing headers of a configuration, each with its field.
fn headers(config: &Config) -> [(&'static str, Option<&str>); 3] {
    [
        ("clusterHeader", config.cluster_header.as_deref()),
        ("variantHeader", config.variant_header.as_deref()),
        ("pointHeader", config.point_header.as_deref()),
    ]
}

fn shared_headers(one: &Placed<'_>, other: &Placed<'_>) -> Vec<Warning> {
    let known = headers(&one.checked.config);
    let given = headers(&other.checked.config).into_iter();
    let shared = given
        .filter_map(|(field, header)| Some((field, header?)))
        .filter(|(_, header)| known.iter().any(|(_, known)| *known == Some(*header)));
    let warning = |(field, header): (&str, &str)| {
        let message = format!(
            "{} of {} writes {header} as well: of two that match a request, the later one decides",
            one.title, one.file
        );
        other.warning(Lint::SharedHeader, field, message)
    };
    shared.map(warning).collect()
}

fn shared_rules(one: &Placed<'_>, other: &Placed<'_>) -> Vec<Warning> {
    let known = |name: &str| one.checked.config.rules.iter().any(|rule| rule.name == name);
    let shared = other.checked.config.rules.iter().filter(|rule| known(&rule.name));
    let warning = |rule: &traffic_split::config::RuleSpec| {
        let message = format!(
            "{} of {} has a rule {} as well: the metrics of the two are one",
            one.title, one.file, rule.name
        );
        other.warning(Lint::SharedRule, &format!("{}.name", rule.path), message)
    };
    shared.map(warning).collect()
}

fn shared_name(one: &Placed<'_>, other: &Placed<'_>) -> Option<Warning> {
    if one.plugin_name != other.plugin_name {
        return None;
    }
    let message = match &other.plugin_name {
        Some(name) => format!("{} of {} has the pluginName {name} as well", one.title, one.file),
        None => format!("neither it nor {} of {} has a pluginName", one.title, one.file),
    };
    Some(other.warning(Lint::SharedPluginName, "", message))
}

/// The rules of a plugin whose requests one that runs later takes for itself.
fn undone(first: &Placed<'_>, last: &Placed<'_>) -> Vec<Warning> {
    let pairs = cover::undone(&first.checked.config, &last.checked.config).into_iter();
    let warning = |(rule, taker): (
        &traffic_split::config::RuleSpec,
        &traffic_split::config::RuleSpec,
    )| {
        let message = format!(
            "its decisions do not stand: {} of {} runs later, and its rule {} takes the same requests",
            last.title, last.file, taker.name
        );
        first.warning(Lint::UndoneRule, &rule.path, message)
    };
    pairs.map(warning).collect()
}
