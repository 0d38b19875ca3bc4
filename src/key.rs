//! The key of a sticky rule: a client's identity, found in the request or issued to it.

mod json;

use std::borrow::Cow;
use std::io::Write;
use std::net::IpAddr;
use std::sync::Arc;

use percent_encoding::percent_decode;

use crate::config::{Inner, KeySource, is_identity};
use crate::environment::Environment;
use crate::identity::{Id, Issue, Issued};
use crate::limits;
use crate::request::{Ignored, IgnoredSet, Request, Spent};

/// The sources of a client's identity.
#[derive(Debug)]
pub(crate) struct Key {
    pub(crate) sources: Vec<KeySource>,
    /// The values that are no identity.
    pub(crate) ignore: Vec<Box<[u8]>>,
    /// The cookie with the identity that a client without one is issued.
    pub(crate) issue: Option<Arc<Issue>>,
}

/// A client's identity.
#[derive(Debug)]
pub(crate) enum Identity<'a> {
    /// A value, or a text inside it, which is copied only where it was encoded.
    Sent(Cow<'a, [u8]>),
    Address([u8; ADDRESS_TEXT], usize),
    Issued(Id),
}

const ADDRESS_TEXT: usize = "ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255".len();

impl Identity<'_> {
    pub(crate) fn as_bytes(&self) -> &[u8] {
        match self {
            Identity::Sent(bytes) => bytes,
            Identity::Address(text, length) => text.get(..*length).unwrap_or_default(),
            Identity::Issued(id) => id.as_bytes(),
        }
    }
}

impl Key {
    /// The first identity that is present and usable; one is issued if there is none, and noted in
    /// `issued`, from which another rule of the same request gets the same one.
    pub(crate) fn identity<'a>(
        &'a self,
        request: &'a impl Request,
        environment: &mut impl Environment,
        issued: &mut Issued,
    ) -> Option<Identity<'a>> {
        self.known(request, environment).or_else(|| {
            let issue = self.issue.as_ref()?;
            let id = issued.id.or_else(|| Id::new(environment.entropy()?))?;
            issued.id = Some(id);
            issued.add(issue);
            Some(Identity::Issued(id))
        })
    }

    /// The identity that the client sent: the first that is present and usable, or else the one that it
    /// was issued before.
    pub(crate) fn known<'a>(
        &'a self,
        request: &'a impl Request,
        environment: &mut impl Environment,
    ) -> Option<Identity<'a>> {
        let sent = self.sent(request).map(|(_, identity)| identity);
        sent.or_else(|| {
            let id = self.issue.as_ref()?.returned(request, environment)?;
            Some(Identity::Sent(Cow::Borrowed(id)))
        })
    }

    /// The first identity among the sources, with its source.
    pub(crate) fn sent<'a>(
        &'a self,
        request: &'a impl Request,
    ) -> Option<(&'a KeySource, Identity<'a>)> {
        self.sources.iter().find_map(|source| Some((source, self.find(source, request)?)))
    }

    fn find<'a>(&self, source: &'a KeySource, request: &'a impl Request) -> Option<Identity<'a>> {
        let (part, inner) = match source {
            KeySource::Part(part) => (part, None),
            KeySource::Inner(part, inner) => (part, Some(inner)),
            KeySource::SourceIp => {
                let address = address(request.source_address()?)?;
                return self.is_identity(address.as_bytes()).then_some(address);
            }
        };
        let sent = part
            .find(request, |value| self.sent_as(value, inner, request.ignored(), request.spent()));
        sent.map(Identity::Sent)
    }

    /// The identity that a value is. A function of its own, since it would be part of a loop over all
    /// headers.
    #[inline(never)]
    fn sent_as<'a>(
        &self,
        value: &'a [u8],
        inner: Option<&Inner>,
        ignored: &IgnoredSet,
        spent: Option<&Spent>,
    ) -> Option<Cow<'a, [u8]>> {
        let reads = inner.is_none() || spent.is_none_or(|spent| spent.read(value.len()));
        if value.len() > limits::KEY_BYTES || !reads {
            ignored.insert(Ignored::Key);
            return None;
        }
        let value = match inner {
            None => Cow::Borrowed(value),
            Some(inner) => read(inner, value)?,
        };
        self.is_identity(&value).then_some(value)
    }

    fn is_identity(&self, value: &[u8]) -> bool {
        is_identity(value, self.ignore.iter().map(|known| &**known))
    }
}

