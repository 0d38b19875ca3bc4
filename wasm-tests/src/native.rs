//! The native core, asked as Envoy is asked.

use crate::message::Request;
use anyhow::{Result, anyhow};
use std::net::{IpAddr, Ipv4Addr};
use traffic_split::Plan;

/// A request as the core sees it.
pub struct Native<'a>(pub &'a Request);

impl traffic_split::Request for Native<'_> {
    fn header<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        let pseudo = match name {
            ":method" => Some(self.0.method.as_bytes()),
            ":path" => Some(self.0.path.as_bytes()),
            ":authority" => Some(self.0.authority.as_bytes()),
            _ => None,
        };
        let named = self.0.headers.iter().filter(move |(each, _)| each.eq_ignore_ascii_case(name));
        pseudo.into_iter().chain(named.map(|(_, value)| value.0.as_slice()))
    }

    fn source_address(&self) -> Option<IpAddr> {
        Some(self.0.source.unwrap_or(Ipv4Addr::LOCALHOST.into()))
    }
}

/// The plan of a configuration in JSON; every error where it is refused.
pub fn plan(configuration: &str) -> Result<Plan> {
    Plan::compile(configuration.as_bytes()).map_err(|errors| anyhow!("{errors}"))
}
