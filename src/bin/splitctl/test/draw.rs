//! Chance from a fixed seed, and the users who meet it.

use std::net::{IpAddr, Ipv4Addr};

use traffic_split::config::{Config, KeySource, Part};
use traffic_split::{Environment, HeaderList};

/// An environment that draws from a seed, so that a test has the same answer in each run.
pub struct Seeded {
    random: fastrand::Rng,
    now: u64,
}

impl Seeded {
    pub fn new(now: u64) -> Self {
        Seeded { random: fastrand::Rng::with_seed(18), now }
    }
}

impl Environment for Seeded {
    fn random(&mut self) -> u64 {
        self.random.u64(..)
    }

    fn entropy(&mut self) -> Option<[u8; 16]> {
        Some(self.random.u128(..).to_ne_bytes())
    }

    fn now(&mut self) -> u64 {
        self.now
    }
}

/// The request as a user of this number sends it: with the key that the rule asks for first.
pub fn of_user(request: &HeaderList, config: &Config, rule: Option<&str>, user: u32) -> HeaderList {
    let rule = rule.and_then(|name| config.rule(name));
    let sources = rule.and_then(|rule| rule.sticky.as_ref()).map_or(&[][..], |it| &it.key);
    let mut request = request.clone();
    let name = format!("user-{user}");
    match sources.first() {
        Some(KeySource::SourceIp) => {
            request.source = Some(IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0000 | user)));
        }
        Some(KeySource::Part(Part::Header(header) | Part::Property(header))) => {
            request.headers.push((header.clone(), name.into_bytes()));
        }
        Some(KeySource::Part(Part::Cookie(cookie))) => {
            request.headers.push(("cookie".to_owned(), format!("{cookie}={name}").into_bytes()));
        }
        Some(KeySource::Part(Part::Baggage(key))) => {
            request.headers.push(("baggage".to_owned(), format!("{key}={name}").into_bytes()));
        }
        Some(KeySource::Part(Part::QueryParam(parameter))) => {
            let paths = request.headers.iter_mut().filter(|(name, _)| name == ":path");
            for (_, path) in paths {
                let mark = if path.contains(&b'?') { '&' } else { '?' };
                path.extend(format!("{mark}{parameter}={name}").into_bytes());
            }
        }
        _ => {}
    }
    request
}
