//! The clients that are counted, and the requests that they send.

use std::net::{IpAddr, Ipv6Addr};

use base64ct::{Base64UrlUnpadded, Encoding};
use percent_encoding::{NON_ALPHANUMERIC, percent_encode};
use traffic_split::{Environment, HeaderList};
use xxhash_rust::xxh64::xxh64;

/// The place of a client's key in a text of a request.
pub const KEY: &str = "{key}";

/// The seeds of what a client has beside its key: an issued identity, an address, and the chance and
/// the entropy that it meets.
const ID: u64 = 1;
const ADDRESS: u64 = 2;
const CHANCE: u64 = 3;
const ENTROPY: u64 = 4;

/// A client with what the filter would tell it by.
#[derive(Default)]
pub struct Client {
    key: Vec<u8>,
}

impl Client {
    pub fn of(key: &str) -> Self {
        Client { key: key.into() }
    }

    /// A text of its request.
    pub fn written(&self, pieces: &[Piece]) -> Vec<u8> {
        let mut text = Vec::new();
        pieces.iter().for_each(|piece| piece.write(self, &mut text));
        text
    }

    pub fn set(&mut self, key: &[u8]) {
        self.key.clear();
        self.key.extend_from_slice(key);
    }

    /// The chance that it meets, which is the same before and after: a split that draws anew moves
    /// nobody but by its weights.
    pub fn chance(&self, now: u64) -> Chance<'_> {
        Chance { client: self, now }
    }

    fn bytes(&self, seed: u64) -> [u8; 16] {
        let [low, high] = [2 * seed, 2 * seed + 1].map(|seed| xxh64(&self.key, seed + (1 << 32)));
        (u128::from(high) << 64 | u128::from(low)).to_le_bytes()
    }

    /// The identity that it was issued before.
    fn write_id(&self, into: &mut Vec<u8>) {
        let mut text = [0_u8; 22];
        let id = Base64UrlUnpadded::encode(&self.bytes(ID), &mut text).unwrap_or_default();
        into.extend_from_slice(id.as_bytes());
    }

    /// Its own address if the key is one, or else one of its own (RFC 4193).
    fn address(&self) -> IpAddr {
        let given = std::str::from_utf8(&self.key).ok().and_then(|text| text.parse().ok());
        let made = || Ipv6Addr::from(self.bytes(ADDRESS)).to_bits() >> 8 | 0xfd << 120;
        given.unwrap_or_else(|| IpAddr::V6(Ipv6Addr::from_bits(made())))
    }
}

/// The chance of one client at one time, in seconds since 1970.
pub struct Chance<'c> {
    client: &'c Client,
    now: u64,
}

impl Environment for Chance<'_> {
    fn random(&mut self) -> u64 {
        xxh64(&self.client.key, CHANCE)
    }

    fn entropy(&mut self) -> Option<[u8; 16]> {
        Some(self.client.bytes(ENTROPY))
    }

    fn now(&mut self) -> u64 {
        self.now
    }
}

/// The way in which a key stands in a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Form {
    /// A number that makes the value another one than that of other places.
    pub mark: usize,
    /// The names of the JSON objects around it, one inside the other.
    pub json: Vec<String>,
    pub percent: bool,
}

/// A part of a text of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    Text(String),
    Key(Form),
    /// The identity that the client was issued.
    Id,
}

/// Reads a text with `{key}` in it.
pub fn pieces(text: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    for (place, part) in text.split(KEY).enumerate() {
        if place > 0 {
            pieces.push(Piece::Key(Form::default()));
        }
        if !part.is_empty() {
            pieces.push(Piece::Text(part.to_owned()));
        }
    }
    pieces
}

/// A request with places for what differs from client to client.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shape {
    pub headers: Vec<(String, Vec<Piece>)>,
    pub source: Source,
}

/// The address that a request comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Source {
    #[default]
    Unknown,
    Given(IpAddr),
    /// The client's own.
    Own,
}

impl Shape {
    /// Whether it is the same for every client.
    pub fn is_fixed(&self) -> bool {
        let pieces = || self.headers.iter().flat_map(|(_, pieces)| pieces);
        self.source != Source::Own && pieces().all(|piece| matches!(piece, Piece::Text(_)))
    }

