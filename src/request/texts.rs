//! Texts that no header holds as they are: those that the proxy knows of a request, and encoded ones. Each
//! is made once in a request, however many rules ask for it.

use std::cell::OnceCell;

use percent_encoding::percent_decode;
use xxhash_rust::xxh64::xxh64;

use super::scan::split_at_byte;
use super::{Ignored, Request, find_value, trim, usable};
use crate::limits;

/// Texts by their numbers, in the order in which they were asked for. A configuration asks for at most
/// [`crate::limits::TEXTS`].
#[derive(Debug, Default)]
pub struct Texts(OnceCell<Box<Made>>);

#[derive(Debug)]
struct Made {
    number: u64,
    text: Option<Vec<u8>>,
    others: Texts,
}

/// The copy of a request begins without them.
impl Clone for Texts {
    fn clone(&self) -> Self {
        Texts::default()
    }
}

impl Texts {
    /// The text of this number, which is made if nobody has asked for it.
    #[inline(never)]
    fn get(&self, number: u64, make: &mut dyn FnMut() -> Option<Vec<u8>>) -> Option<&[u8]> {
        let mut place = self;
        loop {
            let made = place
                .0
                .get_or_init(|| Box::new(Made { number, text: make(), others: Texts::default() }));
            if made.number == number {
                return made.text.as_deref();
            }
            place = &made.others;
        }
    }
}

/// The text of a property: of its path, which has NUL between its segments. Strings and whole numbers
/// have one.
#[inline(never)]
pub(super) fn property<'a>(request: &'a impl Request, path: &str) -> Option<&'a [u8]> {
    let make = &mut || text_of(request.property(path)?);
    kept(request, number(path), make)
}

/// The value of the first member of this key in `baggage`, percent-decoded (W3C Baggage section 3).
#[inline(never)]
pub(super) fn baggage<'a>(request: &'a impl Request, key: &str) -> Option<&'a [u8]> {
    let make = &mut || {
        let value = find_value(request, "baggage", |line| {
            line.split(|b| *b == b',').find_map(|member| member_of(member, key))
        })?;
        Some(percent_decode(value).collect())
    };
    kept(request, number(key), make)
}

/// The number of a path or a key. A path has NUL between its segments, and is no key.
fn number(name: &str) -> u64 {
    xxh64(name.as_bytes(), 0)
}

fn kept<'a>(
    request: &'a impl Request,
    number: u64,
    make: &mut dyn FnMut() -> Option<Vec<u8>>,
) -> Option<&'a [u8]> {
    let text = usable(request.texts()?.get(number, make)?);
    if text.is_none() {
        request.ignored().insert(Ignored::Value);
    }
    text
}

/// The value of a member of `baggage` if it has this key; properties follow behind semicolons.
fn member_of<'a>(member: &'a [u8], key: &str) -> Option<&'a [u8]> {
    let (pair, _) = split_at_byte(member, b';');
    let (name, value) = split_at_byte(pair, b'=');
    value.filter(|_| trim(name) == key.as_bytes())
}

