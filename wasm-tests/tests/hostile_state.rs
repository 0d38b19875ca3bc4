//! Metrics, ramps, guards and filter state in a host that refuses, forgets or makes up what they
//! depend on.

use anyhow::{Context, Result};
use serde_json::{Value, json};
use wasm_tests::host::{Headers, Host, Root, Status, World};
use wasm_tests::load::standard_errors;

const SECOND: u64 = 1_000_000_000;
/// Half of the ramp is over: 2026-12-02T09:00:00Z.
const HALF: u64 = 1_796_202_000;

/// Everything that is kept between requests, and a rule in shadow.
fn configuration() -> Value {
    json!({
        "variantHeader": "x-split-variant",
        "debugHeader": "x-split-debug",
        "metrics": "full",
        "variants": {"stable": {}, "canary": {}},
        "rules": [
            {"name": "tried", "mode": "shadow", "split": {"stable": 1, "canary": 1}},
            {"name": "ramped", "match": [{"headers": {"x-user": {"present": true}}}],
             "split": {"stable": 100, "canary": 0}, "sticky": {"key": [{"header": "x-user"}]},
             "ramp": {"variant": "canary", "to": 100, "start": "2026-12-01T09:00:00Z", "duration": "2d"}},
            {"name": "guarded", "split": {"canary": 1, "stable": 0},
             "guard": {"watch": "canary", "fallback": "stable", "maxErrorRate": "5%",
                       "minRequests": 10, "window": "10s", "cooldown": "20s"}}
        ]
    })
}

fn host() -> Result<Host> {
    let mut world = World::default();
    world.clock = HALF * SECOND;
    Host::start(&std::fs::read(wasm_tests::module()?)?, world)
}

fn configured() -> Result<(Host, Root)> {
    let mut host = host()?;
    let root = host.configure(configuration().to_string().as_bytes())?;
    let log = host.world().logged();
    Ok((host, root.context(log)?))
}

fn get(user: Option<&str>) -> Headers {
    let mut headers = vec![(":method", "GET"), (":path", "/"), (":authority", "h")];
    headers.extend(user.map(|user| ("x-user", user)));
    let bytes = |text: &str| text.as_bytes().to_vec();
    headers.into_iter().map(|(name, value)| (bytes(name), bytes(value))).collect()
}

/// A request, answered with this status: where it went.
fn visit(host: &mut Host, root: Root, user: Option<&str>, status: &str) -> Result<String> {
    let stream = host.open(root, &get(user))?;
    let request = host.world().request.take().context("no request")?;
    let response = vec![(b":status".to_vec(), status.as_bytes().to_vec())];
    host.respond(stream, &response)?;
    host.close(stream)?;
    let named = request.iter().filter(|(name, _)| name == b"x-split-variant");
    let values: Vec<_> = named.map(|(_, value)| String::from_utf8_lossy(value)).collect();
    Ok(values.join(","))
}

fn pass(host: &mut Host, root: Root, seconds: u64) -> Result<()> {
    for _ in 0..seconds {
        host.world().clock += SECOND;
        host.tick(root)?;
    }
    Ok(())
}

/// Lets the canary fail `count` times, then a second pass.
fn fail(host: &mut Host, root: Root, count: u32) -> Result<()> {
    for _ in 0..count {
        assert_eq!(visit(host, root, None, "503")?, "canary");
    }
    pass(host, root, 1)
}

fn users(host: &mut Host, root: Root) -> Result<Vec<String>> {
    (0..200).map(|n| visit(host, root, Some(&format!("user-{n}")), "200")).collect()
}

/// The guard is half-open: a tenth of the canary's traffic comes back, and after a good window all
/// of it.
fn recovers(host: &mut Host, root: Root) -> Result<()> {
    let log = host.world().logged();
    assert!(log.ends_with("rule guarded: canary is on trial: cooldown over"), "{log}");
    let (mut tried, mut visits) = (0, 0);
    while !host.world().logged().ends_with("rule guarded: canary is back: a good window") {
        for _ in 0..30 {
            tried += usize::from(visit(host, root, None, "200")? == "canary");
        }
        visits += 30;
        assert!(visits <= 300, "not back after the window's 10 seconds: {}", host.world().logged());
        pass(host, root, 1)?;
    }
    let off = standard_errors(tried, visits, 0.1);
    assert!(off.abs() <= 5.0, "{tried} of {visits}: {off:+.2} standard errors off");
    for _ in 0..30 {
        assert_eq!(visit(host, root, None, "200")?, "canary");
    }
    Ok(())
}

