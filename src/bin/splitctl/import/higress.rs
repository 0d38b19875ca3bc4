//! Canaries as Higress decides them: the same annotations as ingress-nginx', with another meaning. Of
//! value, pattern, cookie and weight the first one alone counts.

use super::canary::{self, Location, Pin, Policy};
use super::form::{Action, Condition, Destination, Imported, Part, Remark, Split, Test};
use super::ingress::Ingress;
use super::pattern;

/// Translates Ingresses. With `as_is`, the expression that Higress makes of a cookie stays.
pub fn import(ingresses: &[Ingress<'_>], as_is: bool) -> Imported {
    let mut remarks = Vec::new();
    let locations = canary::locations(ingresses, &mut remarks);
    let hosts = canary::hosts(locations, |location| policy(location, as_is));
    Imported { hosts, remarks, header: None }
}

fn policy(location: &Location<'_, '_>, as_is: bool) -> Policy {
    let stable = &location.path.to;
    let mut policy =
        Policy { pins: Vec::new(), rest: Action::To(stable.clone()), remarks: Vec::new() };
    let mut weights: Vec<(Destination, f64)> = Vec::new();
    let mut total = 100;
    for (ingress, path) in &location.canaries {
        let header = ingress.text("canary-by-header");
        let counts = [
            "canary-by-header-value",
            "canary-by-header-pattern",
            "canary-by-cookie",
            "canary-weight",
        ];
        let first = counts.into_iter().find(|name| ingress.text(name).is_some());
        passed_over(ingress, header.is_some(), first, &mut policy.remarks);
        let test = match (&header, first) {
            (Some(header), Some("canary-by-header-value" | "canary-by-header-pattern")) => {
                pattern_of(ingress, first.unwrap_or_default(), &mut policy.remarks)
                    .map(|test| Condition::new(Part::Header(header.to_ascii_lowercase()), test))
            }
            (Some(header), _) => {
                let test = Test::Exact("always".to_owned());
                Some(Condition::new(Part::Header(header.to_ascii_lowercase()), test))
            }
            (None, Some("canary-by-cookie")) => cookie(ingress, as_is, &mut policy.remarks),
            (None, _) => {
                let number = |name| ingress.text(name).and_then(|text| text.parse::<u32>().ok());
                if first == Some("canary-weight") {
                    let weight = number("canary-weight").unwrap_or(0);
                    weights.push((path.to.clone(), f64::from(weight)));
                    total = number("canary-weight-total").filter(|it| *it > 0).unwrap_or(total);
                }
                None
            }
        };
        policy.pins.extend(test.map(|condition| Pin {
            title: "header",
            condition,
            to: path.to.clone(),
        }));
    }
    let taken: f64 = weights.iter().map(|(_, weight)| weight).sum();
    let rest = (f64::from(total) - taken).max(0.0);
    weights.insert(0, (stable.clone(), rest));
    policy.rest = match weights.as_slice() {
        [_, (to, weight)] => canary::weighted(stable, to, *weight as i64, (*weight + rest) as i64),
        [_] => policy.rest,
        _ => Action::Split(Split { weights, ..Split::default() }),
    };
    policy
}

/// Remarks on the annotations that the first one makes meaningless.
fn passed_over(
    ingress: &Ingress<'_>,
    by_header: bool,
    first: Option<&str>,
    remarks: &mut Vec<Remark>,
) {
    let names = ["canary-by-header-pattern", "canary-by-cookie", "canary-weight"];
    for name in names.into_iter().filter(|name| Some(*name) != first || by_header) {
        let counts = by_header && Some(name) == first && name == "canary-by-header-pattern";
        if let Some((node, field, _)) = ingress.annotation(name).filter(|_| !counts) {
            let text = match first {
                Some(first) if first != name => format!("has no effect beside {first}"),
                _ => "has no effect beside canary-by-header".to_owned(),
            };
            remarks.push(ingress.source.note(node, &field, text));
        }
    }
}

fn pattern_of(ingress: &Ingress<'_>, name: &str, remarks: &mut Vec<Remark>) -> Option<Test> {
    let (node, field, text) = ingress.annotation(name)?;
    let text = if name == "canary-by-header-value" {
        remarks.push(ingress.source.note(
            node,
            &field,
            "Higress matches always as well, and reads the value as an expression",
        ));
        format!("always|{text}")
    } else {
        text
    };
    let test = pattern::whole(&text);
    test.map_err(|problem| {
        let text = format!("the pattern: {}; write it without, or list the values", problem.text());
        remarks.push(ingress.source.lost(node, &field, text));
    })
    .ok()
}

fn cookie(ingress: &Ingress<'_>, as_is: bool, remarks: &mut Vec<Remark>) -> Option<Condition> {
    let (node, field, name) = ingress.annotation("canary-by-cookie")?;
    let text = "Higress finds the cookie where it is the only one; here it is found among others too; --as-is keeps the expression";
    if !as_is {
        remarks.push(ingress.source.note(node, &field, text));
        let test = Test::Exact("always".to_owned());
        return Some(Condition::new(Part::Cookie(name), test));
    }
    // The backslashes are Higress' own: `.\*` is any character and a star.
    let expression = format!("^(.\\*?;)?({name}=always)(;.\\*)?$");
    match pattern::whole(&expression) {
        Ok(test) => Some(Condition::new(Part::Header("cookie".to_owned()), test)),
        Err(problem) => {
            remarks.push(ingress.source.lost(node, &field, problem.text()));
            None
        }
    }
}
