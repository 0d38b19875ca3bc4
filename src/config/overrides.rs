//! Forced variants: a link by which a client chooses its variant, and the cookie that keeps the choice.

use super::cookie::{self, CookieSpec};
use super::error::Errors;
use super::field::Field;
use super::form::Form;
use super::part;
use crate::limits;

/// The variants that clients of a rule may force, as written.
///
/// ```
/// use traffic_split::config::Config;
///
/// let config = br#"{ "variantHeader": "x-variant", "variants": { "v1": {}, "v2": {} }, "rules": [
///     { "name": "rollout", "split": { "v1": 90, "v2": 10 },
///       "override": { "queryParam": "split", "cookie": "split-force", "maxAge": "8h",
///                     "variants": ["v2"] } } ] }"#;
/// let rules = Config::parse(config).unwrap().rules;
/// let overrides = rules[0].overrides.as_ref().unwrap();
/// assert_eq!((overrides.query_param.as_str(), overrides.cookie.max_age), ("split", Some(8 * 3_600)));
/// assert_eq!(overrides.variants, ["v2"]);
/// ```
#[derive(Clone, Debug)]
pub struct OverrideSpec {
    /// Its path in the configuration, as in `rules[1].override`.
    pub path: String,
    /// The query parameter of a link, whose value names the variant.
    pub query_param: String,
    /// The cookie that keeps the choice. Where it is signed, links are signed as well.
    pub cookie: CookieSpec,
    /// The names of the variants that may be chosen: 1 to [`limits::SPLIT_VARIANTS`].
    pub variants: Vec<String>,
}

const OVERRIDE: Form = Form {
    before: "{ queryParam: ",
    example: "split",
    after: ", cookie: split-force, maxAge: 8h, variants: [canary] }",
};

pub(super) fn read(field: &Field<'_>, errors: &mut Errors) -> Option<OverrideSpec> {
    let mut object = field.object_as(OVERRIDE, errors)?;
    let query_param = object
        .required("queryParam", "name the query parameter of the links")
        .and_then(|field| part::param_name(field, errors));
    let cookie = cookie::read(&mut object, errors);
    let variants = object
        .required("variants", "list the variants that may be forced")
        .and_then(|field| variants(field, errors));
    object.finish(errors);
    Some(OverrideSpec {
        path: field.path.clone(),
        query_param: query_param?,
        cookie: cookie?,
        variants: variants?,
    })
}

fn variants(field: &Field<'_>, errors: &mut Errors) -> Option<Vec<String>> {
    let form = Form { before: "[", example: "canary", after: "]" };
    let fields = field.list_as(limits::SPLIT_VARIANTS, form, errors)?;
    if fields.is_empty() {
        return field.wrong("must have a variant; leave override out to force none", errors);
    }
    Some(fields.iter().filter_map(|field| field.name(errors)).collect())
}
