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
    /// The attributes as they follow the value, the first one behind `; `.
    attributes: String,
    domain: Option<String>,
    /// Seconds; `None` for the browser's session.
    max_age: Option<u64>,
    /// The seconds after which a value is set anew; `None` where none is.
    renewal: Option<u64>,
    signer: Option<Signer>,
}

/// The sign between the payload of an unsigned value and the time of its issue: it stands in no name of
/// a variant, no identity and no point.
const DATE: char = '~';

/// A value of a cookie that was looked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found<T> {
    pub(crate) what: T,
    /// Its place among the values of this cookie.
    pub(crate) place: usize,
    /// Whether it is to be set anew, since its user is active.
    pub(crate) due: bool,
}

/// The reason to look at no further value of a cookie.
enum SearchEnd<T> {
    Found(Found<T>),
    /// The limit of verified values is reached.
    GivenUp,
}

impl Cookie {
    /// A cookie that is signed if there is a signer, with the keys of its `signing`.
    pub(crate) fn new(config: &CookieSpec, signer: Option<Signer>) -> Self {
        // At most once in a tenth of its life, and so not in each response.
        let renewal = config.max_age.filter(|_| config.renew).map(|seconds| seconds.div_ceil(10));
        Cookie {
            name: config.name.clone(),
            attributes: attributes(config),
            domain: config.domain.clone(),
            max_age: config.max_age,
            renewal,
            signer,
        }
    }

    /// Whether values are set anew while their user is active.
    pub(crate) fn is_renewed(&self) -> bool {
        self.renewal.is_some()
    }

    /// Whether the browser keeps it for a session.
    pub(crate) fn is_for_session(&self) -> bool {
        self.max_age.is_none()
    }

