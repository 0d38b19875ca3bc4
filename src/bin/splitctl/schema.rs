//! `splitctl schema`: the JSON Schema of the configuration, for editors and pipelines.

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use crate::output::Answer;

const SCHEMA: &str = include_str!("schema.json");

/// The resources that have a configuration in them, with `#/definitions/configuration` in its place.
const KINDS: &str = include_str!("schema/kinds.json");

/// Print the JSON Schema of the configuration, or of a resource that has it
///
/// By default it describes the configuration itself, as in a file for `splitctl render`. With --kind it
/// describes a resource, so that an editor helps where people write. Errors that a schema cannot express,
/// such as a variant that is not defined, are reported by validate only. In an EnvoyFilter and in Envoy's
/// own configuration, the rules are JSON in a text, into which no schema looks.
#[derive(Args)]
#[command(after_help = "Examples:
  splitctl schema > traffic-split.schema.json
  splitctl schema --kind WasmPlugin > wasm-plugin.schema.json
  # in an editor with the YAML language server, as the first line of a file:
  # yaml-language-server: $schema=wasm-plugin.schema.json")]
pub struct Schema {
    /// What to describe
    #[arg(long, value_enum, ignore_case = true, default_value_t)]
    kind: Kind,
}

/// A resource that has a configuration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "PascalCase")]
enum Kind {
    /// The configuration alone
    #[default]
    Configuration,
    /// Istio's WasmPlugin
    WasmPlugin,
    /// Istio's TrafficExtension
    TrafficExtension,
    /// Istio's EnvoyFilter
    EnvoyFilter,
    /// Envoy Gateway's EnvoyExtensionPolicy
    EnvoyExtensionPolicy,
    /// Envoy's Wasm filter
    Wasm,
}

impl Schema {
    pub fn run(&self) -> Result<Answer> {
        Ok(Answer::good(match self.kind {
            Kind::Configuration => SCHEMA.to_owned(),
            kind => serde_json::to_string_pretty(&resource(kind)?)?,
        }))
    }
}

/// The schema of a resource: the configuration's own is one of its definitions.
fn resource(kind: Kind) -> Result<Value> {
    let kinds: Value = serde_json::from_str(KINDS)?;
    let mut configuration: Value = serde_json::from_str(SCHEMA)?;
    let own = configuration.as_object_mut().context("the schema is no object")?;
    let version = own.remove("$schema");
    let title = own.remove("title");
    let mut definitions = own.remove("definitions").context("the schema has no definitions")?;
    let all = definitions.as_object_mut().context("the definitions are no object")?;
    let of = |name: &str| kinds.get(name).and_then(Value::as_object).into_iter().flatten();
    for (name, definition) in of("definitions") {
        all.insert(name.clone(), definition.clone());
    }
    all.insert("configuration".into(), configuration);
    let mut schema = json!({ "$schema": version, "title": title });
    let fields = schema.as_object_mut().context("the schema is no object")?;
    for (name, field) in of(&format!("{kind:?}")) {
        fields.insert(name.clone(), field.clone());
    }
    fields.insert("definitions".into(), definitions);
    Ok(schema)
}

