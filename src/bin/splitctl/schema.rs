//! `splitctl schema`: the JSON Schema of the configuration, for editors and pipelines.

use anyhow::Result;
use clap::Args;

use crate::output::Answer;

const SCHEMA: &str = include_str!("schema.json");

/// Print the JSON Schema of the configuration
///
/// It describes the configuration itself, as in spec.pluginConfig of a WasmPlugin. Errors that a
/// schema cannot express, such as a variant that is not defined, are reported by validate only.
#[derive(Args)]
#[command(after_help = "Examples:
  splitctl schema > traffic-split.schema.json
  # in an editor with the YAML language server, as the first line of a configuration:
  # yaml-language-server: $schema=traffic-split.schema.json")]
pub struct Schema {}

impl Schema {
    pub fn run(&self) -> Result<Answer> {
        Ok(Answer::good(SCHEMA.to_owned()))
    }
}

/// The schema agrees with the filter's own check.
#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::{Value, json};
    use traffic_split::Plan;

    use crate::document;

    /// Samples that have every field between them.
    const SAMPLES: [&str; 2] = [
        include_str!("../../../wasm-tests/splitctl/every-field.yaml"),
        include_str!("../../../wasm-tests/splitctl/every-engine.yaml"),
    ];
    const REFUSED: &str = include_str!("../../../wasm-tests/cases/refused.json");

    /// The errors that a schema cannot express: of fields that depend on each other, and of texts with
    /// a grammar of their own.
    const BEYOND: [&str; 18] = [
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
        "regex",
        "not JSON",
        "writes a point into it",
        "no route could tell it otherwise",
        "tells responses apart by it",
        "responses are told apart by it",
        "weights with the sum",
        "chooses by the point alone",
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
            let known: BTreeSet<String> = message
                .rsplit_once("must be one of ")
                .map(|(_, names)| names.split(", ").map(str::to_owned).collect())
                .unwrap();
            let mut fields: BTreeSet<String> =
                schema["properties"].as_object().unwrap().keys().cloned().collect();
            if !known.contains("ignoreCase") {
                fields.remove("ignoreCase");
            }
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
