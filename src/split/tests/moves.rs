//! Who moves in a rollout: by a ramp beside a history, and by a history that is dropped. `src/numbers.md`
//! has the tables, and each test holds its own equal to what it finds.

use super::*;
use crate::Plan;

const KEYS: u32 = 1_000_000;
/// 2026-12-01T09:00:00Z.
const START: u64 = 1_796_115_600;
const DAY: u64 = 86_400;

fn stated(rows: &[String]) {
    let page = include_str!("../../numbers.md");
    rows.iter().for_each(|row| println!("{row}"));
    for row in rows {
        assert!(page.contains(row.as_str()), "src/numbers.md has no row {row}");
    }
}

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

fn named(shares: &[f64]) -> Named {
    ["a", "b", "c"].iter().zip(shares).map(|(name, share)| ((*name).into(), *share)).collect()
}

/// A split of these weights, with earlier ones.
fn of(shares: &[f64], earlier: &[&[f64]]) -> Split {
    split(&named(shares), &earlier.iter().map(|shares| named(shares)).collect::<Vec<_>>())
}

/// A rule whose last variant is ramped to `to` percent in a day.
fn ramped(shares: &[f64], earlier: &[&[f64]], to: f64) -> Plan {
    let last = ["a", "b", "c"][shares.len() - 1];
    let config = serde_json::json!({
        "variantHeader": "x-v", "variants": { "a": {}, "b": {}, "c": {} },
        "rules": [{ "name": "r", "split": named(shares),
            "history": earlier.iter().map(|shares| named(shares)).collect::<Vec<_>>(),
            "sticky": { "key": [{ "header": "x-user" }], "salt": "salt" },
            "ramp": { "variant": last, "to": to, "start": "2026-12-01T09:00:00Z",
                      "duration": "24h" } }]
    });
    Plan::compile(config.to_string().as_bytes(), &|_| None).unwrap()
}

/// 10^6 keys at six times: exact shares (5 standard errors), nobody between the others, nobody twice;
/// before the ramp all are where the history has them, and after it where a history with its end
/// weights has them.
#[test]
fn a_ramp_beside_a_history_moves_only_those_who_must() {
    let earlier: [&[f64]; 2] = [&[90.0, 10.0, 0.0], &[50.0, 30.0, 20.0]];
    let before = [40.0, 30.0, 30.0];
    for to in [60.0, 10.0, 100.0, 0.0] {
        let plan = ramped(&before, &earlier, to);
        let at = |part: u64| plan.ramps[0].split(START + DAY * part / 5).unwrap();
        let splits: Vec<_> = (0..=5).map(at).collect();
        let settled = of(&before, &earlier);
        let rest = (100.0 - to) / 70.0;
        let ended = of(&[40.0 * rest, 30.0 * rest, to], &[earlier[0], earlier[1], &before]);
        let mut counts = [0.0; 6];
        for hash in hashes(KEYS) {
            let path: Vec<&str> = splits.iter().map(|split| split.pick(hash).name()).collect();
            assert_eq!(path[0], settled.pick(hash).name());
            assert_eq!(path[5], ended.pick(hash).name());
            let moves = path.windows(2).filter(|pair| pair[0] != pair[1]).collect::<Vec<_>>();
            assert!(moves.len() <= 1, "{path:?}");
            assert!(moves.iter().all(|pair| pair[usize::from(to > 30.0)] == "c"), "{path:?}");
            counts.iter_mut().zip(&path).for_each(|(n, name)| *n += f64::from(*name == "c"));
        }
        for (part, count) in counts.into_iter().enumerate() {
            let (n, p) = (f64::from(KEYS), (30.0 + (to - 30.0) * part as f64 / 5.0) / 100.0);
            assert!((count - n * p).abs() <= 5.0 * f64::sqrt(n * p * (1.0 - p)), "{to} {part}");
        }
    }
}

#[derive(Deserialize)]
struct Ramped {
    salt: String,
    history: Vec<Named>,
    weights: Named,
    ramp: serde_json::Value,
    at: u64,
    key: String,
    hash: String,
    variant: String,
}

#[derive(Deserialize)]
struct AllRamped {
    vectors: Vec<Ramped>,
}

