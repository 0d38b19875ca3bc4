//! The input of a request that lies beyond a limit, and so counts as absent.

use indicatif::HumanCount;
use traffic_split::config::{ConditionTest, Config, KeySource, Mode, Operator, Part, RuleSpec};
use traffic_split::{HeaderList, Ignored, Request, limits};

/// The keys of a rule that are too long.
pub fn keys(rule: &RuleSpec, request: &HeaderList) -> Vec<String> {
    let sources = rule.sticky.iter().flat_map(|sticky| &sticky.key);
    let parts = sources.filter_map(KeySource::part);
    parts.flat_map(|part| longer(part, limits::KEY_BYTES, "a key may have", request)).collect()
}

/// Everything but keys that was looked for, and lies beyond a limit.
pub fn notes(config: &Config, request: &HeaderList) -> Vec<String> {
    let note = |what: Ignored| match what {
        Ignored::Value => values(request),
        Ignored::Cookies => vec![cookies(request)],
        Ignored::Query => vec![query(request)],
        Ignored::Search => searched(config, request),
        Ignored::Key | Ignored::Signature => Vec::new(),
    };
    request.ignored().iter().flat_map(note).collect()
}

fn longer(part: &Part, limit: usize, remedy: &str, request: &HeaderList) -> Vec<String> {
    let values = part.values(request).into_iter().filter(|value| value.len() > limit);
    values
        .map(|v| format!("{part} is {} bytes; {remedy} {}", number(v.len()), number(limit)))
        .collect()
}

fn values(request: &HeaderList) -> Vec<String> {
    let limit = limits::VALUE_BYTES;
    let note = |(name, value): &(String, Vec<u8>)| {
        let value = match name.as_str() {
            "cookie" => return None,
            ":path" => value.split(|b| *b == b'?').next()?,
            _ => value,
        };
        if value.len() > limit {
            let (bytes, limit) = (number(value.len()), number(limit));
            return Some(format!("header {name} is {bytes} bytes; a value may have {limit}"));
        }
        let ends = value.iter().any(|b| matches!(b, b'\0' | b'\r' | b'\n'));
        ends.then(|| format!("header {name} has a NUL, CR or LF"))
    };
    request.headers.iter().filter_map(note).collect()
}

fn cookies(request: &HeaderList) -> String {
    let lines: Vec<_> =
        request.headers.iter().filter(|(name, _)| name == "cookie").map(|(_, line)| line).collect();
    let bytes = lines.iter().map(|line| line.len()).sum();
    let pairs = lines.iter().map(|line| line.split(|b| *b == b';').count()).sum();
    format!(
        "the cookies are {} bytes in {} pairs; the first {} bytes and {} pairs are searched",
        number(bytes),
        number(pairs),
        number(limits::COOKIE_BYTES),
        number(limits::COOKIE_PAIRS)
    )
}

fn query(request: &HeaderList) -> String {
    let target = request.find_header(":path", Some).unwrap_or_default();
    let query = target.splitn(2, |b| *b == b'?').nth(1).unwrap_or_default();
    format!(
        "the query is {} bytes in {} parameters; {} bytes and the first {} parameters are searched",
        number(query.len()),
        number(query.split(|b| *b == b'&').count()),
        number(limits::VALUE_BYTES),
        number(limits::QUERY_PAIRS)
    )
}

fn searched(config: &Config, request: &HeaderList) -> Vec<String> {
    let conditions =
        config.rules.iter().filter_map(|rule| rule.entries.as_ref()).flatten().flatten();
    let mut notes: Vec<String> = conditions
        .filter_map(|condition| match &condition.test {
            ConditionTest::Text {
                part,
                operator: Operator::Regex(_) | Operator::Contains(_) | Operator::Member(_),
                ..
            } => Some(part),
            _ => None,
        })
        .flat_map(|part| longer(part, limits::SEARCH_BYTES, "regex and contains take", request))
        .collect();
    notes.sort();
    notes.dedup();
    notes
}

/// A number with commas between thousands.
fn number(number: usize) -> HumanCount {
    HumanCount(number as u64)
}

/// The links and cookies of a request that force no variant, although the rule has an override.
pub fn choices(config: &Config, rule: &RuleSpec, request: &HeaderList) -> Vec<String> {
    let Some(overrides) = &rule.overrides else { return Vec::new() };
    let link = Part::QueryParam(overrides.query_param.clone());
    let ends = link.values(request).first().is_some_and(|value| value.is_empty());
    let cookie = Part::Cookie(overrides.cookie.name.clone());
    let parts = [link, cookie].into_iter().filter(|part| !ends && !part.values(request).is_empty());
    let why = match (config.mode, &config.hold) {
        (Mode::Shadow, _) => "nothing is carried out in shadow",
        (Mode::Enforce, Some(_)) => "`hold` counts before it",
        (Mode::Enforce, None) => "it names no variant of `override`, does not verify, or is over",
    };
    let note = |part: Part| format!("{part} is there, and forces nothing: {why}");
    parts.map(note).collect()
}
