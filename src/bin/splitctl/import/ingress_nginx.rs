//! Canaries as ingress-nginx decides them: a session, a header, a cookie, then a weight.

use super::canary::{self, Location, Pin, Policy};
use super::form::{Action, Condition, Destination, Imported, Part, Remark, Split, Test};
use super::ingress::{Ingress, Path};
use super::pattern::{self, Problem};

/// Translates Ingresses. With `as_is`, a canary belongs to its primary's service wherever that is.
pub fn import(ingresses: &[Ingress<'_>], as_is: bool) -> Imported {
    let mut remarks = Vec::new();
    let mut locations = canary::locations(ingresses, &mut remarks);
    share(&mut locations, as_is, &mut remarks);
    let hosts = canary::hosts(locations, policy);
    Imported { hosts, remarks, header: None }
}

/// ingress-nginx gives a canary to the primary's service, whichever path leads there.
fn share<'i, 'n>(locations: &mut [Location<'i, 'n>], as_is: bool, remarks: &mut Vec<Remark>) {
    let canaries: Vec<(Destination, (&'i Ingress<'n>, &'i Path<'n>))> = locations
        .iter()
        .flat_map(|it| it.canaries.iter().map(|canary| (it.path.to.clone(), *canary)))
        .collect();
    let mut told: Vec<&Destination> = Vec::new();
    for location in locations {
        let Some((service, (ingress, path))) =
            canaries.iter().find(|(service, _)| *service == location.path.to)
        else {
            continue;
        };
        if as_is {
            location.canaries = vec![(*ingress, *path)];
        } else if location.canaries.is_empty() && !told.contains(&service) {
            told.push(service);
            remarks.push(ingress.source.note(
                path.node,
                "spec.rules.http.paths",
                format!(
                    "ingress-nginx gives canary {} every path of service {}, also {}{}; here it gets \
                     the path that it asks for; --as-is keeps the others",
                    ingress.name,
                    service.service,
                    location.path.host.text(),
                    location.path.path
                ),
            ));
        }
    }
}

fn policy(location: &Location<'_, '_>) -> Policy {
    let stable = &location.path.to;
    let mut remarks = Vec::new();
    let Some((ingress, path)) = location.canaries.first() else {
        return Policy { pins: Vec::new(), rest: Action::To(stable.clone()), remarks };
    };
    for (other, path) in location.canaries.get(1..).unwrap_or(&[]) {
        remarks.push(other.source.note(
            path.node,
            "spec.rules.http.paths",
            format!(
                "one canary counts for a path, the oldest: {}, and not {}",
                ingress.name, other.name
            ),
        ));
    }
    let to = &path.to;
    let mut pins = header_pins(ingress, stable, to, &mut remarks);
    if let Some(name) = ingress.text("canary-by-cookie") {
        pins.extend([("always", "cookie-always", to), ("never", "cookie-never", stable)].map(
            |(value, title, to)| {
                let part = Part::CookieAnyCase(name.clone());
                pin(title, Condition::new(part, Test::Exact(value.to_owned())), to)
            },
        ));
    }
    let mut rest = weights(ingress, stable, to, &mut remarks);
    sessions(location, to, !pins.is_empty(), &mut rest, &mut remarks);
    Policy { pins, rest, remarks }
}

fn pin(title: &'static str, condition: Condition, to: &Destination) -> Pin {
    Pin { title, condition, to: to.clone() }
}

fn header_pins(
    ingress: &Ingress<'_>,
    stable: &Destination,
    to: &Destination,
    remarks: &mut Vec<Remark>,
) -> Vec<Pin> {
    let value = ingress.annotation("canary-by-header-value").filter(|(.., text)| !text.is_empty());
    let pattern =
        ingress.annotation("canary-by-header-pattern").filter(|(.., text)| !text.is_empty());
    let Some(name) = ingress.text("canary-by-header") else {
        for (node, field, _) in value.into_iter().chain(pattern) {
            let text = "has no effect without canary-by-header";
            remarks.push(ingress.source.note(node, &field, text));
        }
        return Vec::new();
    };
    // The variable that nginx keeps a header in has no hyphens, and so the annotation may have `_`.
    let part = Part::Header(name.replace('_', "-").to_ascii_lowercase());
    let exact = |text: &str| Condition::new(part.clone(), Test::Exact(text.to_owned()));
    match (value, pattern) {
        (Some((.., value)), pattern) => {
            if let Some((node, field, _)) = pattern {
                let text = "has no effect beside canary-by-header-value";
                remarks.push(ingress.source.note(node, &field, text));
            }
            vec![pin("header", exact(&value), to)]
        }
        (None, Some((node, field, text))) => match pattern::anywhere(&text) {
            Ok(test) => vec![pin("header", Condition::new(part, test), to)],
            Err(Problem::Broken(why)) => {
                remarks.push(ingress.source.note(
                    node,
                    &field,
                    format!("nginx cannot read the pattern ({why}), and sends a request that has the header to the stable service; mend it"),
                ));
                vec![pin("header", Condition::new(part, Test::Present(true)), stable)]
            }
            Err(Problem::Unsupported(why)) => {
                remarks.push(ingress.source.lost(
                    node,
                    &field,
                    format!("the pattern: {why}; write it without, or list the values"),
                ));
                Vec::new()
            }
        },
        (None, None) => {
            vec![pin("always", exact("always"), to), pin("never", exact("never"), stable)]
        }
    }
}

fn weights(
    ingress: &Ingress<'_>,
    stable: &Destination,
    to: &Destination,
    remarks: &mut Vec<Remark>,
) -> Action {
    let mut number = |name: &str| {
        let (node, field, text) = ingress.annotation(name)?;
        let number = text.parse::<i32>().ok();
        if number.is_none() {
            let text = "is no integer, and has no effect";
            remarks.push(ingress.source.note(node, &field, text));
        }
        Some((node, field, i64::from(number?)))
    };
    let (weight, total) = (number("canary-weight"), number("canary-weight-total"));
    if let Some((node, field, total)) = total.as_ref().filter(|(.., total)| *total < 100) {
        let text = format!("ingress-nginx counts a total of {total} as 100, and so is it here");
        remarks.push(ingress.source.note(node, field, text));
    }
    let total = total.map_or(100, |(.., total)| total.max(100));
    let given = weight.as_ref().map_or(0, |(.., weight)| *weight);
    if let Some((node, field, _)) = weight.filter(|_| given > total) {
        let text = format!("more than the total of {total} sends every request to the canary");
        remarks.push(ingress.source.note(node, &field, text));
    }
    canary::weighted(stable, to, given, total)
}

/// The longest time that a cookie may be kept, in seconds.
const LONGEST: u64 = 400 * 86_400;

/// Session affinity of the primary: a client keeps the side that it drew.
fn sessions(
    location: &Location<'_, '_>,
    canary: &Destination,
    has_pins: bool,
    rest: &mut Action,
    remarks: &mut Vec<Remark>,
) {
    let (primary, source) = (location.ingress, location.ingress.source);
    let Some((node, field, kind)) = primary.annotation("affinity") else { return };
    if kind != "cookie" {
        return;
    }
    let legacy = primary.text("affinity-canary-behavior").as_deref() == Some("legacy");
    let lost =
        "the affinity to one pod, and the sessions that run now, whose cookies mean nothing here";
    let max_age =
        primary.text("session-cookie-max-age").or_else(|| primary.text("session-cookie-expires"));
    let max_age = max_age.and_then(|text| text.parse::<u64>().ok()).filter(|seconds| *seconds > 0);
    let text = match legacy {
        true => lost.to_owned(),
        false => format!("{lost}; a cookie of its own keeps the variant (persist)"),
    };
    remarks.push(source.lost(node, &field, text));
    if has_pins {
        let text = "a session won over header and cookie there; here they win over the session";
        remarks.push(source.note(node, &field, text));
    }
    if legacy {
        return;
    }
    let stable = &location.path.to;
    // A side without a share keeps its sessions.
    let weights = match rest {
        Action::Split(split) => std::mem::take(&mut split.weights),
        Action::To(to) => {
            [stable, canary].map(|it| (it.clone(), if it == to { 100.0 } else { 0.0 })).to_vec()
        }
    };
    let session = Some(max_age.map(|seconds| seconds.min(LONGEST)));
    *rest = Action::Split(Split { weights, session, ..Split::default() });
}
