//! A request and a world made of bytes.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use arbitrary::{Result, Unstructured};
use traffic_split::{Environment, Request};

/// Names that configurations under test ask for, in lower case.
const NAMES: [&str; 10] = [
    ":path",
    ":authority",
    ":method",
    "cookie",
    "x",
    "x-v",
    "x-user-group",
    "x-user-id",
    "x-split-cluster",
    "x-split-variant",
];

/// A request given as its headers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Given {
    pub(crate) headers: Vec<(&'static str, Vec<u8>)>,
    pub(crate) source: Option<IpAddr>,
}

impl Given {
    /// Any bytes in any header.
    pub(crate) fn any(u: &mut Unstructured<'_>) -> Result<Self> {
        let source = source(u)?;
        let mut headers = Vec::new();
        for _ in 0..u.int_in_range(0..=8)? {
            let name = *u.choose(&NAMES)?;
            let length = u.int_in_range(0..=64)?;
            headers.push((name, u.bytes(usize::min(length, u.len()))?.to_vec()));
        }
        Ok(Given { headers, source })
    }
}

pub(crate) fn source(u: &mut Unstructured<'_>) -> Result<Option<IpAddr>> {
    Ok(match u.int_in_range(0..=3)? {
        0 => None,
        1 => Some(Ipv6Addr::from_bits(u.arbitrary()?).into()),
        2 => Some(Ipv4Addr::from_bits(u.arbitrary()?).to_ipv6_mapped().into()),
        _ => Some(Ipv4Addr::from_bits(u.arbitrary()?).into()),
    })
}

impl Request for Given {
    fn headers(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.headers.iter().map(|(name, value)| (name.as_bytes(), value.as_slice()))
    }

    fn source_address(&self) -> Option<IpAddr> {
        self.source
    }
}

/// Chance and time.
#[derive(Clone, Debug, Default)]
pub(crate) struct World {
    pub(crate) random: u64,
    pub(crate) entropy: Option<[u8; 16]>,
    pub(crate) now: u64,
}

impl World {
    pub(crate) fn any(u: &mut Unstructured<'_>) -> Result<Self> {
        Ok(World { random: u.arbitrary()?, entropy: u.arbitrary()?, now: u.arbitrary()? })
    }
}

impl Environment for World {
    fn random(&mut self) -> u64 {
        self.random
    }

    fn entropy(&mut self) -> Option<[u8; 16]> {
        self.entropy
    }

    fn now(&mut self) -> u64 {
        self.now
    }
}

/// The environment of the plans under test.
pub(crate) fn env(name: &str) -> Option<String> {
    (name == "KEYS").then(|| format!("{},{}", "k".repeat(32), "l".repeat(40)))
}
