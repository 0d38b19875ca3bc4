//! Units: what stands for clients in logs, in the place of their identities.
//!
//! ```text
//! unit = base64url(HMAC-SHA-256(key, identity))
//! ```
//! It depends on nothing else, so a client has one unit under every rule and at every proxy with the key.

use hmac::Mac;

use crate::mac::{HmacSha256, append};

/// The key of units.
pub(crate) struct UnitKey(pub(crate) HmacSha256);

impl std::fmt::Debug for UnitKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("UnitKey")
    }
}

impl UnitKey {
    /// The unit of an identity.
    pub(crate) fn unit(&self, identity: &[u8]) -> String {
        let mut unit = String::new();
        append(self.0.clone().chain_update(identity), &mut unit);
        unit
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cookie::Keys;

    #[derive(serde::Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Vector {
        key: String,
        identity: Option<String>,
        identity_hex: Option<String>,
        /// A character: 8,192 of it are the identity.
        identity_of8192: Option<String>,
        unit: String,
    }

    /// Computed by the recipe with another implementation of HMAC-SHA-256.
    #[test]
    fn a_unit_never_changes() {
        let text = include_str!("../wasm-tests/vectors/unit-v1.json");
        let mut all: serde_json::Value = serde_json::from_str(text).unwrap();
        let vectors: Vec<Vector> = serde_json::from_value(all["vectors"].take()).unwrap();
        assert_eq!(vectors.len(), 20);
        for vector in vectors {
            let key = UnitKey(Keys::parse(&vector.key).unwrap().single().unwrap());
            let hex = |hex: String| {
                let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
                (0..hex.len()).step_by(2).map(byte).collect::<Vec<_>>()
            };
            let long = vector.identity_of8192.map(|part| part.repeat(8192));
            let text = vector.identity.or(long).map(String::into_bytes);
            let identity = text.or_else(|| vector.identity_hex.map(hex)).unwrap();
            assert_eq!(key.unit(&identity), vector.unit, "{}", vector.key);
            assert_eq!(format!("{key:?}"), "UnitKey", "it stays secret");
        }
    }
}
