//! How often an alert is false: a day of simulated traffic in which canary and stable variant are alike,
//! with fixed seeds, through the rules themselves in promtool. `src/numbers.md` has the table.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::f64::consts::TAU;
use std::fs;
use wasm_tests::prometheus::Programs;
use wasm_tests::root;

/// Scrapes of a day, one every 15 seconds.
const SCRAPES: usize = 5_760;

/// The scrapes for which the same users are there: those of an hour.
const HOUR: usize = 240;

/// The bounds of Envoy's histogram in milliseconds, and infinity.
const BOUNDS: [f64; 14] =
    [0.5, 1.0, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1e3, 2.5e3, 5e3, 1e4, f64::INFINITY];

/// The traffic of a rule with a canary.
struct Traffic {
    /// The label `app` in Prometheus, and the text in the table.
    app: &'static str,
    /// The canary's share of the users.
    share: f64,
    /// The canary's requests in five minutes.
    requests: f64,
    /// The share of responses that fail.
    errors: f64,
    /// The spread of the lognormal latency around its median of 100 ms.
    latency: f64,
    users: Users,
}

/// The users behind the requests.
enum Users {
    /// So many that each request is another one's.
    Many,
    /// 1,000 in each hour, with a lognormal spread of requests.
    Lognormal(f64),
    /// 1,000 in each hour, of which the n-th sends the n-th part of the first one's requests.
    Zipf,
}

const EVEN: Traffic = Traffic {
    app: "",
    share: 0.1,
    requests: 500.0,
    errors: 0.001,
    latency: 0.5,
    users: Users::Many,
};

fn normal(random: &mut fastrand::Rng) -> f64 {
    (-2.0 * (1.0 - random.f64()).ln()).sqrt() * (TAU * random.f64()).cos()
}

/// A Poisson number: Knuth's, or a normal one where it is large.
fn poisson(random: &mut fastrand::Rng, mean: f64) -> u64 {
    if mean > 50.0 {
        return (mean + normal(random) * mean.sqrt()).round().max(0.0) as u64;
    }
    let (least, mut product, mut count) = ((-mean).exp(), random.f64(), 0);
    while product > least {
        product *= random.f64();
        count += 1;
    }
    count
}

/// The normal distribution (Abramowitz and Stegun 7.1.26, to 10^-7).
fn below(z: f64) -> f64 {
    let x = z.abs() / std::f64::consts::SQRT_2;
    let t = 1.0 / (1.0 + 0.327_591_1 * x);
    let factors = [1.061_405_429, -1.453_152_027, 1.421_413_741, -0.284_496_736, 0.254_829_592];
    let series = factors.iter().fold(0.0, |sum, factor| (sum + factor) * t);
    let erf = 1.0 - series * (-x * x).exp();
    0.5 * (1.0 + erf.copysign(z))
}

impl Users {
    /// The canary's share of the requests of an hour's users, each with the canary by that chance.
    fn share(&self, random: &mut fastrand::Rng, chance: f64) -> f64 {
        let (mut canary, mut all) = (0.0, 0.0);
        for user in 1..=1_000 {
            let requests = match self {
                Self::Many => return chance,
                Self::Lognormal(sigma) => (sigma * normal(random)).exp(),
                Self::Zipf => 1.0 / f64::from(user),
            };
            all += requests;
            canary += if random.f64() < chance { requests } else { 0.0 };
        }
        canary / all
    }
}

