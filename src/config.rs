//! The configuration as its author wrote it: the public contract, read and checked field by field.
//!
//! What can be judged where it stands (types, ranges, names, unknown fields) is judged here; what
//! needs the rest of the configuration is judged when it is compiled into a [`crate::Plan`].
#![doc = include_str!("configuration.md")]

mod condition;
mod cookie;
mod decimal;
mod duration;
mod error;
mod field;
mod guard;
mod header;
mod mode;
mod node;
mod operator;
mod part;
mod ramp;
mod rule;
mod split;
mod sticky;
mod time;

pub use condition::{Condition, ConditionTest};
pub use cookie::{CookieSpec, SameSite, Signing};
pub use duration::parse as parse_duration;
pub use error::{Error, Errors};
pub use guard::GuardSpec;
pub use mode::Mode;
pub use node::Node;
pub use operator::{Cidr, Operator};
pub use part::Part;
pub use ramp::RampSpec;
pub use rule::{ActionSpec, LayerSpec, RuleSpec};
pub use split::{SplitSpec, Weight};
pub use sticky::{KeySource, PersistSpec, StickySpec};
pub use time::{format as format_time, parse as parse_time};

pub(crate) use decimal::Decimal;

use crate::limits;
use field::{Field, Object, check_name};

/// A whole configuration.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// The request header that a `cluster_header` route reads, in lower case.
    pub cluster_header: Option<String>,
    /// The request header that carries the variant's name, in lower case.
    pub variant_header: Option<String>,
    /// The variants by name, in the order written.
    pub variants: Vec<VariantSpec>,
    /// The rules; the first one that matches decides.
    pub rules: Vec<RuleSpec>,
    /// Whether any request is changed; `shadow` here holds for all rules.
    pub mode: Mode,
    /// What is counted.
    pub metrics: MetricsLevel,
    /// The response header that tells rule, variant and reason, in lower case.
    pub debug_header: Option<String>,
}

/// How much is counted; each level costs host calls per request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MetricsLevel {
    /// Nothing.
    Off,
    /// Requests by rule, variant and reason.
    #[default]
    Counts,
    /// Also responses by class, their latency, and filter state for access logs.
    Full,
}

/// One version of the service behind the proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VariantSpec {
    /// Its name, unique in the configuration.
    pub name: String,
    /// The Envoy cluster that serves it.
    pub cluster: Option<String>,
}

impl Config {
    /// Reads a configuration as it is written, without compiling it.
    ///
    /// # Errors
    /// What is wrong with it where it stands; see [`crate::Plan::compile`] for the rest.
    pub fn parse(bytes: &[u8]) -> Result<Config, Errors> {
        let mut errors = Errors::default();
        Config::read(bytes, &mut errors).filter(|_| errors.is_empty()).ok_or(errors)
    }

    /// Reads a configuration from JSON. What could be read is returned even when `errors` grew, so
    /// that the compiler can add what it finds wrong.
    pub(crate) fn read(bytes: &[u8], errors: &mut Errors) -> Option<Config> {
        let root = parse(bytes, errors)?;
        let field = Field::root(&root);
        let mut object = field.object(errors)?;
        let config = Config {
            cluster_header: routing_header(&mut object, "clusterHeader", errors),
            variant_header: routing_header(&mut object, "variantHeader", errors),
            variants: variants(&mut object, errors),
            rules: rules(&mut object, errors),
            mode: mode::read(&mut object, errors),
            metrics: metrics(&mut object, errors),
            debug_header: routing_header(&mut object, "debugHeader", errors),
        };
        object.finish(errors);
        Some(config)
    }
}

fn parse(bytes: &[u8], errors: &mut Errors) -> Option<Node> {
    if bytes.trim_ascii().is_empty() {
        errors.required("", "give clusterHeader or variantHeader, variants and rules, as JSON");
        return None;
    }
    if bytes.len() > limits::CONFIG_BYTES {
        errors.too_long("", limits::CONFIG_BYTES);
        return None;
    }
    match serde_json::from_slice(bytes) {
        Ok(node) => Some(node),
        Err(error) => {
            errors.invalid(
                "",
                format_args!("not JSON ({error})"),
                "give JSON; in Envoy's own configuration as a google.protobuf.StringValue, since a \
                 Struct arrives as protobuf",
            );
            None
        }
    }
}

fn routing_header(
    object: &mut Object<'_>,
    name: &'static str,
    errors: &mut Errors,
) -> Option<String> {
    let field = object.optional(name)?;
    let text = field.text(limits::TEXT_BYTES, errors)?;
    header::routing(&field.path, text, errors)
}

