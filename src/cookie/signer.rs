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

/// A MAC as text: 32 bytes in base64url without padding.
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
    /// Reads keys with commas between; what is wrong with them, without a byte of them, otherwise.
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

/// Signs and verifies the values of one cookie.
#[derive(Debug)]
pub(crate) struct Signer {
    keys: Keys,
}

impl Signer {
    pub(crate) fn new(mut keys: Keys, name: &str) -> Self {
        let named = |key: &mut HmacSha256| {
            key.update(name.as_bytes());
            key.update(b"\0");
        };
        named(&mut keys.first);
        keys.others.iter_mut().for_each(named);
        Signer { keys }
    }

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

    /// The payload, if it was signed with one of the keys, is not expired and was not issued
    /// later than clocks may differ.
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
        // Compared in constant time, whichever byte differs.
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

/// What stands before and after the last dot.
fn split_last(value: &[u8]) -> Option<(&[u8], &[u8])> {
    let (head, tail) = value.split_at_checked(value.iter().rposition(|b| *b == b'.')?)?;
    Some((head, tail.get(1..)?))
}

fn time(text: &[u8]) -> Option<u64> {
    u64::from_str_radix(std::str::from_utf8(text).ok()?, 16).ok()
}
