//! The buckets of flag engines: a split that agrees with the SDK inside the application.
//!
//! An engine hashes a text around the client's key to a bucket, and walks the variants in the order
//! written: each has a range of buckets. Some engines first ask another hash whether the client takes
//! part at all. A further engine is a file with its settings, its hash and its ranges, one line in
//! [`ENGINES`], and vectors in `wasm-tests/vectors/engines.json`.

mod flagd;
mod growthbook;
mod higress;
mod launchdarkly;
mod murmur;
mod nginx;
mod posthog;
mod settings;
mod sha1;
mod unleash;

pub(crate) use settings::{SplitContext, read};

use settings::Settings;

/// Reads the settings of one engine. Each mistake is an error there, which refuses the plan.
type Read = fn(&mut Settings<'_, '_>) -> Engine;

/// The engines, by the names of their settings.
const ENGINES: [(&str, Read); 7] = [
    ("flagd", flagd::read),
    ("growthbook", growthbook::read),
    ("higress", higress::read),
    ("launchdarkly", launchdarkly::read),
    ("nginx", nginx::read),
    ("posthog", posthog::read),
    ("unleash", unleash::read),
];

/// The buckets of a flag engine, over the variants of one split.
///
/// ```
/// use traffic_split::config::Config;
///
/// let config = br#"{ "variantHeader": "x-variant", "variants": { "v1": {}, "v2": {} }, "rules": [
///     { "name": "checkout", "split": [ { "v1": 50 }, { "v2": 50 } ],
///       "sticky": { "key": [ { "cookie": "uid" } ], "engine": { "flagd": { "prefix": "f" } } } } ] }"#;
/// let rules = Config::parse(config).unwrap().rules;
/// let engine = rules[0].sticky.as_ref().unwrap().engine.as_ref().unwrap();
/// assert_eq!(engine.name(), "flagd");
/// assert_eq!(engine.hashed(Some(b"user-0"))[0].text, b"fuser-0");
/// ```
#[derive(Debug)]
pub struct Engine {
    name: &'static str,
    /// A step that only lets clients in: all of them if it is absent.
    gate: Option<Step>,
    /// The step whose ranges are the variants'.
    choice: Step,
    keyless: Keyless,
}

/// The answer of an engine's SDK to a client without a key.
#[derive(Clone, Copy, Debug)]
enum Keyless {
    /// The client takes no part.
    Out,
    /// The bucket is the lowest one.
    Lowest,
    /// The rest of the text is hashed.
    Hashed,
}

/// One hash of an engine, and the ranges of its buckets.
#[derive(Debug)]
struct Step {
    /// The name of the step for people.
    what: &'static str,
    /// The text before the key.
    before: String,
    /// The text behind the key.
    after: String,
    bucket: fn(Text<'_>, u64) -> f64,
    /// The length of all buckets together.
    whole: u64,
    ranges: Vec<Range>,
}

/// The buckets from `start` up to but without `end`.
#[derive(Clone, Copy, Debug)]
struct Range {
    start: f64,
    end: f64,
}

/// A text in pieces, so that nothing is copied to hash it.
#[derive(Clone, Copy)]
struct Text<'a>([&'a [u8]; 3]);

impl<'a> Text<'a> {
    fn bytes(self) -> Bytes<'a> {
        Bytes(self)
    }
}

/// The bytes of a text that are left.
struct Bytes<'a>(Text<'a>);

impl Iterator for Bytes<'_> {
    type Item = u8;

    fn next(&mut self) -> Option<u8> {
        let piece = self.0.0.iter_mut().find(|piece| !piece.is_empty())?;
        let (first, rest) = piece.split_first()?;
        *piece = rest;
        Some(*first)
    }
}

