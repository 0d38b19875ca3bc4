//! The form of a file of expectations.

use std::net::IpAddr;

use anyhow::{Context, Result, anyhow, bail};
use traffic_split::config::Part;
use traffic_split::{HeaderList, limits};

use super::expected::{Expectation, Expected, File, NONE, Per};
use crate::document::{self, Node, Value};
use crate::{given, when};

/// The fields of a file. Those without a meaning here are for people.
const FIELDS: [&str; 9] =
    ["variants", "requests", "asked", "affinity", "system", "sources", "notes", "lost", "as"];

const ENTRY: [&str; 13] = [
    "authority",
    "path",
    "method",
    "headers",
    "sourceIp",
    "metadata",
    "filterState",
    "goes",
    "shares",
    "per",
    "at",
    "note",
    "affinity",
];

/// Reads a file. Unless `as_is`, an entry of `asked` takes the place of the entry of `requests` with
/// the same request.
pub fn file(path: &str, as_is: bool) -> Result<File> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {path}"))?;
    let at = |line: usize, problem: &str| anyhow!("{path}:{line}: {problem}");
    let documents = document::parse(&text)
        .map_err(|error| at(error.line, &format!("not YAML ({})", error.message.escape_debug())))?;
    let [root] = documents.as_slice() else {
        bail!("{path}: must be one document with `requests`");
    };
    known(root, &FIELDS).map_err(|(line, problem)| at(line, &problem))?;
    let lists = ["requests", "asked", "affinity"].map(|name| (name, root.get(name)));
    let mut expectations: Vec<Expectation> = Vec::new();
    for (name, list) in lists {
        for node in list.map_or(&[][..], Node::elements) {
            let mut read = entry(node).map_err(|(line, problem)| at(line, &problem))?;
            match name {
                "asked" if as_is => continue,
                "asked" => expectations.retain(|known| !same(&known.request, &read.request)),
                "affinity" => {
                    read.answer = Expected::Skipped("a session of the other system".to_owned());
                }
                _ => {}
            }
            expectations.push(read);
        }
    }
    if expectations.is_empty() {
        return Err(at(root.line, "`requests` must have a request"));
    }
    let variants = root.get("variants").map_or(&[][..], Node::fields).iter();
    let variants = variants.map(|(name, node)| {
        let text = scalar(node).ok_or_else(|| at(node.line, "must be a variant or a cluster"))?;
        Ok((name.clone(), text, node.line))
    });
    let variants = variants.collect::<Result<_>>()?;
    Ok(File { name: path.to_owned(), variants, expectations })
}

type Problem = (usize, String);

fn entry(node: &Node) -> Result<Expectation, Problem> {
    known(node, &ENTRY)?;
    let text = |name: &str| node.get(name).and_then(scalar);
    let source =
        match text("sourceIp") {
            None => None,
            Some(text) => Some(text.parse::<IpAddr>().map_err(|_| {
                (node.line, "sourceIp must be an address, as in 10.1.2.3".to_owned())
            })?),
        };
    let (at, skipped) = match text("at").map(|at| (when::time(&at), at)) {
        None => (None, None),
        Some((Ok(at), _)) => (Some(at), None),
        Some((Err(_), at)) => (None, Some(format!("at {at:?} is no time in UTC"))),
    };
    let answer = match skipped {
        Some(why) => Expected::Skipped(why),
        None => answer(node)?,
    };
    let per = match text("per").as_deref() {
        None | Some("request") => Per::Request,
        Some("user" | "client") => Per::User,
        Some(_) => return Err((node.line, "per must be request or user".to_owned())),
    };
    let request = HeaderList::new(request(node)?).with_source(source);
    Ok(Expectation { line: node.line, request, answer, per, at, note: text("note") })
}

fn request(node: &Node) -> Result<Vec<(String, String)>, Problem> {
    let text = |name: &str| node.get(name).and_then(scalar);
    let mut headers = vec![
        (":method".to_owned(), text("method").unwrap_or_else(|| "GET".to_owned())),
        (":path".to_owned(), text("path").unwrap_or_else(|| "/".to_owned())),
    ];
    headers.extend(text("authority").map(|host| (":authority".to_owned(), host)));
    for pair in node.get("headers").map_or(&[][..], Node::elements) {
        let header = match pair.elements() {
            [name, value] => scalar(name).zip(scalar(value)),
            _ => None,
        };
        let header = header.map(|(name, value)| given::header(&format!("{name}:{value}")));
        match header {
            Some(Ok(header)) => headers.push(header),
            _ => return Err((pair.line, "a header must be [name, value]".to_owned())),
        }
    }
    for (namespace, node) in
        fields(node, "metadata", "{ envoy.filters.http.jwt_authn: { sub: ann } }")?
    {
        claims(node, &mut vec![namespace], &mut headers)?;
    }
    for (name, node) in fields(node, "filterState", "{ shop.tenant: acme }")? {
        headers.push(property(Part::filter_state(name), node)?);
    }
    Ok(headers)
}