/// A guard trips, says so, and lets the variant back after a trial: without this, the other tests
/// of guards would show nothing.
#[test]
fn a_guard_trips_and_recovers() -> Result<()> {
    let (mut host, root) = configured()?;
    assert_eq!(host.world().period, Some(1000));
    fail(&mut host, root, 9)?;
    assert_eq!(visit(&mut host, root, None, "503")?, "canary", "too few");
    pass(&mut host, root, 1)?;
    assert_eq!(visit(&mut host, root, None, "200")?, "stable");
    assert!(host.world().logged().contains("guard tripped"), "{}", host.world().logged());
    pass(&mut host, root, 20)?;
    recovers(&mut host, root)
}

/// Another plugin's bytes, another version's, none at all: the record starts anew.
#[test]
fn shared_data_that_is_no_record_starts_anew() -> Result<()> {
    let (mut host, root) = configured()?;
    // Without anything to tell, nothing is written.
    visit(&mut host, root, None, "200")?;
    pass(&mut host, root, 1)?;
    let key = host.world().shared.keys().next().cloned().context("no record")?;
    let record = host.world().shared[&key].0.clone();
    let cut = record[..record.len() - 1].to_vec();
    let level = [&[9; 8], &record[8..]].concat();
    let count = [&record[..24], &[0xff; 8], &record[32..]].concat();
    for bytes in [vec![], vec![0], cut, level, count, vec![0xff; 1 << 20], vec![0; 1 << 20]] {
        host.world().shared.insert(key.clone(), (bytes, 7));
        visit(&mut host, root, None, "200")?;
        pass(&mut host, root, 1)?;
        let read = traffic_split::guard::Record::from_bytes(&host.world().shared[&key].0);
        assert!(read.is_some());
        assert_eq!(visit(&mut host, root, None, "200")?, "canary");
    }
    // A record that says it tripped in a year to come: no worse than one that trips now.
    let future = (HALF + 365 * 86_400).to_le_bytes();
    let tripped = [&2_u64.to_le_bytes(), &future[..]].concat();
    host.world().shared.insert(key, (tripped, 7));
    pass(&mut host, root, 2)?;
    assert_eq!(visit(&mut host, root, None, "200")?, "stable");
    pass(&mut host, root, 20)?;
    recovers(&mut host, root)
}

/// Counts are kept while they cannot be written, and written once they can.
#[test]
fn a_write_that_never_succeeds_costs_a_bounded_number_of_tries() -> Result<()> {
    for status in [Status::CasMismatch, Status::InternalFailure, Status::BadArgument] {
        let (mut host, root) = configured()?;
        host.world().answers.insert("proxy_set_shared_data".into(), status);
        host.world().calls.clear();
        fail(&mut host, root, 5)?;
        fail(&mut host, root, 15)?;
        let tries = host.world().calls["proxy_set_shared_data"];
        assert!((2..=16).contains(&tries), "{status:?}: {tries} tries in two ticks");
        assert_eq!(visit(&mut host, root, None, "200")?, "canary");
        host.world().answers.clear();
        pass(&mut host, root, 1)?;
        assert_eq!(visit(&mut host, root, None, "200")?, "stable", "{status:?}");
    }
    Ok(())
}

#[test]
fn a_clock_that_steps_back_moves_nobody_and_holds_nobody_back() -> Result<()> {
    let (mut host, root) = configured()?;
    let before = users(&mut host, root)?;
    let canary = before.iter().filter(|name| *name == "canary").count();
    assert!((50..150).contains(&canary), "half of them: {canary}");
    for clock in [HALF - 1, HALF - 3600, HALF - 60] {
        host.world().clock = clock * SECOND;
        host.tick(root)?;
        assert_eq!(users(&mut host, root)?, before, "at {clock}");
    }
    // Tripped by a clock that is ahead, it is tried 20 seconds after the clock is set.
    for clock in [u64::MAX / SECOND - 10, HALF] {
        host.world().clock = clock * SECOND;
        host.tick(root)?;
        if clock != HALF {
            fail(&mut host, root, 20)?;
            assert_eq!(visit(&mut host, root, None, "200")?, "stable");
        }
    }
    pass(&mut host, root, 21)?;
    recovers(&mut host, root)
}