/// The vectors are another program's, which was held to those of histories.
#[test]
fn assignments_of_a_ramp_beside_a_history_never_change() {
    let text = include_str!("../../../wasm-tests/vectors/ramp-v1.json");
    let AllRamped { vectors } = serde_json::from_str(text).unwrap();
    assert_eq!(vectors.len(), 96);
    for v in vectors {
        let known = v.weights.keys().map(|name| (name.clone(), serde_json::json!({})));
        let config = serde_json::json!({
            "variantHeader": "x-v", "variants": known.collect::<serde_json::Map<_, _>>(),
            "rules": [{ "name": "r", "split": v.weights, "history": v.history, "ramp": v.ramp,
                "sticky": { "key": [{ "header": "x-user" }], "salt": v.salt } }]
        });
        let plan = Plan::compile(config.to_string().as_bytes(), &|_| None).unwrap();
        let hash = xxh64(v.key.as_bytes(), xxh64(v.salt.as_bytes(), 0));
        assert_eq!(format!("{hash:016x}"), v.hash);
        let split = plan.ramps[0].split(v.at).unwrap();
        assert_eq!(split.pick(hash).name(), v.variant, "{} at {}", v.key, v.at);
    }
}

/// Weights of a rollout over 10^6 keys, whose figures have a standard error of at most 0.05 %.
#[test]
fn each_step_of_a_rollout_moves_what_the_page_says() {
    let two: [&[f64]; 6] =
        [&[99.0, 1.0], &[95.0, 5.0], &[75.0, 25.0], &[50.0, 50.0], &[0.0, 100.0], &[100.0, 0.0]];
    let three: [&[f64]; 5] = [
        &[50.0, 30.0, 20.0],
        &[40.0, 30.0, 30.0],
        &[20.0, 40.0, 40.0],
        &[34.0, 33.0, 33.0],
        &[0.0, 50.0, 50.0],
    ];
    let text = |shares: &[f64]| shares.iter().map(f64::to_string).collect::<Vec<_>>().join("/");
    let row = |steps: &[&[f64]], known: usize| {
        let [before, after] = [known, known + 1].map(|known| of(steps[known], &steps[..known]));
        let plain = [known, known + 1].map(|known| of(steps[known], &[]));
        format!(
            "| {} to {} | {} | {} | {} |",
            text(steps[known]),
            text(steps[known + 1]),
            percent(total_variation(steps[known], steps[known + 1])),
            percent(moved(&plain[0], &plain[1], KEYS)),
            percent(moved(&before, &after, KEYS)),
        )
    };
    let two = (0..two.len() - 1).map(|known| row(&two, known));
    let three = (0..three.len() - 1).map(|known| row(&three, known));
    stated(&two.chain(three).collect::<Vec<_>>());
}

/// Between two variants, a change of weights never moves more than the least possible share.
#[test]
fn two_variants_need_no_history() {
    for (before, after) in [([90.0, 10.0], [50.0, 50.0]), ([1.0, 99.0], [30.0, 70.0])] {
        let [old, new] = [before, after].map(|shares| of(&shares, &[]));
        let gains = if after[0] > before[0] { "a" } else { "b" };
        let stays = |hash: u64| {
            let name = new.pick(hash).name();
            name == old.pick(hash).name() || name == gains
        };
        assert!(hashes(KEYS).all(stays), "{before:?} {after:?}");
    }
}

/// Without a history, 34/33/33 to 0/50/50 moves exactly the users of `a`: nobody between `b` and `c`.
#[test]
fn a_variant_that_goes_moves_nobody_between_equal_others() {
    let [old, new] = [&[34.0, 33.0, 33.0], &[0.0, 50.0, 50.0]].map(|shares| of(shares, &[]));
    let stays = |hash: u64| {
        matches!(old.pick(hash).name(), "a" | "b" | "c")
            && (old.pick(hash).name() == "a" || old.pick(hash).name() == new.pick(hash).name())
    };
    assert!(hashes(KEYS).all(stays));
}

