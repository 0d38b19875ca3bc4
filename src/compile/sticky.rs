//! Keys, cookies and layers, which keep a client with its variant.

use std::sync::Arc;

use super::Env;
use crate::config::{
    CookieSpec, Decimal, Errors, KeySource, LayerSpec, OverrideSpec, PersistSpec, RuleSpec,
    Signing, StickySpec,
};
use crate::cookie::{Cookie, Keys, Signer};
use crate::identity::Issue;
use crate::key::Key;
use crate::limits;
use crate::persist::Persist;

/// The cookies of one configuration: each name has one meaning.
pub(super) struct CookieRegistry<'e> {
    env: Env<'e>,
    issues: Vec<Identity>,
    persists: Vec<Assignment>,
    overrides: Vec<Choice>,
}

/// A cookie with identities, as the first rule that issues it has it.
struct Identity {
    /// The field of that rule, as in `rules[0].sticky.issue`.
    path: String,
    spec: CookieSpec,
    issue: Arc<Issue>,
}

/// A cookie with forced variants, as the first rule that sets it has it.
struct Choice {
    /// The field of that rule, as in `rules[0].override`.
    path: String,
    spec: CookieSpec,
}

/// A cookie with assignments.
struct Assignment {
    /// The field of its rule, as in `rules[0].persist`.
    path: String,
    cookie: String,
}

impl<'e> CookieRegistry<'e> {
    pub(super) fn new(env: Env<'e>) -> Self {
        CookieRegistry { env, issues: Vec::new(), persists: Vec::new(), overrides: Vec::new() }
    }

    pub(super) fn key(&mut self, sticky: &StickySpec, errors: &mut Errors) -> Key {
        let at = format!("{}.issue", sticky.path);
        let issue = sticky.issue.as_ref().and_then(|cookie| self.issue(at, cookie, errors));
        let ignore = sticky.ignore.iter().map(|text| text.as_bytes().into()).collect();
        Key { sources: sticky.key.clone(), ignore, issue }
    }

    /// Rules may share an identity, but not under two sets of attributes.
    fn issue(
        &mut self,
        path: String,
        config: &CookieSpec,
        errors: &mut Errors,
    ) -> Option<Arc<Issue>> {
        if let Some(known) = self.issues.iter().find(|known| known.spec.name == config.name) {
            if !known.spec.is_like(config) {
                let at = &known.path;
                errors.forbidden(&path, format!("must be the same as {at}, which has its cookie"));
            }
            return Some(Arc::clone(&known.issue));
        }
        self.check_free(&path, &config.name, errors);
        let bit = 1_u8.checked_shl(u32::try_from(self.issues.len()).ok()?);
        let Some(bit) = bit else {
            errors.forbidden(&path, format!("more than {} different cookies", limits::IDENTITIES));
            return None;
        };
        let issue = Arc::new(Issue { cookie: self.cookie(config, None, errors), bit });
        let spec = config.clone();
        self.issues.push(Identity { path, spec, issue: Arc::clone(&issue) });
        Some(issue)
    }

    /// The cookie with the assignments of the rule that has this salt.
    pub(super) fn persist(
        &mut self,
        persist: PersistSpec,
        salt: &str,
        errors: &mut Errors,
    ) -> Persist {
        let name = &persist.cookie.name;
        self.check_free(&persist.path, name, errors);
        self.check_issued(&persist.path, name, errors);
        self.persists.push(Assignment { path: persist.path.clone(), cookie: name.clone() });
        let PersistSpec { cookie, drain, by_page, .. } = persist;
        Persist { cookie: self.cookie(&cookie, Some(salt), errors), drain, by_page }
    }

