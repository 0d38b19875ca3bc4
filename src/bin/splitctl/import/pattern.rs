//! Regular expressions of other systems, as the simplest test that says the same.

use regex_syntax::ast::parse::Parser;
use regex_syntax::ast::{AssertionKind, Ast, ErrorKind, RepetitionKind, RepetitionOp};
use traffic_split::Plan;

use super::form::Test;

/// The reason why a pattern has no counterpart.
#[derive(Debug, PartialEq)]
pub enum Problem {
    /// It is no pattern in its own system either.
    Broken(String),
    /// The filter's expressions, which take linear time, do not have this.
    Unsupported(String),
}

impl Problem {
    pub fn text(&self) -> &str {
        match self {
            Problem::Broken(text) | Problem::Unsupported(text) => text,
        }
    }
}

/// The test of a pattern that is found anywhere in a value (PCRE in nginx, `MatchString` in Go).
pub fn anywhere(pattern: &str) -> Result<Test, Problem> {
    test(pattern, false)
}

/// The test of a pattern that matches the whole value (RE2 in Envoy).
pub fn whole(pattern: &str) -> Result<Test, Problem> {
    test(pattern, true)
}

fn test(pattern: &str, whole: bool) -> Result<Test, Problem> {
    let translated = translate(pattern)?;
    let ast = Parser::new().parse(&translated).map_err(|error| problem(error.kind()))?;
    if whole && let Some(texts) = alternatives(&ast) {
        return accepted(Test::In(texts));
    }
    let pieces = match &ast {
        Ast::Concat(concat) => concat.asts.iter().collect(),
        other => vec![other],
    };
    let starts = pieces.first().is_some_and(|first| is_start(first));
    let ends = pieces.last().is_some_and(|last| is_end(last));
    let inner = pieces.get(usize::from(starts)..pieces.len() - usize::from(ends)).unwrap_or(&[]);
    // `.*` at an end of a whole value means what a missing anchor means elsewhere.
    let open_start = if whole { inner.first().is_some_and(|it| is_any(it)) } else { !starts };
    let open_end = if whole {
        inner.len() > usize::from(open_start) && inner.last().is_some_and(|it| is_any(it))
    } else {
        !ends
    };
    let cut = |open: bool| usize::from(whole && open);
    let middle = inner.get(cut(open_start)..inner.len() - cut(open_end)).unwrap_or(&[]);
    if let Some(text) = literal(middle) {
        return accepted(match (open_start, open_end) {
            (false, false) => Test::Exact(text),
            _ if text.is_empty() => Test::Present(true),
            (false, true) => Test::Prefix(text),
            (true, false) => Test::Suffix(text),
            (true, true) => Test::Contains(text),
        });
    }
    let span = |ast: &Ast| (ast.span().start.offset, ast.span().end.offset);
    let from = inner.first().map_or(0, |first| span(first).0);
    let to = inner.last().map_or(0, |last| span(last).1);
    let body = translated.get(from..to).unwrap_or(&translated);
    if whole {
        return accepted(Test::Regex(body.to_owned()));
    }
    let body = match ast {
        Ast::Alternation(_) => format!("(?:{body})"),
        _ => body.to_owned(),
    };
    let any = |open| if open { ".*" } else { "" };
    accepted(Test::Regex(format!("{}{body}{}", any(open_start), any(open_end))))
}

fn is_start(ast: &Ast) -> bool {
    matches!(ast, Ast::Assertion(it)
        if matches!(it.kind, AssertionKind::StartLine | AssertionKind::StartText))
}

fn is_end(ast: &Ast) -> bool {
    matches!(ast, Ast::Assertion(it)
        if matches!(it.kind, AssertionKind::EndLine | AssertionKind::EndText))
}

/// Whether it is `.*` or `.*?`.
fn is_any(ast: &Ast) -> bool {
    let zero = RepetitionOp { span: *ast.span(), kind: RepetitionKind::ZeroOrMore };
    matches!(ast, Ast::Repetition(it)
        if it.op.kind == zero.kind && matches!(*it.ast, Ast::Dot(_)))
}

