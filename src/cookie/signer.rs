//! Signatures that bind a cookie's payload to its name, to where it was set, and to a time.
//!
//! ```text
//! value = payload "." issued "." expires "." mac     times in Unix seconds, hexadecimal
//! mac   = base64url(HMAC-SHA-256(key, name NUL scope NUL payload "." issued "." expires))
//! ```
//! The name and the scope, in lower case, hold no NUL, so nothing can be read in two ways.

use base64ct::{Base64UrlUnpadded, Encoding};
use hmac::{Hmac, Mac};
use sha2::Sha256;

use crate::limits;

type HmacSha256 = Hmac<Sha256>;

/// Bytes of a MAC as text: 32 bytes in base64url without padding (RFC 4648 section 5).
const MAC_TEXT: usize = 43;

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
        let mut keys =
            keys.iter().filter_map(|key| HmacSha256::new_from_slice(key.as_bytes()).ok());
        let first = keys.next().ok_or("has no key")?;
        Ok(Keys { first, others: keys.collect() })
    }
}

/// A signer of the values of one cookie.
#[derive(Debug)]
pub(crate) struct Signer {
    keys: Keys,
}

impl Signer {
    /// A signer with these keys for the cookie of this name.
    pub(crate) fn new(mut keys: Keys, name: &str) -> Self {
        let named = |key: &mut HmacSha256| {
            key.update(name.as_bytes());
            key.update(b"\0");
        };
        named(&mut keys.first);
        keys.others.iter_mut().for_each(named);
        Signer { keys }
    }

    /// The signed value of a payload. The times are in Unix seconds.
    pub(crate) fn close(&self, payload: &str, scope: &[u8], issued: u64, expires: u64) -> String {
        let mut value = format!("{payload}.{issued:x}.{expires:x}");
        let mac = mac(&self.keys.first, scope, value.as_bytes()).finalize().into_bytes();
        let mut text = [0_u8; MAC_TEXT];
        if let Ok(text) = Base64UrlUnpadded::encode(&mac, &mut text) {
            value.push('.');
            value.push_str(text);
        }
        value
    }

    /// The payload of a value, if one of the keys signed it, it has not expired, and it was issued no
    /// later than [`limits::CLOCK_SKEW`] from now.
    pub(crate) fn open<'a>(&self, value: &'a [u8], scope: &[u8], now: u64) -> Option<&'a [u8]> {
        let (body, text) = split_last(value)?;
        let (rest, expires) = split_last(body)?;
        let (payload, issued) = split_last(rest)?;
        let latest = now.saturating_add(limits::CLOCK_SKEW);
        if time(issued)? > latest || time(expires)? <= now {
            return None;
        }
        let mut bytes = [0_u8; 32];
        let bytes = Base64UrlUnpadded::decode(text, &mut bytes).ok()?;
        let mut keys = std::iter::once(&self.keys.first).chain(&self.keys.others);
        // `verify_slice` takes the same time whichever byte differs.
        keys.any(|key| mac(key, scope, body).verify_slice(bytes).is_ok()).then_some(payload)
    }
}

fn mac(key: &HmacSha256, scope: &[u8], body: &[u8]) -> HmacSha256 {
    let mut mac = key.clone();
    scope.iter().for_each(|byte| mac.update(&[byte.to_ascii_lowercase()]));
    mac.update(b"\0");
    mac.update(body);
    mac
}

/// The text before and the text after the last dot; `None` if there is no dot.
fn split_last(value: &[u8]) -> Option<(&[u8], &[u8])> {
    let (head, tail) = value.split_at_checked(value.iter().rposition(|b| *b == b'.')?)?;
    Some((head, tail.get(1..)?))
}

/// A time in hexadecimal.
fn time(text: &[u8]) -> Option<u64> {
    u64::from_str_radix(std::str::from_utf8(text).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signer(keys: &str) -> Signer {
        Signer::new(Keys::parse(keys).unwrap(), "name")
    }

    /// Computed by the recipe with another implementation of HMAC-SHA-256.
    #[test]
    fn a_signature_never_changes() {
        let key = "k".repeat(32);
        let value = signer(&key).close("v2", b"Example.com", 100, 200);
        assert_eq!(value, "v2.64.c8.qNtfR46wT5GdmGMWBEyzan7V4IkPefDmLjD-Ch8tTkg");
        for (scope, now, opens) in [
            (&b"example.COM"[..], 100, true),
            (b"example.com", 199, true),
            (b"example.com", 200, false),
            (b"example.org", 100, false),
        ] {
            let payload = signer(&key).open(value.as_bytes(), scope, now);
            assert_eq!(payload, opens.then_some(&b"v2"[..]), "{scope:?} {now}");
        }
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
