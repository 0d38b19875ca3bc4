//! The configuration as its author wrote it: the public contract, read and checked field by field.
//!
//! Reading a field checks its type, its range and its name, and that it is known. Compiling a
//! [`crate::Plan`] checks the fields that refer to each other.
#![doc = include_str!("configuration.md")]

mod caching;
mod condition;
mod cookie;
mod decimal;
mod duration;
mod error;
mod field;
mod form;
mod given;
mod guard;
mod header;
mod key;
mod metrics;
mod mode;
mod name;
mod node;
mod operator;
mod overrides;
mod part;
mod ramp;
mod route;
mod rule;
mod split;
mod sticky;
mod time;
mod variant;

pub use caching::CachingSpec;
pub use condition::{Condition, ConditionTest};
pub use cookie::{CookieSpec, SameSite, Signing};
pub use duration::parse as parse_duration;
pub use error::{Error, Errors, is_unprintable};
pub use guard::GuardSpec;
pub use key::{Inner, KeySource};
pub use metrics::MetricsLevel;
pub use mode::Mode;
pub use operator::{Cidr, Operator};
pub use overrides::OverrideSpec;
pub use part::Part;
pub use ramp::RampSpec;
pub use route::RouteSpec;
pub use rule::{ActionSpec, LayerSpec, RuleSpec};
pub use split::{SplitSpec, Weight};
pub use sticky::{PersistSpec, StickySpec};
pub use time::{format as format_time, parse as parse_time};
pub use variant::VariantSpec;

pub(crate) use decimal::Decimal;
pub(crate) use field::{Field, Object, long};
pub(crate) use header::is_token_byte;
pub(crate) use node::text_of_json;
pub(crate) use sticky::is_identity;

use crate::limits;
use form::Form;
use node::Node;

/// A whole configuration.
///
/// ```
/// use traffic_split::config::Config;
///
/// let config = br#"{
///     "clusterHeader": "X-Split-Cluster",
///     "variants": { "stable": { "cluster": "v1" }, "canary": { "cluster": "v2" } },
///     "rules": [ { "name": "rollout", "split": { "stable": 90, "canary": 10 } } ]
/// }"#;
/// let config = Config::parse(config).unwrap();
/// assert_eq!(config.cluster_header.as_deref(), Some("x-split-cluster"));
/// assert_eq!(config.variants.len(), 2);
/// assert_eq!(config.rules[0].name, "rollout");
/// ```
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// The request header from which a route with `cluster_header` takes the cluster, in lower
    /// case.
    pub cluster_header: Option<String>,
    /// The request header that carries the variant's name, in lower case.
    pub variant_header: Option<String>,
    /// The request header that carries the point by which Envoy chooses among the clusters of a route
    /// with weights, in lower case.
    pub point_header: Option<String>,
    /// The variants that rules choose from, in the order written; at most
    /// [`limits::VARIANTS`].
    pub variants: Vec<VariantSpec>,
    /// The rules, in the order written; at most [`limits::RULES`]. The first one that matches a
    /// request decides.
    pub rules: Vec<RuleSpec>,
    /// The name of the variant at which everyone is held, whatever the rules say.
    pub hold: Option<String>,
    /// Whether decisions are carried out. [`Mode::Shadow`] here holds for every rule.
    pub mode: Mode,
    /// The metrics that are kept.
    pub metrics: MetricsLevel,
    /// The place of the key that makes units of identities, for access logs.
    pub unit: Option<Signing>,
    /// Whether the request's `baggage` gets a member with the rule and the variant.
    pub baggage: bool,
    /// The response header that tells the rule, the variant and the reason, in lower case.
    pub debug_header: Option<String>,
    /// The response header that carries the variant's name alone, in lower case.
    pub response_header: Option<String>,
    /// Whether the response header `Server-Timing` tells rule and variant.
    pub server_timing: bool,
    /// The headers of responses for caches.
    pub caching: CachingSpec,
    /// A number that stands for the configuration: whoever is configured alike has the same.
    pub generation: u32,
}

