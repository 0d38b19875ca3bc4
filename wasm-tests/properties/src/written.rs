//! Configurations written at random: right in most places, so that the wrong ones are reached.

use arbitrary::{Result, Unstructured};
use serde_json::{Map, Value, json};

const VARIANTS: [&str; 4] = ["a", "b", "c", "gone"];
const TEXTS: [&str; 12] =
    ["a", "A", "ab", "b", "", " a", "é", "1", "x-split-cluster", "0.0.0.0/0", "a\nb", "KEYS"];
const NUMBERS: [f64; 11] = [0.0, 1.0, 0.5, 10.0, 90.0, -1.0, 1e6, 1e7, 1e-6, 1e-7, 1e300];
const REGEXES: [&str; 6] = ["a.*", "[0-9]+", "(", "a{999}", "((a{99}){99}){99}", "a)|(b"];
const TIMES: [&str; 5] = [
    "2026-12-01T09:00:00Z",
    "1970-01-01T00:00:00Z",
    "9999-12-31T23:59:60Z",
    "2026-02-30T00:00:00Z",
    "2026-12-01T09:00:00+01:00",
];
const DURATIONS: [&str; 6] = ["30d", "1h30m", "0s", "401d", "10s", "session"];
const OPERATORS: [&str; 10] = [
    "exact",
    "prefix",
    "pathPrefix",
    "suffix",
    "contains",
    "in",
    "regex",
    "range",
    "present",
    "exakt",
];