/// The bucket of a client in one step of an engine.
#[derive(Clone, Debug, PartialEq)]
pub struct Hashed {
    /// The step: `variants`, or the `rollout` or `namespace` before it.
    pub step: &'static str,
    /// The text that is hashed; empty if the engine hashes nothing for a client without a key.
    pub text: Vec<u8>,
    /// The bucket.
    pub bucket: f64,
    /// The ranges of the step, each from a first bucket up to but without a last one. In `variants`
    /// there is one for each variant, in the order of the split.
    pub ranges: Vec<(f64, f64)>,
    /// The place of the first range that has the bucket.
    pub place: Option<usize>,
}

impl Engine {
    /// The name of the engine, as in the configuration.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The steps for a client with this key or without one, up to the one that leaves it out. There are
    /// none if a client without a key takes no part.
    pub fn hashed(&self, key: Option<&[u8]>) -> Vec<Hashed> {
        let key = match (key, self.keyless) {
            (Some(key), _) => key,
            (None, Keyless::Out) => return Vec::new(),
            (None, Keyless::Hashed) => b"",
            (None, Keyless::Lowest) => return vec![self.choice.at(Vec::new(), 0.0)],
        };
        let gate = self.gate.as_ref().map(|gate| gate.hashed(key));
        let out = gate.as_ref().is_some_and(|gate| gate.place.is_none());
        gate.into_iter().chain((!out).then(|| self.choice.hashed(key))).collect()
    }

    /// The place of the variant of a client with this key or without one; `None` if the client takes
    /// no part.
    pub(crate) fn place(&self, key: Option<&[u8]>) -> Option<usize> {
        let key = match (key, self.keyless) {
            (Some(key), _) => key,
            (None, Keyless::Out) => return None,
            (None, Keyless::Hashed) => b"",
            (None, Keyless::Lowest) => return self.choice.find(0.0),
        };
        if let Some(gate) = &self.gate {
            gate.place(key)?;
        }
        self.choice.place(key)
    }

    /// The share of all clients with a key that each variant gets, 0 to 1.
    pub(crate) fn shares(&self) -> impl Iterator<Item = f64> {
        let gate = self.gate.as_ref().map_or(1.0, |gate| gate.shares().sum());
        self.choice.shares().map(move |share| gate * share)
    }
}

impl Step {
    /// The step that chooses the variant, without a text and ranges, and with buckets from 0 to 1.
    fn variants(bucket: fn(Text<'_>, u64) -> f64) -> Self {
        let (before, after) = (String::new(), String::new());
        Step { what: "variants", before, after, bucket, whole: 1, ranges: Vec::new() }
    }

    fn text<'a>(&'a self, key: &'a [u8]) -> Text<'a> {
        Text([self.before.as_bytes(), key, self.after.as_bytes()])
    }

    fn place(&self, key: &[u8]) -> Option<usize> {
        self.find((self.bucket)(self.text(key), self.whole))
    }

    fn find(&self, bucket: f64) -> Option<usize> {
        self.ranges.iter().position(|range| range.start <= bucket && bucket < range.end)
    }

    fn hashed(&self, key: &[u8]) -> Hashed {
        let text = self.text(key);
        self.at(text.bytes().collect(), (self.bucket)(text, self.whole))
    }

    fn at(&self, text: Vec<u8>, bucket: f64) -> Hashed {
        let ranges = self.ranges.iter().map(|range| (range.start, range.end)).collect();
        Hashed { step: self.what, text, bucket, ranges, place: self.find(bucket) }
    }

    fn shares(&self) -> impl Iterator<Item = f64> {
        let whole = self.whole as f64;
        self.ranges.iter().map(move |range| (range.end - range.start).max(0.0) / whole)
    }
}

/// Ranges one after the other, whose ends are running sums of `weight / unit`.
fn in_turn(from: f64, weights: &[f64], unit: f64) -> Vec<Range> {
    let mut end = from;
    let range = |weight: &f64| {
        let start = end;
        end += weight / unit;
        Range { start, end }
    };
    weights.iter().map(range).collect()
}

#[cfg(test)]
mod tests;
