//! Networks of client addresses.

use std::net::IpAddr;

use traffic_split::config::Cidr;

/// Whether each of these networks lies in one of the others.
pub fn are_within(networks: &[Cidr], others: &[Cidr]) -> bool {
    let lies = |inner: &Cidr| others.iter().any(|outer| is_within(inner, outer));
    networks.iter().all(lies)
}

fn is_within(inner: &Cidr, outer: &Cidr) -> bool {
    let ((inner_bits, inner_width), (outer_bits, outer_width)) = (bits(inner), bits(outer));
    let mask = match outer_width.saturating_sub(outer.prefix) {
        host if host >= 128 => 0,
        host => u128::MAX << host,
    };
    inner_width == outer_width
        && inner.prefix >= outer.prefix
        && inner_bits & mask == outer_bits & mask
}

fn bits(cidr: &Cidr) -> (u128, u32) {
    match cidr.address {
        IpAddr::V4(v4) => (v4.to_bits().into(), 32),
        IpAddr::V6(v6) => (v6.to_bits(), 128),
    }
}

/// The reason why no client is in this network; `None` if some may be.
pub fn why_empty(cidr: &Cidr) -> Option<&'static str> {
    match cidr.address {
        IpAddr::V6(v6) if cidr.prefix >= 96 && v6.to_ipv4_mapped().is_some() => {
            Some("an IPv4 address inside IPv6 is compared as IPv4: write 10.0.0.0/8 for it")
        }
        address if address.is_multicast() => Some("no client has a multicast address"),
        IpAddr::V4(v4) if cidr.prefix == 32 && (v4.is_unspecified() || v4.is_broadcast()) => {
            Some("no client has this address; 0.0.0.0/0 is every IPv4 address")
        }
        IpAddr::V6(v6) if cidr.prefix == 128 && v6.is_unspecified() => {
            Some("no client has this address; ::/0 is every IPv6 address")
        }
        _ => None,
    }
}
