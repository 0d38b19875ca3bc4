//! Signatures that bind a cookie's payload to its name, to where it was set, and to a time; in version
//! 2 also to the salt of a rule.
//!
//! ```text
//! value = body "." mac                                  times in Unix seconds, hexadecimal
//! body  = payload "." issued "." expires                version 1
//! body  = payload "." issued "." expires ".2"           version 2
//! mac   = base64url(HMAC-SHA-256(key, name NUL scope NUL body))    version 1
//! mac   = base64url(HMAC-SHA-256(own, scope NUL body))             version 2
//! own   = HMAC-SHA-256(key, NUL name NUL salt)                     the rule's own key
//! ```
//! The name, the scope in lower case and the body hold no NUL, so nothing can be read in two ways. A
//! key of its own costs a request no more than version 1 does, however long name and salt are.

use base64ct::{Base64UrlUnpadded, Encoding};
use hmac::Mac;

use crate::limits;
use crate::mac::{HmacSha256, append, keyed};

/// The end of a body of version 2. As a time of version 1 it would be long past.
const VERSION_2: &str = ".2";

/// Keys, at least one: the first signs, all verify, so that they can be rotated.
#[derive(Clone)]
pub(crate) struct Keys {
    first: HmacSha256,
    others: Vec<HmacSha256>,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keys")
    }
}

impl Keys {
    /// Reads keys with commas between them. An error says what is wrong, without a byte of a key.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let keys: Vec<&str> = text.split(',').map(str::trim).collect();
        if keys.len() > limits::SIGNING_KEYS {
            return Err(format!("has more than {} keys", limits::SIGNING_KEYS));
        }
        if keys.iter().any(|key| key.len() < limits::SIGNING_KEY_BYTES) {
            return Err(format!("has a key of less than {} bytes", limits::SIGNING_KEY_BYTES));
        }
        let mut keys = keys.iter().filter_map(|key| keyed(key.as_bytes()));
        let first = keys.next().ok_or("has no key")?;
        Ok(Keys { first, others: keys.collect() })
    }

    /// The key, if there is no other.
    pub(crate) fn single(self) -> Option<HmacSha256> {
        self.others.is_empty().then_some(self.first)
    }

    /// The keys for version 1 of the cookie of this name.
    fn named(mut self, name: &str) -> Self {
        for key in std::iter::once(&mut self.first).chain(&mut self.others) {
            key.update(name.as_bytes());
            key.update(b"\0");
        }
        self
    }

    /// The keys of a rule with this salt, for version 2 of the cookie of this name.
    fn owned(&self, name: &str, salt: &str) -> Option<Self> {
        let own = |key: &HmacSha256| {
            let mut key = key.clone();
            for part in [b"\0", name.as_bytes(), b"\0", salt.as_bytes()] {
                key.update(part);
            }
            keyed(&key.finalize().into_bytes())
        };
        Some(Keys {
            first: own(&self.first)?,
            others: self.others.iter().filter_map(own).collect(),
        })
    }
}

/// A signer of the values of one cookie.
#[derive(Debug)]
pub(crate) struct Signer {
    /// The keys for version 1, where values of it were ever signed.
    keys: Option<Keys>,
    /// The keys for version 2, where the cookie belongs to one rule.
    bound: Option<Keys>,
}

impl Signer {
    /// A signer with these keys for the cookie of this name. With the salt of a rule, it signs values
    /// of version 2, and opens those of version 1 as well.
    pub(crate) fn new(keys: Keys, name: &str, salt: Option<&str>) -> Self {
        let bound = salt.and_then(|salt| keys.owned(name, salt));
        Signer { keys: Some(keys.named(name)), bound }
    }

    /// A signer of version 2 alone.
    pub(crate) fn bound(keys: &Keys, name: &str, salt: &str) -> Self {
        Signer { keys: None, bound: keys.owned(name, salt) }
    }

    /// The signed value of a payload. The times are in Unix seconds.
    pub(crate) fn close(&self, payload: &str, scope: &[u8], issued: u64, expires: u64) -> String {
        let mut value = format!("{payload}.{issued:x}.{expires:x}");
        if self.bound.is_some() {
            value.push_str(VERSION_2);
        }
        let Some(keys) = self.bound.as_ref().or(self.keys.as_ref()) else { return value };
        let mac = mac(&keys.first, scope, value.as_bytes());
        value.push('.');
        append(mac, &mut value);
        value
    }

