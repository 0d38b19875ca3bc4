//! Identities that the filter issues, so that a client without one sticks from its first request.

use std::sync::Arc;

use base64ct::{Base64UrlUnpadded, Encoding};

use crate::cookie::Cookie;
use crate::environment::Environment;
use crate::request::{Request, find_cookie};

/// Bytes of 128 bits as text: base64url without padding (RFC 4648 section 5).
pub(crate) const ID_TEXT: usize = 22;

/// An issued identity, as text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Id([u8; ID_TEXT]);

impl Id {
    /// The identity of 128 random bits.
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
}

/// Whether a text has the form of an identity that the filter issues: no other value of its cookie is
/// hashed.
///
/// ```
/// use traffic_split::is_issued_text;
///
/// assert!(is_issued_text(b"AAECAwQFBgcICQoLDA0ODw") && !is_issued_text(b"user-7"));
/// ```
pub fn is_issued_text(text: &[u8]) -> bool {
    Base64UrlUnpadded::decode(text, &mut [0_u8; 16]).is_ok_and(|bytes| bytes.len() == 16)
}

/// A cookie that carries identities. All cookies that one request is issued carry the same one.
#[derive(Debug)]
pub(crate) struct Issue {
    pub(crate) cookie: Cookie,
    /// The bit of this cookie in [`Issued`].
    pub(crate) bit: u8,
}

impl Issue {
    /// The identity that a client returns. It is looked for once in a request, since each rule of a layer
    /// asks for it.
    #[inline(never)]
    pub(crate) fn returned<'a>(
        &'a self,
        request: &'a impl Request,
        environment: &mut impl Environment,
    ) -> Option<&'a [u8]> {
        let spent = request.spent();
        if let Some(place) = spent.and_then(|spent| spent.returned(self.number())) {
            let (place, mut places) = (place?, 0..);
            return find_cookie(request, &self.cookie.name, |value| {
                let is_it = places.next() == Some(place);
                is_it.then(|| value.get(..ID_TEXT))?
            });
        }
        let is_id = |text| is_issued_text(text).then_some(text);
        let found = self.cookie.find(request, || environment.now(), is_id);
        if let Some(spent) = spent {
            spent.note_returned(self.number(), found.map(|found| found.place));
            if found.is_some_and(|found| found.due) {
                spent.note_due(self.bit);
            }
        }
        found.map(|found| found.what)
    }

    /// Whether a client has returned an identity that is to be set anew, as far as one was looked for.
    pub(crate) fn is_due(&self, request: &impl Request) -> bool {
        request.spent().is_some_and(|spent| spent.due() & self.bit != 0)
    }

    /// Its place among the cookies that carry identities.
    fn number(&self) -> u32 {
        self.bit.trailing_zeros()
    }
}

/// The identity that a request is issued, and the cookies that carry it, as bits.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Issued {
    pub(crate) id: Option<Id>,
    cookies: u8,
    /// The cookies with forced variants that end, by [`crate::overrides::Override::bit`].
    pub(crate) ended: u8,
}

impl Issued {
    /// Notes that this cookie is to be set.
    pub(crate) fn add(&mut self, issue: &Arc<Issue>) {
        self.cookies |= issue.bit;
    }

    /// Whether this cookie is to be set.
    pub(crate) fn has(&self, issue: &Issue) -> bool {
        self.cookies & issue.bit != 0
    }
}
