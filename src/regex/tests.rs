//! Expressions against those of `regex-lite`, and what they cost.

use fastrand::Rng;
use regex_lite::RegexBuilder;

use super::*;

fn compile(pattern: &str) -> Regex {
    Regex::new(pattern, false, &mut { limits::REGEX_EFFORTS }).unwrap()
}

/// The expression of `regex-lite` that has the same meaning: alone, so that `a)|(b` is refused, and
/// anchored, with the anchor on a line of its own if a comment would swallow it.
fn reference(pattern: &str, ignore_case: bool) -> Option<regex_lite::Regex> {
    let build = |pattern: &str| {
        let mut builder = RegexBuilder::new(pattern);
        builder.case_insensitive(ignore_case).size_limit(64 << 10).nest_limit(32).build().ok()
    };
    build(pattern)?;
    let anchored = build(&format!("^(?:{pattern})$"));
    anchored.or_else(|| build(&format!("^(?:{pattern}\n)$")))
}

const ATOMS: [&str; 44] = [
    "a",
    "b",
    "B",
    "1",
    "-",
    "_",
    " ",
    "é",
    "É",
    "€",
    ".",
    "^",
    "$",
    "[ab]",
    "[^a]",
    "[a-c1]",
    "[^é-€]",
    "[[:alpha:]]",
    "[[:^word:]_]",
    "[]a]",
    "[^-a]",
    "[a-]",
    "[\\w-]",
    "[\\]\\x61]",
    "\\d",
    "\\D",
    "\\w",
    "\\W",
    "\\s",
    "\\S",
    "\\b",
    "\\B",
    "\\<",
    "\\>",
    "\\b{start}",
    "\\b{end-half}",
    "\\x61",
    "\\u{e9}",
    "\\.",
    "\\-",
    "\\A",
    "\\z",
    "[ -~]",
    "#",
];
const OPERATORS: [&str; 12] =
    ["*", "+", "?", "{2}", "{1,2}", "{0,3}", "{2,}", "*?", "{0}", "+?", "{1}", "??"];
const OPENINGS: [&str; 8] = ["(", "(?:", "(?i:", "(?<n>", "(?x: ", "(?s-i:", "(?P<m>", "(?i)("];

fn pattern(rng: &mut Rng, depth: u32) -> String {
    let mut text = String::new();
    for _ in 0..rng.u32(0..5) {
        match rng.u32(..12) {
            0 => text.push('|'),
            1 | 2 if depth < 3 => {
                text += OPENINGS[rng.usize(..OPENINGS.len())];
                text += &pattern(rng, depth + 1);
                text.push(')');
            }
            _ => text += ATOMS[rng.usize(..ATOMS.len())],
        }
        if rng.u32(..3) == 0 {
            text += OPERATORS[rng.usize(..OPERATORS.len())];
        }
    }
    text
}

fn value(rng: &mut Rng) -> String {
    const CHARS: [char; 12] = ['a', 'b', 'A', 'B', '1', '-', '_', ' ', 'é', 'É', '€', 'c'];
    (0..rng.u32(..7)).map(|_| CHARS[rng.usize(..CHARS.len())]).collect()
}

/// `PATTERNS=10000000` for more.
#[test]
fn expressions_mean_what_those_of_regex_lite_mean() {
    let patterns = std::env::var("PATTERNS").map_or(20_000, |text| text.parse().unwrap());
    let mut rng = Rng::with_seed(1);
    let (mut taken, mut matched) = (0, 0);
    for _ in 0..patterns {
        let (pattern, fold) = (pattern(&mut rng, 0), rng.u32(..4) == 0);
        let Some(reference) = reference(&pattern, fold) else { continue };
        taken += 1;
        // Some without a table.
        let effort = if rng.u32(..4) == 0 { 0 } else { limits::REGEX_EFFORTS };
        let regex = Regex::new(&pattern, fold, &mut { effort });
        let regex = regex.unwrap_or_else(|error| panic!("{pattern:?}: {error}"));
        assert!(effort > 0 || matches!(regex, Regex::Program(_)), "{pattern:?}");
        for _ in 0..20 {
            let value = value(&mut rng);
            let expected = reference.is_match(&value);
            let found = regex.matches(value.as_bytes(), &mut { u32::MAX });
            assert_eq!(found, Some(expected), "{pattern:?} {fold} {value:?}");
            matched += usize::from(expected);
        }
    }
    assert!(taken * 2 > patterns && matched > taken, "{taken} {matched} of {patterns}");
}

