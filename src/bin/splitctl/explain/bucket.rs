//! The buckets of a flag engine, to lay beside the answer of the engine's own SDK.

use serde::Serialize;
use traffic_split::config::{ActionSpec, RuleSpec};
use traffic_split::{Hashed, Step};

use crate::rules::rounded;

/// The buckets of one request, as `-o json` prints them.
#[derive(Serialize)]
pub struct Buckets {
    pub name: &'static str,
    /// The steps up to the one that leaves the client out; none if the engine asks for a key.
    pub steps: Vec<Bucket>,
}

#[derive(Serialize)]
pub struct Bucket {
    pub step: &'static str,
    /// The text that is hashed; empty if there is no key to hash.
    pub text: String,
    pub bucket: f64,
    /// The first range that has the bucket, from its start up to but without its end.
    pub range: Option<[f64; 2]>,
    /// The variant of that range.
    pub variant: Option<String>,
    #[serde(skip)]
    ranges: Vec<[f64; 2]>,
}

impl Buckets {
    /// The buckets of the rule's engine for the client of a request.
    pub fn new(rule: &RuleSpec, step: &Step<'_>) -> Option<Self> {
        let engine = step.rule.engine()?;
        let key = step.key.as_ref().map(|key| key.value.as_slice());
        let steps = engine.hashed(key).into_iter().map(|hashed| bucket(rule, hashed)).collect();
        Some(Buckets { name: engine.name(), steps })
    }

    /// Writes a line for each step.
    pub fn lines(&self) -> Vec<String> {
        if self.steps.is_empty() {
            return vec![format!("{}: a client without a key takes no part", self.name)];
        }
        let line = |bucket: &Bucket| format!("{} {}: {}", self.name, bucket.step, bucket.line());
        self.steps.iter().map(line).collect()
    }
}

impl Bucket {
    fn line(&self) -> String {
        let text = match self.text.as_str() {
            "" => "without a key".to_owned(),
            text => format!("{text:?}"),
        };
        let range = |[start, end]: [f64; 2]| format!("[{start}, {end})");
        let place = match (self.range, &self.variant) {
            (Some(found), Some(variant)) => format!("in {} of {variant}", range(found)),
            (Some(found), None) => format!("in {}", range(found)),
            (None, _) => {
                let ranges = self.ranges.iter().copied().map(range);
                format!("not in {}", ranges.collect::<Vec<_>>().join(" or "))
            }
        };
        format!("{text} is in bucket {}, {place}", self.bucket)
    }
}

fn bucket(rule: &RuleSpec, hashed: Hashed) -> Bucket {
    let ranges = hashed.ranges.iter().map(|(start, end)| [rounded(*start), rounded(*end)]);
    let ranges: Vec<[f64; 2]> = ranges.collect();
    let variant = match &rule.action {
        Some(ActionSpec::Split(split)) if hashed.step == "variants" => hashed
            .place
            .and_then(|place| split.weights.get(place))
            .map(|known| known.variant.clone()),
        _ => None,
    };
    Bucket {
        step: hashed.step,
        text: String::from_utf8_lossy(&hashed.text).into_owned(),
        bucket: rounded(hashed.bucket),
        range: hashed.place.and_then(|place| ranges.get(place).copied()),
        variant,
        ranges,
    }
}