impl Traffic {
    /// The series of a day.
    fn series(&self, seed: u64) -> Vec<Value> {
        let mut random = fastrand::Rng::with_seed(seed);
        let all = self.requests / 20.0 / self.share;
        let shares: Vec<f64> =
            (0..SCRAPES / HOUR).map(|_| self.users.share(&mut random, self.share)).collect();
        let mut series = Vec::new();
        for (variant, weight) in [("canary", self.share), ("stable", 1.0 - self.share)] {
            let mut add = |metric: &str, more: &str, values: String| {
                let labels = format!(r#"app="{}",rule="r",variant="{variant}"{more}"#, self.app);
                series.push(json!({"series": format!("{metric}{{{labels}}}"), "values": values}));
            };
            let mean = |scrape: usize| {
                let share = shares[scrape / HOUR];
                all * if variant == "canary" { share } else { 1.0 - share }
            };
            let mut counter = |part: &dyn Fn(usize) -> f64| {
                let mut sum = 0;
                (0..SCRAPES)
                    .map(|scrape| {
                        sum += poisson(&mut random, part(scrape));
                        sum
                    })
                    .collect::<Vec<u64>>()
            };
            let errors = counter(&|scrape| mean(scrape) * self.errors);
            let good = counter(&|scrape| mean(scrape) * (1.0 - self.errors));
            let requests: Vec<u64> = errors.iter().zip(&good).map(|(a, b)| a + b).collect();
            add("tsplit_weight_ppm", "", format!("{}x{SCRAPES}", weight * 1e6));
            add("tsplit_requests_total", r#",reason="sticky""#, text(&requests));
            add("tsplit_responses_total", r#",class="2xx""#, text(&good));
            add("tsplit_responses_total", r#",class="5xx""#, text(&errors));
            let mut up_to = vec![0; SCRAPES];
            let mut before = 0.0;
            for bound in BOUNDS {
                let share = below((bound / 100.0).ln() / self.latency);
                let part = counter(&|scrape| mean(scrape) * (share - before).max(0.0));
                up_to.iter_mut().zip(part).for_each(|(sum, more)| *sum += more);
                let le = if bound.is_finite() { bound.to_string() } else { "+Inf".into() };
                add("tsplit_response_time_ms_bucket", &format!(r#",le="{le}""#), text(&up_to));
                before = share;
            }
        }
        series
    }
}

fn text(values: &[u64]) -> String {
    values.iter().map(u64::to_string).collect::<Vec<_>>().join(" ")
}

/// The times at which an alert began to fire in the day, by app and alert. promtool says what an
/// expression gives where something else is expected.
fn alarms(
    programs: &Programs,
    traffic: &[(u64, &Traffic)],
    users: &str,
) -> Result<BTreeMap<(String, String), u32>> {
    let folder = tempfile::tempdir()?;
    let rules = fs::read_to_string(root().join("manifests/monitoring/rules.yaml"))?;
    ensure!(rules.contains("expr: 100 * group"), "the number of users is not 100");
    let rules = rules.replace("expr: 100 * group", &format!("expr: {users} * group"));
    fs::write(folder.path().join("rules.yaml"), rules)?;
    let firing = r#"ALERTS{alertstate="firing"}"#;
    let began = format!(
        "sum by (app, alertname) (count_over_time(({firing} unless {firing} offset 15s)[1d:15s]))"
    );
    let series: Vec<Value> = traffic.iter().flat_map(|(seed, it)| it.series(*seed)).collect();
    let asked =
        json!({"expr": began, "eval_time": "1d", "exp_samples": [{"labels": "{}", "value": -1}]});
    let test = json!({
        "rule_files": ["rules.yaml"], "evaluation_interval": "15s",
        "tests": [{"interval": "15s", "input_series": series, "promql_expr_test": [asked]}]
    });
    fs::write(folder.path().join("test.yaml"), test.to_string())?;
    let said = programs.promtool(folder.path(), &["test", "rules", "test.yaml"]);
    let said = said.err().context("promtool has nothing to say")?.to_string();
    let got = said.split_once("got:").context(said.clone())?.1;
    let mut found = BTreeMap::new();
    for part in got.split('{').skip(1) {
        let label = |name: &str| {
            let (_, rest) = part.split_once(&format!("{name}=\""))?;
            Some(rest.split_once('"')?.0.to_owned())
        };
        let value = part
            .split_once("} ")
            .and_then(|(_, value)| value.split([',', '\n', ' ']).next()?.parse::<f64>().ok());
        if let (Some(app), Some(alert), Some(value)) = (label("app"), label("alertname"), value) {
            found.insert((app, alert), value as u32);
        }
    }
    Ok(found)
}

/// The rows of the table; of the last one, the users are counted.
fn traffic() -> [Traffic; 11] {
    let errors = |app, errors, requests| Traffic { app, errors, requests, ..EVEN };
    let latency = |app, latency, requests| Traffic { app, latency, requests, ..EVEN };
    let users = |app, users| Traffic { app, users, share: 0.5, requests: 5_000.0, ..EVEN };
    [
        errors("both fail 1 %, 500 responses of the canary in five minutes", 0.01, 500.0),
        errors("both fail 3 %, 500", 0.03, 500.0),
        errors("both fail 3 %, 2,500", 0.03, 2_500.0),
        errors("both fail 4.5 %, 500", 0.045, 500.0),
        latency("the same latency, sigma 0.8, 500", 0.8, 500.0),
        latency("the same latency, sigma 1.3, 500", 1.3, 500.0),
        users("1,000 equal users, 50/50", Users::Lognormal(0.0)),
        users("1,000 users of sigma 1, 50/50", Users::Lognormal(1.0)),
        users("1,000 users of sigma 1.5, 50/50", Users::Lognormal(1.5)),
        users("1,000 users by Zipf's law, 50/50", Users::Zipf),
        users("1,000 users by Zipf's law, 50/50, counted as 34", Users::Zipf),
    ]
}

/// The page has a row for this traffic, as it is found.
fn stated(traffic: &[(u64, &Traffic)], users: &str) -> Result<()> {
    let Some(programs) = Programs::find()? else { return Ok(()) };
    let found = alarms(&programs, traffic, users)?;
    let page = fs::read_to_string(root().join("src/numbers.md"))?;
    let mut missing = Vec::new();
    for (_, Traffic { app, .. }) in traffic {
        let alarms = |alert: &str| {
            let key = ((*app).to_owned(), format!("TrafficSplit{alert}"));
            found.get(&key).copied().unwrap_or(0)
        };
        let [fails, slow, share] = ["VariantFails", "VariantSlow", "ShareOff"].map(alarms);
        // Both variants are off at once.
        let row = format!("| {app} | {fails} | {slow} | {} |", share / 2);
        wasm_tests::say(&row);
        if !page.contains(&row) {
            missing.push(row);
        }
    }
    ensure!(missing.is_empty(), "src/numbers.md has no row\n{}", missing.join("\n"));
    Ok(())
}

/// The share of hours in which users of whom a few send most are more than 5 points off, over 2,000
/// hours, which have a standard error of 1.1 %.
#[test]
fn five_points_are_passed_by_heavy_users_as_often_as_the_page_says() -> Result<()> {
    let mut random = fastrand::Rng::with_seed(3);
    for (users, expected) in [(Users::Lognormal(1.5), 0.27), (Users::Zipf, 0.63)] {
        let mut off = || (users.share(&mut random, 0.5) - 0.5).abs() > 0.05;
        let off = (0..2_000).filter(|_| off()).count() as f64 / 2_000.0;
        ensure!((off - expected).abs() < 0.035, "{off}, not {expected}");
    }
    let page = fs::read_to_string(root().join("src/numbers.md"))?;
    ensure!(page.contains("in 27 % of the time") && page.contains("in 63 % by Zipf's law"), "page");
    Ok(())
}

/// One of each kind.
#[test]
fn alerts_are_seldom_false() -> Result<()> {
    let traffic = traffic();
    stated(&[(2, &traffic[1]), (9, &traffic[8])], "100")
}

#[test]
#[ignore = "takes minutes: make numbers"]
fn alerts_are_as_seldom_false_as_the_whole_table_says() -> Result<()> {
    let traffic = traffic();
    let seeded: Vec<_> = (1..).zip(&traffic).collect();
    stated(&seeded[..10], "100")?;
    stated(&[(1, &traffic[10])], "34")
}
