//! Addresses and the networks that hold them (RFC 4632, RFC 4291).

use std::net::IpAddr;

use crate::config::Cidr;
use crate::sorted::sorted;

/// A list of networks.
#[derive(Debug)]
pub(crate) struct Networks(Box<[Network]>);

/// The bits of an address that count, of one family.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Network {
    v4: bool,
    bits: u128,
    mask: u128,
}

impl Networks {
    pub(crate) fn new(cidrs: &[Cidr]) -> Self {
        let mut networks = sorted(cidrs.iter().map(network).collect());
        networks.dedup();
        Networks(networks.into())
    }

    pub(crate) fn contain(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        let bits = bits(address);
        let held = |n: &Network| n.v4 == address.is_ipv4() && bits & n.mask == n.bits;
        self.0.iter().any(held)
    }
}

fn network(cidr: &Cidr) -> Network {
    let v4 = cidr.address.is_ipv4();
    let width = if v4 { 32_u32 } else { 128 };
    let host_bits = width.saturating_sub(cidr.prefix);
    let mask = u128::MAX.checked_shl(host_bits).unwrap_or(0);
    Network { v4, bits: bits(cidr.address) & mask, mask }
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u128::from(v4.to_bits()),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contains() {
        for (address, prefix, yes, no) in [
            ("10.1.2.3", 8, &["10.0.0.0", "10.255.255.255", "::ffff:10.9.9.9"][..], "11.0.0.0"),
            ("10.1.2.3", 32, &["10.1.2.3"], "10.1.2.4"),
            ("0.0.0.0", 0, &["255.255.255.255"], "::1"),
            ("fd00::1", 8, &["fdff::"], "fe00::"),
            ("::", 0, &["fe80::1"], "10.0.0.1"),
        ] {
            let networks = Networks::new(&[Cidr { address: address.parse().unwrap(), prefix }]);
            for yes in yes {
                assert!(networks.contain(yes.parse().unwrap()), "{address}/{prefix} {yes}");
            }
            assert!(!networks.contain(no.parse().unwrap()), "{address}/{prefix} {no}");
        }
    }
}
