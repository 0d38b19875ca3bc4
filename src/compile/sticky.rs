//! What keeps a client with its variant, made ready: keys, cookies and layers.

use std::sync::Arc;

use super::Env;
use crate::config::{
    CookieSpec, Decimal, Errors, KeySource, LayerSpec, PersistSpec, RuleSpec, Signing, StickySpec,
};
use crate::cookie::{Cookie, Keys};
use crate::identity::Issue;
use crate::key::Key;
use crate::limits;
use crate::rule::Persist;

/// The cookies of one configuration: each name has one meaning.
pub(super) struct Cookies<'e> {
    env: Env<'e>,
    issues: Vec<(String, CookieSpec, Arc<Issue>)>,
    persists: Vec<(String, String)>,
}

impl<'e> Cookies<'e> {
    pub(super) fn new(env: Env<'e>) -> Self {
        Cookies { env, issues: Vec::new(), persists: Vec::new() }
    }

    pub(super) fn key(&mut self, sticky: &StickySpec, errors: &mut Errors) -> Key {
        let at = format!("{}.issue", sticky.path);
        let issue = sticky.issue.as_ref().and_then(|cookie| self.issue(at, cookie, errors));
        Key { sources: sticky.key.clone(), issue }
    }

    /// Rules may share an identity, but not under two sets of attributes.
    fn issue(
        &mut self,
        path: String,
        config: &CookieSpec,
        errors: &mut Errors,
    ) -> Option<Arc<Issue>> {
        if let Some((at, known, issue)) = self.issues.iter().find(|(_, c, _)| c.name == config.name)
        {
            if !known.is_like(config) {
                errors.forbidden(&path, format!("must be the same as {at}, which has its cookie"));
            }
            return Some(Arc::clone(issue));
        }
        self.check_free(&path, &config.name, errors);
        let bit = 1_u8.checked_shl(u32::try_from(self.issues.len()).ok()?);
        let Some(bit) = bit else {
            errors.forbidden(&path, format!("more than {} different cookies", limits::IDENTITIES));
            return None;
        };
        let issue = Arc::new(Issue { cookie: self.cookie(config, errors), bit });
        self.issues.push((path, config.clone(), Arc::clone(&issue)));
        Some(issue)
    }

    pub(super) fn persist(&mut self, persist: PersistSpec, errors: &mut Errors) -> Persist {
        let name = &persist.cookie.name;
        self.check_free(&persist.path, name, errors);
        if let Some((at, _, _)) = self.issues.iter().find(|(_, cookie, _)| cookie.name == *name) {
            errors.forbidden(&persist.path, format!("its cookie is taken by {at}"));
        }
        self.persists.push((persist.path.clone(), name.clone()));
        Persist { cookie: self.cookie(&persist.cookie, errors), drain: persist.drain }
    }

    pub(super) fn into_issues(self) -> Vec<Arc<Issue>> {
        self.issues.into_iter().map(|(_, _, issue)| issue).collect()
    }

    fn check_free(&self, path: &str, name: &str, errors: &mut Errors) {
        if let Some((at, _)) = self.persists.iter().find(|(_, known)| known == name) {
            errors.forbidden(path, format!("its cookie is taken by {at}"));
        }
    }

    fn cookie(&self, config: &CookieSpec, errors: &mut Errors) -> Cookie {
        let keys = config.signing.as_ref().and_then(|signing| self.keys(signing, errors));
        Cookie::new(config, keys)
    }

    fn keys(&self, signing: &Signing, errors: &mut Errors) -> Option<Keys> {
        let found = match (self.env)(&signing.env) {
            Some(text) => Keys::parse(&text),
            None => Err("is not set in the VM's environment".to_owned()),
        };
        let remedy = format!(
            "give a key of at least {} bytes, or several with commas between",
            limits::SIGNING_KEY_BYTES
        );
        found
            .map_err(|wrong| {
                errors.invalid(&signing.path, &signing.env, format!("{wrong}: {remedy}"));
            })
            .ok()
    }
}

/// Rules of one layer must tell clients apart alike, and have slices of their own. Of each rule
/// only the first conflict is told: all pairs of a long layer would be too many.
pub(super) fn check_layers(rules: &[RuleSpec], errors: &mut Errors) {
    let layered = || rules.iter().filter_map(|rule| Some((rule, rule.layer.as_ref()?)));
    for (index, (rule, layer)) in layered().enumerate() {
        let mut earlier = layered().take(index).filter(|(_, known)| known.name == layer.name);
        let overlaps = |known: &LayerSpec| layer.start < known.end && known.start < layer.end;
        let overlap = earlier.clone().find(|(_, known)| overlaps(known));
        if let Some((other, known)) = overlap {
            let value = range(layer);
            let taken = format!("{}.slice {}", other.path, range(known));
            let remedy = format!("must not overlap {taken} of the layer {}", layer.name);
            errors.invalid(&format!("{}.slice", rule.path), value, remedy);
        }
        if let Some((other, _)) = earlier.find(|(other, _)| !same_key(rule, other)) {
            let remedy = format!("must have the key and issue of {}.sticky", other.path);
            let why = format!("a layer tells clients apart in one way: {remedy}");
            errors.forbidden(&format!("{}.sticky", rule.path), why);
        }
    }
}

fn range(layer: &LayerSpec) -> String {
    format!("[{}, {}]", Decimal(layer.start), Decimal(layer.end))
}

fn same_key(rule: &RuleSpec, other: &RuleSpec) -> bool {
    recognised(rule) == recognised(other)
}

/// By what a rule recognises a client: its key, and the cookie of an issued identity.
fn recognised(rule: &RuleSpec) -> Option<(&[KeySource], Option<&str>)> {
    let sticky = rule.sticky.as_ref()?;
    Some((&sticky.key, sticky.issue.as_ref().map(|cookie| cookie.name.as_str())))
}
