//! The settings of an engine as written, checked together with the weights of its split.

use std::ops::RangeInclusive;

use super::{ENGINES, Engine, Range};
use crate::config::{Decimal, Errors, Field, Given, Object, SplitSpec};
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
        let mut refuse = |name: &str, why: &str| errors.forbidden(&format!("{}.{name}", self.rule), why);
        if !engine && split.otherwise.is_some() {
            refuse("otherwise", "only an `engine` leaves clients out: other splits have a variant for each");
        }
        if engine && !split.history.is_empty() {
            refuse("history", "an engine's SDKs know no earlier weights: they would move other clients");
        }
        if engine && split.ramp.is_some() {
            refuse("ramp", "an engine's SDKs would not follow it: change the rollout or the weights there and here");
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
    let mut object = field.object(errors)?;
    let mut given = Vec::new();
    for (name, read) in ENGINES {
        given.extend(object.optional(name).cloned().map(|field| (field, read)));
    }
    let known = object.finish(errors);
    match given.as_slice() {
        [(field, read)] => settings(field, *read, context, errors),
        [] if !known => None,
        _ => {
            let names = ENGINES.map(|(name, _)| name).join(", ");
            field.wrong(&format!("must have one of {names}"), errors)
        }
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
        let remedy = "must be a list, as in [{control: 0.5}, {treatment: 0.5}]: the engine walks the \
                      variants in order, and the fields of an object have none";
        errors.invalid(&path, "{…}", remedy);
    }
    let weights: Vec<f64> =
        context.split.iter().flat_map(|split| &split.weights).map(|known| known.weight).collect();
    let mut settings = Settings { object, rule: context.rule, weights: &weights, errors };
    let engine = read(&mut settings);
    let Settings { object, errors, .. } = settings;
    object.finish(errors);
    engine
}

impl Settings<'_, '_> {
    /// A text that may be absent.
    pub(super) fn text(&mut self, name: &'static str) -> Given<String> {
        self.object.given(name, text, self.errors)
    }

    /// A text whose absence is an error.
    pub(super) fn required(&mut self, name: &'static str, remedy: &str) -> Option<String> {
        let field = self.object.required(name, remedy, self.errors).cloned()?;
        text(&field, self.errors)
    }

    /// An integer that may be absent.
    pub(super) fn integer(&mut self, name: &'static str) -> Given<i64> {
        self.object.given(name, Field::integer, self.errors)
    }

    /// An integer in a range, whose absence is an error. `remedy` says which one to give.
    pub(super) fn required_integer(
        &mut self,
        name: &'static str,
        range: RangeInclusive<i64>,
        remedy: &str,
    ) -> Option<i64> {
        let field = self.object.required(name, remedy, self.errors).cloned()?;
        let number = field.integer(self.errors)?;
        if range.contains(&number) { Some(number) } else { field.wrong(remedy, self.errors) }
    }

    /// A number from `least` to `most` that may be absent.
    pub(super) fn number(&mut self, name: &'static str, least: f64, most: f64) -> Given<f64> {
        let read = |field: &Field<'_>, errors: &mut Errors| number(field, least, most, errors);
        self.object.given(name, read, self.errors)
    }

    /// An integer from 0 to 100 that may be absent.
    pub(super) fn percent(&mut self, name: &'static str) -> Given<i64> {
        let read = |field: &Field<'_>, errors: &mut Errors| {
            number(field, 0.0, 100.0, errors).and_then(|_| field.integer(errors))
        };
        self.object.given(name, read, self.errors)
    }

    /// A list with a name, a start and an end from 0 to 1, which may be absent.
    pub(super) fn span(&mut self, name: &'static str) -> Given<(String, Range)> {
        let read = |field: &Field<'_>, errors: &mut Errors| {
            let fields = field.list(limits::LIST, errors)?;
            let [name, start, end] = fields.as_slice() else {
                return field.wrong("must be a name, a start and an end, as in [pricing, 0, 0.4]", errors);
            };
            let (name, range) = (text(name, errors), range(field, start, end, errors));
            Some((name?, range?))
        };
        self.object.given(name, read, self.errors)
    }

    /// A list with a range from 0 to 1 for each variant, which may be absent.
    pub(super) fn ranges(&mut self, name: &'static str) -> Given<Vec<Range>> {
        let variants = self.weights.len();
        let read = |field: &Field<'_>, errors: &mut Errors| {
            let fields = field.list(limits::SPLIT_VARIANTS, errors)?;
            if fields.len() != variants && variants > 0 {
                return field.wrong("must have a range [start, end] for each variant", errors);
            }
            let one = |field: &Field<'_>| {
                let ends = field.list(limits::LIST, errors)?;
                match ends.as_slice() {
                    [start, end] => range(field, start, end, errors),
                    _ => field.wrong("must be two numbers from 0 to 1", errors),
                }
            };
            Some(fields.iter().filter_map(one).collect())
        };
        self.object.given(name, read, self.errors)
    }

    /// The answer of the engine's own check of the weights; an error says what it takes.
    pub(super) fn weights<T>(
        &mut self,
        check: impl FnOnce(&[f64]) -> Result<T, String>,
    ) -> Option<T> {
        if self.weights.is_empty() {
            return None;
        }
        let written = self.weights.iter().map(|weight| Decimal(*weight).to_string());
        let shown = format!("[{}]", written.collect::<Vec<_>>().join(", "));
        let path = format!("{}.split", self.rule);
        check(self.weights).map_err(|remedy| self.errors.invalid(&path, shown, remedy)).ok()
    }

    /// Adds an error for fields of which none, or too many, are given.
    pub(super) fn missing<T>(&mut self, remedy: &str) -> Option<T> {
        self.errors.required(&self.object.path, remedy);
        None
    }

    /// Adds an error for a field that is not allowed beside the others.
    pub(super) fn forbidden(&mut self, name: &str, remedy: &str) {
        self.errors.forbidden(&format!("{}.{name}", self.object.path), remedy);
    }
}

/// A text: one of digits alone has to be quoted, for YAML takes it for a number, and its zeros in front
/// are lost.
fn text(field: &Field<'_>, errors: &mut Errors) -> Option<String> {
    if field.is_number() {
        return field.wrong("must be a text: quote it, or YAML reads a number", errors);
    }
    Some(field.text(limits::TEXT_BYTES, errors)?.to_owned())
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
