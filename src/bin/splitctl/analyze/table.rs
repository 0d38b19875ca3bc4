//! An analysis as tables for people.

use indicatif::HumanCount;

use super::line::LEFT_OUT;
use super::ratio::{BROKEN, Verdict};
use super::report::{Analysis, Lines, MetricReport, RuleReport, ValueReport, VariantReport};
use crate::output::{BAD, FAINT, GOOD, STRONG, columns, one_line, percent, signed};
use crate::sequential;

pub fn table(analysis: &Analysis) -> String {
    let rules: String = analysis.rules.iter().map(rule).collect();
    let legend = format!(
        "{FAINT}difference: to the baseline, ± what chance explains between users (alpha {} % for all of \
         a rule,\nhowever often you look while the log grows), in percentage points or ms.{FAINT:#}\n",
        analysis.alpha * 100.0
    );
    rules + &lines(&analysis.lines) + &legend
}

fn rule(report: &RuleReport) -> String {
    let title = format!(
        "{STRONG}{}{STRONG:#}: against {}, {} users\n\n",
        report.rule,
        report.baseline,
        HumanCount(report.users)
    );
    let notes: String = notes(report).iter().map(|note| format!("  {note}\n")).collect();
    let notes = if notes.is_empty() { notes } else { notes + "\n" };
    let metrics: String = report.metrics.iter().map(metric).collect();
    title + &ratio(report) + &users(report) + &metrics + &notes
}

fn ratio(report: &RuleReport) -> String {
    let p = report.sample_ratio.p.map_or(String::new(), |p| match p {
        p if p < 1e-300 => "p = 0".into(),
        p if p < 0.0001 => format!("p = {p:.0e}"),
        p => format!("p = {p:.4}"),
    });
    match report.sample_ratio.verdict {
        Verdict::Broken => format!(
            "  {BAD}SAMPLE RATIO MISMATCH{BAD:#} ({p}, below {BROKEN}): the users are not as many as the \
             weights say.\n  {BAD}Believe nothing below until you know why.{BAD:#} A variant loses users \
             before the log, or counts some twice\n  (redirects, crashes, lost cookies, caches), or these \
             are not the weights of the log.\n\n"
        ),
        Verdict::AsExpected => {
            format!("  {GOOD}sample ratio as the weights say{GOOD:#} ({p})\n\n")
        }
        Verdict::TooFewUsers => format!(
            "  {STRONG}sample ratio not checked{STRONG:#}: too few new users; the check needs ten \
             expected of each variant\n\n"
        ),
    }
}

fn users(report: &RuleReport) -> String {
    let sum: u64 = report.variants.iter().map(|variant| variant.new_users).sum();
    let share = |part: f64| match sum {
        0 => "-".to_owned(),
        sum => percent(part / sum as f64),
    };
    let row = |variant: &VariantReport| {
        vec![
            variant.variant.clone(),
            HumanCount(variant.users).to_string(),
            HumanCount(variant.new_users).to_string(),
            share(variant.new_users as f64),
            share(variant.expected),
        ]
    };
    let titles = ["variant", "users", "new users", "share", "expected"];
    let titles = titles.map(str::to_owned).to_vec();
    let rows: Vec<_> = [titles].into_iter().chain(report.variants.iter().map(row)).collect();
    columns(&rows, true).iter().map(|line| format!("  {line}\n")).collect::<String>() + "\n"
}

fn metric(report: &MetricReport) -> String {
    let titles = vec![one_line(&report.metric), "value".into(), "difference".into()];
    let is_time = report.metric == "latency";
    let row = |value: &ValueReport| {
        let shown = |value: f64| if is_time { format!("{value:.1} ms") } else { percent(value) };
        let scale = if is_time { 1.0 } else { 100.0 };
        let difference = value.effect.map(|effect| {
            format!("{} ± {:.2}", signed(effect.difference * scale), effect.radius * scale)
        });
        vec![
            value.variant.clone(),
            value.value.map_or("-".into(), shown),
            difference.unwrap_or_default(),
        ]
    };
    let rows: Vec<_> = [titles].into_iter().chain(report.variants.iter().map(row)).collect();
    let lines = columns(&rows, true);
    let width = lines.iter().map(|line| line.chars().count()).max().unwrap_or(0);
    let verdicts = [None].into_iter().chain(report.variants.iter().map(|value| value.verdict));
    let line = |(line, verdict): (String, Option<sequential::Verdict>)| {
        let verdict = verdict.map_or(String::new(), sequential::Verdict::styled);
        format!("{}\n", format!("  {line:<width$}  {verdict}").trim_end())
    };
    lines.into_iter().zip(verdicts).map(line).collect::<String>() + "\n"
}

fn notes(report: &RuleReport) -> Vec<String> {
    let left_out = LEFT_OUT.iter().filter_map(|(reason, words)| {
        count(&format!("lines left out, {words}"), *report.lines_left_out.get(reason)?)
    });
    let ramp =
        "The weights change within a ramp: the variants have their users from different hours.";
    [
        count("users with several variants, who count for their first", report.mixed_users),
        count(
            "users assigned before the log begins, not in the sample ratio",
            report.earlier_users,
        ),
        count(
            "lines left out, without a unit (the request had no key, or the configuration has no `unit`)",
            report.lines_without_unit,
        ),
        count(
            "lines left out, of variants that the rule does not have",
            report.lines_of_unknown_variants,
        ),
        report.ramped.then(|| ramp.to_owned()),
    ]
    .into_iter()
    .flatten()
    .chain(left_out)
    .collect()
}

fn count(text: &str, count: u64) -> Option<String> {
    (count > 0).then(|| format!("{text}: {}", HumanCount(count)))
}

fn lines(lines: &Lines) -> String {
    let first = lines.first_malformed.as_deref().map(one_line).unwrap_or_default();
    let counts = [
        count("lines read", lines.read),
        count("broken JSON", lines.malformed).map(|text| format!("{text}, the first at {first}")),
        count("no JSON, such as the proxy's own log", lines.no_json),
        count("of no rule", lines.without_rule),
        count(
            "of another generation of the configuration (were its weights the same?)",
            lines.other_generation,
        ),
    ];
    let counts: Vec<_> = counts.into_iter().flatten().collect();
    format!("{}\n\n", counts.join("\n"))
}
