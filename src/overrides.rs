//! Forced variants: the client chooses by a query parameter, and a cookie keeps the choice.
//!
//! A signed link is a value of version 2 of [`crate::cookie`] whose name is `?` and that of the query
//! parameter, and whose scope is empty. No cookie has such a name: a cookie is no link, and a link is no
//! cookie. A link holds at every host of its rule.

use std::sync::Arc;

use crate::cookie::{Cookie, Signer};
use crate::limits;
use crate::request::{Ignored, Request, Spent, asked_param};
use crate::variant::{Target, Variant};

/// The variants of a rule that clients may force.
///
/// ```
/// use traffic_split::Plan;
///
/// let config = br#"{ "variantHeader": "x-v", "variants": { "stable": {}, "canary": {} },
///     "rules": [{ "name": "rollout", "to": "stable", "override": { "queryParam": "split",
///         "cookie": "split-force", "maxAge": "8h", "variants": ["canary"] } }] }"#;
/// let plan = Plan::compile(config, &|_| None).unwrap();
/// let overrides = plan.rules()[0].overrides().unwrap();
/// assert_eq!((overrides.query_param(), overrides.is_signed()), ("split", false));
/// assert_eq!(overrides.link("canary", 0, 3_600).as_deref(), Some("canary"));
/// assert_eq!(overrides.link("stable", 0, 3_600), None);
/// ```
#[derive(Debug)]
pub struct Override {
    pub(crate) query_param: String,
    /// Signs links, where the cookie is signed.
    pub(crate) signer: Option<Signer>,
    /// The cookie that keeps the choice.
    pub(crate) cookie: Cookie,
    /// The bit of that cookie in [`crate::identity::Issued`].
    pub(crate) bit: u8,
    pub(crate) targets: Vec<Arc<Target>>,
}

/// The choice of a client.
pub(crate) enum Forced<'p> {
    /// A link names the variant, or a cookie that is to be renewed; the cookie is set with it.
    Set(&'p Arc<Target>),
    /// The cookie names the variant.
    Kept(&'p Arc<Target>),
    /// A link ends an earlier choice.
    Ended,
}

impl Override {
    /// The name of the query parameter.
    pub fn query_param(&self) -> &str {
        &self.query_param
    }

    /// Whether only signed links and cookies count.
    pub fn is_signed(&self) -> bool {
        self.signer.is_some()
    }

    /// The variants that may be forced.
    pub fn variants(&self) -> impl Iterator<Item = &Variant> {
        self.targets.iter().filter_map(|target| target.variant.as_deref())
    }

    /// The value of the query parameter by which a link forces this variant; `None` if it may not be
    /// forced. A signed one holds from `issued` up to `expires`, in Unix seconds.
    pub fn link(&self, variant: &str, issued: u64, expires: u64) -> Option<String> {
        let target = self.target(variant.as_bytes())?;
        Some(match &self.signer {
            None => target.name().to_owned(),
            Some(signer) => signer.close(target.name(), b"", issued, expires),
        })
    }

    /// The choice of the client, if it has one. `now` is the time in Unix seconds.
    pub(crate) fn find<'p>(
        &'p self,
        request: &impl Request,
        mut now: impl FnMut() -> u64,
    ) -> Option<Forced<'p>> {
        if let Some(value) = asked_param(request, &self.query_param) {
            if value.is_empty() {
                return Some(Forced::Ended);
            }
            let name = self.open(value, request, &mut now);
            if let Some(target) = name.and_then(|name| self.target(name)) {
                return Some(Forced::Set(target));
            }
        }
        let kept = self.cookie.find(request, now, |name| self.target(name))?;
        Some(if kept.due { Forced::Set(kept.what) } else { Forced::Kept(kept.what) })
    }

    /// The name in the value of a link, if it may be believed.
    fn open<'v>(
        &self,
        value: &'v [u8],
        request: &impl Request,
        now: impl FnOnce() -> u64,
    ) -> Option<&'v [u8]> {
        let Some(signer) = &self.signer else { return Some(value) };
        let may = value.len() <= limits::SIGNED_BYTES && request.spent().is_none_or(Spent::verify);
        let name = if may { signer.open(value, b"", now()).map(|(name, _)| name) } else { None };
        if name.is_none() {
            request.ignored().insert(Ignored::Signature);
        }
        name
    }

    fn target(&self, name: &[u8]) -> Option<&Arc<Target>> {
        self.targets.iter().find(|target| target.name().as_bytes() == name)
    }
}

#[cfg(test)]
mod tests;
