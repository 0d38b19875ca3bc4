//! The requests of the attacker, and the cookies that it has.

use super::{FORBIDDEN, MARKER};
use crate::client::Protocol;
use crate::message::{Reply, Request, Value};
use crate::raw;
use anyhow::{Result, ensure};
use fastrand::Rng;

const ROUTING: [&str; 8] = [
    "x-split-cluster",
    "X-Split-Cluster",
    "x-split-variant",
    "X-SPLIT-VARIANT",
    "x-split-point",
    "x_split_cluster",
    "x-split-debug",
    "tsplit.by.x-split-cluster",
];
const OTHERS: [&str; 14] = [
    "x-user-group",
    "x-user-group",
    "x-user-id",
    "x_user_group",
    "x-forwarded-for",
    "x-envoy-external-address",
    "x-envoy-internal",
    "x-envoy-original-url",
    "x-envoy-original-path",
    "x-request-id",
    "x-answer-header",
    "te",
    "expect",
    "accept",
];
const PATHS: [&str; 10] = [
    "/",
    "/kept",
    "/issued",
    "/chosen",
    "/kept/x",
    "//kept",
    "/%6bept",
    "/issued?a=b",
    "/a/../kept",
    "/nowhere",
];
const HOSTS: [&str; 7] =
    ["example.com", "EXAMPLE.com:80", "example.com.", "secret", "[::1]:1", "a.b", "zqzqzqzq.test"];

/// A request that is sent.
#[derive(Debug)]
pub(super) struct Sent {
    pub(super) protocol: Protocol,
    pub(super) request: Request,
    pub(super) trailers: Vec<(String, Value)>,
}

impl Sent {
    /// The request in HTTP/1.1, byte by byte.
    pub(super) fn written(&self) -> Vec<u8> {
        if self.trailers.is_empty() {
            return raw::written(&self.request, "");
        }
        let mut bytes = raw::written(&self.request, "transfer-encoding: chunked\r\n");
        bytes.extend_from_slice(b"1\r\nx\r\n0\r\n");
        for (name, value) in &self.trailers {
            bytes.extend_from_slice(&[name.as_bytes(), b": ", &value.0, b"\r\n"].concat());
        }
        bytes.extend_from_slice(b"\r\n");
        bytes
    }
}

/// Someone who knows the names of all headers, cookies, rules and clusters, but no key.
pub(super) struct Attacker {
    rng: Rng,
    /// Cookies `kept=...` that somebody signed for something else.
    forgeries: Vec<String>,
    /// The values of cookies that were set here, by their names.
    genuine: Vec<(&'static str, String)>,
    number: u64,
}

impl Attacker {
    pub(super) fn new(seed: u64, forgeries: Vec<String>) -> Self {
        Attacker { rng: Rng::with_seed(seed), forgeries, genuine: Vec::new(), number: 0 }
    }

    pub(super) fn next(&mut self, number: u64) -> Sent {
        self.number = number;
        let protocol = if number.is_multiple_of(2) { Protocol::Http1 } else { Protocol::Http2 };
        let mut request = Request::get(PATHS[self.rng.usize(..PATHS.len())]);
        request.authority = match self.rng.u8(..4) {
            0 => HOSTS[self.rng.usize(..HOSTS.len())].into(),
            _ => "example.com".into(),
        };
        for _ in 0..self.rng.u8(..5) {
            let (name, value) = self.header(protocol);
            request.headers.push((name, value));
        }
        let mut trailers = Vec::new();
        if self.rng.u8(..8) == 0 {
            request.method = "POST".into();
            trailers.push((
                ROUTING[self.rng.usize(..5)].to_lowercase(),
                self.routing().as_str().into(),
            ));
        }
        Sent { protocol, request, trailers }
    }

