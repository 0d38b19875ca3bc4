//! The tables of `src/configuration.md` have the fields and defaults of the JSON Schema.

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use traffic_split::Snapshot;
use wasm_tests::load::standard_errors;
use wasm_tests::native;
use wasm_tests::route::{Weights, entry};

fn read(path: &str) -> Result<String> {
    Ok(fs::read_to_string(wasm_tests::root().join(path))?)
}

/// Every field of the schema is in a table of the reference, with the default that the schema has.
#[test]
fn every_field_is_in_a_table_with_its_default() -> Result<()> {
    let schema: Value = serde_json::from_str(&read("src/bin/splitctl/schema.json")?)?;
    let mut missing = fields(&schema);
    let mut owners: Option<Vec<String>> = None;
    for line in read("src/configuration.md")?.lines() {
        let cells: Vec<_> = line.split('|').map(str::trim).collect();
        match (&owners, cells.as_slice()) {
            (_, ["", first, .., ""]) if first.starts_with("field") => owners = Some(code(first)),
            (Some(owners), ["", first, _, _, default, ..]) if !first.starts_with('-') => {
                let owners = if owners.is_empty() { &vec![String::new()] } else { owners };
                // A row may hold several ways to write a field.
                let ways = code(first);
                for (owner, field) in owners.iter().flat_map(|o| ways.iter().map(move |w| (o, w))) {
                    check(&schema, owner, field, default, &mut missing)
                        .with_context(|| format!("{owner} {field}"))?;
                }
            }
            (_, [_]) => owners = None,
            _ => {}
        }
    }
    ensure!(missing.is_empty(), "no table has {:?}", missing.into_values());
    Ok(())
}

/// The texts between backticks.
fn code(cell: &str) -> Vec<String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// The names of all fields, by their places in the schema.
fn fields(schema: &Value) -> BTreeMap<*const Value, String> {
    let definitions = schema["definitions"].as_object().into_iter().flatten();
    let objects = definitions.map(|(name, object)| (name.as_str(), object)).chain([("", schema)]);
    let fields = objects.flat_map(|(owner, object)| {
        let properties = object["properties"].as_object().into_iter().flatten();
        properties.map(move |(name, field)| (std::ptr::from_ref(field), format!("{owner}.{name}")))
    });
    fields.collect()
}

/// The definition that a part of the schema refers to, or the part itself.
fn resolved<'s>(schema: &'s Value, at: &'s Value) -> &'s Value {
    let name = at["$ref"].as_str().and_then(|name| name.strip_prefix("#/definitions/"));
    name.map_or(at, |name| &schema["definitions"][name])
}

/// Finds a field of an owner in the schema, as `split.NAME` of `rules[]`, and compares its default.
fn check(
    schema: &Value,
    owner: &str,
    field: &str,
    default: &str,
    missing: &mut BTreeMap<*const Value, String>,
) -> Result<()> {
    let (mut at, mut required) = (schema, true);
    let owner = owner.split('.').filter(|part| !part.is_empty()).map(|part| (part, true));
    for (part, outer) in owner.chain(field.split('.').map(|part| (part, false))) {
        let name = part.trim_end_matches("[]");
        let object = resolved(schema, at);
        let named = (name == "NAME").then_some(&object["additionalProperties"]);
        at = named.or(object["properties"].get(name)).context("not in the schema")?;
        let list = object["required"].as_array();
        required &= outer || list.is_some_and(|list| list.contains(&name.into()));
        missing.remove(&std::ptr::from_ref(at));
        if part.ends_with("[]") {
            at = &resolved(schema, at)["items"];
        }
    }
    let parts = [at, resolved(schema, at)];
    let texts =
        parts.iter().filter_map(|part| part["description"].as_str()?.split_once("Default: "));
    let texts = texts.map(|(_, text)| text.trim_end_matches('.').to_owned());
    let values = parts.iter().filter_map(|part| part.get("default")).map(|value| match value {
        Value::String(text) => text.clone(),
        value => value.to_string(),
    });
    let mut known = values.chain(texts);
    let default = default.replace('`', "");
    ensure!(required == (default == "required"), "required: {required}, and not {default}");
    let agrees = known.next().is_none_or(|known| known == default);
    ensure!(agrees, "not {default}");
    Ok(())
}

