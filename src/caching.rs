//! Responses in caches: a response that sets a client's cookie is that client's alone, and one that
//! depends on a request header says so.

use crate::request::elements;

/// The headers of responses for caches, as a plan wants them.
#[derive(Debug, Default)]
pub(crate) struct Caching {
    /// Whether a response that gets a cookie is kept out of shared caches.
    pub(crate) private: bool,
    /// The names to add to `Vary`, in lower case.
    pub(crate) vary: Vec<String>,
}

/// A header that replaces all of its name, or removes them.
pub(crate) type Change<'r> = (&'r [u8], Option<Vec<u8>>);

impl Caching {
    /// The changes of a response with these headers, names in lower case.
    pub(crate) fn changes<'r>(
        &self,
        sets_cookie: bool,
        response: &[(&'r [u8], &'r [u8])],
    ) -> Vec<Change<'r>> {
        let mut changes = Vec::new();
        if let Some(names) = self.varied(&list(response, b"vary")) {
            changes.push((&b"vary"[..], Some(names)));
        }
        if sets_cookie && self.private {
            if let Some(directives) = private(&list(response, b"cache-control")) {
                changes.push((b"cache-control", Some(directives)));
            }
            for (name, _) in response.iter().filter(|(name, _)| is_targeted(name)) {
                let known = changes.iter().any(|(known, _)| known == name);
                if !known && private(&list(response, name)).is_some() {
                    changes.push((name, None));
                }
            }
        }
        changes
    }

    /// The names of `Vary` with those that are missing; `None` where none is.
    fn varied(&self, known: &[&[u8]]) -> Option<Vec<u8>> {
        let has = |name: &[u8]| known.iter().any(|known| known.eq_ignore_ascii_case(name));
        let names = self.vary.iter().map(String::as_bytes);
        let missing: Vec<_> = names.filter(|name| !has(name)).collect();
        (!missing.is_empty() && !has(b"*")).then(|| [known, &missing].concat().join(&b", "[..]))
    }
}

/// The directives by which no shared cache stores a response, with the others among these; `None`
/// where these do already. If directives contradict each other, caches differ in which they follow.
fn private(directives: &[&[u8]]) -> Option<Vec<u8>> {
    let has = |name: &[u8]| directives.iter().any(|directive| name_of(directive) == name);
    let kept = directives.iter().copied().filter(|directive| !is_shared(directive));
    let mut kept: Vec<_> = kept.collect();
    let is_private = kept.iter().any(|directive| name_of(directive) == b"private");
    // RFC 9111 section 5.2.2.3: with must-understand, a cache may ignore no-store.
    let stored = !is_private && (!has(b"no-store") || has(b"must-understand"));
    if !stored && kept.len() == directives.len() {
        return None;
    }
    if stored {
        kept.insert(0, b"private");
    }
    Some(kept.join(&b", "[..]))
}

/// Whether a directive lets shared caches store a response. `private` with an argument keeps only
/// the fields that it names out of them (RFC 9111 section 5.2.2.7).
fn is_shared(directive: &[u8]) -> bool {
    match name_of(directive).as_slice() {
        b"public" | b"s-maxage" => true,
        b"private" => directive.contains(&b'='),
        _ => false,
    }
}

/// Whether some caches follow this header instead of `Cache-Control`: a targeted field (RFC 9213), or
/// what gateways had before.
fn is_targeted(name: &[u8]) -> bool {
    name.ends_with(b"-cache-control")
        || matches!(name, b"surrogate-control" | b"edge-control" | b"x-accel-expires")
}

/// The name of a directive, in lower case.
fn name_of(directive: &[u8]) -> Vec<u8> {
    let name = directive.split(|b| *b == b'=').next().unwrap_or_default();
    name.trim_ascii().to_ascii_lowercase()
}

/// The elements of all headers of this name: a comma in quotes parts none (RFC 9110 section 5.6.1).
fn list<'r>(response: &[(&'r [u8], &'r [u8])], name: &[u8]) -> Vec<&'r [u8]> {
    let values = response.iter().filter(|(known, _)| *known == name);
    values.flat_map(|(_, value)| elements(value)).filter(|element| !element.is_empty()).collect()
}

#[cfg(test)]
mod tests;