/// The text of pieces that are letters alone.
fn literal(pieces: &[&Ast]) -> Option<String> {
    let letter = |ast: &&Ast| match ast {
        Ast::Literal(literal) => Some(literal.c),
        _ => None,
    };
    pieces.iter().filter(|ast| !matches!(ast, Ast::Empty(_))).map(letter).collect()
}

/// The texts of `a|b` or `(a|b)`.
fn alternatives(ast: &Ast) -> Option<Vec<String>> {
    let text = |ast: &Ast| match ast {
        Ast::Concat(concat) => literal(&concat.asts.iter().collect::<Vec<_>>()),
        other => literal(&[other]),
    };
    match ast {
        Ast::Alternation(it) => it.asts.iter().map(text).collect(),
        Ast::Group(group) if group.flags().is_none_or(|flags| flags.items.is_empty()) => {
            alternatives(&group.ast)
        }
        _ => None,
    }
}

fn problem(kind: &ErrorKind) -> Problem {
    let text = kind.to_string();
    match kind {
        ErrorKind::ClassUnclosed
        | ErrorKind::GroupUnclosed
        | ErrorKind::GroupUnopened
        | ErrorKind::RepetitionMissing
        | ErrorKind::EscapeUnexpectedEof
        | ErrorKind::ClassRangeInvalid
        | ErrorKind::RepetitionCountInvalid => Problem::Broken(text),
        _ => Problem::Unsupported(text),
    }
}

/// A test, if the filter accepts it.
fn accepted(test: Test) -> Result<Test, Problem> {
    let (name, value) = match &test {
        Test::Regex(text) => ("regex", text),
        Test::Exact(text) => ("exact", text),
        Test::Prefix(text) => ("prefix", text),
        Test::Suffix(text) => ("suffix", text),
        Test::Contains(text) => ("contains", text),
        Test::PathPrefix(_) | Test::In(_) | Test::Present(_) => return Ok(test),
    };
    let config = serde_json::json!({
        "variantHeader": "x-v", "variants": { "a": {} },
        "rules": [ { "name": "a", "to": "a", "match": [ { "headers": { "x": { name: value } } } ] } ]
    });
    match Plan::compile(config.to_string().as_bytes(), &|_| None) {
        Ok(_) => Ok(test),
        Err(errors) => {
            let text = errors.iter().next().map_or(String::new(), |error| error.message.clone());
            Err(Problem::Unsupported(text))
        }
    }
}

/// Writes a pattern of PCRE or RE2 so that Rust's syntax says the same.
///
/// # Errors
/// The syntax that only backtracking has: look-around, backreferences, possessive and atomic parts.
fn translate(pattern: &str) -> Result<String, Problem> {
    let no = |what: &str| Err(Problem::Unsupported(format!("the filter has no {what}")));
    let mut out = String::new();
    let mut rest = pattern;
    // Whether a class is open, and whether a quantifier has just ended.
    let (mut class, mut quantified) = (false, false);
    while let Some(c) = rest.chars().next() {
        let after = rest.get(c.len_utf8()..).unwrap_or_default();
        let next = after.chars().next();
        let mut taken = c.len_utf8();
        let mut repeats = false;
        match (c, next) {
            ('\\', Some(escaped)) => {
                taken += escaped.len_utf8();
                match escaped {
                    '1'..='9' | 'k' | 'g' if !class => return no("backreferences"),
                    'Q' | 'E' | 'K' | 'R' | 'G' | 'C' | 'X' => {
                        return no(&format!("\\{escaped}"));
                    }
                    'Z' => out.push('$'),
                    '<' | '>' | ' ' => out.push(escaped),
                    _ => out.extend(['\\', escaped]),
                }
            }
            ('[', _) if !class => {
                class = true;
                out.push('[');
                // A bracket that comes first is one of the class.
                let negated = after.strip_prefix('^');
                taken += usize::from(negated.is_some());
                if negated.is_some() {
                    out.push('^');
                }
                if negated.unwrap_or(after).starts_with(']') {
                    taken += 1;
                    out.push_str("\\]");
                }
            }
            ('[', Some(':')) if after.contains(":]") => {
                let end = after.find(":]").map_or(0, |at| at + 2);
                out.push('[');
                out.push_str(after.get(..end).unwrap_or_default());
                taken += end;
            }
            ('[' | '&' | '~', _) if class => out.extend(['\\', c]),
            (']', _) if class => {
                class = false;
                out.push(']');
            }
            ('-', Some('-')) if class => out.push_str("\\-"),
            _ if class => out.push(c),
            ('(', Some('?')) => {
                let group = after.get(1..).unwrap_or_default();
                if group.starts_with(['=', '!'])
                    || group.starts_with("<=")
                    || group.starts_with("<!")
                {
                    return no("look-around");
                }
                if group.starts_with(['>', '|', '(', 'R', '&', '+', '#']) {
                    return no(&format!("(?{}", group.chars().next().unwrap_or_default()));
                }
                // Behind a comment nothing could be added to the pattern.
                let flags = group.find(|c: char| !c.is_ascii_alphabetic() && c != '-');
                if group.get(..flags.unwrap_or(0)).is_some_and(|flags| flags.contains('x')) {
                    return no("(?x) here");
                }
                out.push('(');
            }
            ('+', _) if quantified => return no("possessive quantifiers"),
            ('*' | '+' | '?', _) => {
                repeats = !quantified;
                out.push(c);
            }
            ('{', _) if !counts(after) => out.push_str("\\{"),
            ('}', _) if out.rfind('{').is_some_and(|at| out.get(at..).is_some_and(counting)) => {
                repeats = true;
                out.push('}');
            }
            _ => out.push(c),
        }
        quantified = repeats;
        rest = rest.get(taken..).unwrap_or_default();
    }
    Ok(out)
}

