//! The metrics of an analysis.

use anyhow::{Result, ensure};
use regex::Regex;

use super::effect::Sums;
use super::line::{Ending, Line};
use super::user::User;

/// The most metrics that are conversions: a user has a bit for each.
pub const CONVERSIONS: usize = 8;

/// A metric, as `--metric` names it.
#[derive(Clone, Debug)]
pub enum Metric {
    /// The share of a user's requests that fail.
    Errors,
    /// The mean milliseconds of a user's requests.
    Latency,
    /// The share of users who have asked for a path with success.
    Conversion(Regex),
}

impl Metric {
    pub fn parse(text: &str) -> Result<Metric, String> {
        match (text, text.split_once('=')) {
            ("errors", _) => Ok(Metric::Errors),
            ("latency", _) => Ok(Metric::Latency),
            (_, Some(("conversion", path))) => {
                Regex::new(&format!("^(?:{path})$")).map(Metric::Conversion).map_err(|error| {
                    // The lines before show where, in an expression that is longer than the one given.
                    let why = error.to_string();
                    let why = why.lines().last().unwrap_or_default().trim_start_matches("error: ");
                    format!("{path} is no regular expression: {why}")
                })
            }
            _ => Err("give errors, latency, or conversion=REGEX with an expression that a whole \
                      path matches, as in conversion=/orders/.*"
                .into()),
        }
    }

    /// Its name, as it was given.
    pub fn name(&self) -> String {
        match self {
            Metric::Errors => "errors".into(),
            Metric::Latency => "latency".into(),
            Metric::Conversion(path) => {
                let path = path.as_str();
                let path = path.strip_prefix("^(?:").and_then(|path| path.strip_suffix(")$"));
                format!("conversion={}", path.unwrap_or_default())
            }
        }
    }

    /// Whether more is better.
    pub fn rises(&self) -> bool {
        matches!(self, Metric::Conversion(_))
    }
}

/// The metrics of an analysis, each with its place among those of its kind.
pub struct Metrics(Vec<Metric>);

impl Metrics {
    pub fn new(metrics: &[Metric]) -> Result<Metrics> {
        let metrics = match metrics {
            [] => vec![Metric::Errors, Metric::Latency],
            given => given.to_vec(),
        };
        let metrics = Metrics(metrics);
        let count = metrics.conversions().count();
        ensure!(count <= CONVERSIONS, "--metric: {count} conversions; give at most {CONVERSIONS}");
        Ok(metrics)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Metric> {
        self.0.iter()
    }

    fn conversions(&self) -> impl Iterator<Item = &Regex> {
        self.0.iter().filter_map(|metric| match metric {
            Metric::Conversion(path) => Some(path),
            Metric::Errors | Metric::Latency => None,
        })
    }

    /// The conversions that a line is, as bits.
    pub fn converted(&self, line: &Line<'_>) -> u8 {
        let succeeds = line.status.number().is_some_and(|status| status < 400.0);
        if self.conversions().next().is_none() || line.ending() != Ending::Good || !succeeds {
            return 0;
        }
        let Some(path) = line.path() else { return 0 };
        let matches = self.conversions().map(|regex| u8::from(regex.is_match(path)));
        matches.zip(0..).fold(0, |bits, (hit, place)| bits | hit << place)
    }

    /// The sums of each metric over the users of each variant, by metric and variant.
    pub fn sums<'u>(
        &self,
        users: impl Iterator<Item = &'u User>,
        variants: usize,
    ) -> Vec<Vec<Sums>> {
        let mut all = vec![vec![Sums::default(); variants]; self.0.len()];
        for user in users {
            let mut bit = 1;
            for (metric, sums) in self.0.iter().zip(&mut all) {
                let Some(sums) = sums.get_mut(usize::from(user.variant)) else { continue };
                let requests = f64::from(user.requests);
                match metric {
                    Metric::Errors => sums.add(f64::from(user.errors), requests),
                    Metric::Latency => sums.add(user.millis as f64, f64::from(user.timed)),
                    Metric::Conversion(_) => {
                        sums.add(f64::from(u8::from(user.converted & bit != 0)), 1.0);
                        bit <<= 1;
                    }
                }
            }
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_is_called_as_it_was_given() {
        for text in ["errors", "latency", "conversion=/orders/[0-9]+", "conversion=/a|/b"] {
            assert_eq!(Metric::parse(text).unwrap().name(), text);
        }
        for text in ["error", "conversion", "conversion=(", "Latency", ""] {
            assert!(Metric::parse(text).is_err(), "{text}");
        }
        let error = Metric::parse("conversion=/orders/(").unwrap_err();
        assert_eq!(error, "/orders/( is no regular expression: unclosed group");
    }

    #[test]
    fn a_path_converts_as_a_whole_without_its_query_and_with_success() {
        let given = ["conversion=/a|/b", "errors", "conversion=/b/.*"];
        let given: Vec<_> = given.iter().map(|text| Metric::parse(text).unwrap()).collect();
        let metrics = Metrics::new(&given).unwrap();
        for (path, status, expected) in [
            ("/a", 200, 0b01),
            ("/a?b=c", 302, 0b01),
            ("/ab", 200, 0),
            ("/b/1", 201, 0b10),
            ("/b/1", 399, 0b10),
            ("/b/1", 400, 0),
            ("/b/1", 503, 0),
            // As for the other metrics, nobody knows what the client got.
            ("/a", 0, 0),
            ("/a", 101, 0),
        ] {
            let line = format!(r#"{{ "path": "{path}", "status": {status}, "flags": "-" }}"#);
            let line = Line::read(line.as_bytes()).unwrap();
            assert_eq!(metrics.converted(&line), expected, "{path} {status}");
        }
        for parts in
            [r#""status":200,"flags":"DC""#, r#""status":201,"flags":"UC""#, r#""flags":"-""#]
        {
            let line = format!(r#"{{ "path": "/a", {parts} }}"#);
            assert_eq!(metrics.converted(&Line::read(line.as_bytes()).unwrap()), 0, "{parts}");
        }
        assert!(Metrics::new(&vec![given[0].clone(); 8]).is_ok());
        assert!(Metrics::new(&vec![given[0].clone(); 9]).is_err());
    }
}