#[test]
fn what_regex_lite_refuses_is_refused() {
    for pattern in [
        "(",
        ")",
        "a)|(b",
        "[",
        "[a",
        "[]",
        "[^",
        "[b-a]",
        "[a-\\d]",
        "[[a]]",
        "[[:none:]]",
        "[a&&b]",
        "[a--b]",
        "[a~~b]",
        "*",
        "a|*",
        "{2}",
        "a{",
        "a{2",
        "a{2,1}",
        "a{,2}",
        "a{x}",
        "a{99999999999}",
        "\\",
        "\\1",
        "\\p{L}",
        "\\y",
        "\\xzz",
        "\\x{}",
        "\\x{110000}",
        "\\b{middle}",
        "[\\b]",
        "(?=a)",
        "(?<!a)",
        "(?)",
        "(?i",
        "(?ii:a)",
        "(?i-:a)",
        "(?z:a)",
        "(?<>a)",
        "(?<1>a)",
        "(?<n",
        "(?P=n)",
        &"(".repeat(99),
        &("(".repeat(99) + &")".repeat(99)),
        &("a".to_owned() + &"*".repeat(99)),
        "((a{99}){99}){99}",
        "a{4294967295}",
    ] {
        assert!(reference(pattern, false).is_none(), "{pattern}");
        assert!(Regex::new(pattern, false, &mut 1000).is_err(), "{pattern}");
    }
}

#[test]
fn what_is_no_utf_8_matches_nothing() {
    for effort in [0, 1000] {
        let any = Regex::new(".*", false, &mut { effort }).unwrap();
        for (value, expected) in [(&b"a\xc3\xa9"[..], true), (b"\xc3", false), (b"a\xff", false)] {
            assert_eq!(any.matches(value, &mut { u32::MAX }), Some(expected), "{value:?}");
        }
    }
}

/// Each has a table, so a character is one step, whatever the expression is.
#[test]
fn a_character_is_one_step() {
    for pattern in [
        "(.*){400}c",
        "((a|b)*(a|b)*)*c",
        ".*.*.*.*.*.*.*.*c",
        "(a?b?){30}c",
        "[a-z]{0,500}c",
        ".*(iPhone|iPad|Android).*Mobile.*Safari/[0-9.]+",
        "/api/v[0-9]+/(users|items)/[^/]+(/.*)?",
        "(?i)[a-z0-9._%+-]+@[a-z0-9.-]+\\.[a-z]{2,6}",
        "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}",
    ] {
        let regex = compile(pattern);
        assert!(matches!(regex, Regex::Table(_)), "{pattern}");
        let value = "a".repeat(1000);
        assert_eq!(regex.matches(value.as_bytes(), &mut 1000), Some(false), "{pattern}");
    }
    let any = compile(".*");
    assert_eq!(any.matches(b"aaa", &mut 2), None, "a character more than there are steps");
}

/// A row for each letter, of three classes.
#[test]
fn a_table_has_no_more_entries_than_its_bound() {
    let rows = limits::REGEX_TABLE / 3;
    for (count, has_table) in [(2000, true), (rows - 2, false)] {
        let mut effort = u32::MAX;
        let pattern = format!("(ab){{{}}}", count / 2);
        let Ok(program) = parse::parse(&pattern, false).and_then(|node| Program::new(&node)) else {
            // More states than an expression may have.
            assert!(count > limits::REGEX_STATES && !has_table);
            continue;
        };
        assert_eq!(Table::new(&program, &mut effort).is_some(), has_table, "{pattern}");
    }
    let many: String = (0..150).map(|n| char::from_u32(0x100 + 2 * n).unwrap()).collect();
    let program = Program::new(&parse::parse(&many, false).unwrap()).unwrap();
    assert!(Table::new(&program, &mut { u32::MAX }).is_none(), "150 rows of 151 classes");
}

/// These remember where each of many letters was, so a table would need a row for each subset.
#[test]
fn an_expression_without_a_table_takes_no_more_steps_than_are_left() {
    for pattern in ["(a|b)*a(a|b){20}", ".*a.{200}"] {
        let mut effort = limits::REGEX_EFFORTS;
        let regex = Regex::new(pattern, false, &mut effort).unwrap();
        assert!(matches!(regex, Regex::Program(_)), "{pattern}");
        assert!(limits::REGEX_EFFORTS - effort <= limits::REGEX_EFFORT);
        let value = "ab".repeat(limits::SEARCH_BYTES / 2);
        let mut left = limits::SEARCH_STEPS;
        let found = regex.matches(value.as_bytes(), &mut left);
        assert!(found.is_none() || left > 0, "{pattern} {found:?} {left}");
        let short = "ab".repeat(120);
        assert!(regex.matches(short.as_bytes(), &mut { limits::SEARCH_STEPS }).is_some());
        assert_eq!(regex.matches(b"a", &mut { limits::STEPS_OF_STATE - 1 }), None);
    }
}

#[test]
fn all_tables_of_a_configuration_take_no_more_than_their_effort() {
    let mut effort = limits::REGEX_EFFORT / 2;
    let regex = |effort: &mut u32| Regex::new("(a|b)*a(a|b){20}", false, effort).unwrap();
    assert!(matches!(regex(&mut effort), Regex::Program(_)));
    assert_eq!(effort, 0);
    assert!(matches!(Regex::new("a", false, &mut effort).unwrap(), Regex::Program(_)));
}
