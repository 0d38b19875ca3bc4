//! The variants that rules choose from.

use super::error::Errors;
use super::field::{Field, Object, check_name};
use super::form::Form;
use crate::limits;

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
}

const VARIANTS: Form = Form::fixed("{ stable: { cluster: v1 }, canary: { cluster: v2 } }");
const VARIANT: Form = Form { before: "{ cluster: ", example: "v1", after: " }" };

/// Reads `variants`.
pub(super) fn read(object: &mut Object<'_>, errors: &mut Errors) -> Vec<VariantSpec> {
    let remedy = "name the variants, each with its cluster";
    let Some(object) =
        object.required("variants", remedy).and_then(|field| field.object_as(VARIANTS, errors))
    else {
        return Vec::new();
    };
    let entries = object.entries(limits::VARIANTS, errors);
    entries.iter().filter_map(|(name, field)| variant(name, field, errors)).collect()
}

fn variant(name: &str, field: &Field<'_>, errors: &mut Errors) -> Option<VariantSpec> {
    let name = check_name(&field.path, name, errors)?;
    let mut variant = VariantSpec { name, cluster: None };
    if let Some(mut object) = field.object_as(VARIANT, errors) {
        variant.cluster = object.optional("cluster").and_then(|field| cluster(field, errors));
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
