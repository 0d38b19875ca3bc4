//! Requests and environments made of bytes.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use arbitrary::{Result, Unstructured};
use traffic_split::HeaderList;
use traffic_split::testing::{Entropy, FixedEnvironment};

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

/// A request with any bytes in any header.
pub(crate) fn any_request(u: &mut Unstructured<'_>) -> Result<HeaderList> {
    let source = source(u)?;
    let mut headers = Vec::new();
    for _ in 0..u.int_in_range(0..=8)? {
        let name = *u.choose(&NAMES)?;
        let length = u.int_in_range(0..=64)?;
        headers.push((name, u.bytes(usize::min(length, u.len()))?));
    }
    Ok(HeaderList::new(headers).with_source(source))
}

/// Any chance and any time.
pub(crate) fn any_environment(u: &mut Unstructured<'_>) -> Result<FixedEnvironment> {
    let (draws, entropy, now) = (u.arbitrary()?, u.arbitrary::<Option<_>>()?, u.arbitrary()?);
    Ok(FixedEnvironment { draws, entropy: entropy.map_or(Entropy::Missing, Entropy::Fixed), now })
}

pub(crate) fn source(u: &mut Unstructured<'_>) -> Result<Option<IpAddr>> {
    Ok(match u.int_in_range(0..=3)? {
        0 => None,
        1 => Some(Ipv6Addr::from_bits(u.arbitrary()?).into()),
        2 => Some(Ipv4Addr::from_bits(u.arbitrary()?).to_ipv6_mapped().into()),
        _ => Some(Ipv4Addr::from_bits(u.arbitrary()?).into()),
    })
}

/// The environment variables of the plans under test.
pub(crate) fn env(name: &str) -> Option<String> {
    (name == "KEYS").then(|| format!("{},{}", "k".repeat(32), "l".repeat(40)))
}
