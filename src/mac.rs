//! Message authentication by HMAC-SHA-256 (RFC 2104), and its text.

use base64ct::{Base64UrlUnpadded, Encoding};
use hmac::{Hmac, Mac};
use sha2::Sha256;

pub(crate) type HmacSha256 = Hmac<Sha256>;

/// Bytes of a MAC as text: 32 bytes in base64url without padding (RFC 4648 section 5).
const MAC_TEXT: usize = 43;

/// A MAC with this key, which may have any length.
#[inline(never)] // The module would have this twice.
pub(crate) fn keyed(key: &[u8]) -> Option<HmacSha256> {
    HmacSha256::new_from_slice(key).ok()
}

/// Appends a MAC as text.
#[inline(never)]
pub(crate) fn append(mac: HmacSha256, text: &mut String) {
    let mut bytes = [0_u8; MAC_TEXT];
    let mac = mac.finalize().into_bytes();
    text.push_str(Base64UrlUnpadded::encode(&mac, &mut bytes).unwrap_or_default());
}
