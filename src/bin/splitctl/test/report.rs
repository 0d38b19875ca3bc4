//! The results as people and CI systems read them.

use traffic_split::config::Part;

use super::expected::{Expectation, Expected, File, NONE, Per};
use super::judge::{DRAWS, Verdict};
use crate::output::{BAD, FAINT, GOOD, STRONG};

/// The results of all files.
#[derive(Default)]
pub struct Results {
    files: Vec<(String, Vec<Line>)>,
}

struct Line {
    line: usize,
    title: String,
    note: Option<String>,
    verdict: Verdict,
}

impl Results {
    pub fn add(&mut self, path: &str, file: &File, judge: impl Fn(&Expectation) -> Verdict) {
        let line = |it: &Expectation| Line {
            line: it.line,
            title: title(it),
            note: it.note.clone(),
            verdict: judge(it),
        };
        self.files.push((path.to_owned(), file.expectations.iter().map(line).collect()));
    }

    fn count(&self, is: impl Fn(&Verdict) -> bool) -> usize {
        self.files.iter().flat_map(|(_, lines)| lines).filter(|line| is(&line.verdict)).count()
    }

    pub fn failed(&self) -> usize {
        self.count(|verdict| matches!(verdict, Verdict::Failed(_)))
    }

    fn skipped(&self) -> usize {
        self.count(|verdict| matches!(verdict, Verdict::Skipped(_)))
    }

    /// A line for each request, and a summary.
    pub fn table(&self) -> String {
        let mut text = String::new();
        for (file, lines) in &self.files {
            text += &format!("{STRONG}{file}{STRONG:#}\n");
            for Line { line, title, note, verdict } in lines {
                let note =
                    note.as_ref().map_or(String::new(), |it| format!("  {FAINT}# {it}{FAINT:#}"));
                text += &match verdict {
                    Verdict::Passed => format!("  {GOOD}✓{GOOD:#} {line}: {title}{note}\n"),
                    Verdict::Failed(why) => {
                        format!("  {BAD}✗ {line}: {title}{BAD:#}{note}\n      {why}\n")
                    }
                    Verdict::Skipped(why) => format!("  - {line}: {title}: skipped, {why}\n"),
                };
            }
        }
        let (failed, skipped) = (self.failed(), self.skipped());
        let passed = self.count(|verdict| matches!(verdict, Verdict::Passed));
        let style = if failed == 0 { GOOD } else { BAD };
        text + &format!("\n{style}{passed} passed, {failed} failed, {skipped} skipped{style:#}\n")
    }

    /// XML as JUnit writes it: a suite for each file, and a case for each request.
    pub fn junit(&self) -> String {
        let mut text = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n".to_owned();
        for (file, lines) in &self.files {
            let count =
                |is: fn(&Verdict) -> bool| lines.iter().filter(|it| is(&it.verdict)).count();
            text += &format!(
                "  <testsuite name=\"{}\" tests=\"{}\" failures=\"{}\" skipped=\"{}\">\n",
                escaped(file),
                lines.len(),
                count(|verdict| matches!(verdict, Verdict::Failed(_))),
                count(|verdict| matches!(verdict, Verdict::Skipped(_)))
            );
            for line in lines {
                let inner = match &line.verdict {
                    Verdict::Passed => String::new(),
                    Verdict::Failed(why) => format!("<failure message=\"{}\"/>", escaped(why)),
                    Verdict::Skipped(why) => format!("<skipped message=\"{}\"/>", escaped(why)),
                };
                text += &format!(
                    "    <testcase classname=\"{}\" name=\"line {}: {}\">{inner}</testcase>\n",
                    escaped(file),
                    line.line,
                    escaped(&line.title)
                );
            }
            text += "  </testsuite>\n";
        }
        text + "</testsuites>\n"
    }
}

/// A request and its answer in a line.
fn title(expectation: &Expectation) -> String {
    let headers = &expectation.request.headers;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).escape_debug().to_string();
    let pseudo = |name: &str| {
        headers.iter().find(|(known, _)| known == name).map_or(String::new(), |(_, v)| text(v))
    };
    let mut title = format!("{} {}{}", pseudo(":method"), pseudo(":authority"), pseudo(":path"));
    for (name, value) in headers.iter().filter(|(name, _)| !name.starts_with(':')) {
        title += &match name.contains('\0') {
            true => format!(" {} {}", Part::Property(name.clone()), text(value)),
            false => format!(" {name}: {}", text(value)),
        };
    }
    if let Some(source) = expectation.request.source {
        title += &format!(" from {source}");
    }
    let per = if expectation.per == Per::User { "users" } else { "requests" };
    match &expectation.answer {
        Expected::Goes(name) => title + &format!(" -> {}", name.as_deref().unwrap_or(NONE)),
        Expected::Shares(shares) => {
            let share =
                |(name, share): &(String, f64)| format!("{name} {} %", (share * 1e4).round() / 1e2);
            let shares: Vec<_> = shares.iter().map(share).collect();
            title + &format!(" -> {} of {DRAWS} {per}", shares.join(", "))
        }
        Expected::Skipped(_) => title,
    }
}

/// A text in XML 1.0, which has no way to write a control character.
fn escaped(text: &str) -> String {
    let escape = |c: char| match c {
        '&' => "&amp;".to_owned(),
        '<' => "&lt;".to_owned(),
        '>' => "&gt;".to_owned(),
        '"' => "&quot;".to_owned(),
        c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => {
            c.escape_default().to_string()
        }
        c => c.to_string(),
    };
    text.chars().map(escape).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_client_sends_is_no_markup() {
        assert_eq!(
            escaped("<a b=\"1\">&\u{1}\u{ffff}"),
            "&lt;a b=&quot;1&quot;&gt;&amp;\\u{1}\\u{ffff}"
        );
    }
}
