//! The syntax of expressions: that of `regex-lite`. What it takes is taken here, and means the same for
//! values, which have no line ends. Greed plays no part where a value matches as a whole.

mod class;

use std::str::Chars;

use super::node::{Look, Node};
use super::set::Set;
use crate::limits;

type Result<T> = std::result::Result<T, &'static str>;

/// Parses an expression.
///
/// # Errors
/// What is wrong with it.
pub(super) fn parse(pattern: &str, ignore_case: bool) -> Result<Node> {
    let flags = Flags { ignore_case, spaced: false };
    let mut parser = Parser { rest: pattern.chars(), flags, depth: 0 };
    let node = parser.alternatives()?;
    match parser.peek() {
        None => Ok(node),
        Some(_) => Err("found closing ')' without matching '('"),
    }
}

#[derive(Clone, Copy)]
struct Flags {
    ignore_case: bool,
    /// Whether blanks and comments in the expression mean nothing.
    spaced: bool,
}

struct Parser<'p> {
    rest: Chars<'p>,
    flags: Flags,
    depth: u32,
}

impl Parser<'_> {
    fn peek(&self) -> Option<char> {
        self.rest.clone().next()
    }

    fn take(&mut self, text: &str) -> bool {
        let rest = self.rest.as_str().strip_prefix(text);
        rest.inspect(|rest| self.rest = rest.chars()).is_some()
    }

    /// Passes over blanks and comments, where they mean nothing.
    fn skip(&mut self) {
        while self.flags.spaced {
            match self.peek() {
                Some('#') => while !matches!(self.rest.next(), None | Some('\n')) {},
                Some(c) if c.is_whitespace() => drop(self.rest.next()),
                _ => return,
            }
        }
    }

    fn next_spaced(&mut self) -> Option<char> {
        let next = self.rest.next();
        self.skip();
        next
    }

    /// Alternatives up to the end of their group.
    fn alternatives(&mut self) -> Result<Node> {
        let (mut any, mut all) = (Vec::new(), Vec::new());
        loop {
            self.skip();
            match self.peek() {
                None | Some(')') => break,
                Some('|') => {
                    self.rest.next();
                    any.push(Node::All(std::mem::take(&mut all)));
                }
                Some('(') => all.extend(self.group()?),
                Some('[') => {
                    self.rest.next();
                    all.push(Node::Set(self.class()?));
                }
                Some('?' | '*' | '+' | '{') => {
                    let sub = all.pop().ok_or("a repetition must follow what it repeats")?;
                    all.push(self.repetition(sub)?);
                }
                Some(c) => {
                    self.rest.next();
                    all.push(self.primitive(c)?);
                }
            }
        }
        any.push(Node::All(all));
        Ok(if any.len() == 1 { any.remove(0) } else { Node::Any(any) })
    }

    fn deeper(&mut self) -> Result<()> {
        self.depth = self.depth.saturating_add(1);
        if self.depth > limits::REGEX_DEPTH {
            return Err("pattern has too much nesting");
        }
        Ok(())
    }

    /// A group; `None` of one that only sets flags.
    fn group(&mut self) -> Result<Option<Node>> {
        self.next_spaced();
        let before = self.flags;
        if ["?=", "?!", "?<=", "?<!"].iter().any(|look| self.rest.as_str().starts_with(look)) {
            return Err("look-around is not supported");
        }
        if self.take("?P<") || self.take("?<") {
            let (name, behind) = self.rest.as_str().split_once('>').unwrap_or_default();
            let is_named = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '[' | ']');
            let starts = name.starts_with(|c: char| c == '_' || c.is_alphabetic());
            if !starts || !name.chars().all(is_named) {
                return Err("a group must have a name in `<>`");
            }
            self.rest = behind.chars();
        } else if self.take("?") && self.flags()? {
            return Ok(None);
        }
        self.deeper()?;
        let node = self.alternatives()?;
        self.depth = self.depth.saturating_sub(1);
        self.flags = before;
        if self.rest.next().is_none() {
            return Err("found open group without closing ')'");
        }
        Ok(Some(node))
    }

    /// Flags, and whether a group of nothing else ends with them.
    fn flags(&mut self) -> Result<bool> {
        let (mut on, mut seen) = (true, String::new());
        loop {
            let c = self.rest.next().ok_or("expected ':' or ')' to end inline flags")?;
            if seen.contains(c) {
                return Err("duplicate inline flag is not allowed");
            }
            match c {
                ':' | ')' if seen.ends_with('-') => return Err("inline flags cannot end with '-'"),
                ')' if seen.is_empty() => return Err("empty flag directive '(?)' is not allowed"),
                ':' | ')' => return Ok(c == ')'),
                '-' => on = false,
                'i' => self.flags.ignore_case = on,
                'x' => self.flags.spaced = on,
                // Of line ends, which no value has, and of greed.
                'm' | 's' | 'R' | 'U' | 'u' => {}
                _ => return Err("unrecognized inline flag"),
            }
            seen.push(c);
        }
    }

    fn repetition(&mut self, sub: Node) -> Result<Node> {
        let (least, most) = match self.rest.next() {
            Some('?') => (0, Some(1)),
            Some('*') => (0, None),
            Some('+') => (1, None),
            _ => self.counts()?,
        };
        self.take("?");
        if most.is_some_and(|most| most < least) {
            return Err("found counted repetition with a min bigger than its max");
        }
        // `a**` nests as `(a*)*` does.
        let mut depth = self.depth;
        let mut inner = &sub;
        while let Node::Repeat(sub, ..) = inner {
            (inner, depth) = (sub, depth.saturating_add(1));
        }
        if depth > limits::REGEX_DEPTH {
            return Err("pattern has too much nesting");
        }
        Ok(Node::Repeat(Box::new(sub), least, most))
    }

    /// The numbers between braces, behind the first of these.
    fn counts(&mut self) -> Result<(u32, Option<u32>)> {
        self.skip();
        let least = self.number()?;
        let most = if !self.take(",") {
            Some(least)
        } else {
            self.skip();
            if self.peek() == Some('}') { None } else { Some(self.number()?) }
        };
        if self.next_spaced() != Some('}') {
            return Err("found unclosed counted repetition operator");
        }
        Ok((least, most))
    }

    fn number(&mut self) -> Result<u32> {
        let mut digits = String::new();
        while self.peek().is_some_and(char::is_whitespace) {
            self.rest.next();
        }
        while let Some(digit) = self.peek().filter(char::is_ascii_digit) {
            digits.push(digit);
            self.next_spaced();
        }
        while self.peek().is_some_and(char::is_whitespace) {
            self.next_spaced();
        }
        digits.parse().map_err(|_| "a repetition must be counted by a number")
    }

    fn primitive(&mut self, c: char) -> Result<Node> {
        Ok(match c {
            '\\' => return self.escape(),
            '.' => Node::Set(Set::all()),
            '^' => Node::Look(Look::Start),
            '$' => Node::Look(Look::End),
            c => self.character(c),
        })
    }

    fn character(&self, c: char) -> Node {
        let set = Set::one(c);
        Node::Set(if self.flags.ignore_case { set.folded() } else { set })
    }

    /// The part behind a backslash.
    fn escape(&mut self) -> Result<Node> {
        let c = self.rest.next().ok_or("saw start of escape sequence, but pattern ends")?;
        Ok(match c {
            '0'..='9' => return Err("backreferences are not supported"),
            'p' | 'P' => return Err("Unicode character classes are not supported"),
            'x' => self.hexadecimal(2)?,
            'u' => self.hexadecimal(4)?,
            'U' => self.hexadecimal(8)?,
            'd' | 'D' => perl("digit", c),
            's' | 'S' => perl("space", c),
            'w' | 'W' => perl("word", c),
            'a' => self.character('\x07'),
            'f' => self.character('\x0c'),
            't' => self.character('\t'),
            'n' => self.character('\n'),
            'r' => self.character('\r'),
            'v' => self.character('\x0b'),
            'A' => Node::Look(Look::Start),
            'z' => Node::Look(Look::End),
            'b' => Node::Look(self.boundary()?),
            'B' => Node::Look(Look::NoBoundary),
            '<' => Node::Look(Look::WordStart),
            '>' => Node::Look(Look::WordEnd),
            c if c.is_ascii() && !c.is_ascii_alphanumeric() => self.character(c),
            _ => return Err("unrecognized escape sequence"),
        })
    }

    /// The kind of a word's boundary, as in `\b{start}`.
    fn boundary(&mut self) -> Result<Look> {
        for (name, look) in [
            ("{start}", Look::WordStart),
            ("{end}", Look::WordEnd),
            ("{start-half}", Look::WordStartHalf),
            ("{end-half}", Look::WordEndHalf),
        ] {
            if self.take(name) {
                return Ok(look);
            }
        }
        let inside = self.rest.as_str().strip_prefix('{').unwrap_or_default();
        match inside.starts_with(|c: char| c.is_ascii_alphabetic() || c == '-') {
            true => Err("special word boundary assertion is unrecognized"),
            false => Ok(Look::Boundary),
        }
    }

    fn hexadecimal(&mut self, digits: usize) -> Result<Node> {
        const WRONG: &str = "invalid hexadecimal number";
        self.skip();
        let mut text = String::new();
        if self.peek() == Some('{') {
            self.next_spaced();
            while let Some(digit) = self.next_spaced().filter(|c| *c != '}') {
                text.push(digit);
            }
        } else {
            for _ in 0..digits {
                text.extend(self.next_spaced());
            }
        }
        if !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(WRONG);
        }
        let number = u32::from_str_radix(&text, 16).ok().and_then(char::from_u32);
        number.map(|c| self.character(c)).ok_or(WRONG)
    }
}

fn perl(name: &str, c: char) -> Node {
    let set = Set::named(name).unwrap_or_default();
    Node::Set(if c.is_ascii_uppercase() { set.negated() } else { set })
}
