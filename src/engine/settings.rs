//! The settings of an engine as written, checked together with the weights of its split.

use super::{ENGINES, Engine, Range};
use crate::config::{Decimal, Errors, Field, Object, SplitSpec};
use crate::limits;

/// The split that an engine chooses for.
pub(crate) struct SplitContext<'a> {
    /// The path of its rule, as in `rules[1]`.
    pub(crate) rule: &'a str,
    /// The split; `None` if it could not be read.
    pub(crate) split: Option<&'a SplitSpec>,
}

impl SplitContext<'_> {
    /// Refuses the fields of the split that go only without an engine, or only with one.
    pub(crate) fn check(&self, engine: bool, errors: &mut Errors) {
        let Some(split) = self.split else { return };
        for (refused, name, why) in [
            (
                !engine && split.otherwise.is_some(),
                "otherwise",
                "only an `engine` leaves clients out: other splits have a variant for each",
            ),
            (
                engine && !split.history.is_empty(),
                "history",
                "an engine's SDKs know no earlier weights: they would move other clients",
            ),
            (
                engine && split.ramp.is_some(),
                "ramp",
                "an engine's SDKs would not follow it: change the rollout or the weights there and here",
            ),
        ] {
            if refused {
                errors.forbidden(&format!("{}.{name}", self.rule), why);
            }
        }
    }
}

/// The fields of one engine.
pub(super) struct Settings<'a, 'e> {
    object: Object<'a>,
    rule: &'e str,
    /// The weights in the order of the split; none if the split could not be read.
    pub(super) weights: &'e [f64],
    errors: &'e mut Errors,
}

/// Reads `sticky.engine`: an object with one field, the engine's name.
pub(crate) fn read(
    field: &Field<'_>,
    context: &SplitContext<'_>,
    errors: &mut Errors,
) -> Option<Engine> {
    let object = field.object(errors)?;
    let (mut named, mut unknown) = (Vec::new(), false);
    for (name, field) in object.entries(limits::FIELDS, errors) {
        match ENGINES.iter().find(|(known, _)| known == name) {
            Some((_, read)) => named.push((field, read)),
            None => {
                errors.unknown(&field.path, &ENGINES.map(|(known, _)| known));
                unknown = true;
            }
        }
    }
    match named.as_slice() {
        [(field, read)] => settings(field, **read, context, errors),
        _ if unknown => None,
        _ => field.wrong("must have one engine, as in {growthbook: {...}}", errors),
    }
}

fn settings(
    field: &Field<'_>,
    read: super::Read,
    context: &SplitContext<'_>,
    errors: &mut Errors,
) -> Option<Engine> {
    let object = field.object(errors)?;
    if context.split.is_some_and(|split| !split.listed) {
        let path = format!("{}.split", context.rule);
        let remedy =
            "must be a list, as in [{control: 0.5}, {treatment: 0.5}]: an engine needs its order";
        errors.invalid(&path, "{…}", remedy);
    }
    let written = context.split.map_or(&[][..], |split| &split.weights);
    let weights: Vec<f64> = written.iter().map(|known| known.weight).collect();
    let mut settings = Settings { object, rule: context.rule, weights: &weights, errors };
    let engine = read(&mut settings);
    settings.object.finish(settings.errors);
    Some(engine)
}

impl Settings<'_, '_> {
    /// The sum of the weights.
    pub(super) fn sum(&self) -> f64 {
        self.weights.iter().sum()
    }

    /// Whether the weights are integers.
    pub(super) fn are_whole(&self) -> bool {
        self.weights.iter().all(|weight| weight.fract() == 0.0)
    }

    /// Adds an error with what the engine takes if the weights are not right.
    pub(super) fn check(&mut self, right: bool, remedy: &str) {
        let path = format!("{}.split", self.rule);
        if !right && !self.weights.is_empty() && !self.errors.has_within(&path) {
            let sum = Decimal(self.sum());
            self.errors.invalid(&path, format!("weights with the sum {sum}"), remedy);
        }
    }