/// What `history` costs where it is dropped, or where it begins with the wrong weights.
#[test]
fn a_history_that_ends_wrongly_moves_what_the_page_says() {
    let (old, new): (&[f64], &[f64]) = (&[50.0, 30.0, 20.0], &[40.0, 30.0, 30.0]);
    // One percent back and forth.
    let steps: Vec<&[f64]> =
        (0..34).map(|k| if k % 2 == 0 { &[75.0, 25.0][..] } else { &[74.0, 26.0] }).collect();
    let full = of(steps[32], &steps[..32]);
    let ended = ramped(&[80.0, 20.0, 0.0], &[], 50.0);
    let ended = ended.ramps[0].split(START + DAY).unwrap();
    let (start, end, next): (&[f64], &[f64], &[f64]) =
        (&[80.0, 20.0, 0.0], &[40.0, 10.0, 50.0], &[30.0, 10.0, 60.0]);
    let rows = [
        ("50/30/20 to 40/30/30 without a history", &of(old, &[]), of(new, &[])),
        ("then, with the history of that step, the history goes", &of(new, &[old]), of(new, &[])),
        (
            "90/10 to 50/50 with a history, and the history goes",
            &of(&[50.0, 50.0], &[&[90.0, 10.0]]),
            of(&[50.0, 50.0], &[]),
        ),
        (
            "32 entries of 75/25 and 74/26 in turn, one more: the oldest goes",
            &full,
            of(steps[33], &steps[1..33]),
        ),
        (
            "32 entries of 75/25 and 74/26 in turn, one more: the newest goes",
            &full,
            of(steps[33], &steps[..32]),
        ),
        (
            "one variant has everything, and the history goes",
            &of(&[0.0, 0.0, 1.0], &[old, new]),
            of(&[0.0, 0.0, 1.0], &[]),
        ),
        (
            "after a ramp from 80/20/0 to 40/10/50: 30/10/60, `history` of its end weights",
            &ended,
            of(next, &[end]),
        ),
        ("after that ramp: 30/10/60, `history` of its first weights", &ended, of(next, &[start])),
    ];
    let row = |(what, before, after): &(&str, &Split, Split)| {
        format!("| {what} | {} |", percent(moved(before, after, KEYS)))
    };
    stated(&rows.iter().map(row).collect::<Vec<_>>());
}

/// One salt gives one user one variant in two services, but only by the same names and the same
/// history.
#[test]
fn one_salt_in_two_services_needs_the_same_names_and_history() {
    let [old, new] = [&[50.0, 50.0], &[60.0, 40.0]].map(|shares| of(shares, &[]));
    assert!((moved(&old, &new, KEYS) - 0.1).abs() < 0.002, "names and no history");
    let with = of(&[60.0, 40.0], &[&[90.0, 10.0]]);
    assert!(moved(&new, &with, KEYS) > 0.3, "another history");
    let renamed: Named = [("x".into(), 60.0), ("y".into(), 40.0)].into();
    let renamed = split(&renamed, &[]);
    let place = |split: &Split, hash: u64| matches!(split.pick(hash).name(), "a" | "x");
    let apart = hashes(KEYS).filter(|hash| place(&new, *hash) != place(&renamed, *hash)).count();
    // 2 * 0.6 * 0.4, as if drawn anew.
    assert!((apart as f64 / f64::from(KEYS) - 0.48).abs() < 0.003, "{apart}");
}

/// A ramp that was held at 40 % and goes on: with its old start, it is at once where it would be by
/// now; with a new start and the rest of the duration, it goes on from there.
#[test]
fn a_held_ramp_goes_on_with_a_new_start_and_the_rest_of_its_duration() {
    let rule = |split: &[f64], start: u64, duration: u64| {
        let config = serde_json::json!({
            "variantHeader": "x-v", "variants": { "a": {}, "b": {} },
            "rules": [{ "name": "r", "split": named(split),
                "ramp": { "variant": "b", "to": 100, "start": crate::config::format_time(start),
                          "duration": format!("{duration}s") } }]
        });
        Plan::compile(config.to_string().as_bytes(), &|_| None).unwrap()
    };
    let share = |plan: &Plan, at: u64| plan.ramps[0].share(at);
    // A ramp from 0 to 100 % in ten hours, held after four of them for four more.
    let (hour, held) = (3_600, START + 8 * 3_600);
    let first = rule(&[100.0, 0.0], START, 10 * hour);
    assert_eq!(share(&first, START + 4 * hour), 0.4);
    assert_eq!(share(&first, held), 0.8, "the old start moves 40 % at once");
    // (100 - 40) of (100 - 0) are left: six hours.
    let on = rule(&[60.0, 40.0], held, 6 * hour);
    assert_eq!((share(&on, held), share(&on, held + 6 * hour)), (0.4, 1.0));
    assert!((share(&on, held + hour) - 0.5).abs() < 1e-12, "as fast as before");
}
