//! The names of variants and rules.

use std::collections::{BTreeMap, BTreeSet};

use super::form::Destination;

/// The name of each destination's variant, in the order of the names.
pub struct Variants {
    named: Vec<(Destination, String)>,
}

impl Variants {
    /// Names a variant after its service; after its subset, if all are of one service; and after what
    /// else is needed to tell two apart.
    pub fn new<'d>(destinations: impl Iterator<Item = &'d Destination>) -> Self {
        let mut all: Vec<&Destination> = Vec::new();
        for to in destinations {
            if !all.contains(&to) {
                all.push(to);
            }
        }
        let services: BTreeSet<_> = all.iter().map(|to| (&to.service, &to.namespace)).collect();
        let one_service = services.len() == 1;
        let short = |to: &Destination| match &to.subset {
            Some(subset) if one_service => subset.clone(),
            Some(subset) => format!("{}-{subset}", to.service),
            None => to.service.clone(),
        };
        let with = |name: String, more: &Option<String>, mark: char| match more {
            Some(more) => format!("{name}{mark}{more}"),
            None => name,
        };
        let spelt: [&dyn Fn(&Destination) -> String; 3] =
            [&short, &|to| with(short(to), &to.namespace, '.'), &|to| {
                with(with(short(to), &to.namespace, '.'), &to.port, '-')
            }];
        let is_clear = |spell: &&dyn Fn(&Destination) -> String| {
            let names: BTreeSet<_> = all.iter().map(|to| name(&spell(to))).collect();
            names.len() == all.len()
        };
        let spell = spelt.into_iter().find(|spell| is_clear(spell)).unwrap_or(&short);
        let mut names = Names::default();
        let named = all.iter().map(|to| ((*to).clone(), names.unique(&spell(to))));
        let mut named: Vec<_> = named.collect();
        named.sort_by(|(_, one), (_, other)| one.cmp(other));
        Variants { named }
    }

    pub fn name(&self, to: &Destination) -> &str {
        self.named.iter().find(|(known, _)| known == to).map_or("", |(_, name)| name)
    }

    pub fn all(&self) -> &[(Destination, String)] {
        &self.named
    }
}

/// Names that are given once.
#[derive(Default)]
pub struct Names {
    given: BTreeMap<String, usize>,
}

impl Names {
    /// The name, with a number behind it if it is given already.
    pub fn unique(&mut self, text: &str) -> String {
        let first = name(text);
        let mut unique = first.clone();
        while self.given.contains_key(&unique) {
            let count = self.given.entry(first.clone()).or_insert(1);
            *count += 1;
            unique = format!("{first}-{count}");
        }
        self.given.insert(unique.clone(), 1);
        unique
    }
}

/// The bytes of a name, with room for a number behind it.
const LONGEST: usize = 100;

/// A text with what a name may hold.
fn name(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let name: String = text.chars().map(|c| if plain(c) { c } else { '-' }).take(LONGEST).collect();
    if name.is_empty() { "rule".to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variants_are_named_after_what_tells_them_apart() {
        let to = |host: &str, subset: Option<&str>| Destination::of_host(host, subset, None);
        let names = |all: &[Destination]| {
            let variants = Variants::new(all.iter());
            variants.all().iter().map(|(_, name)| name.clone()).collect::<Vec<_>>()
        };
        assert_eq!(names(&[to("web", Some("v1")), to("web", Some("v2"))]), ["v1", "v2"]);
        assert_eq!(names(&[to("web", Some("v1")), to("api", Some("v1"))]), ["api-v1", "web-v1"]);
        assert_eq!(names(&[to("web.a", None), to("web.b.svc", None)]), ["web.a", "web.b"]);
        assert_eq!(names(&[to("web é", None), to("web-è", None)]), ["web--", "web---2"]);
        assert_eq!(names(&[to("api.example.com", None)]), ["api.example.com"]);
    }
}
