//! The fields about caches.

use super::error::Errors;
use super::field::Object;

/// The headers of responses for caches.
///
/// ```
/// use traffic_split::config::Config;
///
/// let config = br#"{ "variantHeader": "x-variant", "variants": { "v2": {} }, "vary": true,
///                    "rules": [ { "name": "all", "to": "v2" } ] }"#;
/// let config = Config::parse(config).unwrap();
/// assert!(config.caching.private && config.caching.vary);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CachingSpec {
    /// Whether a response that gets a cookie is `Cache-Control: private`; the default.
    pub private: bool,
    /// Whether `Vary` names the request headers that the rules look at.
    pub vary: bool,
}

/// Reads `private` and `vary`.
pub(super) fn read(object: &mut Object<'_>, errors: &mut Errors) -> CachingSpec {
    let private = object.flag("private", true, errors);
    CachingSpec { private, vary: object.flag("vary", false, errors) }
}
