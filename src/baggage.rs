//! The member of the request's `baggage` (W3C Baggage) by which traces and services behind the next hop
//! know a variant: `split.RULE=VARIANT`.

use std::collections::BTreeSet;
use std::sync::Arc;

use percent_encoding::percent_decode;

use crate::config::is_token_byte;
use crate::limits;
use crate::request::{Request, split_at_byte, trim};

/// The header, as a request has it.
pub(crate) const BAGGAGE: &str = "baggage";

/// The beginning of the keys of our members.
const PREFIX: &[u8] = b"split.";

/// The rules of a plan that writes members of `baggage`.
#[derive(Debug)]
pub(crate) struct Baggage {
    pub(crate) rules: BTreeSet<Arc<str>>,
}

/// The change of the header.
#[derive(Debug, Default)]
pub(crate) struct Written {
    /// Its only value from now on; an empty one removes it.
    pub(crate) value: Vec<u8>,
    /// The key of the member that was added, if it fits.
    pub(crate) key: Option<String>,
}

/// A decision as a member of `baggage`.
pub(crate) struct Member<'a> {
    pub(crate) rule: &'a str,
    pub(crate) variant: &'a str,
}

impl Baggage {
    /// The change of a request's header by a decision, `None` for none. Members of the plan's own rules
    /// go, however they are written: a client sent them, or an earlier run. All else stays byte for byte.
    /// Of the members that an earlier filter in the chain wrote, those stay that it still decides:
    /// `overruled` says whether it does not.
    #[inline(never)]
    pub(crate) fn change(
        &self,
        request: &impl Request,
        decided: Option<&Member<'_>>,
        overruled: impl Fn() -> bool,
    ) -> Option<Written> {
        let mut list = List::default();
        let mut earlier =
            Earlier { request, asked: None, left: limits::BAGGAGE_MEMBERS, overruled };
        request.find_header(BAGGAGE, |value| -> Option<()> {
            for member in value.split(|b| *b == b',') {
                match self.stays(member, decided, &mut earlier) {
                    true => list.push(member),
                    false => list.changed = true,
                }
            }
            None
        });
        let key = decided.and_then(|member| list.add(member));
        (list.changed || key.is_some()).then_some(Written { value: list.value, key })
    }

    fn stays(
        &self,
        member: &[u8],
        decided: Option<&Member<'_>>,
        earlier: &mut Earlier<'_, impl Request, impl Fn() -> bool>,
    ) -> bool {
        let mut buffer = [0; PREFIX.len() + limits::NAME_BYTES + 1];
        let Some(key) = read_key(member, &mut buffer) else { return true };
        let Some(rule) = key.get(PREFIX.len()..) else { return true };
        if decided.is_some_and(|decided| decided.rule == rule) {
            return false;
        }
        match earlier.wrote(key) {
            true => !(earlier.overruled)(),
            false => !self.rules.contains(rule),
        }
    }
}

/// The key of a member, if it is one of ours, as any reader could understand it: with percent-encoded
/// characters decoded, and without all those that no key of ours has.
fn read_key<'b>(member: &[u8], buffer: &'b mut [u8]) -> Option<&'b str> {
    let is_end = |b: &u8| matches!(b, b'=' | b';');
    let key = member.split(is_end).next()?;
    let decoded = percent_decode(key).take_while(|b| !is_end(b));
    let ours = decoded.filter(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'));
    let mut length = 0;
    // A longer key fills the buffer, and is then the key of no rule.
    for (place, byte) in buffer.iter_mut().zip(ours) {
        *place = byte;
        length = usize::saturating_add(length, 1);
    }
    let key = buffer.get(..length)?;
    std::str::from_utf8(key).ok().filter(|_| key.starts_with(PREFIX))
}

/// The members that earlier filters in the chain wrote.
struct Earlier<'r, R, F> {
    request: &'r R,
    /// Whether any wrote one.
    asked: Option<bool>,
    /// The members that may still be asked about.
    left: usize,
    overruled: F,
}

impl<R: Request, F: Fn() -> bool> Earlier<'_, R, F> {
    fn wrote(&mut self, key: &str) -> bool {
        let request = self.request;
        if !*self.asked.get_or_insert_with(|| request.is_written_earlier(BAGGAGE)) || self.left == 0
        {
            return false;
        }
        self.left = self.left.saturating_sub(1);
        request.is_written_earlier(key)
    }
}

/// The members that stay.
#[derive(Default)]
struct List {
    value: Vec<u8>,
    members: usize,
    changed: bool,
    malformed: bool,
}

impl List {
    fn push(&mut self, member: &[u8]) {
        if trim(member).is_empty() {
            return;
        }
        if !self.value.is_empty() {
            self.value.push(b',');
        }
        self.value.extend_from_slice(member);
        self.members = self.members.saturating_add(1);
        self.malformed |= !is_member(member);
    }

    /// Adds a member and returns its key, unless the list is malformed or would be longer than every
    /// hop has to pass on.
    fn add(&mut self, Member { rule, variant }: &Member<'_>) -> Option<String> {
        let key = format!("split.{rule}");
        let comma = if self.value.is_empty() { "" } else { "," };
        let text = format!("{comma}{key}={variant}");
        let bytes = self.value.len().saturating_add(text.len());
        let fits = bytes <= limits::BAGGAGE_BYTES && self.members < limits::BAGGAGE_MEMBERS;
        (fits && !self.malformed).then(|| {
            self.value.extend_from_slice(text.as_bytes());
            key
        })
    }
}

/// Whether a member has the form of W3C Baggage section 3.3.1.1: `key=value`, and properties with `;`
/// before each.
fn is_member(member: &[u8]) -> bool {
    let mut parts = member.split(|b| *b == b';');
    let pair = |part: &[u8]| {
        let (key, value) = split_at_byte(part, b'=');
        is_token(trim(key)) && value.is_none_or(|value| trim(value).iter().all(|b| is_octet(*b)))
    };
    parts.next().is_some_and(|first| first.contains(&b'=') && pair(first)) && parts.all(pair)
}

fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(|b| is_token_byte(*b))
}

/// A character of a value: visible ASCII but `"`, `,`, `;` and `\\`.
fn is_octet(b: u8) -> bool {
    b.is_ascii_graphic() && !matches!(b, b'"' | b',' | b';' | b'\\')
}

#[cfg(test)]
mod tests;