/// Rows 46 and 47 for what has been added since: no ramp, guard, metric or filter state is worth a
/// request.
#[test]
fn rows_46_and_47_refused_state_takes_nobody_down() -> Result<()> {
    let statuses = [
        Status::NotFound,
        Status::BadArgument,
        Status::SerializationFailure,
        Status::Empty,
        Status::CasMismatch,
        Status::InternalFailure,
        Status::Unimplemented,
    ];
    for call in [
        "proxy_set_property",
        "proxy_get_shared_data",
        "proxy_set_shared_data",
        "proxy_increment_metric",
        "proxy_record_metric",
        "proxy_set_tick_period_milliseconds",
        "proxy_get_current_time_nanoseconds",
        "proxy_get_header_map_value",
        "proxy_add_header_map_value",
    ] {
        for status in statuses {
            let mut host = host()?;
            host.world().answers.insert(call.to_owned(), status);
            let root = host.configure(configuration().to_string().as_bytes())?;
            let root = root.with_context(|| format!("{call} {status:?}: refused"))?;
            for _ in 0..3 {
                assert_eq!(visit(&mut host, root, None, "503")?, "canary", "{call} {status:?}");
                let ramped = visit(&mut host, root, Some("user-1"), "200")?;
                assert!(
                    matches!(ramped.as_str(), "stable" | "canary"),
                    "{call} {status:?}: {ramped}"
                );
                pass(&mut host, root, 1)?;
            }
            host.remove(root)?;
        }
    }
    Ok(())
}

#[test]
fn a_configuration_without_metrics_needs_none_defined() -> Result<()> {
    let mut off = configuration();
    off["metrics"] = json!("off");
    off["rules"].as_array_mut().context("rules")?.pop();
    let mut host = host()?;
    host.world().answers.insert("proxy_define_metric".into(), Status::BadArgument);
    assert!(host.configure(off.to_string().as_bytes())?.is_some());
    Ok(())
}

/// As Envoy does it: the new configuration begins before the old one ends.
#[test]
fn a_thousand_configurations_leave_no_memory_behind() -> Result<()> {
    let (mut host, mut root) = configured()?;
    let mut warm = 0;
    for n in 1..=1000 {
        let mut next = configuration();
        next["rules"][0]["match"] = json!([{"path": {"exact": format!("/{n}")}}]);
        let next = host.configure(next.to_string().as_bytes())?.context("refused")?;
        visit(&mut host, root, None, "200")?;
        host.remove(root)?;
        root = next;
        visit(&mut host, root, Some("user-1"), "200")?;
        pass(&mut host, root, 1)?;
        if n == 50 {
            warm = host.memory()?;
        }
    }
    assert_eq!(host.memory()?, warm);
    // Nor with the host, which keeps a number for each time that a name is defined.
    let mut names: Vec<_> = host.world().metrics.iter().map(|(name, _)| name.clone()).collect();
    names.sort_unstable();
    let all = names.len();
    names.dedup();
    assert_eq!(names.len(), all);
    Ok(())
}

/// The access log and the response say only what the configuration holds.
#[test]
fn filter_state_and_the_debug_header_hold_nothing_of_the_client() -> Result<()> {
    let (mut host, root) = configured()?;
    let user = "u\"; rule=evil\u{7f}";
    let stream = host.open(root, &get(Some(user)))?;
    let response = host.respond(stream, &vec![(b":status".to_vec(), b"200".to_vec())])?;
    host.close(stream)?;
    let state = &host.world().state;
    let of = |name: &[u8]| state.get(name).map(|value| String::from_utf8_lossy(value));
    assert_eq!(of(b"tsplit.rule").as_deref(), Some("ramped"), "{state:?}");
    let variant = of(b"tsplit.variant").context("no variant")?;
    assert!(matches!(variant.as_ref(), "stable" | "canary"), "{variant}");
    let debug = response.iter().find(|(name, _)| name == b"x-split-debug");
    let expected = format!("rule=ramped; variant={variant}; reason=sticky");
    assert_eq!(debug.map(|(_, value)| value.as_slice()), Some(expected.as_bytes()));
    Ok(())
}