/// The fields of an object inside an entry; none where it is not given.
fn fields<'n>(entry: &'n Node, name: &str, form: &str) -> Result<&'n [(String, Node)], Problem> {
    match entry.get(name) {
        None => Ok(&[]),
        Some(node) if matches!(node.value, Value::Object(_)) => Ok(node.fields()),
        Some(node) => Err((node.line, format!("{name} must be an object, as in {form}"))),
    }
}

/// Reads dynamic metadata under this path, down to its values: one object stands in another.
fn claims<'n>(
    node: &'n Node,
    path: &mut Vec<&'n str>,
    headers: &mut Vec<(String, String)>,
) -> Result<(), Problem> {
    if path.len() > 1 && !matches!(node.value, Value::Object(_)) {
        headers.push(property(Part::metadata(path), node)?);
        return Ok(());
    }
    if node.fields().is_empty() {
        return Err((node.line, format!("{} must have a name and a value", path.join(", "))));
    }
    for (name, node) in node.fields() {
        path.push(name);
        claims(node, path, headers)?;
        path.pop();
    }
    Ok(())
}

/// A property of the request, with the text that the filter takes it for.
fn property(part: Part, node: &Node) -> Result<(String, String), Problem> {
    let is_whole = |number: f64| number.fract() == 0.0 && number.abs() < limits::AMBIGUOUS_NUMBER;
    let text = match &node.value {
        Value::Text(text) => Some(text.clone()),
        Value::Number(number) if is_whole(*number) => Some((*number as i64).to_string()),
        _ => None,
    };
    let remedy =
        "must be a text or a whole number below 2^51: anything else is absent to the filter";
    let text = text.ok_or_else(|| (node.line, format!("{part} {remedy}")))?;
    Ok((given::path(part), text))
}

fn answer(node: &Node) -> Result<Expected, Problem> {
    match (node.get("goes"), node.get("shares")) {
        (Some(goes), None) => {
            let name = scalar(goes)
                .ok_or_else(|| (goes.line, "goes must be a variant, or none".to_owned()))?;
            Ok(Expected::Goes(Some(name).filter(|name| name != NONE)))
        }
        (None, Some(shares)) => {
            let number = |node: &Node| match node.value {
                Value::Number(number) if number >= 0.0 => Some(number),
                _ => None,
            };
            let weights: Option<Vec<_>> =
                shares.fields().iter().map(|(name, node)| Some((name, number(node)?))).collect();
            let sum =
                |weights: &Vec<(_, f64)>| weights.iter().map(|(_, weight)| *weight).sum::<f64>();
            match weights.map(|weights| (sum(&weights), weights)) {
                Some((sum, weights)) if sum > 0.0 => Ok(Expected::Shares(
                    weights
                        .into_iter()
                        .map(|(name, weight)| (name.clone(), weight / sum))
                        .collect(),
                )),
                _ => {
                    Err((shares.line, "shares must be weights, as in { a: 90, b: 10 }".to_owned()))
                }
            }
        }
        _ => Err((node.line, "a request must have either `goes` or `shares`".to_owned())),
    }
}

fn known(node: &Node, fields: &[&str]) -> Result<(), Problem> {
    if !matches!(node.value, Value::Object(_)) {
        return Err((node.line, format!("must be an object with {}", fields.join(", "))));
    }
    // A note with a comma in it is read as a note, and names without values.
    let is_note = |name: &str, node: &Node| {
        name.contains(' ') && matches!(node.value, Value::Null) && fields.contains(&"note")
    };
    let mut unknown = node.fields().iter().filter(|(name, _)| !fields.contains(&name.as_str()));
    match unknown.find(|(name, node)| !is_note(name, node)) {
        Some((name, node)) => {
            Err((node.line, format!("{:?} is no field of these: {}", name, fields.join(", "))))
        }
        None => Ok(()),
    }
}

/// A text, or a number or boolean as it is written.
fn scalar(node: &Node) -> Option<String> {
    node.text().map(str::to_owned).or_else(|| node.written.clone())
}

fn same(one: &HeaderList, other: &HeaderList) -> bool {
    (&one.headers, one.source) == (&other.headers, other.source)
}
