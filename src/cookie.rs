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
mod tests;
