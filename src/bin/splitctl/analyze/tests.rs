use super::*;
use crate::diff::tests::checked;
use crate::sequential::Verdict;

mod simulations;

/// A line of an access log with these parts in place of its own.
fn line(parts: &str) -> String {
    let own = r#"{"time":"2026-12-01T09:00:00.000Z","method":"GET","path":"/a?b","status":200,"flags":"-","#;
    let own = own.to_owned() + r#""duration_ms":20,"rule":"r","variant":"s","reason":"sticky""#;
    let mut line: serde_json::Map<_, _> = serde_json::from_str(&(own + "}")).unwrap();
    line.extend(serde_json::from_str::<serde_json::Map<_, _>>(&format!("{{{parts}}}")).unwrap());
    serde_json::to_string(&line).unwrap()
}

/// Reads lines with the weights of these experiments, which are those of a generation if there is one.
fn read_all<'c>(
    experiments: Vec<Experiment<'c>>,
    generation: Option<f64>,
    lines: &[String],
    metrics: &[&str],
) -> Reading<'c> {
    let metrics: Vec<_> = metrics.iter().map(|text| Metric::parse(text).unwrap()).collect();
    let metrics = Metrics::new(&metrics).unwrap();
    let reader = Reader::new(&experiments, &metrics);
    let tallies = experiments.into_iter().map(Tally::new).collect();
    let (counts, others, is_by_file) = (Lines::default(), Vec::new(), generation.is_some());
    let mut reading = Reading { tallies, lines: counts, generation, is_by_file, others };
    let mut time = String::new();
    for (number, line) in (1..).zip(lines) {
        let what = reader.read(line.as_bytes(), &mut time);
        reading.take(Read { name: "log", number, time: &time, what });
    }
    reading
}

fn read<'c>(experiment: Experiment<'c>, lines: &[String], metrics: &[&str]) -> Reading<'c> {
    read_all(vec![experiment], None, lines, metrics)
}

fn given<'c>(weights: &str) -> Experiment<'c> {
    Experiment::given("r", &experiment::weights(weights).unwrap(), None).unwrap()
}

