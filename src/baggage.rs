//! The member of the request's `baggage` (W3C Baggage) by which traces and services behind the next hop
//! know a variant: `split.RULE=VARIANT`.

use percent_encoding::percent_decode;

use crate::config::is_token_byte;
use crate::limits;
use crate::plan::Plan;
use crate::request::{BAGGAGE, Request, split_at_byte, trim};
use crate::variant::Target;

/// The beginning of the keys of our members.
const PREFIX: &[u8] = b"split.";

/// The change of the header.
#[derive(Debug)]
pub(crate) struct Written {
    /// Its only value from now on; an empty one removes it.
    pub(crate) value: Vec<u8>,
    /// The key of the member that was added, if one was.
    pub(crate) key: Option<String>,
}

/// The change of a request's header by a decision that is carried out, or by none. Members of the plan's
/// own rules go, however they are written: a client sent them, or an earlier run. All else stays byte for
/// byte, and a member that an earlier filter in the chain wrote stays while no later one decides.
#[inline(never)]
pub(crate) fn change(
    plan: &Plan,
    decided: Option<&Target>,
    request: &impl Request,
) -> Option<Written> {
    let mut list = List::default();
    let mut sieve =
        Sieve { plan, decided, request, by_earlier: None, left: limits::BAGGAGE_MEMBERS };
    request.find_header(BAGGAGE, |value| -> Option<()> {
        for member in value.split(|b| *b == b',') {
            match sieve.passes(member) {
                true => list.push(member),
                false => list.changed = true,
            }
        }
        None
    });
    let key = decided.and_then(|target| list.add(target));
    (list.changed || key.is_some()).then_some(Written { value: list.value, key })
}

/// Tells the members that stay from those that go.
struct Sieve<'a, R> {
    plan: &'a Plan,
    decided: Option<&'a Target>,
    request: &'a R,
    /// Whether an earlier filter in the chain wrote a member.
    by_earlier: Option<bool>,
    /// The members with our prefix that are still looked at.
    left: usize,
}

impl<R: Request> Sieve<'_, R> {
    fn passes(&mut self, member: &[u8]) -> bool {
        let mut buffer = [0; PREFIX.len() + limits::NAME_BYTES + 1];
        let Some(key) = read_key(member, &mut buffer) else { return true };
        // Of more than every hop passes on, none is looked up among the rules.
        let Some(left) = self.left.checked_sub(1) else { return false };
        self.left = left;
        let rule = key.get(PREFIX.len()..).unwrap_or_default();
        if self.decided.is_some_and(|decided| *decided.rule == *rule) {
            return false;
        }
        if self.wrote_earlier(key) {
            let overrules = |header| self.request.is_written_earlier(header);
            return self.decided.is_none() || !self.plan.routing_headers().any(overrules);
        }
        !self.plan.rules.iter().any(|own| *own.name == *rule)
    }

    /// Whether an earlier filter in the chain wrote the member with this key.
    fn wrote_earlier(&mut self, key: &str) -> bool {
        let request = self.request;
        *self.by_earlier.get_or_insert_with(|| request.is_written_earlier(BAGGAGE))
            && request.is_written_earlier(key)
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

    /// Adds a member and returns its key, unless the route chooses the variant, or the list is malformed
    /// or would be longer than every hop has to pass on.
    fn add(&mut self, target: &Target) -> Option<String> {
        let variant = &target.variant.as_ref()?.name;
        let key = format!("split.{}", target.rule);
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
