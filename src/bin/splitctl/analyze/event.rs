//! The part of a line that tallies need.

use xxhash_rust::xxh64::xxh64;

use super::experiment::Experiment;
use super::line::{Ending, Line};
use super::metric::Metrics;
use crate::output::one_line;

/// A line that is read. It borrows nothing, so that it can wait for lines of other logs that are earlier.
pub enum Event {
    Blank,
    /// A line that does not begin as JSON.
    NoJson,
    /// A line that begins as JSON and is not.
    Broken,
    Request(Request),
}

/// A request of the log.
pub struct Request {
    pub rule: OfRule,
    /// The hash that stands for the unit.
    pub unit: Option<u64>,
    /// A bit for each conversion that the request is, whoever sent it.
    pub converted: u8,
    pub generation: Option<f64>,
    /// The place in [`super::line::LEFT_OUT`] of the reason why it is no part of an experiment.
    pub left_out: Option<usize>,
    /// Whether the unit's assignment was made before.
    pub is_persisted: bool,
    /// The place of its variant in the experiment.
    pub variant: Option<u8>,
    pub ending: Ending,
    pub millis: Option<u64>,
}

/// The rule of a request.
pub enum OfRule {
    None,
    /// The place of the experiment.
    Known(usize),
    Other(String),
}

/// Reads the lines of logs for these experiments.
pub struct Reader<'m> {
    /// The rules, and the variants of each.
    rules: Vec<(String, Vec<String>)>,
    metrics: &'m Metrics,
}

impl<'m> Reader<'m> {
    pub fn new(experiments: &[Experiment<'_>], metrics: &'m Metrics) -> Reader<'m> {
        let names = |it: &Experiment<'_>| (it.rule.clone(), it.variants.clone());
        Reader { rules: experiments.iter().map(names).collect(), metrics }
    }

    /// Reads a line, and writes its time into `time` if it has one.
    pub fn read(&self, bytes: &[u8], time: &mut String) -> Event {
        let bytes = bytes.trim_ascii();
        match bytes.first() {
            None => return Event::Blank,
            Some(b'{') => {}
            Some(_) => return Event::NoJson,
        }
        let Some(line) = Line::read(bytes) else { return Event::Broken };
        if let Some(known) = line.time.text() {
            known.clone_into(time);
        }
        Event::Request(self.request(&line))
    }

    fn request(&self, line: &Line<'_>) -> Request {
        let rule = line.rule.text();
        let place = rule.and_then(|rule| self.rules.iter().position(|(known, _)| known == rule));
        let variants = place.and_then(|place| self.rules.get(place)).map(|(_, variants)| variants);
        let variant = variants.and_then(|variants| {
            let name = line.variant.text()?;
            u8::try_from(variants.iter().position(|known| known == name)?).ok()
        });
        let unit = line.unit.text().map(|unit| xxh64(unit.as_bytes(), 0));
        let converted = match unit {
            Some(_) if !line.is_forced() => self.metrics.converted(line),
            _ => 0,
        };
        Request {
            rule: match (place, rule) {
                (Some(place), _) => OfRule::Known(place),
                (None, Some(rule)) => OfRule::Other(one_line(rule)),
                (None, None) => OfRule::None,
            },
            unit,
            converted,
            generation: line.generation.number(),
            left_out: line.left_out(),
            is_persisted: line.is_persisted(),
            variant,
            ending: line.ending(),
            millis: line.millis(),
        }
    }
}