    /// The cookie with the forced variants of the rule that has this salt, the signer of its links, and
    /// the bit of the cookie. Rules may share such a cookie, but not under two sets of attributes.
    pub(super) fn overrides(
        &mut self,
        spec: &OverrideSpec,
        salt: &str,
        errors: &mut Errors,
    ) -> Option<(Cookie, Option<Signer>, u8)> {
        let (path, cookie) = (&spec.path, &spec.cookie);
        let known = self.overrides.iter().position(|known| known.spec.name == cookie.name);
        let place = known.unwrap_or(self.overrides.len());
        match self.overrides.get(place) {
            Some(known) if !known.spec.is_like(cookie) => {
                let at = &known.path;
                errors.forbidden(path, format!("must have the cookie of {at}, which has its name"));
            }
            Some(_) => {}
            None => {
                self.check_free(path, &cookie.name, errors);
                self.check_issued(path, &cookie.name, errors);
                self.overrides.push(Choice { path: path.clone(), spec: cookie.clone() });
            }
        }
        let bit = u32::try_from(place).ok().and_then(|place| 1_u8.checked_shl(place));
        if bit.is_none() {
            errors.forbidden(path, format!("more than {} different cookies", limits::OVERRIDES));
        }
        let keys = cookie.signing.as_ref().and_then(|signing| self.keys(signing, errors));
        let link = format!("?{}", spec.query_param);
        let signer = |name: &str| keys.as_ref().map(|keys| Signer::bound(keys, name, salt));
        Some((Cookie::new(cookie, signer(&cookie.name)), signer(&link), bit?))
    }

    /// The cookies with identities, and the fields that end those with forced variants.
    pub(super) fn into_parts(self) -> (Vec<Arc<Issue>>, Vec<String>) {
        let ending = |known: Choice| {
            let ended = CookieSpec { max_age: Some(0), ..known.spec };
            Cookie::new(&ended, None).set("")
        };
        let issues = self.issues.into_iter().map(|known| known.issue).collect();
        (issues, self.overrides.into_iter().map(ending).collect())
    }

    fn check_free(&self, path: &str, name: &str, errors: &mut Errors) {
        let persist = self.persists.iter().find(|known| known.cookie == name);
        let forced = self.overrides.iter().find(|known| known.spec.name == name);
        let taken = persist.map(|known| &known.path).or(forced.map(|known| &known.path));
        if let Some(taken) = taken {
            errors.forbidden(path, format!("its cookie is taken by {taken}"));
        }
    }

    fn check_issued(&self, path: &str, name: &str, errors: &mut Errors) {
        if let Some(known) = self.issues.iter().find(|known| known.spec.name == name) {
            errors.forbidden(path, format!("its cookie is taken by {}", known.path));
        }
    }

    fn cookie(&self, config: &CookieSpec, salt: Option<&str>, errors: &mut Errors) -> Cookie {
        let keys = config.signing.as_ref().and_then(|signing| self.keys(signing, errors));
        Cookie::new(config, keys.map(|keys| Signer::new(keys, &config.name, salt)))
    }

    fn keys(&self, signing: &Signing, errors: &mut Errors) -> Option<Keys> {
        let remedy = format!(
            "give a key of at least {} bytes, or several with commas between",
            limits::SIGNING_KEY_BYTES
        );
        found(self.env, signing)
            .map_err(|wrong| {
                errors.invalid(&signing.path, &signing.env, format!("{wrong}: {remedy}"));
            })
            .ok()
    }
}

/// The keys in an environment variable, or what is wrong with it.
pub(super) fn found(env: Env<'_>, signing: &Signing) -> Result<Keys, String> {
    match env(&signing.env) {
        Some(text) => Keys::parse(&text),
        None => Err("is not set in the VM's environment".to_owned()),
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
        let is_wrong = |rule: &RuleSpec| errors.has_within(&format!("{}.sticky", rule.path));
        let differs = |(other, _): &(&RuleSpec, _)| !same_key(rule, other) && !is_wrong(other);
        if let Some((other, _)) = earlier.find(differs).filter(|_| !is_wrong(rule)) {
            let remedy = format!("must have key, ignore and issue of {}.sticky", other.path);
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

/// The means by which a rule recognises a client: its key, and the cookie of an issued identity.
fn recognised(rule: &RuleSpec) -> Option<(&[KeySource], &[String], Option<&str>)> {
    let sticky = rule.sticky.as_ref()?;
    let issued = sticky.issue.as_ref().map(|cookie| cookie.name.as_str());
    Some((&sticky.key, &sticky.ignore, issued))
}
