//! The verdict of `make mutants`: `wasm-tests/mutants.json` names every mutant that no test catches,
//! with the reason why it stays, and no other one.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

const NAMED: &str = "wasm-tests/mutants.json";
/// Every mutant there is, as `cargo mutants --list` prints them.
const LISTED: &str = "target/mutants/listed.txt";
/// Where cargo-mutants writes the lists of mutants that it tried, and leaves out those without any.
const OUTCOMES: &str = "target/mutants/mutants.out";

/// A mutant by what it changes, not by the number of its line, which every edit moves.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
struct Mutant {
    /// The change, as in `src/key.rs: replace > with >= in find`.
    mutant: String,
    /// The line of the source that is changed, without its indentation.
    line: String,
}

impl Mutant {
    /// Reads `src/key.rs:81:24: replace > with >= in find`.
    fn parse(text: &str) -> Result<Self> {
        let mut parts = text.splitn(4, ':');
        let mut next = || parts.next().with_context(|| format!("no mutant: {text}"));
        let (file, number, _column, change) =
            (next()?, next()?.parse::<usize>()?, next()?, next()?);
        let source = fs::read_to_string(wasm_tests::root().join(file)).context(file.to_owned())?;
        let line = source.lines().nth(number.saturating_sub(1)).unwrap_or_default();
        Ok(Mutant { mutant: format!("{file}:{change}"), line: line.trim().to_owned() })
    }

    fn file(&self) -> &str {
        self.mutant.split(':').next().unwrap_or_default()
    }
}

impl fmt::Display for Mutant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n    {}", self.mutant, self.line)
    }
}

/// A survivor that stays. Where one line has two alike, it is named twice.
#[derive(Deserialize)]
struct Named {
    #[serde(flatten)]
    mutant: Mutant,
    why: String,
}

/// How many mutants of one name there are, and what became of them.
#[derive(Default)]
struct Count {
    listed: usize,
    caught: usize,
    survived: usize,
    named: usize,
}

impl Count {
    fn tried(&self) -> usize {
        self.caught + self.survived
    }

    fn fault(&self) -> Option<&'static str> {
        if self.named > self.listed {
            Some("is named, and does not exist")
        } else if self.survived > self.named {
            Some("survives, and is not named")
        } else if self.tried() > 0 && self.named > self.survived {
            Some("is named, and is caught")
        } else {
            None
        }
    }
}

type Counts = BTreeMap<Mutant, Count>;

fn main() -> Result<ExitCode> {
    let counts = count()?;
    report(&counts);
    let faults: Vec<_> =
        counts.iter().filter_map(|(mutant, count)| Some((mutant, count.fault()?))).collect();
    for (mutant, fault) in &faults {
        eprintln!("{mutant}\n    {fault} in {NAMED}.");
    }
    Ok(if faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn count() -> Result<Counts> {
    let mut counts = Counts::new();
    for mutant in read(LISTED)? {
        counts.entry(mutant).or_default().listed += 1;
    }
    // One that makes a test hang is caught as well.
    for list in ["previously_caught", "caught", "timeout", "missed"] {
        let path = format!("{OUTCOMES}/{list}.txt");
        if !wasm_tests::root().join(&path).exists() {
            continue;
        }
        for mutant in read(&path)? {
            let count = counts.entry(mutant).or_default();
            *(if list == "missed" { &mut count.survived } else { &mut count.caught }) += 1;
        }
    }
    let named = fs::read_to_string(wasm_tests::root().join(NAMED)).context(NAMED)?;
    for Named { mutant, why } in serde_json::from_str::<Vec<Named>>(&named).context(NAMED)? {
        ensure!(!why.trim().is_empty(), "{NAMED}: a reason is missing for {mutant}");
        counts.entry(mutant).or_default().named += 1;
    }
    Ok(counts)
}

fn read(path: &str) -> Result<Vec<Mutant>> {
    let text = fs::read_to_string(wasm_tests::root().join(path)).context(path.to_owned())?;
    text.lines().map(Mutant::parse).collect()
}

/// Prints a line for each file of which a mutant was tried.
fn report(counts: &Counts) {
    let mut files = BTreeMap::<&str, (usize, usize)>::new();
    for (mutant, count) in counts.iter().filter(|(_, count)| count.tried() > 0) {
        let (tried, survived) = files.entry(mutant.file()).or_default();
        *tried += count.tried();
        *survived += count.survived;
    }
    for (file, (tried, survived)) in files {
        println!("{file:<26} {tried:>4} mutants, {survived:>2} survive");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_survivor_is_named_and_nothing_else_is() {
        for ((listed, caught, survived, named), expected) in [
            ((1, 0, 0, 0), None),
            ((1, 0, 0, 1), None),
            ((1, 1, 0, 0), None),
            ((1, 0, 1, 1), None),
            ((2, 1, 1, 1), None),
            ((0, 0, 0, 1), Some("is named, and does not exist")),
            ((1, 0, 1, 0), Some("survives, and is not named")),
            ((2, 0, 2, 1), Some("survives, and is not named")),
            ((1, 1, 0, 1), Some("is named, and is caught")),
        ] {
            let count = Count { listed, caught, survived, named };
            assert_eq!(count.fault(), expected, "{listed} {caught} {survived} {named}");
        }
    }

    #[test]
    fn a_mutant_is_known_by_its_line_not_by_its_number() -> Result<()> {
        let mutant = Mutant::parse("src/lib.rs:1:9: replace a::b -> T with c")?;
        assert_eq!(mutant.mutant, "src/lib.rs: replace a::b -> T with c");
        assert!(mutant.line.starts_with("//! An Envoy"), "{mutant}");
        assert!(Mutant::parse("src/lib.rs: replace a").is_err());
        Ok(())
    }
}
