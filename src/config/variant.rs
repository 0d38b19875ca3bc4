//! The variants that rules choose from.

use super::error::Errors;
use super::field::{Field, Object};
use super::form::Form;
use super::name::check_name;
use crate::limits;
use crate::point;

/// A version of the service behind the proxy.
///
/// ```
/// use traffic_split::config::Config;
///
/// let config = br#"{ "clusterHeader": "x-split-cluster", "rules": [],
///                    "variants": { "canary": { "cluster": "reviews-v2" } } }"#;
/// let canary = &Config::parse(config).unwrap().variants[0];
/// assert_eq!(canary.name, "canary");
/// assert_eq!(canary.cluster.as_deref(), Some("reviews-v2"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VariantSpec {
    /// Its name, unique among the variants: 1 to [`limits::NAME_BYTES`] letters, digits, `-`, `_`
    /// or `.`.
    pub name: String,
    /// The Envoy cluster that serves it, in visible ASCII; a configuration with a cluster header
    /// needs it for every variant.
    pub cluster: Option<String>,
    /// The point at which it lies in a route with weights: [`point::FIRST`], [`point::LAST`], or a
    /// number of a route whose weights add up to 100.
    pub point: Option<u64>,
}

const VARIANTS: Form = Form::fixed("{ stable: { cluster: v1 }, canary: { cluster: v2 } }");
const VARIANT: Form = Form { before: "{ cluster: ", example: "v1", after: " }" };

/// Reads `variants`, which may be absent where `required` is false.
pub(super) fn read(
    object: &mut Object<'_>,
    required: bool,
    errors: &mut Errors,
) -> Vec<VariantSpec> {
    let remedy = "name the variants, each with its cluster";
    let field = match required {
        true => object.required("variants", remedy),
        false => object.optional("variants"),
    };
    let Some(object) = field.and_then(|field| field.object_as(VARIANTS, errors)) else {
        return Vec::new();
    };
    let entries = object.entries(limits::VARIANTS, errors);
    entries.iter().filter_map(|(name, field)| variant(name, field, errors)).collect()
}

fn variant(name: &str, field: &Field<'_>, errors: &mut Errors) -> Option<VariantSpec> {
    let name = check_name(&field.path, name, errors)?;
    let mut variant = VariantSpec { name, cluster: None, point: None };
    if let Some(mut object) = field.object_as(VARIANT, errors) {
        variant.cluster = object.optional("cluster").and_then(|field| cluster(field, errors));
        variant.point = object.optional("point").and_then(|field| place(field, errors));
        object.finish(errors);
    }
    Some(variant)
}

/// Reads a cluster's name, which is visible ASCII because a header carries it.
fn cluster(field: &Field<'_>, errors: &mut Errors) -> Option<String> {
    let text = field.text(limits::CLUSTER_BYTES, errors)?;
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_graphic()) {
        return field.wrong("must be a cluster's name: visible ASCII, no spaces", errors);
    }
    Some(text.to_owned())
}

/// Reads a place in a route with weights.
fn place(field: &Field<'_>, errors: &mut Errors) -> Option<u64> {
    const REMEDY: &str = "must be first, last, or a whole number from 0 to 99";
    let point = match field.word() {
        Some("first") => Some(point::FIRST),
        Some("last") => Some(point::LAST),
        Some(_) => None,
        // One remedy for every kind of mistake.
        None => {
            let number = field.integer(&mut Errors::default());
            number.and_then(|number| u64::try_from(number).ok()).filter(|point| *point < 100)
        }
    };
    point.or_else(|| field.wrong(REMEDY, errors))
}
