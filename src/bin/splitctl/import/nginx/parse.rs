//! nginx's configuration: directives of words, some with a block.

/// A directive, its line, and the directives of its block.
#[derive(Debug, Default)]
pub struct Directive {
    pub line: usize,
    pub words: Vec<String>,
    pub block: Vec<Directive>,
}

/// The blocks that may be open inside each other.
const DEPTH: usize = 64;

impl Directive {
    pub fn name(&self) -> &str {
        self.word(0)
    }

    /// A word behind the name, or an empty one.
    pub fn word(&self, place: usize) -> &str {
        self.words.get(place).map_or("", String::as_str)
    }

    /// The directives of this name in the block.
    pub fn all<'d>(&'d self, name: &'d str) -> impl Iterator<Item = &'d Directive> {
        self.block.iter().filter(move |it| it.name() == name)
    }
}

/// Reads a configuration as the block of a directive without a name.
///
/// # Errors
/// The line and the reason of a text that is no configuration.
pub fn parse(text: &str) -> Result<Directive, (usize, String)> {
    let mut open = vec![Directive { line: 1, ..Directive::default() }];
    let mut words: Vec<String> = Vec::new();
    let mut tokens = Tokens { rest: text, line: 1 };
    let mut start = 1;
    while let Some((line, token)) = tokens.next()? {
        if words.is_empty() {
            start = line;
        }
        match token {
            Token::Word(word) => words.push(word),
            Token::Open if open.len() < DEPTH => {
                let words = std::mem::take(&mut words);
                open.push(Directive { line: start, words, block: Vec::new() });
            }
            Token::Open => {
                return Err((line, format!("more than {DEPTH} blocks inside each other")));
            }
            Token::End => {
                let directive =
                    Directive { line: start, words: std::mem::take(&mut words), block: Vec::new() };
                if let Some(block) = open.last_mut().filter(|_| !directive.words.is_empty()) {
                    block.block.push(directive);
                }
            }
            Token::Close => {
                let closed = open.pop().filter(|_| words.is_empty());
                match (closed, open.last_mut()) {
                    (Some(closed), Some(outer)) => outer.block.push(closed),
                    _ => return Err((line, "unexpected }".to_owned())),
                }
            }
        }
    }
    match (open.pop(), open.is_empty() && words.is_empty()) {
        (Some(root), true) => Ok(root),
        (last, _) => {
            let line = last.map_or(1, |last| last.line);
            Err((line, "unexpected end of file: `;` or `}` is missing".to_owned()))
        }
    }
}

enum Token {
    Word(String),
    Open,
    Close,
    End,
}

struct Tokens<'t> {
    rest: &'t str,
    line: usize,
}

impl Tokens<'_> {
    fn bump(&mut self) -> Option<char> {
        let mut chars = self.rest.chars();
        let c = chars.next()?;
        self.rest = chars.as_str();
        self.line += usize::from(c == '\n');
        Some(c)
    }

    fn next(&mut self) -> Result<Option<(usize, Token)>, (usize, String)> {
        while self.rest.starts_with(|c: char| c.is_ascii_whitespace() || c == '#') {
            if self.rest.starts_with('#') {
                let end = self.rest.find('\n').unwrap_or(self.rest.len());
                self.rest = self.rest.get(end..).unwrap_or_default();
            } else {
                self.bump();
            }
        }
        let line = self.line;
        let Some(first) = self.bump() else { return Ok(None) };
        let token = match first {
            ';' => Token::End,
            '{' => Token::Open,
            '}' => Token::Close,
            '"' | '\'' => Token::Word(self.quoted(first, line)?),
            first => Token::Word(self.plain(first)),
        };
        Ok(Some((line, token)))
    }

    fn quoted(&mut self, quote: char, line: usize) -> Result<String, (usize, String)> {
        let mut word = String::new();
        while let Some(c) = self.bump() {
            match c {
                c if c == quote => return Ok(word),
                '\\' => self.escaped(&mut word),
                c => word.push(c),
            }
        }
        Err((line, format!("the quote {quote} is not closed")))
    }

    fn plain(&mut self, first: char) -> String {
        let mut word = String::new();
        let mut next = Some(first);
        while let Some(c) = next {
            match c {
                '\\' => self.escaped(&mut word),
                c => word.push(c),
            }
            let ends = self.rest.starts_with(|c: char| c.is_ascii_whitespace() || c == ';');
            // `${name}` is a variable; any other brace opens a block.
            let opens = self.rest.starts_with('{') && c != '$';
            next = if ends || opens { None } else { self.bump() };
        }
        word
    }

    /// A backslash stays, unless it is before a quote, a backslash or a letter for a blank.
    fn escaped(&mut self, word: &mut String) {
        match self.bump() {
            Some(c @ ('"' | '\'' | '\\')) => word.push(c),
            Some('t') => word.push('\t'),
            Some('r') => word.push('\r'),
            Some('n') => word.push('\n'),
            Some(c) => word.extend(['\\', c]),
            None => word.push('\\'),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_as_nginx_reads_them() {
        let root = parse("a 'b;\\'c' \"${d}e\" # f\n  ${g}h ~^/i\\d+$;\nj { k; l { } }").unwrap();
        let [a, j] = root.block.as_slice() else { panic!("{root:?}") };
        assert_eq!(a.words, ["a", "b;'c", "${d}e", "${g}h", "~^/i\\d+$"]);
        assert_eq!((a.line, j.line, j.block.len()), (1, 3, 2));
        for wrong in ["a", "a {", "a; }", "'a;", &"a {".repeat(100)] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