/// The text of a property as the proxy hands it over: a string is its bytes, and a number the eight bytes
/// of an `f64`. Lists, objects and booleans begin with bytes that no text has.
fn text_of(bytes: Vec<u8>) -> Option<Vec<u8>> {
    if std::str::from_utf8(&bytes).is_ok() && !bytes.iter().any(u8::is_ascii_control) {
        return Some(bytes);
    }
    let number = f64::from_le_bytes(bytes.as_slice().try_into().ok()?);
    let is_whole = number.fract() == 0.0 && number.abs() < limits::AMBIGUOUS_NUMBER;
    is_whole.then(|| (number as i64).to_string().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::super::HeaderList;
    use super::*;

    fn shown(text: Option<&[u8]>) -> Option<String> {
        text.map(|text| String::from_utf8_lossy(text).into_owned())
    }

    #[test]
    fn strings_and_whole_numbers_have_a_text() {
        for (bytes, text) in [
            (b"ann".to_vec(), Some("ann")),
            ("Zoë 8by".as_bytes().to_vec(), Some("Zoë 8by")),
            (b"12345678".to_vec(), Some("12345678")),
            (Vec::new(), Some("")),
            (7_f64.to_le_bytes().to_vec(), Some("7")),
            (0_f64.to_le_bytes().to_vec(), Some("0")),
            ((-0_f64).to_le_bytes().to_vec(), Some("0")),
            ((-12_f64).to_le_bytes().to_vec(), Some("-12")),
            (1_796_000_000_f64.to_le_bytes().to_vec(), Some("1796000000")),
            ((limits::AMBIGUOUS_NUMBER - 1.0).to_le_bytes().to_vec(), Some("2251799813685247")),
            (limits::AMBIGUOUS_NUMBER.to_le_bytes().to_vec(), None),
            ((-limits::AMBIGUOUS_NUMBER).to_le_bytes().to_vec(), None),
            (1.5_f64.to_le_bytes().to_vec(), None),
            (1e300_f64.to_le_bytes().to_vec(), None),
            (f64::NAN.to_le_bytes().to_vec(), None),
            (f64::INFINITY.to_le_bytes().to_vec(), None),
            (b"\x01".to_vec(), None),
            (b"\0\0\0\0".to_vec(), None),
            (b"a\nb".to_vec(), None),
            (b"\xff".to_vec(), None),
        ] {
            assert_eq!(shown(text_of(bytes.clone()).as_deref()).as_deref(), text, "{bytes:?}");
        }
    }

    /// The exponents of smaller numbers, or the zeros behind their digits, are no text.
    #[test]
    fn no_whole_number_below_the_bound_is_a_text() {
        let mut number = 0x9e37_79b9_7f4a_7c15_u64;
        for power in 0..51 {
            for _ in 0..2_000 {
                number = number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let whole = ((1_u64 << power) | (number & ((1 << power) - 1))) as f64;
                for whole in [whole, -whole] {
                    let text = text_of(whole.to_le_bytes().to_vec());
                    assert_eq!(shown(text.as_deref()), Some((whole as i64).to_string()));
                }
            }
        }
    }

    #[test]
    fn a_property_is_read_once() {
        let path = "metadata\0filter_metadata\0a\0b";
        let request = HeaderList::new([(path, "v "), ("b", "other")]);
        assert_eq!(shown(property(&request, path)).as_deref(), Some("v"));
        assert_eq!(property(&request, "metadata\0filter_metadata\0a"), None);
        for _ in 0..3 {
            assert_eq!(shown(property(&request, path)).as_deref(), Some("v"));
        }
        let made = |texts: &Texts| texts.0.get().map(|made| made.number);
        let first = request.texts().unwrap();
        assert!(made(first).is_some() && made(&first.0.get().unwrap().others).is_some());
        assert!(first.0.get().unwrap().others.0.get().unwrap().others.0.get().is_none());
    }

    #[test]
    fn a_member_of_baggage_is_found_by_its_key() {
        for (lines, value) in [
            (&["user=7"][..], Some("7")),
            (&["a=1, user = Am%C3%A9lie ;prop=x;y,user=8"], Some("Amélie")),
            (&["a=1", "b=2,user=9"], Some("9")),
            (&["user=a=b"], Some("a=b")),
            (&["user="], Some("")),
            (&["user=%zz%2"], Some("%zz%2")),
            (&["user"], None),
            (&["superuser=1, user2=2,a=user=3"], None),
            (&["User=1"], None),
            (&["user=a%0Ab"], None),
            (&[], None),
        ] {
            let request = HeaderList::new(lines.iter().map(|line| ("baggage", *line)));
            assert_eq!(shown(baggage(&request, "user")).as_deref(), value, "{lines:?}");
            let noted = lines.concat().contains("%0A").then_some(Ignored::Value);
            assert_eq!(request.ignored().iter().next(), noted, "{lines:?}");
        }
    }
}
