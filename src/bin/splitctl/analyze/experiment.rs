//! A rule as an experiment: its variants, and the weights by which they are assigned.

use anyhow::{Context, Result, bail, ensure};
use traffic_split::config::parse_time;
use traffic_split::{Plan, Rule, Snapshot, Variant};

use crate::check::Checked;
use crate::{baseline, curve};

pub struct Experiment<'c> {
    pub rule: String,
    pub variants: Vec<String>,
    /// The place of the variant with which the others are compared.
    pub baseline: usize,
    pub weights: Weights<'c>,
}

/// The shares of the variants, which add up to 1.
pub struct Weights<'c> {
    shares: Vec<f64>,
    /// The plan and its rule, where a ramp changes the shares.
    ramped: Option<(&'c Plan, &'c Rule)>,
    /// The second of the shares, as a line has it.
    second: String,
}

impl<'c> Experiment<'c> {
    /// The experiment that a rule of a configuration is.
    pub fn of(
        checked: &'c Checked,
        rule: &'c Rule,
        wanted: Option<&str>,
        file: &str,
    ) -> Result<Experiment<'c>> {
        let name = rule.name();
        if rule.is_by_route() {
            bail!("{file}: rule {name} takes its weights from the route: give them by --weights");
        }
        if !rule.is_split() {
            bail!("{file}: rule {name} has one variant: there is nothing to compare");
        }
        if rule.is_shadow() {
            bail!("{file}: rule {name} is in shadow: nobody has seen its variants");
        }
        let weights = rule.weights(&checked.snapshot);
        // Those of weight 0, which a ramp may raise, are variants as well.
        let written = curve::split(&checked.config, name).into_iter().flat_map(|it| &it.weights);
        let mut known: Vec<&str> = written.map(|weight| weight.variant.as_str()).collect();
        for (variant, _) in &weights {
            if !known.contains(&variant.name.as_str()) {
                known.push(&variant.name);
            }
        }
        let baseline = baseline::choose(&checked.config, (file, name), &known, wanted)?;
        let baseline = known.iter().position(|name| *name == baseline).unwrap_or(0);
        let variants: Vec<_> = known.into_iter().map(str::to_owned).collect();
        let ramped = curve::ramp(&checked.config, name).map(|_| (&checked.plan, rule));
        let shares = by_name(&variants, &weights);
        let weights = Weights { ramped, ..Weights::new(shares) };
        Ok(Experiment { rule: name.to_owned(), variants, baseline, weights })
    }

    /// The experiment of a rule with these weights. The first variant is the baseline, unless another
    /// one is wanted.
    pub fn given(rule: &str, weights: &[(String, f64)], wanted: Option<&str>) -> Result<Self> {
        let variants: Vec<_> = weights.iter().map(|(variant, _)| variant.clone()).collect();
        ensure!(variants.len() > 1, "--weights: one variant: there is nothing to compare");
        let baseline = match wanted {
            Some(wanted) => variants.iter().position(|name| name == wanted).with_context(|| {
                format!(
                    "--baseline: --weights has no variant {wanted:?}; it has: {}",
                    variants.join(", ")
                )
            })?,
            None => 0,
        };
        let weights = Weights::new(weights.iter().map(|(_, weight)| *weight).collect());
        Ok(Experiment { rule: rule.to_owned(), variants, baseline, weights })
    }
}

impl Weights<'_> {
    fn new(weights: Vec<f64>) -> Self {
        Weights { shares: shares(weights), ramped: None, second: String::new() }
    }

    /// The shares, if no ramp changes them.
    pub fn fixed(&self) -> Option<&[f64]> {
        self.ramped.is_none().then_some(&self.shares)
    }

    /// The shares at the time of a line: `None` if a ramp changes them, and the time is none in UTC.
    pub fn at(&mut self, variants: &[String], time: &str) -> Option<&[f64]> {
        if let Some((plan, rule)) = self.ramped {
            // A fraction of a second may follow.
            let second = time.get(..19).filter(|_| time.ends_with('Z'))?;
            if second != self.second {
                let snapshot = Snapshot::new(plan, parse_time(&format!("{second}Z"))?);
                self.shares = shares(by_name(variants, &rule.weights(&snapshot)));
                second.clone_into(&mut self.second);
            }
        }
        Some(&self.shares)
    }
}

/// The weights in the order of these variants.
fn by_name(variants: &[String], weights: &[(&Variant, f64)]) -> Vec<f64> {
    let weight = |name: &String| {
        let known = weights.iter().find(|(variant, _)| variant.name == *name);
        known.map_or(0.0, |(_, weight)| *weight)
    };
    variants.iter().map(weight).collect()
}

fn shares(weights: Vec<f64>) -> Vec<f64> {
    let sum: f64 = weights.iter().sum();
    weights.into_iter().map(|weight| weight / sum).collect()
}

/// Reads `stable=90,canary=10`.
pub fn weights(text: &str) -> Result<Vec<(String, f64)>, String> {
    let weight = |part: &str| {
        let (variant, weight) = part.split_once('=')?;
        let weight = weight
            .trim()
            .parse()
            .ok()
            .filter(|weight: &f64| *weight >= 0.0 && weight.is_finite())?;
        Some((variant.trim().to_owned(), weight)).filter(|(variant, _)| !variant.is_empty())
    };
    let weights: Option<Vec<_>> = text.split(',').map(weight).collect();
    let weights = weights.filter(|all| all.iter().map(|(_, weight)| weight).sum::<f64>() > 0.0);
    let weights =
        weights.ok_or("give the variants with their weights, as in stable=90,canary=10")?;
    let named_twice = |(place, (name, _)): (usize, &(String, f64))| {
        weights.iter().take(place).any(|(other, _)| other == name)
    };
    match weights.iter().enumerate().any(named_twice) || weights.len() > usize::from(u8::MAX) {
        true => Err("name each variant once".into()),
        false => Ok(weights),
    }
}
