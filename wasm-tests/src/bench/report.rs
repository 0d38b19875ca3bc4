//! The tables that a run prints.

use super::candidate::{BAGGAGE, BASELINE, COUNTS, EMPTY, EXACT, FULL, LIST, LUA, NO_FILTER};
use super::candidate::{
    BY_ROUTE, HASHED, METADATA, ONE_READ, ONE_RULE, OVERRIDE, SAME_CALLS, STANDARD, THOUSAND_RULES,
    UNIT, WEIGHTED,
};

use super::configure::{Configured, RULES};

type Results = [(String, Vec<f64>)];

/// Prints what one filter of a chain costs, what a whole request costs, and the ratios.
pub fn print(chains: &Results, whole: &Results, length: usize, smoke: bool) {
    if smoke {
        println!("A smoke run: every candidate answered as it should; its figures mean nothing.");
    }
    let filters: Vec<_> = chains
        .iter()
        .filter(|(name, _)| name != NO_FILTER)
        .map(|(name, rounds)| (name.clone(), above(rounds, of(chains, NO_FILTER), length)))
        .collect();
    println!("\nEnvoy's processor time in microseconds, median (least to most) by round\n");
    println!("per filter and request, of a chain of {length}:");
    table(&filters);
    println!("\nper whole request, from the client to an upstream and back:");
    table(chains.get(..1).unwrap_or_default());
    table(whole);
    println!("\nratios, median (least to most) by round:");
    for (name, base) in [
        (STANDARD, EMPTY),
        (ONE_READ, EMPTY),
        (SAME_CALLS, EMPTY),
        (STANDARD, LUA),
        (COUNTS, STANDARD),
        (STANDARD, SAME_CALLS),
        (STANDARD, BASELINE),
        (FULL, STANDARD),
        (UNIT, FULL),
        (BAGGAGE, STANDARD),
        (OVERRIDE, STANDARD),
        (METADATA, STANDARD),
        (THOUSAND_RULES, ONE_RULE),
        (LIST, EXACT),
    ] {
        ratio(name, base, &filters);
    }
    for name in [EMPTY, LUA, STANDARD, HASHED, BY_ROUTE] {
        ratio(name, WEIGHTED, whole);
    }
    ratio(BY_ROUTE, STANDARD, whole);
}

/// Prints what a configuration costs.
pub fn configured(measured: &Configured) {
    let Configured { bytes, vms, update, empty, .. } = measured;
    println!(
        "\nconfiguring: {RULES} rules in {bytes} bytes, and the same bytes into an empty SDK filter\n\
         in milliseconds of Envoy's processor time, median (least to most) by round:"
    );
    println!("  {:<52} {}", "an update of ours", summary(update));
    println!("  {:<52} {}", "an update of the empty SDK filter", summary(empty));
    let line = format!("ours above that, in each of the {vms} VMs that read it");
    println!("  {line:<52} {}", summary(&measured.each()));
}

fn of<'a>(results: &'a Results, name: &str) -> &'a [f64] {
    results.iter().find(|(known, _)| known == name).map_or(&[], |(_, rounds)| rounds)
}

/// The rounds lie close in time: what disturbs one candidate in a round disturbs the others too.
fn above(rounds: &[f64], base: &[f64], length: usize) -> Vec<f64> {
    rounds.iter().zip(base).map(|(cost, base)| (cost - base) / length as f64).collect()
}

fn table(results: &Results) {
    for (name, rounds) in results {
        println!("  {name:<28} {}", summary(rounds));
    }
}

fn ratio(name: &str, base: &str, results: &Results) {
    let rounds = of(results, name).iter().zip(of(results, base));
    let ratios: Vec<_> = rounds.map(|(cost, base)| cost / base).collect();
    if ratios.is_empty() {
        return;
    }
    println!("  {:<52} {}", format!("{name} / {base}"), summary(&ratios));
}

fn summary(values: &[f64]) -> String {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = |index: usize| sorted.get(index).copied().unwrap_or(f64::NAN);
    let last = sorted.len().saturating_sub(1);
    format!("{:7.2}  ({:.2} to {:.2})", at(last / 2), at(0), at(last))
}