/// Reads a text inside another one. It is copied only where it was encoded.
#[inline(never)]
fn read<'a>(inner: &Inner, value: &'a [u8]) -> Option<Cow<'a, [u8]>> {
    let Inner { percent, json } = inner;
    let value = if *percent { percent_decode(value).into() } else { Cow::Borrowed(value) };
    match value {
        value if json.is_empty() => Some(value),
        Cow::Borrowed(value) => json::member(value, json),
        Cow::Owned(value) => Some(Cow::Owned(json::member(&value, json)?.into_owned())),
    }
}

/// An address stands as its text (RFC 5952), IPv4 inside IPv6 as IPv4.
fn address<'a>(address: IpAddr) -> Option<Identity<'a>> {
    let mut text = [0_u8; ADDRESS_TEXT];
    let mut rest = text.as_mut_slice();
    write!(rest, "{}", address.to_canonical()).ok()?;
    let length = ADDRESS_TEXT.checked_sub(rest.len())?;
    Some(Identity::Address(text, length))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Part;
    use crate::request::HeaderList;
    use crate::testing::FixedEnvironment;

    fn header(name: &str) -> KeySource {
        KeySource::Part(Part::Header(name.into()))
    }

    fn cookie(name: &str) -> KeySource {
        KeySource::Part(Part::Cookie(name.into()))
    }

    fn find(sources: &[KeySource], request: &HeaderList) -> Option<String> {
        let key = Key { sources: sources.to_vec(), ignore: Vec::new(), issue: None };
        let identity =
            key.identity(request, &mut FixedEnvironment::default(), &mut Issued::default());
        identity.map(|identity| String::from_utf8(identity.as_bytes().to_vec()).unwrap())
    }

    #[test]
    fn the_first_identity_is_taken() {
        let sources = [cookie("uid"), header("x-user")];
        for (headers, expected) in [
            (vec![("cookie", "uid=7"), ("x-user", "8")], Some("7")),
            (vec![("cookie", "uid="), ("x-user", " 8 ")], Some("8")),
            (vec![("x-user", " \t"), ("x-user", "9")], Some("9")),
            (vec![("cookie", "uid= ;uid=7"), ("x-user", "")], Some("7")),
            (vec![("cookie", "uid= "), ("x-user", "")], None),
            (vec![("cookie", "uid=\"\""), ("x-user", "8")], Some("8")),
            (vec![("cookie", "uid=\"\"; uid=7")], Some("7")),
            (vec![("x-user", "\"\"")], None),
            (vec![("x-user", "\"")], Some("\"")),
            (vec![], None),
        ] {
            assert_eq!(find(&sources, &HeaderList::new(headers.clone())).as_deref(), expected);
        }
    }

    #[test]
    fn a_key_over_its_limit_is_absent() {
        let length = |bytes| {
            let request = HeaderList::new([("x", "k".repeat(bytes))]);
            find(&[header("x")], &request).map(|key| key.len())
        };
        assert_eq!(length(limits::KEY_BYTES), Some(limits::KEY_BYTES));
        assert_eq!(length(limits::KEY_BYTES + 1), None);
    }

    #[test]
    fn addresses_stand_as_text() {
        for (address, text) in [
            ("10.0.0.7", Some("10.0.0.7")),
            ("::ffff:10.0.0.7", Some("10.0.0.7")),
            ("2001:DB8:0::1", Some("2001:db8::1")),
            ("", None),
        ] {
            let request = HeaderList::default().with_source(address.parse().ok());
            assert_eq!(find(&[KeySource::SourceIp], &request).as_deref(), text);
        }
    }

    #[test]
    fn a_key_over_its_limit_is_noted() {
        for (bytes, noted) in [(limits::KEY_BYTES, false), (limits::KEY_BYTES + 1, true)] {
            let request = HeaderList::new([("x", "k".repeat(bytes))]);
            find(&[header("x")], &request);
            assert_eq!(request.ignored().iter().any(|it| it == Ignored::Key), noted, "{bytes}");
        }
    }

    #[test]
    fn the_longest_address_fits() {
        let longest = "2001:1111:2222:3333:4444:5555:6666:7777";
        let request = HeaderList::default().with_source(longest.parse().ok());
        assert_eq!(find(&[KeySource::SourceIp], &request).as_deref(), Some(longest));
    }
}
