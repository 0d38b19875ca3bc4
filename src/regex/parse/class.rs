//! The syntax of classes of characters: `[a-z]`.

use super::super::node::Node;
use super::super::set::Set;
use super::{Parser, Result};

impl Parser<'_> {
    /// A class between brackets, behind the first of these.
    pub(super) fn class(&mut self) -> Result<Set> {
        const OPEN: &str = "found unclosed character class";
        self.skip();
        let negated = self.peek() == Some('^');
        if negated {
            self.next_spaced();
        }
        let mut set = Set::default();
        while self.peek() == Some('-') {
            set.0.extend(Set::one('-').0);
            self.next_spaced();
        }
        if set.0.is_empty() && self.peek() == Some(']') {
            set.0.extend(Set::one(']').0);
            self.next_spaced();
        }
        loop {
            self.skip();
            match self.peek().ok_or(OPEN)? {
                ']' => break,
                '[' => set.0.extend(self.posix()?.0),
                '&' | '-' | '~' if doubled(self.rest.as_str()) => {
                    return Err("operators of character classes are not supported");
                }
                _ => set.0.extend(self.range()?.0),
            }
        }
        self.rest.next();
        let set = if self.flags.ignore_case { set.folded() } else { set };
        Ok(if negated { set.negated() } else { set })
    }

    fn posix(&mut self) -> Result<Set> {
        const NESTED: &str = "nested character classes are not supported";
        let text = self.rest.as_str().strip_prefix("[:").ok_or(NESTED)?;
        let (name, behind) = text.split_once(":]").ok_or(NESTED)?;
        let set = Set::named(name.strip_prefix('^').unwrap_or(name)).ok_or(NESTED)?;
        self.rest = behind.chars();
        Ok(if name.starts_with('^') { set.negated() } else { set })
    }

    /// A character or a range of them inside a class, or a class by its name.
    fn range(&mut self) -> Result<Set> {
        let first = self.item()?;
        self.skip();
        let mut behind = Parser { rest: self.rest.clone(), ..*self };
        behind.next_spaced();
        if self.peek() != Some('-') || matches!(behind.peek(), Some(']' | '-')) {
            return Ok(first);
        }
        self.next_spaced();
        if self.peek().is_none() {
            return Err("found unclosed character class");
        }
        match (&first.0[..], &self.item()?.0[..]) {
            ([(first, same), ..], [(last, end), ..]) if first == same && last == end => {
                if first > last {
                    return Err("invalid range in character class");
                }
                Ok(Set(vec![(*first, *last)]))
            }
            _ => Err("character class ranges must start and end with a single character"),
        }
    }

    fn item(&mut self) -> Result<Set> {
        match self.rest.next() {
            Some('\\') => match self.escape()? {
                Node::Set(set) => Ok(set),
                _ => Err("invalid escape sequence in character class"),
            },
            Some(c) => Ok(Set::one(c)),
            None => Err("found unclosed character class"),
        }
    }
}

/// Whether a text begins with the same character twice.
fn doubled(text: &str) -> bool {
    let mut chars = text.chars();
    chars.next() == chars.next()
}