    /// A text that may be absent.
    pub(super) fn text(&mut self, name: &'static str) -> Option<String> {
        let field = self.object.optional(name)?;
        Some(text(field, self.errors).unwrap_or_default())
    }

    /// A text whose absence is an error.
    pub(super) fn required(&mut self, name: &'static str, remedy: &str) -> String {
        let field = self.object.required(name, remedy);
        field.and_then(|field| text(field, self.errors)).unwrap_or_default()
    }

    /// An integer from `least` to `most` that may be absent.
    pub(super) fn integer(&mut self, name: &'static str, least: f64, most: f64) -> Option<f64> {
        let field = self.object.optional(name)?;
        let number = number(field, least, most, self.errors);
        let integer = number.filter(|_| field.integer(self.errors).is_some());
        Some(integer.unwrap_or_default())
    }

    /// A number from `least` to `most` that may be absent.
    pub(super) fn number(&mut self, name: &'static str, least: f64, most: f64) -> Option<f64> {
        number(self.object.optional(name)?, least, most, self.errors)
    }

    /// A list with a name, a start and an end from 0 to 1, which may be absent.
    pub(super) fn span(&mut self, name: &'static str) -> Option<(String, Range)> {
        let field = self.object.optional(name)?;
        let fields = field.list(limits::LIST, self.errors)?;
        let [name, start, end] = fields.as_slice() else {
            let remedy = "must be a name, a start and an end, as in [pricing, 0, 0.4]";
            return field.wrong(remedy, self.errors);
        };
        Some((text(name, self.errors)?, range(field, start, end, self.errors)?))
    }

    /// A list with a range from 0 to 1 for each variant; empty if it is absent.
    pub(super) fn ranges(&mut self, name: &'static str) -> Vec<Range> {
        let field = self.object.optional(name);
        let list =
            field.and_then(|field| Some((field, field.list(limits::SPLIT_VARIANTS, self.errors)?)));
        let Some((list, fields)) = list else { return Vec::new() };
        if fields.len() != self.weights.len() && !self.weights.is_empty() {
            list.wrong::<()>("must have a range [start, end] for each variant", self.errors);
        }
        let mut one = |field: &Field<'_>| match field.list(limits::LIST, self.errors)?.as_slice() {
            [start, end] => range(field, start, end, self.errors),
            _ => field.wrong("must be two numbers from 0 to 1", self.errors),
        };
        fields.iter().filter_map(&mut one).collect()
    }

    /// Adds an error for an absent field.
    pub(super) fn missing(&mut self, name: &'static str, remedy: &str) {
        self.object.required(name, remedy);
    }

    /// Adds an error for a field that is not allowed beside the others, if it is there.
    pub(super) fn forbid(&mut self, name: &'static str, why: &str) {
        if let Some(field) = self.object.optional(name) {
            self.errors.forbidden(&field.path, why);
        }
    }
}

/// A text: one of digits alone has to be quoted, for YAML takes it for a number, and its zeros in front
/// are lost.
fn text(field: &Field<'_>, errors: &mut Errors) -> Option<String> {
    if field.is_number() {
        return field.wrong("must be a text: quote it, or YAML reads a number", errors);
    }
    field.text(limits::TEXT_BYTES, errors).map(str::to_owned)
}

fn number(field: &Field<'_>, least: f64, most: f64, errors: &mut Errors) -> Option<f64> {
    let number = field.number(errors)?;
    if (least..=most).contains(&number) {
        return Some(number);
    }
    field.wrong(&format!("must be from {} to {}", Decimal(least), Decimal(most)), errors)
}

fn range(
    list: &Field<'_>,
    start: &Field<'_>,
    end: &Field<'_>,
    errors: &mut Errors,
) -> Option<Range> {
    let start = number(start, 0.0, 1.0, errors);
    let end = number(end, 0.0, 1.0, errors);
    let (start, end) = (start?, end?);
    if start <= end {
        return Some(Range { start, end });
    }
    list.wrong("must have the smaller number first", errors)
}