    fn header(&mut self, protocol: Protocol) -> (String, Value) {
        let named = |name: &str, value: String| (name.to_owned(), Value::from(value.as_str()));
        match self.rng.u8(..10) {
            0..=2 => {
                let name = ROUTING[self.rng.usize(..ROUTING.len())];
                named(name, self.routing())
            }
            3..=5 => {
                let cookies: Vec<_> = (0..=self.rng.u8(..3)).map(|_| self.cookie()).collect();
                let between = ["; ", ";", ", ", " ; "][self.rng.usize(..4)];
                named("cookie", cookies.join(between))
            }
            6 if protocol == Protocol::Http1 => {
                let names =
                    ["x-split-cluster", "x-user-group", "cookie", "close", "x-split-variant"];
                let name = names[self.rng.usize(..names.len())];
                named("connection", format!("keep-alive, {name}"))
            }
            7 if protocol == Protocol::Http1 => match self.rng.u8(..4) {
                0 => named("host", self.word()),
                1 => ("x-user-group".into(), Value(b"be\0ta".to_vec())),
                2 => ("x-split-cluster".into(), Value(b"stable\r secret".to_vec())),
                _ => named("upgrade", "websocket".into()),
            },
            8 => {
                let mut bytes = vec![0x80; self.rng.usize(1..4)];
                bytes.extend_from_slice(self.word().as_bytes());
                (ROUTING[self.rng.usize(..5)].into(), Value(bytes))
            }
            _ => {
                let name = OTHERS[self.rng.usize(..OTHERS.len())];
                let values = ["beta", " beta ", "beta, x", "10.1.2.3", "x-upstream: x", "trailers"];
                match self.rng.usize(..values.len() + 1) {
                    at if at < values.len() => named(name, values[at].into()),
                    _ => named(name, self.word()),
                }
            }
        }
    }

    /// A value for a routing header.
    fn routing(&mut self) -> String {
        let name = FORBIDDEN[self.rng.usize(..FORBIDDEN.len())];
        match self.rng.u8(..7) {
            0 => format!("{name}, stable"),
            1 => name.to_uppercase(),
            2 => String::new(),
            3 => ["0", "7", "13357328642657999999", "-1"][self.rng.usize(..4)].into(),
            4 => self.word(),
            _ => name.into(),
        }
    }

    /// A text that nobody else writes.
    fn word(&mut self) -> String {
        let number = self.number;
        match self.rng.u8(..3) {
            0 => format!("{MARKER}{number}"),
            1 => format!("{MARKER}{number}; Domain=example.com"),
            _ => format!("{MARKER}{}", "%0d%0aset-cookie:x=y".repeat(self.rng.usize(..4))),
        }
    }

    fn cookie(&mut self) -> String {
        let own = |rng: &mut Rng, genuine: &[(&str, String)]| {
            let at = genuine.len().checked_sub(1).map(|last| rng.usize(..=last))?;
            genuine.get(at).map(|(name, value)| format!("{name}={value}"))
        };
        match self.rng.u8(..9) {
            0 => "preview=1".into(),
            1 => format!("preview{}=1", self.word().replace(['=', ';'], "")),
            2 => format!("kept={}", FORBIDDEN[self.rng.usize(..FORBIDDEN.len())]),
            3 => format!("split-id={}", self.word()),
            4 => self.forgeries[self.rng.usize(..self.forgeries.len())].clone(),
            5 | 6 => {
                let cookie = own(&mut self.rng, &self.genuine).unwrap_or_default();
                self.altered(cookie)
            }
            7 => own(&mut self.rng, &self.genuine).unwrap_or_default(),
            _ => self.word(),
        }
    }

    /// A cookie in which something is not as it was signed.
    fn altered(&mut self, cookie: String) -> String {
        match self.rng.u8(..7) {
            0 => cookie.replacen("=a.", "=never.", 1),
            1 => cookie.replacen(".2.", ".", 1),
            2 => cookie.replacen("split-id=", "kept=", 1),
            3 => cookie.replacen("kept=", "split-id=", 1),
            4 => cookie.replacen('=', "=never.", 1),
            5 => cookie.chars().rev().collect(),
            _ => {
                let mut bytes = cookie.into_bytes();
                if !bytes.is_empty() {
                    let at = self.rng.usize(..bytes.len());
                    bytes[at] = self.rng.alphanumeric() as u8;
                }
                String::from_utf8(bytes).unwrap_or_default()
            }
        }
    }

    /// Checks a rule with this signed cookie: either the client had a genuine one, or it got one now.
    /// The number of genuine ones that were believed.
    pub(super) fn believed(
        &mut self,
        name: &'static str,
        reply: &Reply,
        cookies: &str,
    ) -> Result<u64> {
        let set: Vec<_> = reply.cookies();
        let set = set.iter().find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
        match set {
            Some(value) => {
                if self.genuine.len() < 1000 {
                    self.genuine.push((name, value.to_owned()));
                }
                Ok(0)
            }
            None => {
                let ours = |(known, value): &(&str, String)| {
                    *known == name && cookies.contains(&format!("{name}={value}"))
                };
                ensure!(self.genuine.iter().any(ours), "a cookie was believed that nobody signed");
                Ok(1)
            }
        }
    }
}
