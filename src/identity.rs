//! Identities that the filter issues, so that a client without one sticks from its first request.

use std::sync::Arc;

use base64ct::{Base64UrlUnpadded, Encoding};

use crate::cookie::Cookie;

/// 128 bits as text: base64url without padding (RFC 4648 section 5).
pub(crate) const ID_TEXT: usize = 22;

/// An issued identity, as text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Id([u8; ID_TEXT]);

impl Id {
    pub(crate) fn new(entropy: [u8; 16]) -> Option<Self> {
        let mut text = [0_u8; ID_TEXT];
        Base64UrlUnpadded::encode(&entropy, &mut text).ok()?;
        Some(Id(text))
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    pub(crate) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// Whether a text has the form of an identity: nothing else in our cookie is hashed.
    pub(crate) fn is_form_of(text: &[u8]) -> bool {
        Base64UrlUnpadded::decode(text, &mut [0_u8; 16]).is_ok_and(|bytes| bytes.len() == 16)
    }
}

/// A cookie with identities. All that a request is issued hold the same one.
#[derive(Debug)]
pub(crate) struct Issue {
    pub(crate) cookie: Cookie,
    /// Its place among the plan's identities, as a bit.
    pub(crate) bit: u8,
}

/// The cookies that a request has to be issued, as bits.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Issued {
    pub(crate) id: Option<Id>,
    cookies: u8,
}

impl Issued {
    pub(crate) fn add(&mut self, issue: &Arc<Issue>) {
        self.cookies |= issue.bit;
    }

    pub(crate) fn has(&self, issue: &Issue) -> bool {
        self.cookies & issue.bit != 0
    }
}