    /// A request of this shape, to be filled.
    pub fn request(&self) -> HeaderList {
        let mut list =
            HeaderList::new(self.headers.iter().map(|(name, _)| (name.clone(), Vec::new())));
        self.write(&Client::default(), &mut list, true);
        list
    }

    /// Writes a client into a request of this shape.
    pub fn fill(&self, client: &Client, request: &mut HeaderList) {
        self.write(client, request, false);
    }

    fn write(&self, client: &Client, request: &mut HeaderList, all: bool) {
        for ((_, pieces), (_, value)) in self.headers.iter().zip(&mut request.headers) {
            if !all && matches!(pieces.as_slice(), [] | [Piece::Text(_)]) {
                continue;
            }
            value.clear();
            pieces.iter().for_each(|piece| piece.write(client, value));
        }
        request.changed();
        request.source = match self.source {
            Source::Unknown => None,
            Source::Given(address) => Some(address),
            Source::Own => Some(client.address()),
        };
    }
}

impl Piece {
    fn write(&self, client: &Client, into: &mut Vec<u8>) {
        match self {
            Piece::Text(text) => into.extend_from_slice(text.as_bytes()),
            Piece::Id => client.write_id(into),
            Piece::Key(form) if form.json.is_empty() && !form.percent => {
                into.extend_from_slice(&client.key);
                form.mark(into);
            }
            Piece::Key(form) => into.extend_from_slice(&form.encoded(&client.key)),
        }
    }
}

impl Form {
    fn mark(&self, into: &mut Vec<u8>) {
        if self.mark > 0 {
            into.extend_from_slice(format!("~{}", self.mark).as_bytes());
        }
    }

    fn encoded(&self, key: &[u8]) -> Vec<u8> {
        let mut key = key.to_vec();
        self.mark(&mut key);
        if !self.json.is_empty() {
            let text = serde_json::Value::from(String::from_utf8_lossy(&key).into_owned());
            let around = |inner, name: &String| serde_json::json!({ name.as_str(): inner });
            key = self.json.iter().rev().fold(text, around).to_string().into_bytes();
        }
        match self.percent {
            true => percent_encode(&key, NON_ALPHANUMERIC).to_string().into_bytes(),
            false => key,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_written_into_its_request() {
        let form = Form { json: vec!["user".into(), "id".into()], percent: true, mark: 2 };
        let shape = Shape {
            headers: vec![
                (":path".into(), pieces("/a?uid={key}&x={key}")),
                ("cookie".into(), vec![Piece::Text("s=".into()), Piece::Key(form)]),
                ("x".into(), pieces("fixed")),
            ],
            source: Source::Own,
        };
        let mut request = shape.request();
        let mut client = Client::default();
        let mut sources = Vec::new();
        for key in ["user-1", "10.0.0.7"] {
            client.set(key.as_bytes());
            shape.fill(&client, &mut request);
            let text = |i: usize| String::from_utf8(request.headers[i].1.clone()).unwrap();
            assert_eq!(text(0), format!("/a?uid={key}&x={key}"));
            let inner = format!("{{\"user\":{{\"id\":\"{key}~2\"}}}}");
            let encoded = percent_encode(inner.as_bytes(), NON_ALPHANUMERIC).to_string();
            assert_eq!(text(1), format!("s={encoded}"));
            assert_eq!(text(2), "fixed");
            sources.push(request.source.unwrap().to_string());
        }
        assert!(sources[0].starts_with("fd"), "{sources:?}");
        assert_eq!(sources[1], "10.0.0.7");
        assert!(!shape.is_fixed());
    }

    #[test]
    fn an_issued_identity_has_its_form() {
        let id = |key: &[u8]| {
            let (mut client, mut id) = (Client::default(), Vec::new());
            client.set(key);
            client.write_id(&mut id);
            (id, client.chance(0).random(), client.chance(0).entropy())
        };
        assert_eq!(id(b"user-1").0.len(), 22);
        assert_eq!(id(b"user-1"), id(b"user-1"));
        let (one, two) = (id(b"user-1"), id(b"user-2"));
        assert!(one.0 != two.0 && one.1 != two.1 && one.2 != two.2);
    }
}