impl Config {
    /// Reads a configuration of at most [`limits::CONFIG_BYTES`] as JSON, without compiling it.
    ///
    /// # Errors
    /// Every field that is wrong by itself. A name that nothing defines, and fields that contradict
    /// each other, are found by [`crate::Plan::compile`].
    ///
    /// ```
    /// use traffic_split::config::Config;
    ///
    /// let config = br#"{ "variants": {}, "rules": [ { "name": "rollout", "split": { "a": -5 } } ] }"#;
    /// let errors = Config::parse(config).unwrap_err();
    /// assert_eq!(errors.to_string(), "rules[0].split.a: Invalid value: -5: must be at least 0");
    /// ```
    pub fn parse(bytes: &[u8]) -> Result<Config, Errors> {
        let mut errors = Errors::default();
        Config::read(bytes, &mut errors).filter(|_| errors.is_empty()).ok_or(errors)
    }

    /// The rule of this name.
    ///
    /// ```
    /// use traffic_split::config::Config;
    ///
    /// let config = br#"{ "variants": { "a": {} }, "rules": [ { "name": "all", "to": "a" } ] }"#;
    /// let config = Config::parse(config).unwrap();
    /// assert_eq!(config.rule("all").unwrap().path, "rules[0]");
    /// assert!(config.rule("none").is_none());
    /// ```
    pub fn rule(&self, name: &str) -> Option<&RuleSpec> {
        self.rules.iter().find(|rule| rule.name == name)
    }

    /// Reads a configuration from JSON. It returns the fields that it could read even where `errors`
    /// grew, so that the compiler can add its own errors about them.
    pub(crate) fn read(bytes: &[u8], errors: &mut Errors) -> Option<Config> {
        let root = json(bytes, errors)?;
        let field = Field::root(&root);
        let mut object = field.object(errors)?;
        // It is for editors, which find a JSON Schema by it.
        object.ignore("$schema");
        let cluster_header = routing_header(&mut object, "clusterHeader", errors);
        let variant_header = routing_header(&mut object, "variantHeader", errors);
        // Where routes have the weights, they may have the only names as well.
        let names_variants = object.optional("pointHeader").is_none();
        let config = Config {
            cluster_header,
            variant_header,
            point_header: routing_header(&mut object, "pointHeader", errors),
            variants: variant::read(&mut object, names_variants, errors),
            rules: rules(&mut object, errors),
            hold: object.optional("hold").and_then(|field| field.name(errors)),
            mode: mode::read(&mut object, errors),
            metrics: metrics::read(&mut object, errors),
            unit: object.optional("unit").and_then(|field| cookie::keys(field, UNIT, errors)),
            baggage: object.flag("baggage", false, errors),
            debug_header: routing_header(&mut object, "debugHeader", errors),
            response_header: response_header(&mut object, errors),
            server_timing: object.flag("serverTiming", false, errors),
            caching: caching::read(&mut object, errors),
            // The upper half is as good as the lower one, and a gauge shows it without rounding.
            generation: u32::try_from(root.digest() >> 32).unwrap_or(0),
        };
        object.finish(errors);
        Some(config)
    }
}

fn json(bytes: &[u8], errors: &mut Errors) -> Option<Node> {
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

fn response_header(object: &mut Object<'_>, errors: &mut Errors) -> Option<String> {
    let field = object.optional("responseHeader")?;
    let text = field.text(limits::TEXT_BYTES, errors)?;
    header::response(&field.path, text, errors)
}

const UNIT: Form = Form { before: "{ env: ", example: "SPLIT_UNIT_KEY", after: " }" };

const RULES: Form = Form::fixed("[ { name: all, to: stable } ]");

fn rules(object: &mut Object<'_>, errors: &mut Errors) -> Vec<RuleSpec> {
    let remedy = "give a list of rules, [] for none";
    let Some(fields) = object
        .required("rules", remedy)
        .and_then(|field| field.list_as(limits::RULES, RULES, errors))
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
mod tests;