    /// Calls `find` on each value of this cookie in the order of arrival and returns the first hit.
    /// `find` gets the payload: of a signed cookie, that of each value that verifies. `now` is the time
    /// in Unix seconds.
    pub(crate) fn find<'a, T>(
        &'a self,
        request: &'a impl Request,
        mut now: impl FnMut() -> u64,
        mut find: impl FnMut(&'a [u8]) -> Option<T>,
    ) -> Option<Found<T>> {
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
            let opened = fits.and_then(|value| self.open(value, request, &mut now));
            if opened.is_none() {
                request.ignored().insert(Ignored::Signature);
            }
            let (payload, issued) = opened?;
            let what = find(payload)?;
            let due = self.renewal.is_some_and(|after| is_over(after, issued, &mut now));
            Some(SearchEnd::Found(Found { what, place, due }))
        });
        match end {
            Some(SearchEnd::Found(found)) => Some(found),
            Some(SearchEnd::GivenUp) | None => None,
        }
    }

    /// The payload of a value and the time of its issue, in Unix seconds. An unsigned one without a time
    /// is as old as can be.
    #[inline(never)] // The module would have it for each way to read a payload.
    fn open<'a>(
        &self,
        value: &'a [u8],
        request: &impl Request,
        now: &mut dyn FnMut() -> u64,
    ) -> Option<(&'a [u8], Option<u64>)> {
        match &self.signer {
            None => Some(dated(value).unwrap_or((value, Some(0)))),
            Some(signer) => signer.open(value, self.scope(request)?, now()),
        }
    }

    /// The value that carries this payload, signed if the cookie is. `now` is the time in Unix
    /// seconds.
    pub(crate) fn value(&self, payload: &str, request: &impl Request, now: u64) -> String {
        match &self.signer {
            None if self.is_renewed() => format!("{payload}{DATE}{now:x}"),
            None => payload.to_owned(),
            Some(signer) => {
                let scope = self.scope(request).unwrap_or_default();
                // The browser ends a session, which may last as long as any cookie does.
                let life = self.max_age.unwrap_or(limits::MAX_AGE);
                signer.close(payload, scope, now, now.saturating_add(life))
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

/// The payload of a value with a time, and that time. Nobody has signed it: it says no more than when
/// the value is set anew.
fn dated(value: &[u8]) -> Option<(&[u8], Option<u64>)> {
    let (payload, issued) = signer::split_last(value, DATE)?;
    Some((payload, Some(signer::time(issued)?)))
}

/// Whether so many seconds have passed since an issue. One without a time has none to go by.
#[inline(never)]
fn is_over(after: u64, issued: Option<u64>, now: &mut dyn FnMut() -> u64) -> bool {
    issued.is_some_and(|issued| now().saturating_sub(issued) >= after)
}

fn attributes(config: &CookieSpec) -> String {
    let mut text = String::new();
    if let Some(seconds) = config.max_age {
        let _ = write!(text, "; Max-Age={seconds}");
    }
    let _ = write!(text, "; Path={}", config.path);
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
        kept(Some(100), false, domain, keys)
    }

    fn kept(max_age: Option<u64>, renew: bool, domain: Option<&str>, keys: Option<&str>) -> Cookie {
        let config = CookieSpec {
            name: "c".into(),
            path: "/".into(),
            domain: domain.map(str::to_owned),
            max_age,
            renew,
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
        cookie.find(request, || now, |value| Some(value.to_vec())).map(|found| found.what)
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

    #[derive(serde::Deserialize)]
    struct Dated {
        payload: String,
        issued: u64,
        value: String,
    }

    /// Computed by the recipe with another program.
    #[test]
    fn a_dated_value_never_changes() {
        let text = include_str!("../wasm-tests/vectors/dated-v1.json");
        let mut all: serde_json::Value = serde_json::from_str(text).unwrap();
        let vectors: Vec<Dated> = serde_json::from_value(all["vectors"].take()).unwrap();
        assert_eq!(vectors.len(), 8);
        for Dated { payload, issued, value } in vectors {
            let request = HeaderList::new([("cookie", format!("c={value}"))]);
            let ours = kept(Some(100), true, None, None);
            assert_eq!(ours.value(&payload, &request, issued), value);
            let is_payload = |text: &[u8]| (text == payload.as_bytes()).then_some(());
            for (age, due) in [(0, false), (9, false), (10, true), (u64::MAX, true)] {
                let now = issued.saturating_add(age);
                let found = ours.find(&request, || now, is_payload).unwrap();
                assert_eq!(found.due, due && now - issued >= 10, "{value} {age}");
            }
            // It is read without renewal as well, and a value without a time is due at once.
            let still = cookie(None, None);
            assert!(!still.find(&request, || u64::MAX, is_payload).unwrap().due);
            assert_eq!(still.value(&payload, &request, issued), payload);
            let undated = HeaderList::new([("cookie", format!("c={payload}"))]);
            assert!(ours.find(&undated, || 10, is_payload).unwrap().due);
        }
    }

    #[test]
    fn a_value_is_renewed_once_in_a_tenth_of_its_life() {
        let keys = "k".repeat(limits::SIGNING_KEY_BYTES);
        for (max_age, tenth) in [(100, 10), (101, 11), (9, 1), (1, 1), (limits::MAX_AGE, 3_456_000)]
        {
            for keys in [None, Some(keys.as_str())] {
                let cookie = kept(Some(max_age), true, Some("h"), keys);
                let value = cookie.value("v", &HeaderList::default(), 1000);
                let request = HeaderList::new([("cookie", format!("c={value}"))]);
                let due = |now| {
                    let v = |value: &[u8]| (value == b"v").then_some(());
                    cookie.find(&request, || now, v).map(|found| found.due)
                };
                assert_eq!(due(1000 + tenth - 1), Some(false), "{max_age} {value}");
                // One who is signed has ended by then where its life is a second.
                let ended = keys.is_some() && tenth == max_age;
                assert_eq!(due(1000 + tenth), (!ended).then_some(true), "{max_age} {value}");
                assert_eq!(due(999), Some(false), "a clock that steps back");
            }
        }
    }

    #[test]
    fn a_value_with_another_time_is_none() {
        for value in ["v~", "v~x", "v~1~", "~1", "v~10000000000000000", "v~~1"] {
            let request = HeaderList::new([("cookie", format!("c={value}"))]);
            let v = |value: &[u8]| (value == b"v").then_some(());
            let cookie = kept(Some(100), true, None, None);
            assert!(cookie.find(&request, || 1, v).is_none(), "{value}");
        }
    }

    /// A session has no `Max-Age`, and what is signed for it holds as long as any cookie may.
    #[test]
    fn a_session_ends_with_the_browser() {
        let keys = "k".repeat(limits::SIGNING_KEY_BYTES);
        let session = kept(None, false, Some("h"), Some(&keys));
        let value = session.value("v", &HeaderList::default(), 1000);
        let set = session.set(&value);
        assert_eq!(set, format!("c={value}; Path=/; Domain=h; SameSite=Lax"));
        let request = HeaderList::new([("cookie", format!("c={value}"))]);
        assert!(found(&session, &request, 999 + limits::MAX_AGE).is_some());
        assert!(found(&session, &request, 1000 + limits::MAX_AGE).is_none());
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
