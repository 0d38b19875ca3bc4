//! An analysis as tables for people.

use indicatif::HumanCount;

use super::line::LEFT_OUT;
use super::ratio::{BROKEN, Verdict};
use super::report::{Analysis, Lines, MetricReport, RuleReport, ValueReport, VariantReport};
use super::sample::UNCHECKED;
use crate::output::{BAD, FAINT, GOOD, STRONG, columns, one_line, percent, signed};
use crate::sequential;

pub fn table(analysis: &Analysis) -> String {
    let rules: String = analysis.rules.iter().map(rule).collect();
    let legend = format!(
        "{FAINT}difference: to the baseline, ± what chance explains between users (alpha {} % for all of \
         a rule,\nhowever often you look while the log grows); points are percentage points. Better, \
         worse: more than\nchance explains, so you may stop. Too little data: it may be chance; look again \
         when the log has grown.{FAINT:#}\n",
        analysis.alpha * 100.0
    );
    rules + &lines(&analysis.lines) + &legend
}

fn rule(report: &RuleReport) -> String {
    let notes: String = notes(report).iter().map(|note| format!("  {note}\n")).collect();
    let notes = if notes.is_empty() { notes } else { notes + "\n" };
    if let Some(why) = &report.no_users {
        return format!("{STRONG}{}{STRONG:#}: no users\n\n  {why}\n\n{notes}", report.rule);
    }
    let title = format!(
        "{STRONG}{}{STRONG:#}: against {}, {} users\n\n",
        report.rule,
        report.baseline,
        HumanCount(report.users)
    );
    let metrics: String = report.metrics.iter().map(metric).collect();
    title + &ratio(report) + &verdicts(report) + &users(report) + &metrics + &notes
}

/// The verdicts of all metrics, a line for each variant.
fn verdicts(report: &RuleReport) -> String {
    let line = |variant: &VariantReport| {
        let of = |metric: &MetricReport| {
            let value = metric.variants.iter().find(|value| value.variant == variant.variant)?;
            Some((value.verdict?, one_line(&metric.metric)))
        };
        let mut found: Vec<_> = report.metrics.iter().filter_map(of).collect();
        found.sort_by_key(|(verdict, _)| std::cmp::Reverse(*verdict));
        let alike = found.chunk_by(|(one, _), (other, _)| one == other).filter_map(|some| {
            let names: Vec<_> = some.iter().map(|(_, name)| name.as_str()).collect();
            Some(format!("{} ({})", some.first()?.0.styled(), names.join(", ")))
        });
        let alike: Vec<_> = alike.collect();
        (!alike.is_empty()).then(|| format!("  {}: {}\n", variant.variant, alike.join("; ")))
    };
    let lines: String = report.variants.iter().filter_map(line).collect();
    if lines.is_empty() { lines } else { lines + "\n" }
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
             before the log, or counts some twice\n  (redirects, crashes, lost cookies, caches), a guard moved \
             some, or these are not the weights of the log.\n\n"
        ),
        Verdict::AsExpected => {
            format!("  {GOOD}sample ratio as the weights say{GOOD:#} ({p})\n")
        }
        Verdict::TooFewUsers => format!(
            "  {STRONG}sample ratio not checked{STRONG:#}: too few new users, so nothing says that the \
             split was sound;\n  the check needs ten expected of each variant\n"
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
    let is_time = report.metric == "latency";
    let difference = if is_time { "difference (ms)" } else { "difference (points)" };
    let titles = vec![one_line(&report.metric), "value".into(), difference.into()];
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
    let unchecked = UNCHECKED.iter().filter_map(|(reason, words)| {
        let users = *report.unchecked_users.get(reason)?;
        count(&format!("users not in the sample ratio, {words}"), users)
    });
    let ramp =
        "The weights change within a ramp: the variants have their users from different hours.";
    let mixed = count("users with several variants, who count for their first", report.mixed_users);
    let lines = [
        count(
            "lines left out, without a unit (the request had no key, or the configuration has no `unit`)",
            report.lines_without_unit,
        ),
        count(
            "lines left out, of variants that the rule does not have",
            report.lines_of_unknown_variants,
        ),
        report.ramped.then(|| ramp.to_owned()),
    ];
    mixed.into_iter().chain(unchecked).chain(lines.into_iter().flatten()).chain(left_out).collect()
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
