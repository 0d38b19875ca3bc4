//! Cookies that the filter sets, and what it accepts when they come back.

mod signer;

pub(crate) use signer::{Keys, Signer};

use std::fmt::Write;

use crate::config::{CookieSpec, SameSite};
use crate::limits;
use crate::request::Ignored;
use crate::request::{self, Request};

/// A cookie that is ready to be read and written.
#[derive(Debug)]
pub(crate) struct Cookie {
    pub(crate) name: String,
    /// `; Max-Age=…` and the others, as they follow the value.
    attributes: String,
    domain: Option<String>,
    max_age: u64,
    signer: Option<Signer>,
}

impl Cookie {
    /// The keys are those of the cookie's `signing`.
    pub(crate) fn new(config: &CookieSpec, keys: Option<Keys>) -> Self {
        Cookie {
            name: config.name.clone(),
            attributes: attributes(config),
            domain: config.domain.clone(),
            max_age: config.max_age,
            signer: keys.map(|keys| Signer::new(keys, &config.name)),
        }
    }

    /// What is found in the values of this cookie, looked at in the order of arrival; of a signed one
    /// in the payloads that verify. `now` is the time in Unix seconds.
    pub(crate) fn find<'a, T>(
        &'a self,
        request: &'a impl Request,
        mut now: impl FnMut() -> u64,
        mut find: impl FnMut(&'a [u8]) -> Option<T>,
    ) -> Option<T> {
        let mut left = if self.signer.is_some() { limits::SIGNED_VALUES } else { usize::MAX };
        let found = request::find_cookie(request, &self.name, |value| {
            // `Some(None)`: nothing, and no look at what follows.
            let Some(fewer) = left.checked_sub(1) else { return Some(None) };
            left = fewer;
            let fits = Some(value).filter(|value| value.len() <= limits::SIGNED_BYTES);
            let open = |value| match &self.signer {
                None => Some(value),
                Some(signer) => signer.open(value, self.scope(request)?, now()),
            };
            let payload = fits.and_then(open);
            if payload.is_none() {
                request.note_ignored(Ignored::Signature);
            }
            find(payload?).map(Some)
        });
        found.flatten()
    }

    /// The value that carries this payload, signed where signing is on.
    pub(crate) fn value(&self, payload: &str, request: &impl Request, now: u64) -> String {
        match &self.signer {
            None => payload.to_owned(),
            Some(signer) => {
                let scope = self.scope(request).unwrap_or_default();
                signer.close(payload, scope, now, now.saturating_add(self.max_age))
            }
        }
    }

    /// The `Set-Cookie` field for this value.
    pub(crate) fn set(&self, value: &str) -> String {
        format!("{}={value}{}", self.name, self.attributes)
    }

    /// Where a signature holds: in the configured domain, or else at the host that the client asked
    /// for, without its port, since cookies do not tell ports apart (RFC 6265 section 8.5).
    fn scope<'a>(&'a self, request: &'a impl Request) -> Option<&'a [u8]> {
        match &self.domain {
            Some(domain) => Some(domain.as_bytes()),
            None => {
                let host = request::first_value(request, ":authority").map(host)?;
                (host.len() <= limits::HOST_BYTES).then_some(host)
            }
        }
    }
}

fn attributes(config: &CookieSpec) -> String {
    let mut text = format!("; Max-Age={}; Path={}", config.max_age, config.path);
    if let Some(domain) = &config.domain {
        let _ = write!(text, "; Domain={domain}");
    }
    text.push_str(match config.same_site {
        SameSite::Strict => "; SameSite=Strict",
        SameSite::Lax => "; SameSite=Lax",
        SameSite::None => "; SameSite=None",
    });
    for (on, attribute) in [
        (config.secure, "; Secure"),
        (config.http_only, "; HttpOnly"),
        (config.partitioned, "; Partitioned"),
    ] {
        text.push_str(if on { attribute } else { "" });
    }
    text
}

/// An authority without its port (RFC 3986 section 3.2); an IPv6 address keeps its brackets.
fn host(authority: &[u8]) -> &[u8] {
    let colon = authority.iter().rposition(|b| *b == b':');
    let port = colon.and_then(|colon| authority.split_at_checked(colon));
    match port {
        Some((host, port)) if port.iter().skip(1).all(u8::is_ascii_digit) => host,
        _ => authority,
    }
}
