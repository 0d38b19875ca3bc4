//! Requests and replies, byte for byte.

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// A header's value. In JSON a string, `{"hex": "a1b1"}` where the bytes are not UTF-8, or
/// `{"repeat": "a", "times": 8192}` where they are many.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "Written", try_from = "Written")]
pub struct Value(pub Vec<u8>);

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Written {
    Text(String),
    Bytes { hex: String },
    Long { repeat: String, times: usize },
}

impl From<Value> for Written {
    fn from(Value(bytes): Value) -> Self {
        match String::from_utf8(bytes) {
            Ok(text) => Self::Text(text),
            Err(error) => Self::Bytes { hex: hex::encode(error.as_bytes()) },
        }
    }
}

impl TryFrom<Written> for Value {
    type Error = hex::FromHexError;

    fn try_from(written: Written) -> Result<Self, Self::Error> {
        Ok(Self(match written {
            Written::Text(text) => text.into(),
            Written::Bytes { hex } => hex::decode(hex)?,
            Written::Long { repeat, times } => repeat.repeat(times).into(),
        }))
    }
}

/// A request, with the address it comes from.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Request {
    /// The method.
    pub method: String,
    /// The path with the query.
    pub path: String,
    /// `Host` in HTTP/1.1, `:authority` in HTTP/2.
    pub authority: String,
    /// The other headers, in order; the same name may come more than once.
    pub headers: Vec<(String, Value)>,
    /// The address the client binds to, for conditions on it.
    pub source: Option<IpAddr>,
}

impl Default for Request {
    fn default() -> Self {
        Self {
            method: "GET".into(),
            path: "/".into(),
            authority: "example.com".into(),
            headers: Vec::new(),
            source: None,
        }
    }
}

impl Request {
    /// `GET path`.
    pub fn get(path: &str) -> Self {
        Self { path: path.into(), ..Self::default() }
    }

    /// The same with one header more.
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }
}

/// A reply as a client got it.
#[derive(Clone, Debug, Default)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// The headers, then the trailers.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Reply {
    /// The first header of this name, as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().find(|(each, _)| each.eq_ignore_ascii_case(name))?;
        std::str::from_utf8(value).ok()
    }

    /// The value of every header of this name.
    pub fn all(&self, name: &str) -> Vec<String> {
        let named = self.headers.iter().filter(|(each, _)| each.eq_ignore_ascii_case(name));
        named.map(|(_, value)| String::from_utf8_lossy(value).into_owned()).collect()
    }

    /// The cookies that are set, as the client sends them back: `name=value`.
    pub fn cookies(&self) -> Vec<String> {
        self.all("set-cookie").iter().map(|field| pair(field).to_owned()).collect()
    }

    /// The upstream that answered; none where Envoy answered itself.
    pub fn upstream(&self) -> Option<&str> {
        self.header("x-upstream")
    }

    /// The request as the upstream saw it.
    pub fn seen(&self) -> Result<Seen> {
        // A gRPC message comes after one byte of flags and four of length.
        let start = if self.header("grpc-status").is_some() { 5 } else { 0 };
        let json = self.body.get(start..).unwrap_or_default();
        serde_json::from_slice(json).with_context(|| {
            format!("status {}: {}", self.status, String::from_utf8_lossy(&self.body))
        })
    }
}

/// `name=value` of a `Set-Cookie` field.
pub fn pair(field: &str) -> &str {
    field.split(';').next().unwrap_or_default()
}

/// A request as an upstream received it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Seen {
    /// The upstream's name.
    pub upstream: String,
    /// The request's method.
    pub method: String,
    /// The request's path and query.
    pub path: String,
    /// The request's headers.
    pub headers: Vec<(String, Value)>,
}

impl Seen {
    /// Every value of this header.
    pub fn all(&self, name: &str) -> Vec<&[u8]> {
        let named = self.headers.iter().filter(|(each, _)| each == name);
        named.map(|(_, value)| value.0.as_slice()).collect()
    }
}
