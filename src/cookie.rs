//! Cookies that the filter sets, and reads when a client sends them back.

mod signer;

pub(crate) use signer::{Keys, Signer};

use std::fmt::Write;

use crate::config::{CookieSpec, SameSite};
use crate::limits;
use crate::request::{self, AUTHORITY, Ignored, Request, Spent};

/// A cookie of the configuration, ready to be read and set.
#[derive(Debug)]
pub(crate) struct Cookie {
    pub(crate) name: String,
    /// The attributes as they follow the value: `; Max-Age=…` first.
    attributes: String,
    domain: Option<String>,
    /// Seconds.
    max_age: u64,
    signer: Option<Signer>,
}

/// The reason to look at no further value of a cookie.
enum SearchEnd<T> {
    Found(T),
    /// The limit of verified values is reached.
    GivenUp,
}

impl Cookie {
    /// A cookie that is signed if there is a signer, with the keys of its `signing`.
    pub(crate) fn new(config: &CookieSpec, signer: Option<Signer>) -> Self {
        Cookie {
            name: config.name.clone(),
            attributes: attributes(config),
            domain: config.domain.clone(),
            max_age: config.max_age,
            signer,
        }
    }

    /// Calls `find` on each value of this cookie in the order of arrival and returns the first hit.
    /// If the cookie is signed, `find` gets the payload of each value that verifies. `now` is the
    /// time in Unix seconds.
    pub(crate) fn find<'a, T>(
        &'a self,
        request: &'a impl Request,
        now: impl FnMut() -> u64,
        find: impl FnMut(&'a [u8]) -> Option<T>,
    ) -> Option<T> {
        self.find_place(request, now, find).map(|(_, found)| found)
    }

    /// The same, with the place of the value among those of this cookie.
    pub(crate) fn find_place<'a, T>(
        &'a self,
        request: &'a impl Request,
        mut now: impl FnMut() -> u64,
        mut find: impl FnMut(&'a [u8]) -> Option<T>,
    ) -> Option<(usize, T)> {
        let is_signed = self.signer.is_some();
        let most = if is_signed { limits::SIGNED_VALUES } else { usize::MAX };
        let mut places = 0..most;
        let end = request::find_cookie(request, &self.name, |value| {
            let Some(place) = places.next() else { return Some(SearchEnd::GivenUp) };
            let fits = Some(value).filter(|value| value.len() <= limits::SIGNED_BYTES);
            if is_signed && fits.is_some() && !request.spent().is_none_or(Spent::verify) {
                request.ignored().insert(Ignored::Signature);
                return Some(SearchEnd::GivenUp);
            }
            let open = |value| match &self.signer {
                None => Some(value),
                Some(signer) => signer.open(value, self.scope(request)?, now()),
            };
            let payload = fits.and_then(open);
            if payload.is_none() {
                request.ignored().insert(Ignored::Signature);
            }
            find(payload?).map(|found| SearchEnd::Found((place, found)))
        });
        match end {
            Some(SearchEnd::Found(found)) => Some(found),
            Some(SearchEnd::GivenUp) | None => None,
        }
    }

    /// The value that carries this payload, signed if the cookie is. `now` is the time in Unix
    /// seconds.
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

    /// The scope that a signature binds: the configured domain, or else the host that the client asked
    /// for, without its port, since cookies do not tell ports apart (RFC 6265 section 8.5). `None` if
    /// the client named no host, or one that is too long.
    fn scope<'a>(&'a self, request: &'a impl Request) -> Option<&'a [u8]> {
        match &self.domain {
            Some(domain) => Some(domain.as_bytes()),
            None => {
                // A longer one costs no look at each byte.
                let named = |authority: &[u8]| authority.len() <= 2 * limits::HOST_BYTES;
                let asked = || {
                    let authority = request.find_header(AUTHORITY, Some).filter(|a| named(a))?;
                    request::usable(authority)
                };
                let host = request.first_authority().or_else(asked).map(request::host)?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::HeaderList;

    fn cookie(domain: Option<&str>, keys: Option<&str>) -> Cookie {
        let config = CookieSpec {
            name: "c".into(),
            path: "/".into(),
            domain: domain.map(str::to_owned),
            max_age: 100,
            same_site: SameSite::Lax,
            secure: false,
            http_only: false,
            partitioned: false,
            signing: None,
        };
        let signer = |keys| Signer::new(Keys::parse(keys).unwrap(), "c", None);
        Cookie::new(&config, keys.map(signer))
    }

    fn found(cookie: &Cookie, request: &HeaderList, now: u64) -> Option<Vec<u8>> {
        cookie.find(request, || now, |value| Some(value.to_vec()))
    }

    #[test]
    fn a_value_has_a_longest_length() {
        for (bytes, expected) in [(limits::SIGNED_BYTES, true), (limits::SIGNED_BYTES + 1, false)] {
            let request = HeaderList::new([("cookie", format!("c={}", "v".repeat(bytes)))]);
            assert_eq!(found(&cookie(None, None), &request, 0).is_some(), expected, "{bytes}");
        }
    }

    #[test]
    fn an_unsigned_cookie_is_looked_for_beyond_the_values_that_are_verified() {
        let values = "c=; ".repeat(limits::SIGNED_VALUES) + "c=last";
        let request = HeaderList::new([("cookie", values)]);
        let last = |value| (value == b"last").then_some(());
        assert!(cookie(None, None).find(&request, || 0, last).is_some());
    }

    /// A signature holds in the domain of the cookie, or else at the host it was set for.
    #[test]
    fn a_signature_binds_a_scope() {
        let keys = "k".repeat(limits::SIGNING_KEY_BYTES);
        let at = |host: &str, cookie: Option<&str>| {
            let headers = [(":authority", Some(host)), ("cookie", cookie)];
            HeaderList::new(headers.into_iter().filter_map(|(name, value)| Some((name, value?))))
        };
        for (domain, host, other, expected) in [
            (None, "www.example.com", "example.com", false),
            (None, "www.example.com", "WWW.example.com:8443", true),
            (Some("example.com"), "www.example.com", "example.com", true),
        ] {
            let cookie = cookie(domain, Some(&keys));
            let value = cookie.value("payload", &at(host, None), 1000);
            assert_eq!(
                cookie.set(&value),
                format!(
                    "c={value}; Max-Age=100; Path=/{}; SameSite=Lax",
                    domain.map(|domain| format!("; Domain={domain}")).unwrap_or_default()
                )
            );
            let back = at(other, Some(&format!("c={value}")));
            let payload = expected.then(|| b"payload".to_vec());
            assert_eq!(found(&cookie, &back, 1099), payload, "{domain:?} {host} {other}");
            assert_eq!(found(&cookie, &back, 1100), None, "expired");
        }
    }
}