/// The schema agrees with the filter's own check.
#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::{Value, json};
    use traffic_split::Plan;

    use super::Kind;
    use crate::document;

    /// Samples that have every field between them.
    const SAMPLES: [&str; 3] = [
        include_str!("../../../wasm-tests/splitctl/every-field.yaml"),
        include_str!("../../../wasm-tests/splitctl/every-engine.yaml"),
        include_str!("../../../wasm-tests/splitctl/held.yaml"),
    ];
    const REFUSED: &str = include_str!("../../../wasm-tests/cases/refused.json");

    /// The errors that a schema cannot express: of fields that depend on each other, and of texts with
    /// a grammar of their own.
    const BEYOND: [&str; 23] = [
        "has several keys",
        "have units under",
        "browsers and caches depend on",
        "Duplicate value",
        "must be one of the variants",
        "define it under variants",
        "must differ from",
        "must not overlap",
        "must have key, ignore and issue of",
        "must be the same as",
        "is taken by",
        "environment",
        "different cookies",
        "different metadata",
        "regex",
        "not JSON",
        "writes a point into it",
        "no route could tell it otherwise",
        "tells responses apart by it",
        "responses are told apart by it",
        "weights with the sum",
        "chooses by the point alone",
        "a name with __",
    ];

    fn schema() -> Value {
        serde_json::from_str(super::SCHEMA).unwrap()
    }

    fn samples() -> impl Iterator<Item = Value> {
        SAMPLES.into_iter().map(|sample| {
            let documents = document::parse(sample).unwrap();
            serde_json::to_value(&documents[0]).unwrap()
        })
    }

    fn errors(config: &Value) -> Vec<(String, String)> {
        let env = |_: &str| Some("k".repeat(32));
        match Plan::compile(config.to_string().as_bytes(), &env) {
            Ok(_) => Vec::new(),
            Err(errors) => errors.iter().map(|e| (e.path.clone(), e.message.clone())).collect(),
        }
    }

    #[test]
    fn what_the_filter_takes_fits() {
        let validator = jsonschema::validator_for(&schema()).unwrap();
        for config in samples() {
            assert_eq!(errors(&config), []);
            assert_eq!(validator.validate(&config).map_err(|error| error.to_string()), Ok(()));
        }
    }

    #[test]
    fn what_the_filter_refuses_does_not_fit() {
        let validator = jsonschema::validator_for(&schema()).unwrap();
        let cases: Vec<Value> = serde_json::from_str(REFUSED).unwrap();
        let mut checked = 0;
        for case in cases.iter().filter(|case| case["config"].is_object()) {
            let messages = case["errors"].as_array().unwrap();
            let beyond = |message: &&Value| BEYOND.iter().any(|b| message.to_string().contains(b));
            if messages.iter().any(|message| !beyond(&message)) {
                assert!(!validator.is_valid(&case["config"]), "{}", case["name"]);
                checked += 1;
            }
        }
        assert!(checked > 5, "{checked}");
    }

    /// Calls a function on every property of a schema, with its place.
    fn properties<'s>(schema: &'s Value, at: &str, look: &mut impl FnMut(&str, &'s Value)) {
        // The parts of a condition on a schema describe nothing.
        let skipped = ["if", "then", "not", "anyOf", "oneOf", "allOf", "dependencies", "required"];
        let fields = schema.as_object().into_iter().flatten();
        for (name, field) in fields.filter(|(name, _)| !skipped.contains(&name.as_str())) {
            let at = format!("{at}/{name}");
            if name == "properties" || name == "definitions" {
                for (property, schema) in field.as_object().into_iter().flatten() {
                    if name == "properties" {
                        look(&format!("{at}/{property}"), schema);
                    }
                    properties(schema, &format!("{at}/{property}"), look);
                }
            } else {
                properties(field, &at, look);
            }
        }
        // `sourceIp` is a list or an object.
        for any in schema["anyOf"].as_array().into_iter().flatten() {
            properties(any, &format!("{at}/anyOf"), look);
        }
    }

    const KINDS: [Kind; 5] = [
        Kind::WasmPlugin,
        Kind::TrafficExtension,
        Kind::EnvoyFilter,
        Kind::EnvoyExtensionPolicy,
        Kind::Wasm,
    ];

    #[test]
    fn every_property_has_a_description_and_defaults_are_valid() {
        let schemas =
            [schema()].into_iter().chain(KINDS.map(|kind| super::resource(kind).unwrap()));
        for root in schemas {
            let (mut count, mut defaults, mut wrong) = (0, 0, Vec::new());
            properties(&root, "", &mut |at, property| {
                count += 1;
                let description = property["description"].as_str().unwrap_or_default();
                let is_sentence = description.ends_with('.') && description.split(' ').count() > 2;
                if !is_sentence
                    || description.contains("Default: ") && property.get("default").is_some()
                {
                    wrong.push(format!("{at}: {description:?}"));
                }
                if let Some(default) = property.get("default") {
                    defaults += 1;
                    // Draft 7 looks at nothing beside a reference.
                    let mut own = property.clone();
                    own["definitions"] = root["definitions"].clone();
                    own["$schema"] = root["$schema"].clone();
                    if !jsonschema::validator_for(&own).unwrap().is_valid(default) {
                        wrong.push(format!("{at}: its default is {default}"));
                    }
                }
            });
            assert!(wrong.is_empty(), "{wrong:#?}");
            assert!(count > 100 && defaults > 20, "{count} {defaults}");
        }
    }

    fn resource_of(file: &str) -> Value {
        let path = format!("{}/{file}", env!("CARGO_MANIFEST_DIR"));
        let documents = document::parse(&std::fs::read_to_string(path).unwrap()).unwrap();
        serde_json::to_value(&documents[0]).unwrap()
    }

    #[test]
    fn a_resource_fits_with_its_configuration() {
        for (kind, file, fits) in [
            (Kind::WasmPlugin, "manifests/istio/plugin/wasm-plugin.yaml", true),
            (Kind::WasmPlugin, "manifests/bookinfo/ratings-plugin.yaml", true),
            (Kind::WasmPlugin, "wasm-tests/splitctl/by-route.yaml", true),
            (Kind::WasmPlugin, "wasm-tests/splitctl/wrong.yaml", false),
            (Kind::WasmPlugin, "wasm-tests/splitctl/reviews.yaml", false),
            (Kind::EnvoyExtensionPolicy, "wasm-tests/splitctl/envoy-gateway.yaml", false),
            (
                Kind::EnvoyFilter,
                "manifests/istio/components/cluster-header/envoy-filter.yaml",
                true,
            ),
            (Kind::EnvoyFilter, "wasm-tests/splitctl/envoyfilter.yaml", false),
        ] {
            let validator = jsonschema::validator_for(&super::resource(kind).unwrap()).unwrap();
            assert_eq!(validator.is_valid(&resource_of(file)), fits, "{file}");
        }
        let validator =
            jsonschema::validator_for(&super::resource(Kind::EnvoyExtensionPolicy).unwrap());
        let mut mended = resource_of("wasm-tests/splitctl/envoy-gateway.yaml");
        mended["spec"]["wasm"][0]["config"]["rules"][0]["split"]["canary"] = json!(10);
        mended["spec"]["wasm"].as_array_mut().unwrap().truncate(1);
        assert!(validator.unwrap().is_valid(&mended));
    }

    /// Checks the schema's fields by the filter's error for an unknown field, which lists the known
    /// ones.
    #[test]
    fn every_object_has_the_fields_that_the_filter_knows() {
        let root = schema();
        let mut missing = BTreeSet::new();
        let mut given = BTreeSet::new();
        let mut objects = Vec::new();
        for config in samples() {
            let mut pointers = Vec::new();
            collect(&config, String::new(), &mut pointers);
            objects.extend(pointers.into_iter().map(|pointer| (config.clone(), pointer)));
        }
        for (config, pointer) in objects {
            let mut probe = config.clone();
            probe.pointer_mut(&pointer).unwrap()["zzz"] = json!({});
            let unknown = errors(&probe).into_iter().find(|(path, message)| {
                path.ends_with("zzz") && message.starts_with("Unknown field")
            });
            let schema = at(&root, &pointer);
            let Some((path, message)) = unknown else {
                assert!(schema.get("properties").is_none(), "{pointer}");
                continue;
            };
            let names = message.rsplit_once("must be one of ").map(|(_, names)| names.split(", "));
            let known: BTreeSet<String> = names.into_iter().flatten().map(str::to_owned).collect();
            let mut fields: BTreeSet<String> =
                schema["properties"].as_object().unwrap().keys().cloned().collect();
            if !known.contains("ignoreCase") {
                fields.remove("ignoreCase");
            }
            // The filter passes over it, and does not name it.
            fields.remove("$schema");
            assert_eq!(fields, known, "{path}");
            // A field that several objects share is given once.
            let field = |name: &str| resolve(&root, &schema["properties"][name]).to_string();
            let of = |name: &String| (field(name), name.clone());
            missing.extend(fields.iter().map(of));
            let object = config.pointer(&pointer).unwrap().as_object().unwrap();
            given.extend(object.keys().map(of));
        }
        missing.retain(|field| !given.contains(field));
        assert!(missing.is_empty(), "not in the sample: {missing:?}");
    }

    /// The schema of the value at a JSON pointer (RFC 6901).
    fn at<'s>(root: &'s Value, pointer: &str) -> &'s Value {
        let mut schema = root;
        for name in pointer.split('/').skip(1) {
            let next =
                [&schema["properties"][name], &schema["additionalProperties"], &schema["items"]];
            schema = resolve(root, next.into_iter().find(|next| next.is_object()).unwrap());
        }
        schema
    }

    fn resolve<'s>(root: &'s Value, schema: &'s Value) -> &'s Value {
        let schema = match schema["$ref"].as_str() {
            Some(reference) => root.pointer(reference.trim_start_matches('#')).unwrap(),
            None => schema,
        };
        // `sourceIp` is a list of networks, or an object that has one.
        schema["anyOf"].as_array().map_or(schema, |any| {
            any.iter().find(|any| any["properties"].is_object()).unwrap_or(schema)
        })
    }

    /// Collects JSON pointers to every object. No name in the sample has a slash to escape.
    fn collect(value: &Value, pointer: String, found: &mut Vec<String>) {
        match value {
            Value::Object(fields) => {
                for (name, value) in fields {
                    collect(value, format!("{pointer}/{name}"), found);
                }
                found.push(pointer);
            }
            Value::Array(values) => {
                for (index, value) in values.iter().enumerate() {
                    collect(value, format!("{pointer}/{index}"), found);
                }
            }
            _ => {}
        }
    }
}
