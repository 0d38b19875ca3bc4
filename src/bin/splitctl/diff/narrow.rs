//! The rules and the keys that decide the requests of a group. With the rest left out, a million clients are
//! decided in a fraction of the time; a test compares both.

use serde_json::{Value, json};

use super::asked::Asked;
use super::client::{Client, Form, Piece, Shape};
use super::reading::{KEYS, Reading};

/// The header that no narrow request has.
const ABSENT: &str = "k";

/// The rules that are met, without their conditions, and a request with what they tell its client by.
pub struct Narrow {
    /// The request as each configuration gets it.
    pub shapes: [Shape; 2],
    rules: [Vec<Part>; 2],
}

/// The part of a rule that stays.
struct Part {
    /// Its place in the configuration.
    place: usize,
    /// The header with the text that it tells a client by.
    header: String,
    issues: bool,
}

impl Narrow {
    /// The part that decides a request; `None` where clients are told from each other by more than one key.
    pub fn new(readings: &[Reading<'_>; 2]) -> Option<Self> {
        let [old, new] = readings;
        let ((old, old_shape), (new, new_shape)) = (narrowed(old)?, narrowed(new)?);
        Some(Narrow { shapes: [old_shape, new_shape], rules: [old, new] })
    }

    /// Leaves out of a configuration, the old one or the new one, all fields that decide none of these
    /// requests.
    pub fn edit(&self, side: usize, json: &mut Value) {
        let parts = self.rules.get(side).into_iter().flatten();
        let Some(rules) = json.get_mut("rules").and_then(Value::as_array_mut) else { return };
        *rules = parts.filter_map(|part| part.of(rules.get(part.place)?)).collect();
    }
}

fn narrowed(reading: &Reading<'_>) -> Option<(Vec<Part>, Shape)> {
    if reading.config.hold.is_some() {
        return None;
    }
    let mut shape = Shape::default();
    let [first, second] = &reading.asked;
    let mut rules = Vec::new();
    for ((place, first), second) in reading.met.rules.iter().zip(first).zip(second) {
        let told = told_by([first, second])?;
        let issues = matches!(told, Told::Anew);
        let header = match told {
            Told::Anew => ABSENT.to_owned(),
            Told::By(pieces) => {
                let known = shape.headers.iter().position(|(_, known)| *known == pieces);
                let header = format!("{ABSENT}{}", known.unwrap_or(shape.headers.len()));
                if known.is_none() {
                    shape.headers.push((header.clone(), pieces));
                }
                header
            }
        };
        rules.push(Part { place: *place, header, issues });
    }
    Some((rules, shape))
}

/// How a rule tells its clients.
enum Told {
    By(Vec<Piece>),
    /// By nothing, so that it draws, or issues them identities if it does.
    Anew,
}

/// How a rule tells two clients; `None` where that is not by one text.
fn told_by([first, second]: [&Asked; 2]) -> Option<Told> {
    if first.is_read() || second.is_read() || first.key.len() != second.key.len() {
        return None;
    }
    let (Some(first_value), Some(second_value)) = (first.key.last(), second.key.last()) else {
        return Some(Told::Anew);
    };
    let nothing = |asked: &Asked| {
        let (_, before) = asked.key.split_last().unwrap_or((&asked.kept, &[]));
        before.iter().all(Vec::is_empty)
    };
    if !nothing(first) || !nothing(second) {
        return None;
    }
    if first.is_told && second.is_told {
        return pieces(first_value.first()?, second_value.first()?).map(Told::By);
    }
    match (first_value.as_slice(), second_value.as_slice()) {
        ([], []) => Some(Told::Anew),
        ([first], [second]) if [first, second].into_iter().zip(KEYS).all(is_id) => {
            Some(Told::By(vec![Piece::Id]))
        }
        _ => None,
    }
}

/// Whether a value is the identity that the client of a key was issued.
fn is_id((value, key): (&Vec<u8>, &str)) -> bool {
    *value == Client::of(key).written(&[Piece::Id])
}

/// The text of which these are the values for two clients.
fn pieces(first: &[u8], second: &[u8]) -> Option<Vec<Piece>> {
    let [first, second] = [std::str::from_utf8(first).ok()?, std::str::from_utf8(second).ok()?];
    if first == second {
        return Some(vec![Piece::Text(first.to_owned())]);
    }
    let (before, behind) = first.split_once(KEYS[0])?;
    let text = |text: &str| Piece::Text(text.to_owned());
    let pieces = vec![text(before), Piece::Key(Form::default()), text(behind)];
    let is_it = [first, second]
        .into_iter()
        .zip(KEYS)
        .all(|(value, key)| Client::of(key).written(&pieces) == value.as_bytes());
    is_it.then_some(pieces)
}

impl Part {
    fn of(&self, rule: &Value) -> Option<Value> {
        let mut rule = rule.clone();
        let fields = rule.as_object_mut()?;
        fields.remove("match");
        fields.remove("override");
        if let Some(sticky) = fields.get_mut("sticky").and_then(Value::as_object_mut) {
            sticky.insert("key".to_owned(), json!([{ "header": self.header }]));
            if !self.issues {
                sticky.remove("issue");
            }
        }
        Some(rule)
    }
}
