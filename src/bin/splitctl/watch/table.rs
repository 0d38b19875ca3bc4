//! A look as a table for people.

use indicatif::HumanCount;

use super::look::{Look, RuleLook, VariantLook};
use super::verdict::Difference;
use crate::output::{FAINT, STRONG, columns, percent, signed};
use crate::sequential::Verdict;

pub fn table(look: &Look) -> String {
    let sides = look.rules.iter().map(|side| rule(side, look.seconds));
    let legend = format!(
        "{FAINT}difference: of the success rates; slower: of the shares of slow responses. Both are in \
         percentage\npoints against the baseline, ± what chance explains (alpha {} %). A difference of \
         less than {} % of\nthe responses counts as none. For a decision about users, whose requests are alike, use `splitctl \
         analyze`:\nit compares users, by the access log, and checks that the split was sound.{FAINT:#}\n",
        look.alpha * 100.0,
        look.margin * 100.0,
    );
    sides.collect::<String>() + &legend
}

fn rule(side: &RuleLook, seconds: u64) -> String {
    let slow = side.slow_ms.map_or(String::new(), |ms| format!("; slow is over {ms} ms"));
    let alike = match side.design_effect {
        effect if effect > 1.0 => format!("; {effect:.1} responses count as one"),
        _ => String::new(),
    };
    let mut text = format!(
        "{STRONG}{}{STRONG:#}: against {}, over {}{slow}{alike}\n\n",
        side.rule,
        side.baseline,
        duration(seconds)
    );
    let titles =
        ["variant", "requests", "share", "weight", "success", "difference", "p95", "slower"];
    let titles = titles.map(str::to_owned).to_vec();
    let rows: Vec<_> = [titles].into_iter().chain(side.variants.iter().map(cells)).collect();
    let lines = columns(&rows, true);
    let width = lines.iter().map(|line| line.chars().count()).max().unwrap_or(0);
    let verdicts = [None].into_iter().chain(side.variants.iter().map(|variant| variant.verdict));
    for (line, verdict) in lines.into_iter().zip(verdicts) {
        let line =
            format!("  {line:<width$}  {}", verdict.map(Verdict::styled).unwrap_or_default());
        text += line.trim_end();
        text += "\n";
    }
    text + "\n"
}

fn cells(variant: &VariantLook) -> Vec<String> {
    let or_none = |text: Option<String>| text.unwrap_or_else(|| "-".into());
    // The table shows successes, whose difference is that of failures with the other sign.
    let points = |difference: &Difference, sign: f64| {
        let difference = (difference.difference * sign * 100.0, difference.radius * 100.0);
        format!("{} ± {:.2}", signed(difference.0), difference.1)
    };
    let compared = |difference: &Option<Difference>, sign| match variant.verdict {
        None => String::new(),
        Some(_) => or_none(difference.as_ref().map(|difference| points(difference, sign))),
    };
    vec![
        variant.variant.clone(),
        HumanCount(variant.requests).to_string(),
        or_none(variant.share.map(percent)),
        percent(variant.configured),
        or_none(variant.success.map(percent)),
        compared(&variant.failed, -1.0),
        or_none(variant.p95_ms.map(|ms| format!("{ms:.1} ms"))),
        compared(&variant.slow, 1.0),
    ]
}

/// Writes a duration as in a configuration: `1h30m`.
fn duration(seconds: u64) -> String {
    let parts = [(86_400, u64::MAX, "d"), (3_600, 24, "h"), (60, 60, "m"), (1, 60, "s")];
    let parts = parts.map(|(unit, wrap, name)| (seconds / unit % wrap, name));
    parts.iter().filter(|(n, _)| *n > 0).map(|(n, name)| format!("{n}{name}")).collect()
}