/// A row of the table of changes in a route: the weights before and after, the least possible share
/// that moves, and the share that does.
type Row<'t> = (Vec<(&'t str, u32)>, Vec<(&'t str, u32)>, &'t str, &'t str);

fn change<'t>(line: &'t str) -> Option<Row<'t>> {
    let cells: Vec<&'t str> = line.split('|').map(str::trim).collect();
    let weight = |entry: &'t str| {
        let (name, weight) = entry.split_once(' ')?;
        Some((name, weight.parse().ok()?))
    };
    let weights = |cell: &'t str| cell.split(", ").map(weight).collect::<Option<Vec<_>>>();
    let ["", before, after, least, moves, ""] = cells.as_slice() else { return None };
    Some((weights(before)?, weights(after)?, least, moves))
}

/// The share of an entry among the weights, 0 to 1.
fn share(name: &str, weights: &Weights<'_>) -> f64 {
    let total: u32 = weights.iter().map(|(_, weight)| weight).sum();
    let own = weights.iter().find(|(known, _)| *known == name).map_or(0, |(_, weight)| *weight);
    f64::from(own) / f64::from(total)
}

/// Exactly over all places, and to 3 standard errors over 100,000 users.
#[test]
fn every_figure_of_a_change_in_a_route_is_counted() -> Result<()> {
    let text = read("src/configuration.md")?;
    let rows: Vec<_> = text.lines().filter_map(change).collect();
    assert_eq!(rows.len(), 9);
    let config = r#"{ "pointHeader": "x-split-point", "rules": [
        { "name": "rollout", "split": "route", "sticky": { "key": [{ "cookie": "uid" }] } }] }"#;
    let plan = native::plan(config)?;
    let (rule, snapshot) = (plan.rules().first().context("no rule")?, Snapshot::new(&plan, 0));
    let point = |i: u32| rule.point(&snapshot, format!("user-{i}").as_bytes()).ok().flatten();
    let points: Vec<u64> = (0..100_000).filter_map(point).collect();
    for (before, after, least, moves) in rows {
        let percent = |share: f64| format!("{:.1} %", 100.0 * share);
        let gains: f64 = after
            .iter()
            .map(|(name, _)| (share(name, &after) - share(name, &before)).max(0.0))
            .sum();
        assert_eq!(least, percent(gains), "{before:?} to {after:?}");
        let moved = |point: &u64| entry(*point, &before) != entry(*point, &after);
        // Every total in the table divides it.
        let places: Vec<u64> = (0..1_000).collect();
        let exact = places.iter().filter(|place| moved(place)).count() as f64 / 1_000.0;
        assert_eq!(moves, percent(exact), "{before:?} to {after:?}");
        let counted = points.iter().filter(|point| moved(point)).count();
        let off = standard_errors(counted, points.len(), exact);
        assert!(off.abs() <= 3.0, "{before:?} to {after:?}: {counted}, {off:+.2}");
    }
    Ok(())
}

/// Every metric of the filter has a row in the table of metrics, which names each value of the labels
/// that the filter itself makes up.
#[test]
fn every_metric_and_every_value_of_its_labels_is_described() -> Result<()> {
    let document = read("manifests/monitoring/README.md")?;
    let rows = document.lines().filter_map(|line| line.strip_prefix("| `tsplit_"));
    let rows: BTreeMap<_, _> = rows.filter_map(|row| row.split_once('`')).collect();
    let mut found = std::collections::BTreeSet::new();
    for sample in ["every-field", "every-engine", "held"] {
        let text = read(&format!("wasm-tests/splitctl/{sample}.yaml"))?;
        let mut configuration: Value = serde_saphyr::from_str(&text)?;
        configuration["metrics"] = "full".into();
        for metric in native::plan(&configuration.to_string())?.metrics().iter() {
            let (labels, name) = metric.name.split_once("tsplit_").context("another name")?;
            let row = rows.get(name).with_context(|| format!("no row for tsplit_{name}"))?;
            for label in labels.split(";.;").filter(|label| !label.is_empty()) {
                let (label, value) = label.split_once("=.=").context("no value")?;
                ensure!(row.contains(&format!("`{label}`")), "tsplit_{name}: no label {label}");
                let ours = ["reason", "what", "class"].contains(&label);
                ensure!(!ours || row.contains(&format!("`{value}`")), "tsplit_{name}: no {value}");
            }
            found.insert(name.to_owned());
        }
    }
    ensure!(found.iter().eq(rows.keys()), "{found:?}, and rows for {:?}", rows.keys());
    Ok(())
}