/// Whether what follows a brace is a count, as in `{2}` or `{2,5}`.
fn counts(after: &str) -> bool {
    after.split_once('}').is_some_and(|(count, _)| is_count(count))
}

/// Whether it is a count whose brace has not closed.
fn counting(open: &str) -> bool {
    open.strip_prefix('{').is_some_and(is_count)
}

fn is_count(text: &str) -> bool {
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    match text.split_once(',') {
        Some((least, most)) => !least.is_empty() && digits(least) && digits(most),
        None => !text.is_empty() && digits(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_simplest_test_says_the_same() {
        let text = |text: &str| text.to_owned();
        for (pattern, expected) in [
            ("^Do$", Test::Exact(text("Do"))),
            ("^Do", Test::Prefix(text("Do"))),
            ("any$", Test::Suffix(text("any"))),
            ("a\\.b", Test::Contains(text("a.b"))),
            ("", Test::Present(true)),
            ("test.com", Test::Regex(text(".*test.com.*"))),
            ("^Do[A-Z][a-z]+y$", Test::Regex(text("Do[A-Z][a-z]+y"))),
            ("a|b", Test::Regex(text(".*(?:a|b).*"))),
            ("x[[]$", Test::Regex(text(".*x[\\[]"))),
            ("^a{x", Test::Prefix(text("a{x"))),
        ] {
            assert_eq!(anywhere(pattern), Ok(expected), "{pattern}");
        }
        for (pattern, expected) in [
            ("always|gold", Test::In(vec![text("always"), text("gold")])),
            ("(a|b)", Test::In(vec![text("a"), text("b")])),
            (".*", Test::Present(true)),
            ("^a.*$", Test::Prefix(text("a"))),
            (".*a", Test::Suffix(text("a"))),
            (".*a.*", Test::Contains(text("a"))),
            ("core(.*)", Test::Regex(text("core(.*)"))),
            ("a", Test::Exact(text("a"))),
        ] {
            assert_eq!(whole(pattern), Ok(expected), "{pattern}");
        }
    }

    #[test]
    fn what_takes_backtracking_is_refused_by_name() {
        for (pattern, word) in [
            ("(?=a)", "look-around"),
            ("(?<!a)b", "look-around"),
            ("(a)\\1", "backreferences"),
            ("a++", "possessive"),
            ("a{2}+", "possessive"),
            ("(?>a)", "(?>"),
        ] {
            let problem = anywhere(pattern).unwrap_err();
            assert!(
                matches!(&problem, Problem::Unsupported(text) if text.contains(word)),
                "{problem:?}"
            );
        }
        for pattern in ["[][**da?$&*", "(a", "a)", "*a", "a\\"] {
            assert!(matches!(anywhere(pattern), Err(Problem::Broken(_))), "{pattern}");
        }
    }
}