type Writer<'w> = &'w dyn Fn(&mut Unstructured<'_>) -> Result<Value>;

pub(crate) fn configuration(u: &mut Unstructured<'_>) -> Result<Value> {
    let rules = list(u, 6, &rule)?;
    let mut variants = Map::new();
    for name in VARIANTS.iter().take(3) {
        variants.insert((*name).into(), odd(u, &|_| Ok(json!({"cluster": "to"})))?);
    }
    object(
        u,
        &[
            ("clusterHeader", 8, &|_| Ok(json!("x-split-cluster"))),
            ("variantHeader", 8, &|_| Ok(json!("x-split-variant"))),
            ("debugHeader", 4, &|u| Ok(json!(u.choose(&["x-split-debug", "cookie", "a b"])?))),
            ("metrics", 8, &|u| Ok(json!(u.choose(&["off", "counts", "full", "all"])?))),
            ("mode", 4, &mode),
            ("variants", 31, &|_| Ok(Value::Object(variants.clone()))),
            ("rules", 31, &|_| Ok(rules.clone())),
        ],
    )
}

fn rule(u: &mut Unstructured<'_>) -> Result<Value> {
    let name = u.int_in_range(0..=999)?;
    let split = u.ratio(1, 2)?;
    object(
        u,
        &[
            ("name", 31, &|_| Ok(json!(format!("r{name}")))),
            ("match", 16, &|u| list(u, 3, &entry)),
            ("to", if split { 0 } else { 31 }, &|u| Ok(json!(u.choose(&VARIANTS)?))),
            ("split", if split { 31 } else { 0 }, &weights),
            ("history", if split { 6 } else { 0 }, &|u| list(u, 3, &weights)),
            ("layer", 3, &|_| Ok(json!("l"))),
            ("slice", 3, &|u| Ok(json!([number(u)?, number(u)?]))),
            ("sticky", if split { 20 } else { 2 }, &sticky),
            ("persist", if split { 10 } else { 1 }, &cookie),
            ("mode", 4, &mode),
            ("ramp", if split { 8 } else { 1 }, &ramp),
            ("guard", if split { 8 } else { 1 }, &guard),
        ],
    )
}

fn mode(u: &mut Unstructured<'_>) -> Result<Value> {
    Ok(json!(u.choose(&["enforce", "shadow", "shadow", "off"])?))
}

fn variant(u: &mut Unstructured<'_>) -> Result<Value> {
    Ok(json!(u.choose(&VARIANTS)?))
}

fn ramp(u: &mut Unstructured<'_>) -> Result<Value> {
    object(
        u,
        &[
            ("variant", 31, &variant),
            ("to", 31, &number),
            ("start", 31, &|u| Ok(json!(u.choose(&TIMES)?))),
            ("duration", 31, &|u| Ok(json!(u.choose(&DURATIONS)?))),
            ("steps", 8, &number),
            ("hold", 4, &|u| Ok(json!(u.arbitrary::<bool>()?))),
        ],
    )
}

fn guard(u: &mut Unstructured<'_>) -> Result<Value> {
    object(
        u,
        &[
            ("watch", 31, &variant),
            ("fallback", 31, &variant),
            ("maxErrorRate", 31, &|u| Ok(json!(u.choose(&["5%", "0%", "100%", "NaN%", "5"])?))),
            ("maxLatencyRatio", 8, &number),
            ("minRequests", 8, &number),
            ("window", 8, &|u| Ok(json!(u.choose(&DURATIONS)?))),
            ("cooldown", 8, &|u| Ok(json!(u.choose(&DURATIONS)?))),
        ],
    )
}

fn weights(u: &mut Unstructured<'_>) -> Result<Value> {
    object(u, &VARIANTS.map(|name| (name, 16, &number as Writer<'_>)))
}

fn sticky(u: &mut Unstructured<'_>) -> Result<Value> {
    object(
        u,
        &[
            ("key", 20, &|u| {
                list(u, 3, &|u| {
                    let sources = ["header", "cookie", "queryParam", "sourceIp"];
                    let source = *u.choose(&sources)?;
                    let value = if source == "sourceIp" { json!(true) } else { text(u)? };
                    let mut source = json!({source: value});
                    if u.ratio(1, 8)? {
                        source["trusted"] = json!(true);
                    }
                    Ok(source)
                })
            }),
            ("issue", 10, &cookie),
            ("salt", 4, &text),
        ],
    )
}

fn cookie(u: &mut Unstructured<'_>) -> Result<Value> {
    object(
        u,
        &[
            ("cookie", 31, &|u| Ok(json!(u.choose(&["id", "kept", "__Host-id", "a b"])?))),
            ("maxAge", 31, &|u| Ok(json!(u.choose(&DURATIONS)?))),
            ("path", 4, &text),
            ("domain", 4, &text),
            ("sameSite", 4, &|u| Ok(json!(u.choose(&["Lax", "None", "Strict"])?))),
            ("secure", 16, &|_| Ok(json!(true))),
            ("partitioned", 2, &|_| Ok(json!(true))),
            ("drain", 2, &|_| Ok(json!(false))),
            ("signing", 8, &|u| Ok(json!({"env": text(u)?}))),
            ("renew", 8, &|_| Ok(json!(true))),
            ("reassign", 4, &|u| Ok(json!(u.choose(&["navigation", "never"])?))),
        ],
    )
}

fn entry(u: &mut Unstructured<'_>) -> Result<Value> {
    let named: Writer<'_> = &|u| {
        let name = *u.choose(&["x", "y", "Host", "a b", "\u{1b}\n"])?;
        Ok(json!({name: condition(u)?}))
    };
    object(
        u,
        &[
            ("headers", 16, named),
            ("cookies", 8, named),
            ("queryParams", 8, named),
            ("path", 4, &condition),
            ("method", 4, &condition),
            ("authority", 4, &condition),
            ("sourceIp", 4, &|u| Ok(json!([text(u)?]))),
        ],
    )
}

fn condition(u: &mut Unstructured<'_>) -> Result<Value> {
    let operator = *u.choose(&OPERATORS)?;
    let operand: Writer<'_> = match operator {
        "in" => &|u| list(u, 4, &text),
        "regex" => &|u| Ok(json!(u.choose(&REGEXES)?)),
        "range" => &|u| Ok(json!({"start": number(u)?, "end": number(u)?})),
        "present" => &|u| Ok(json!(u.arbitrary::<bool>()?)),
        _ => &text,
    };
    object(u, &[(operator, 31, operand), ("not", 4, &|_| Ok(json!(true)))])
}

/// Each field with so many chances of 32; now and then one that nobody knows.
fn object(u: &mut Unstructured<'_>, fields: &[(&str, u8, Writer<'_>)]) -> Result<Value> {
    let mut object = Map::new();
    for (name, chances, write) in fields {
        if u.int_in_range(0..=31)? < *chances {
            object.insert((*name).into(), odd(u, *write)?);
        }
    }
    if u.int_in_range(0..=63)? == 63 {
        object.insert(u.arbitrary()?, Value::Null);
    }
    Ok(Value::Object(object))
}

/// What it should be, and once in 64 times something else.
fn odd(u: &mut Unstructured<'_>, write: Writer<'_>) -> Result<Value> {
    Ok(match u.int_in_range(0..=127)? {
        127 => Value::Null,
        126 => json!(u.arbitrary::<String>()?),
        125 => json!({}),
        124 => json!([[], 1]),
        _ => write(u)?,
    })
}

fn list(u: &mut Unstructured<'_>, most: usize, write: Writer<'_>) -> Result<Value> {
    let length = u.int_in_range(0..=most)?;
    (0..length).map(|_| odd(u, write)).collect::<Result<Vec<_>>>().map(Value::Array)
}

fn text(u: &mut Unstructured<'_>) -> Result<Value> {
    Ok(json!(u.choose(&TEXTS)?))
}

fn number(u: &mut Unstructured<'_>) -> Result<Value> {
    Ok(json!(u.choose(&NUMBERS)?))
}
