//! The lines by which a running ramp waits where it is, and later goes on: nobody moves at either.

use serde::Serialize;
use traffic_split::config::{RampSpec, SplitSpec, Weight, format_time};
use traffic_split::{Rule, Snapshot, limits};

use crate::output::FAINT;
use crate::rules::rounded;
use crate::yaml::{quoted, weights};

/// The lines for a rule's `split`, its `ramp`, and its `history` if it has one, in YAML.
#[derive(Serialize)]
pub struct Resume {
    /// In place of those of the rule, from now on.
    hold: Vec<String>,
    /// In place of those of `hold`, with the time of it as `start`.
    go_on: Vec<String>,
}

/// The units of a duration, and the seconds that each has.
const UNITS: [(char, u64); 4] = [('d', 86_400), ('h', 3_600), ('m', 60), ('s', 1)];

impl Resume {
    /// The lines at the time of a snapshot; `None` if the ramp does not run then.
    pub fn new(rule: &Rule, split: &SplitSpec, ramp: &RampSpec, at: &Snapshot) -> Option<Self> {
        let gone = at.now().checked_sub(ramp.start).filter(|gone| *gone < ramp.duration)?;
        let (taken, left) = match u64::from(ramp.steps) {
            0 => (0, ramp.duration - gone),
            steps => {
                let taken = gone * steps / ramp.duration;
                (taken, (ramp.duration * (steps - taken)).div_ceil(steps))
            }
        };
        let now = format!("split: {}", weights(&standing(rule, split, at)));
        let line = |start: u64, duration: u64, taken: u64, hold: bool| {
            let steps = match u64::from(ramp.steps) {
                0 => String::new(),
                steps => format!(", steps: {}", steps - taken),
            };
            let hold = if hold { ", hold: true" } else { "" };
            format!(
                "ramp: {{variant: {}, to: {}, start: {}, duration: {}{steps}{hold}}}",
                quoted(&ramp.variant),
                ramp.to,
                format_time(start),
                length(duration)
            )
        };
        // Beside a history, the ramp is a step from the weights as they are written.
        let steps: Vec<_> = split.history.iter().chain([&split.weights]).collect();
        let steps: Vec<_> = steps.iter().map(|step| weights(step)).collect();
        let history = format!("history: [ {} ]", steps.join(", "));
        let lines = |ramp: String| {
            let history = Some(history.clone()).filter(|_| !split.history.is_empty());
            [now.clone(), ramp].into_iter().chain(history).collect()
        };
        Some(Resume {
            hold: lines(line(ramp.start, ramp.duration, 0, true)),
            go_on: lines(line(at.now(), left, taken, false)),
        })
    }

    /// Writes the lines for people.
    pub fn table(&self) -> String {
        let lines = |lines: &[String]| -> String {
            lines.iter().map(|line| format!("    {line}\n")).collect()
        };
        format!(
            "  {FAINT}to wait here, write{FAINT:#}\n{}  {FAINT}and to go on, with the time of it as \
             start{FAINT:#}\n{}",
            lines(&self.hold),
            lines(&self.go_on)
        )
    }
}

/// The weights as they stand, in percent.
fn standing(rule: &Rule, split: &SplitSpec, at: &Snapshot) -> Vec<Weight> {
    let standing = rule.weights(at);
    let weight = |written: &Weight| {
        let share = standing.iter().find(|(variant, _)| variant.name == written.variant);
        let weight = share.map_or(0.0, |(_, share)| rounded(rounded(*share) * 100.0));
        let weight = if weight > 0.0 { weight.max(limits::WEIGHT_MIN) } else { 0.0 };
        Weight { variant: written.variant.clone(), weight }
    };
    split.weights.iter().map(weight).collect()
}

/// Writes a duration, as in `1h30m`.
pub fn length(mut seconds: u64) -> String {
    let mut text = String::new();
    for (unit, size) in UNITS {
        if seconds >= size {
            text += &format!("{}{unit}", seconds / size);
            seconds %= size;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diff::tests::{checked, compare_at};

    const START: u64 = 1_796_115_600;
    const HOUR: u64 = 3_600;

    fn config(split: &str, ramp: &str) -> String {
        format!(
            "variantHeader: v\nvariants: {{ a: {{}}, b: {{}}, c: {{}} }}\nrules:\n- name: r\n  {split}\n  \
             {ramp}\n  sticky: {{ key: [ {{ cookie: u }} ] }}\n"
        )
    }

    #[test]
    fn nobody_moves_when_a_ramp_waits_nor_when_it_goes_on() {
        for (split, steps) in [
            ("split: { a: 99, c: 1 }", ""),
            ("split: { a: 60, b: 37, c: 3 }", ""),
            ("split: { a: 60, b: 37, c: 0 }", ", steps: 7"),
            ("split: { a: 1, c: 2 }", ", steps: 24"),
            ("split: { a: 60, b: 30, c: 10 }\n  history: [ { a: 40, b: 50, c: 10 } ]", ""),
        ] {
            let ramp = format!(
                "ramp: {{ variant: c, to: 50, start: 2026-12-01T09:00:00Z, duration: 24h{steps} }}"
            );
            let old = config(split, &ramp);
            for gone in [1, 5 * HOUR + 77, 23 * HOUR] {
                let now = START + gone;
                let checked = checked(&old, now);
                let spec = crate::curve::split(&checked.config, "r").unwrap();
                let (rule, ramp) = (&checked.plan.rules()[0], spec.ramp.as_ref().unwrap());
                let resume = Resume::new(rule, spec, ramp, &checked.snapshot).unwrap();
                let write = |lines: &[String]| config(&lines[0], &lines[1..].join("\n  "));
                let held = write(&resume.hold);
                assert_eq!(compare_at(&old, &held, &[], now).moved, 0.0, "{held}");
                // Days later, at a time of its own.
                let later = now + 100 * HOUR;
                let line = resume.go_on[1..].join("\n  ");
                let line = line.replace(&format_time(now), &format_time(later));
                let on = config(&resume.go_on[0], &line);
                assert_eq!(compare_at(&held, &on, &[], later).moved, 0.0, "{on}");
                // With the old start it would be over already.
                let careless = config(
                    &resume.go_on[0],
                    &line.replace(&format_time(later), &format_time(START)),
                );
                assert!(
                    compare_at(&held, &careless, &[], later).moved > 0.001 || gone == 23 * HOUR
                );
                let end =
                    super::super::diff::tests::checked(&on, later + 24 * HOUR - gone + HOUR * 4);
                let weights = end.plan.rules()[0].weights(&end.snapshot);
                let (_, share) = weights.iter().find(|(it, _)| it.name == "c").unwrap();
                assert!((share - 0.5).abs() < 1e-9, "{share}");
            }
        }
    }

    #[test]
    fn durations_are_written_as_they_are_read() {
        for (seconds, text) in [(86_400, "1d"), (5_400, "1h30m"), (90_061, "1d1h1m1s"), (59, "59s")]
        {
            assert_eq!(length(seconds), text);
        }
    }
}