fn metrics(object: &mut Object<'_>, errors: &mut Errors) -> MetricsLevel {
    let Some(field) = object.optional("metrics") else { return MetricsLevel::default() };
    match field.text(limits::TEXT_BYTES, errors) {
        Some("off") => MetricsLevel::Off,
        Some("counts") | None => MetricsLevel::Counts,
        Some("full") => MetricsLevel::Full,
        Some(_) => field.wrong("must be off, counts or full", errors).unwrap_or_default(),
    }
}

fn variants(object: &mut Object<'_>, errors: &mut Errors) -> Vec<VariantSpec> {
    let remedy = "name the variants, each with its cluster";
    let Some(object) =
        object.required("variants", remedy, errors).and_then(|field| field.object(errors))
    else {
        return Vec::new();
    };
    let entries = object.entries(limits::VARIANTS, errors);
    entries.iter().filter_map(|(name, field)| variant(name, field, errors)).collect()
}

fn variant(name: &str, field: &Field<'_>, errors: &mut Errors) -> Option<VariantSpec> {
    let name = check_name(&field.path, name, errors)?;
    let mut variant = VariantSpec { name, cluster: None };
    if let Some(mut object) = field.object(errors) {
        variant.cluster = object.optional("cluster").and_then(|field| cluster(field, errors));
        object.finish(errors);
    }
    Some(variant)
}

/// A cluster's name travels in a header, so it is visible ASCII.
fn cluster(field: &Field<'_>, errors: &mut Errors) -> Option<String> {
    let text = field.text(limits::CLUSTER_BYTES, errors)?;
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_graphic()) {
        return field.wrong("must be a cluster's name: visible ASCII, no spaces", errors);
    }
    Some(text.to_owned())
}

fn rules(object: &mut Object<'_>, errors: &mut Errors) -> Vec<RuleSpec> {
    let remedy = "give a list of rules, [] for none";
    let Some(fields) = object
        .required("rules", remedy, errors)
        .and_then(|field| field.list(limits::RULES, errors))
    else {
        return Vec::new();
    };
    let rules: Vec<RuleSpec> =
        fields.iter().filter_map(|field| rule::read(field, errors)).collect();
    let conditions = rules.iter().filter_map(|rule| rule.entries.as_ref()).flatten().flatten();
    let is_regex = |condition: &&Condition| {
        matches!(condition.test, ConditionTest::Text { operator: Operator::Regex(_), .. })
    };
    let regexes = conditions.filter(is_regex);
    if regexes.count() > limits::REGEXES {
        let most = limits::REGEXES;
        let remedy = format!("more than {most} regular expressions; use exact, prefix or in");
        errors.forbidden("rules", remedy);
        return Vec::new();
    }
    rules
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use crate::{Plan, limits};

    #[derive(Deserialize)]
    struct Refused {
        name: String,
        text: Option<String>,
        config: Option<Box<serde_json::value::RawValue>>,
        errors: Vec<String>,
    }

    fn env(name: &str) -> Option<String> {
        (name == "SHORT").then(|| format!("{},short", "k".repeat(limits::SIGNING_KEY_BYTES)))
    }

    #[test]
    fn refusals() {
        let cases = include_str!("../wasm-tests/cases/refused.json");
        for case in serde_json::from_str::<Vec<Refused>>(cases).unwrap() {
            let config = case.text.or(case.config.map(|config| config.get().to_owned())).unwrap();
            let errors = Plan::compile(config.as_bytes(), &env).expect_err(&case.name).to_string();
            assert_eq!(errors.lines().collect::<Vec<_>>(), case.errors, "{}", case.name);
        }
    }

    #[test]
    fn not_text_and_too_large() {
        for (config, expected) in [
            (b"\xff{}".to_vec(), "configuration: Invalid value: not JSON"),
            (b"{\"a\":\"\xff\"}".to_vec(), "configuration: Invalid value: not JSON"),
            (b"[".repeat(100_000), "configuration: Invalid value: not JSON (recursion limit"),
            (b" ".repeat(limits::CONFIG_BYTES - 1), "configuration: Required value"),
            (b"1".repeat(limits::CONFIG_BYTES + 1), "configuration: Too long"),
        ] {
            let errors = Plan::compile(&config, &|_| None).unwrap_err().to_string();
            assert!(errors.starts_with(expected), "{errors}");
        }
    }
}