    /// The payload of a value, if one of the keys signed it, it has not expired, and it was issued no
    /// later than [`limits::CLOCK_SKEW`] from now; and the time of its issue, in Unix seconds. A value
    /// of version 1 that a rule reads has none, since nothing may renew it: it says nothing of its rule.
    pub(crate) fn open<'a>(
        &self,
        value: &'a [u8],
        scope: &[u8],
        now: u64,
    ) -> Option<(&'a [u8], Option<u64>)> {
        let (body, text) = split_last(value, '.')?;
        let (timed, keys, renews) = match body.strip_suffix(VERSION_2.as_bytes()) {
            Some(timed) => (timed, self.bound.as_ref()?, true),
            None => (body, self.keys.as_ref()?, self.bound.is_none()),
        };
        let (rest, expires) = split_last(timed, '.')?;
        let (payload, issued) = split_last(rest, '.')?;
        let (issued, latest) = (time(issued)?, now.saturating_add(limits::CLOCK_SKEW));
        if issued > latest || time(expires)? <= now {
            return None;
        }
        let mut bytes = [0_u8; 32];
        let bytes = Base64UrlUnpadded::decode(text, &mut bytes).ok()?;
        let mut keys = std::iter::once(&keys.first).chain(&keys.others);
        // `verify_slice` takes the same time whichever byte differs.
        let verifies = keys.any(|key| mac(key, scope, body).verify_slice(bytes).is_ok());
        verifies.then_some((payload, renews.then_some(issued)))
    }
}

fn mac(key: &HmacSha256, scope: &[u8], body: &[u8]) -> HmacSha256 {
    let mut mac = key.clone();
    scope.iter().for_each(|byte| mac.update(&[byte.to_ascii_lowercase()]));
    mac.update(b"\0");
    mac.update(body);
    mac
}

/// The text before and the text after the last of these signs, of ASCII; `None` if there is none.
pub(super) fn split_last(value: &[u8], sign: char) -> Option<(&[u8], &[u8])> {
    let place = value.iter().rposition(|b| char::from(*b) == sign)?;
    let (head, tail) = value.split_at_checked(place)?;
    Some((head, tail.get(1..)?))
}