#[test]
fn a_user_counts_for_the_first_variant_whatever_follows() {
    let lines = [
        line(r#""unit":"a""#),
        line(r#""unit":"a","variant":"c","status":503"#),
        line(r#""unit":"a","variant":"c","status":"200","duration_ms":"30""#),
        line(r#""unit":"b","variant":"c""#),
    ];
    let reading = read(given("s=50,c=50"), &lines, &[]);
    let tally = &reading.tallies[0];
    assert_eq!((tally.sample.fresh.as_slice(), tally.mixed), (&[1, 1][..], 1));
    let user = tally.users().find(|user| user.variant == 0).unwrap();
    assert_eq!((user.requests, user.errors, user.millis), (3, 1, 70));
}

#[test]
fn what_is_no_part_of_the_experiment_is_left_out_and_counted() {
    let lines = [
        line(r#""unit":"a","reason":"override","analysis":"0""#),
        line(r#""unit":"a","reason":"guard""#),
        line(r#""unit":"a","reason":"hold","analysis":"0""#),
        line(r#""unit":"a","reason":"shadow""#),
        line(r#""unit":"a","reason":"otherwise""#),
        line(r#""unit":"a","analysis":0"#),
        line(r#""unit":"-""#),
        line(r#""unit":null"#),
        line(r#""unit":"a","variant":"gone""#),
        line(r#""unit":"a","rule":"-""#),
        line(r#""unit":"a","rule":"other""#),
        "[2026-12-01] info: listener added".into(),
        "{\"rule\":\"r\"".into(),
        "{]".into(),
        String::new(),
        line(r#""unit":"a","analysis":"1","first":"1""#),
        line(r#""unit":"b","reason":"persisted""#),
    ];
    let reading = read(given("s=50,c=50"), &lines, &[]);
    let tally = &reading.tallies[0];
    assert_eq!(tally.left_out, [1; 6]);
    assert_eq!((tally.without_unit, tally.unknown, tally.sample.unchecked), (2, 1, [1, 0, 0]));
    assert_eq!((tally.lines, tally.sample.fresh.as_slice()), (11, &[1, 0][..]));
    let lines = &reading.lines;
    assert_eq!((lines.read, lines.no_json, lines.malformed, lines.without_rule), (16, 1, 2, 1));
    assert_eq!(lines.first_malformed.as_deref(), Some("log:13"));
    assert_eq!(reading.others, ["other"]);
}

#[test]
fn a_request_is_good_or_fails_or_does_not_count() {
    use line::Ending::{Failed, Good, Uncounted};
    for (parts, expected) in [
        (r#""status":200"#, Good),
        (r#""status":404"#, Good),
        (r#""status":"500""#, Failed),
        (r#""status":503,"flags":"DC""#, Failed),
        (r#""status":0,"flags":"DC""#, Uncounted),
        (r#""status":200,"flags":"DC""#, Uncounted),
        (r#""status":200,"flags":"DR,UO""#, Uncounted),
        (r#""status":0,"flags":"UC""#, Failed),
        (r#""status":0"#, Failed),
        (r#""status":null"#, Uncounted),
        (r#""status":"-""#, Uncounted),
        (r#""status":200,"flags":"UR""#, Failed),
        (r#""status":200,"flags":"UPE""#, Failed),
        (r#""status":200,"flags":"NOTUR""#, Good),
        (r#""status":101"#, Uncounted),
    ] {
        let line = line(parts);
        assert_eq!(line::Line::read(line.as_bytes()).unwrap().ending(), expected, "{parts}");
    }
}

/// The conversion may be a request of another rule, or of none, if it has the unit.
#[test]
fn a_conversion_counts_once_the_user_has_met_the_rule() {
    let lines = [
        line(r#""unit":"early","path":"/buy","rule":"other""#),
        line(r#""unit":"early""#),
        line(r#""unit":"late""#),
        line(r#""unit":"late","path":"/buy?x","rule":"other","reason":"pinned","analysis":"0""#),
        line(r#""unit":"forced""#),
        line(r#""unit":"forced","path":"/buy","reason":"override","analysis":"0""#),
        line(r#""unit":"tester""#),
        line(r#""unit":"tester","path":"/buy","rule":"other","reason":"override","analysis":"0""#),
        line(r#""unit":"failed""#),
        line(r#""unit":"failed","path":"/buy","status":500"#),
        line(r#""unit":"once","path":"/buy""#),
        line(r#""unit":"none","rule":null,"path":"/buy""#),
        line(r#""unit":"guarded""#),
        line(r#""unit":"guarded","path":"/buy","reason":"guard","analysis":"0""#),
    ];
    let metrics = ["conversion=/nothing", "conversion=/buy"];
    let reading = read(given("s=50,c=50"), &lines, &metrics);
    let tally = &reading.tallies[0];
    let mut converted: Vec<_> = tally.users().map(|user| user.converted).collect();
    converted.sort_unstable();
    assert_eq!(converted, [0, 0, 0, 0, 0, 0b10, 0b10]);
}

const RAMPED: &str = "variantHeader: v\nvariants: { s: {}, c: {} }\nrules:\n- name: r\n  \
    split: { s: 100, c: 0 }\n  ramp: { variant: c, to: 100, start: 2026-12-01T09:00:00Z, duration: 10h }\n  \
    sticky: { key: [ { cookie: u } ] }\n";

#[test]
fn users_of_a_ramp_are_expected_by_the_weights_of_their_time() {
    let checked = checked(RAMPED, 0);
    let experiment = Experiment::of(&checked, &checked.plan.rules()[0], None, "f").unwrap();
    assert_eq!(experiment.baseline, 0);
    let at = |time: &str, unit: u32| line(&format!(r#""time":"{time}","unit":"{unit}""#));
    let lines = [
        at("2026-12-01T08:00:00.123Z", 1),
        at("2026-12-01T14:00:00.123Z", 2),
        at("2026-12-01T20:00:00.123Z", 3),
        at("2026-12-02T20:00:00.123Z", 1),
        // Nobody knows the weights of these times.
        at("2026-12-01T14:00:00.123+01:00", 4),
        at("2026-12-01 14:00:00", 5),
        at("1796133600", 6),
        at("2026-12-01T14:61:00Z", 7),
    ];
    let reading = read(experiment, &lines, &[]);
    let tally = &reading.tallies[0];
    let expected = tally.sample.expected(&tally.experiment);
    assert!((expected[0] - 1.5).abs() < 0.01 && (expected[1] - 1.5).abs() < 0.01, "{expected:?}");
    assert_eq!((&tally.sample.fresh[..], tally.sample.unchecked), (&[3, 0][..], [0, 0, 4]));
}

/// Before its first second a ramp gives the variant nothing, and from it on something.
#[test]
fn a_ramp_is_looked_at_to_the_second() {
    let checked = checked(RAMPED, 0);
    let expected = |time: &str| {
        let experiment = Experiment::of(&checked, &checked.plan.rules()[0], None, "f").unwrap();
        let lines = [line(&format!(r#""time":"{time}","unit":"a""#))];
        let reading = read(experiment, &lines, &[]);
        reading.tallies[0].sample.expected(&reading.tallies[0].experiment)[1]
    };
    assert!(expected("2026-12-01T09:00:00.999Z") < 1e-9);
    assert!(expected("2026-12-01T09:00:40Z") > 1e-4);
}

/// Users whom another configuration assigned first may have had other weights. They are compared, and
/// not checked; by weights that are given, all of a log are checked.
#[test]
fn only_users_of_the_configuration_that_has_the_weights_are_checked() {
    let lines = [
        line(r#""unit":"a","generation":"6""#),
        line(r#""unit":"a","generation":"7","variant":"c""#),
        line(r#""unit":"b","generation":"7","variant":"c""#),
        line(r#""unit":"c","generation":7"#),
        line(r#""unit":"d""#),
        line(r#""unit":"e","generation":"6","reason":"persisted""#),
    ];
    for (generation, fresh, unchecked, other_lines) in
        [(Some(7.0), [2, 1], [1, 1, 0], 2), (None, [3, 1], [1, 0, 0], 3)]
    {
        let reading = read_all(vec![given("s=50,c=50")], generation, &lines, &[]);
        let sample = &reading.tallies[0].sample;
        assert_eq!(
            (&sample.fresh[..], sample.unchecked),
            (&fresh[..], unchecked),
            "{generation:?}"
        );
        assert_eq!(reading.tallies[0].users().count(), 5);
        assert_eq!(reading.lines.other_generation, other_lines);
    }
}

#[test]
fn a_rule_without_users_says_why() {
    let lines = [
        line(r#""unit":"a""#),
        line(r#""rule":"keyless","unit":null"#),
        line(r#""rule":"forced","unit":"a","reason":"override""#),
        line(r#""rule":"renamed","unit":"a","variant":"blue""#),
    ];
    let weights = experiment::weights("s=50,c=50").unwrap();
    let experiment = |rule: &&str| Experiment::given(rule, &weights, None).unwrap();
    let rules = ["absent", "keyless", "forced", "renamed"];
    let reading = read_all(rules.iter().map(experiment).collect(), None, &lines, &[]);
    for (tally, expected) in reading.tallies.iter().zip([
        "no line has the rule absent",
        "no line of keyless has a unit",
        "no decision of forced counts",
        "no line of renamed has one of its variants",
    ]) {
        assert!(!tally.has_users());
        assert!(reading.why(tally).starts_with(expected), "{}", reading.why(tally));
    }
    assert!(reading.check("log").unwrap_err().to_string().starts_with("log: no line of keyless"));
    let others = |number: u32| line(&format!(r#""rule":"other-{}","unit":"a""#, number / 2));
    let others: Vec<_> = (0..20).map(others).collect();
    let reading = read(given("s=50,c=50"), &others, &[]);
    let error = reading.check("log").unwrap_err().to_string();
    let known = "other-0, other-1, other-2, other-3, other-4";
    assert_eq!(error, format!("log: no line has the rule r; there are: {known}"));
}

/// Alpha is for all variants and metrics together, and each metric knows which way is better.
#[test]
fn all_verdicts_of_a_rule_share_alpha() {
    let each = |user: u32| {
        let (variant, millis) = [("s", 20), ("c", 400), ("d", 1)][user as usize % 3];
        let path =
            if user % 3 == 1 && user % 4 < 3 || user.is_multiple_of(8) { "/buy" } else { "/" };
        let millis = millis + user % 7;
        line(&format!(
            r#""unit":"{user}","variant":"{variant}","path":"{path}","duration_ms":{millis}"#
        ))
    };
    let lines: Vec<_> = (0..3_000).map(each).collect();
    let given_metrics = ["latency", "conversion=/buy"];
    let reading = read(given("s=1,c=1,d=1"), &lines, &given_metrics);
    let parsed: Vec<_> = given_metrics.iter().map(|text| Metric::parse(text).unwrap()).collect();
    let metrics = Metrics::new(&parsed).unwrap();
    let report = RuleReport::new(&reading.tallies[0], &metrics, 0.04);
    let sums = metrics.sums(reading.tallies[0].users(), 3);
    for (metric, sums) in report.metrics.iter().zip(&sums) {
        let alone = effect::Effect::new(&sums[1], &sums[0], 0.01).unwrap().radius;
        assert_eq!(metric.variants[1].effect.unwrap().radius, alone, "{}", metric.metric);
    }
    let verdicts = |place: usize| report.metrics[place].variants.iter().map(|value| value.verdict);
    let slower = [None, Some(Verdict::Worse), Some(Verdict::Better)];
    assert!(verdicts(0).eq(slower));
    assert_eq!(verdicts(1).nth(1), Some(Some(Verdict::Better)));
}

/// A metric whose key a log does not have has no value, and no wrong one.
#[test]
fn what_a_log_does_not_have_is_not_counted() {
    let lines = [
        line(r#""unit":"a","duration_ms":null"#),
        line(r#""unit":"a","duration_ms":30"#),
        line(r#""unit":"a","duration_ms":1e300"#),
        line(r#""unit":"a","duration_ms":-1"#),
        line(r#""unit":"b","variant":"c","duration_ms":"-""#),
        line(r#""unit":"b","variant":"c","status":null"#),
    ];
    let reading = read(given("s=50,c=50"), &lines, &[]);
    let metrics = Metrics::new(&[]).unwrap();
    let report = RuleReport::new(&reading.tallies[0], &metrics, 0.05);
    let values = report
        .metrics
        .iter()
        .map(|metric| metric.variants.iter().map(|value| value.value).collect::<Vec<_>>());
    let values: Vec<_> = values.collect();
    assert_eq!(values, [[Some(0.0), Some(0.0)], [Some(30.0), None]]);
}

/// A rotated log may be read together with its copy.
#[test]
fn a_log_that_is_there_twice_changes_no_verdict() {
    let each = |user: u32| {
        let (variant, status) =
            if user.is_multiple_of(3) { ("c", 500 + user % 7) } else { ("s", 200) };
        line(&format!(r#""unit":"{user}","variant":"{variant}","status":{status}"#))
    };
    let lines: Vec<_> = (0..900).map(each).collect();
    let report = |lines: &[String]| {
        let reading = read(given("s=2,c=1"), lines, &[]);
        let metrics = Metrics::new(&[]).unwrap();
        let mut report = RuleReport::new(&reading.tallies[0], &metrics, 0.05);
        report.lines = 0;
        serde_json::to_string(&report).unwrap()
    };
    assert_eq!(report(&lines), report(&[lines.clone(), lines.clone()].concat()));
}

#[test]
fn a_broken_ratio_has_no_verdicts_and_is_no_good_answer() {
    let lines = |users: [u32; 2], failing: u32| -> Vec<String> {
        let side = |variant: &'static str, users: u32, failing: u32| {
            (0..users).map(move |user| {
                let status = if user < failing { 500 } else { 200 };
                line(&format!(
                    r#""unit":"{variant}{user}","variant":"{variant}","status":{status}"#
                ))
            })
        };
        side("s", users[0], 0).chain(side("c", users[1], failing)).collect()
    };
    for (users, failing, p, verdict, good) in [
        ([500, 480], 0, 0.1, Some(Verdict::TooLittleData), true),
        ([500, 480], 400, 0.1, Some(Verdict::Worse), false),
        ([600, 400], 400, 0.0, None, false),
    ] {
        let reading = read(given("s=1,c=1"), &lines(users, failing), &["errors"]);
        let metrics = Metrics::new(&[Metric::Errors]).unwrap();
        let report = RuleReport::new(&reading.tallies[0], &metrics, 0.05);
        assert_eq!(report.sample_ratio.p.unwrap() > 0.001, p > 0.001, "{users:?}");
        assert_eq!(report.metrics[0].variants[1].verdict, verdict, "{users:?}");
        assert_eq!(report.metrics[0].variants[0].verdict, None);
        assert_eq!(report.is_good(), good, "{users:?}");
    }
}

#[test]
fn weights_are_named_once_and_add_up_to_something() {
    let weights = experiment::weights;
    assert_eq!(weights("s=90, c=10").unwrap(), [("s".to_owned(), 90.0), ("c".to_owned(), 10.0)]);
    assert_eq!(weights("s=100,c=0").unwrap(), [("s".to_owned(), 100.0), ("c".to_owned(), 0.0)]);
    for wrong in ["", "s", "s=", "s=90,c=-1", "s=0,c=0", "s=1,s=2", "s=NaN,c=1", "s=inf,c=1", "=1"]
    {
        assert!(weights(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn nothing_in_a_line_is_a_fault() {
    for parts in [
        r#""duration_ms":-1"#,
        r#""duration_ms":1e300"#,
        r#""status":[200],"time":{"a":1}"#,
        r#""time":"é€é€é€é€é€é€é€é€""#,
        r#""path":"\u0000\"\\","flags":",,,""#,
        r#""generation":"x","analysis":true"#,
    ] {
        let parts = format!(r#""unit":"u",{parts}"#);
        let lines = [line(&parts), line(&parts)];
        let reading = read(given("s=50,c=50"), &lines, &["conversion=/a.*", "latency"]);
        assert_eq!(reading.lines.malformed, 0, "{parts}");
        assert_eq!(reading.tallies[0].users().count(), 1, "{parts}");
    }
}