/// A time in hexadecimal.
pub(super) fn time(text: &[u8]) -> Option<u64> {
    u64::from_str_radix(std::str::from_utf8(text).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signer(keys: &str) -> Signer {
        Signer::new(Keys::parse(keys).unwrap(), "name", None)
    }

    fn bound(salt: &str) -> Signer {
        Signer::new(Keys::parse(&"k".repeat(32)).unwrap(), "name", Some(salt))
    }

    #[derive(serde::Deserialize)]
    struct Vector {
        version: u8,
        key: String,
        name: String,
        scope: String,
        salt: String,
        payload: String,
        issued: u64,
        expires: u64,
        value: String,
    }

    /// Computed by the recipes with another implementation of HMAC-SHA-256.
    #[test]
    fn a_signature_never_changes() {
        let text = include_str!("../../wasm-tests/vectors/signed-v1-v2.json");
        let mut all: serde_json::Value = serde_json::from_str(text).unwrap();
        let vectors: Vec<Vector> = serde_json::from_value(all["vectors"].take()).unwrap();
        assert_eq!(vectors.len(), 16);
        for vector in vectors {
            let Vector { version, key, name, scope, salt, payload, issued, expires, value } =
                &vector;
            let salt = (*version == 2).then_some(salt.as_str());
            let signer = |name, salt| Signer::new(Keys::parse(key).unwrap(), name, salt);
            let ours = signer(name, salt);
            assert_eq!(ours.close(payload, scope.as_bytes(), *issued, *expires), *value);
            let opens = |signer: &Signer, scope: &str, now| {
                let opened = signer.open(value.as_bytes(), scope.as_bytes(), now);
                let as_signed = |(opened, _): (&[u8], _)| opened == payload.as_bytes();
                assert!(opened.is_none_or(as_signed), "{value}");
                opened.is_some()
            };
            let host = scope.to_uppercase();
            assert!(opens(&ours, &host, *issued) && opens(&ours, scope, expires - 1), "{value}");
            assert!(!opens(&ours, scope, *expires) && !opens(&ours, "example.org", *issued));
            assert!(!opens(&signer("other", salt), scope, *issued), "{value}");
            // A rule opens what was signed before its signatures were bound to it, and nothing that is
            // bound to another rule, or to any where a cookie belongs to none.
            let elsewhere = opens(&signer(name, Some("another rule")), scope, *issued);
            assert_eq!(elsewhere, *version == 1, "{value}");
            assert_eq!(opens(&signer(name, None), scope, *issued), *version == 1, "{value}");
            // What a rule may renew is bound to it: else the first rule that reads it would have it.
            let at = |salt| {
                let opened = signer(name, salt).open(value.as_bytes(), scope.as_bytes(), *issued);
                opened.and_then(|(_, issued)| issued)
            };
            assert_eq!(at(salt), Some(*issued), "{value}");
            assert_eq!(at(Some("rule")), None, "{value}");
        }
    }

    /// No part of what is signed can pass for another part, whatever the salt is.
    #[test]
    fn a_salt_ends_where_it_ends() {
        let value = bound("a").close("v", b"b", 0, 9);
        assert!(bound("a").open(value.as_bytes(), b"b", 0).is_some());
        for (salt, scope) in [("a\0b", ""), ("", "a\0b"), ("a\0", "b"), ("A", "b"), ("", "b")] {
            assert!(bound(salt).open(value.as_bytes(), scope.as_bytes(), 0).is_none(), "{salt:?}");
        }
        let unmarked = value.replace(".2.", ".");
        assert!(bound("a").open(unmarked.as_bytes(), b"b", 0).is_none());
        let marked = signer(&"k".repeat(32)).close("v", b"b", 0, 9).replace(".9.", ".9.2.");
        assert!(bound("").open(marked.as_bytes(), b"b", 0).is_none());
    }

    /// Nobody ever signed such a value by version 1, so none can be one of another cookie.
    #[test]
    fn a_signer_of_version_2_alone_opens_no_other() {
        let keys = Keys::parse(&"k".repeat(32)).unwrap();
        let alone = Signer::bound(&keys, "name", "salt");
        let of_1 = signer(&"k".repeat(32)).close("v", b"", 0, 9);
        assert!(alone.open(of_1.as_bytes(), b"", 0).is_none());
        let of_2 = bound("salt").close("v", b"", 0, 9);
        assert_eq!(alone.open(of_2.as_bytes(), b"", 0), Some((&b"v"[..], Some(0))));
    }

    #[test]
    fn any_key_verifies_and_the_first_signs() {
        let (old, new, other) = ("o".repeat(32), "n".repeat(32), "x".repeat(32));
        let value = signer(&old).close("v", b"h", 0, 9);
        let opens = |keys: &str| signer(keys).open(value.as_bytes(), b"h", 0).is_some();
        assert!(opens(&old) && opens(&format!("{new}, {old}")) && opens(&format!("{old},{new}")));
        assert!(!opens(&new) && !opens(&format!("{new},{other}")));
        assert_eq!(signer(&format!("{old},{new}")).close("v", b"h", 0, 9), value);
    }

    #[test]
    fn a_value_issued_too_far_ahead_does_not_verify() {
        let signer = signer(&"k".repeat(32));
        let value = signer.close("v", b"h", 1000, 9999);
        let opens = |now| signer.open(value.as_bytes(), b"h", now).is_some();
        assert!(opens(1000 - limits::CLOCK_SKEW) && !opens(999 - limits::CLOCK_SKEW));
    }

    #[test]
    fn keys_have_their_bounds_and_stay_secret() {
        let keys = |count: usize, bytes: usize| vec!["k".repeat(bytes); count].join(",");
        let (most, least) = (limits::SIGNING_KEYS, limits::SIGNING_KEY_BYTES);
        assert!(Keys::parse(&keys(most, least)).is_ok());
        let too_many = Keys::parse(&keys(most + 1, least)).unwrap_err();
        assert_eq!(too_many, "has more than 8 keys");
        let short = Keys::parse(&keys(1, least - 1)).unwrap_err();
        assert_eq!(short, "has a key of less than 32 bytes");
        let secret = Keys::parse(&keys(2, least)).unwrap();
        assert_eq!(format!("{secret:?}"), "Keys");
    }
}
