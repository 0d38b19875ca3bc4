//! Plugins of a VM share gauges, and workers of a proxy share the records of guards.

use anyhow::{Context, Result};
use serde_json::{Value, json};
use wasm_tests::host::{Headers, Host, Root, Status};

const SECOND: u64 = 1_000_000_000;
/// Half of the ramp is over: 2026-12-02T09:00:00Z, in seconds.
const HALF: u64 = 1_796_202_000;

/// A split of which the canary has everything while its guard is closed, and a ramp.
fn configuration(max_error_rate: &str) -> Value {
    json!({
        "clusterHeader": "x-cluster",
        "metrics": "full",
        "variants": {"stable": {"cluster": "stable"}, "canary": {"cluster": "canary"}},
        "rules": [
            {"name": "ramped", "match": [{"path": {"exact": "/ramped"}}],
             "split": {"stable": 100, "canary": 0},
             "ramp": {"variant": "canary", "to": 100, "start": "2026-12-01T09:00:00Z",
                      "duration": "2d"}},
            {"name": "guarded", "match": [{"path": {"exact": "/"}}],
             "split": {"canary": 1, "stable": 0},
             "guard": {"watch": "canary", "fallback": "stable", "maxErrorRate": max_error_rate,
                       "minRequests": 10, "window": "10s", "cooldown": "20s"}}
        ]
    })
}

fn host() -> Result<Host> {
    let mut host = Host::load(&wasm_tests::module()?)?;
    host.world().clock = HALF * SECOND;
    Ok(host)
}

fn configure(host: &mut Host, configuration: &Value) -> Result<Root> {
    let root = host.configure(configuration.to_string().as_bytes())?;
    root.with_context(|| host.world().logged())
}

fn request(path: &str) -> Headers {
    let fields = [(":method", "GET"), (":path", path), ("x-cluster", "spoofed")];
    fields.map(|(name, value)| (name.into(), value.into())).to_vec()
}

/// A request to the guarded rule: where it went. Without a status its client leaves after a second.
fn visit(host: &mut Host, root: Root, status: Option<&str>) -> Result<String> {
    let stream = host.open(root, &request("/"))?;
    let request = host.world().request.take().context("no request")?;
    match status {
        Some(status) => drop(host.respond(stream, &vec![(b":status".to_vec(), status.into())])?),
        None => host.world().clock += SECOND,
    }
    host.close(stream)?;
    let named = request.into_iter().find(|(name, _)| name == b"x-cluster");
    Ok(String::from_utf8(named.context("no routing header")?.1)?)
}

fn fail(host: &mut Host, root: Root) -> Result<()> {
    for _ in 0..20 {
        assert_eq!(visit(host, root, Some("503"))?, "canary");
    }
    Ok(())
}

fn pass(host: &mut Host, root: Root) -> Result<()> {
    host.world().clock += SECOND;
    host.tick(root)
}

const ABORTED: &str = "rule=.=guarded;.;variant=.=canary;.;tsplit_aborted_total";
const RESETS: &str = "rule=.=guarded;.;variant=.=canary;.;class=.=reset;.;tsplit_responses_total";

/// The values of the metrics whose names end like this.
fn metric(host: &mut Host, end: &str) -> Vec<i64> {
    let metrics = host.world().metrics.iter();
    metrics.filter(|(name, _)| name.ends_with(end)).map(|(_, value)| *value).collect()
}

#[test]
fn a_record_that_other_workers_write_first_is_read_again() -> Result<()> {
    let mut host = host()?;
    let root = configure(&mut host, &configuration("5%"))?;
    visit(&mut host, root, Some("200"))?;
    pass(&mut host, root)?;
    fail(&mut host, root)?;
    host.world().calls.clear();
    host.world().overtaken = 7;
    pass(&mut host, root)?;
    assert_eq!(host.world().calls["proxy_set_shared_data"], 8);
    assert_eq!(visit(&mut host, root, Some("200"))?, "stable");
    Ok(())
}

/// Root id, name and direction: what Envoy knows of a plugin, and what an update leaves alone.
#[test]
fn the_same_guard_in_another_plugin_has_a_record_of_its_own() -> Result<()> {
    let mut host = host()?;
    let plugins = [
        ["a", "", "1"],
        ["b", "", "1"],
        ["", "shop.rollout", "1"],
        ["", "mail.rollout", "1"],
        ["a", "shop.rollout", "1"],
        ["a", "mail.rollout", "1"],
        ["a", "mail.rollout", "2"],
        ["", "", "1"],
    ];
    for [root_id, name, direction] in plugins {
        let mut properties = vec![("plugin_root_id", root_id), ("plugin_name", name)];
        properties.push(("xds\0listener_direction", direction));
        for (path, value) in properties {
            host.world().properties.insert(path.into(), value.into());
        }
        let root = configure(&mut host, &configuration("5%"))?;
        fail(&mut host, root)?;
        pass(&mut host, root)?;
        assert_eq!(visit(&mut host, root, Some("200"))?, "stable");
        // The same plugin with other weights goes on with the record from the first request on.
        let mut later = configuration("5%");
        later["rules"][1]["split"] = json!({"stable": 1, "canary": 1_000_000});
        let updated = configure(&mut host, &later)?;
        assert_eq!(visit(&mut host, updated, Some("200"))?, "stable", "{root_id} {name}");
    }
    Ok(())
}

#[test]
fn a_plugin_that_drains_leaves_gauges_to_its_successor() -> Result<()> {
    let mut host = host()?;
    let old = configure(&mut host, &configuration("5%"))?;
    fail(&mut host, old)?;
    pass(&mut host, old)?;
    assert_eq!(metric(&mut host, "tsplit_guard_tripped"), [1]);
    let mut config = configuration("6%");
    config["rules"][0].as_object_mut().context("no rule")?.remove("ramp");
    let new = configure(&mut host, &config)?;
    for root in [new, old] {
        pass(&mut host, root)?;
        assert_eq!(metric(&mut host, "tsplit_guard_tripped"), [0]);
        let weight = metric(&mut host, "rule=.=ramped;.;variant=.=canary;.;tsplit_weight_ppm");
        assert_eq!(weight, [0], "the ramp is over with its configuration");
    }
    // A guard that is taken out, and a variant, are not left as they were.
    assert_eq!(visit(&mut host, old, Some("200"))?, "stable");
    let older = configure(&mut host, &configuration("5%"))?;
    pass(&mut host, older)?;
    assert_eq!(metric(&mut host, "tsplit_guard_tripped"), [1]);
    config["rules"][1] = json!({"name": "guarded", "split": {"stable": 1}});
    configure(&mut host, &config)?;
    assert_eq!(metric(&mut host, "tsplit_guard_tripped"), [0]);
    let weight = metric(&mut host, "rule=.=guarded;.;variant=.=canary;.;tsplit_weight_ppm");
    assert_eq!(weight, [0]);
    Ok(())
}

#[test]
fn a_refused_update_of_a_root_context_leaves_its_configuration() -> Result<()> {
    let mut host = host()?;
    let root = configure(&mut host, &configuration("5%"))?;
    assert!(!host.reconfigure(root, b"{}")?);
    assert_eq!(visit(&mut host, root, Some("200"))?, "canary");
    let mut config = configuration("5%");
    config["rules"][1] = json!({"name": "all", "to": "stable"});
    let stream = host.open(root, &request("/"))?;
    assert!(host.reconfigure(root, config.to_string().as_bytes())?);
    assert_eq!(visit(&mut host, root, Some("200"))?, "stable");
    host.close(stream)?;
    assert_eq!(metric(&mut host, ABORTED), [1], "it began under the configuration before");
    Ok(())
}

/// A reset is an error that has no response time.
#[test]
fn a_request_without_response_headers_counts_as_reset() -> Result<()> {
    let mut host = host()?;
    let root = configure(&mut host, &configuration("5%"))?;
    // Those that their clients end say nothing.
    for _ in 0..10 {
        assert_eq!(visit(&mut host, root, None)?, "canary");
    }
    host.tick(root)?;
    assert_eq!(visit(&mut host, root, None)?, "canary");
    assert_eq!((metric(&mut host, ABORTED), metric(&mut host, RESETS)), (vec![11], vec![0]));
    for _ in 0..10 {
        let stream = host.open(root, &request("/"))?;
        host.end_stream(stream, "", 0)?;
    }
    assert_eq!(metric(&mut host, RESETS), [10]);
    assert!(metric(&mut host, "tsplit_response_time_ms").iter().all(|value| *value == 0));
    host.tick(root)?;
    assert_eq!(visit(&mut host, root, Some("200"))?, "stable");
    Ok(())
}

/// Counts of no time would be forgotten at once.
#[test]
fn what_was_counted_without_a_clock_is_kept_for_it() -> Result<()> {
    let mut host = host()?;
    let root = configure(&mut host, &configuration("5%"))?;
    host.world().answers.insert("proxy_get_current_time_nanoseconds".into(), Status::Unimplemented);
    fail(&mut host, root)?;
    pass(&mut host, root)?;
    assert_eq!(visit(&mut host, root, Some("200"))?, "canary", "nobody knows yet");
    host.world().answers.clear();
    pass(&mut host, root)?;
    assert_eq!(visit(&mut host, root, Some("200"))?, "stable");
    Ok(())
}

#[test]
fn what_a_client_sent_is_removed_where_no_header_can_be_read() -> Result<()> {
    let mut host = host()?;
    let root = configure(&mut host, &configuration("5%"))?;
    host.world().answers.insert("proxy_get_header_map_pairs".into(), Status::InternalFailure);
    let seen = host.request(root, &request("/"))?;
    assert!(seen.iter().all(|(name, _)| name != b"x-cluster"), "{seen:?}");
    Ok(())
}

/// Two workers could draw alike.
#[test]
fn without_entropy_a_configuration_is_refused() -> Result<()> {
    let mut host = host()?;
    host.world().entropy = None;
    assert!(host.configure(configuration("5%").to_string().as_bytes())?.is_none());
    let log = host.world().logged();
    assert!(log.contains("no entropy from the host"), "{log}");
    Ok(())
}

/// The time that counts begins with the last byte, wherever the response's headers come.
#[test]
fn latency_is_measured_from_the_last_byte_of_a_request() -> Result<()> {
    let ok = vec![(b":status".to_vec(), b"200".to_vec())];
    for (parts, late, expected) in [
        (&[(1000, false), (1, true)][..], false, vec![7]),
        (&[(0, true)], false, vec![7]),
        // Its trailers end it, or the response comes first: nothing is known.
        (&[(1000, false)], false, vec![]),
        (&[(1000, false), (1, true)], true, vec![]),
    ] {
        let mut host = host()?;
        let root = configure(&mut host, &configuration("5%"))?;
        let stream = host.upload(root, &request("/"))?;
        if late {
            host.respond(stream, &ok)?;
        }
        for (size, is_last) in parts {
            host.world().clock += SECOND;
            host.body(stream, *size, *is_last)?;
        }
        host.world().clock += 7_000_000;
        if !late {
            host.respond(stream, &ok)?;
        }
        host.close(stream)?;
        let recorded = metric(&mut host, "canary;.;tsplit_response_time_ms");
        let recorded: Vec<_> = recorded.into_iter().filter(|value| *value != 0).collect();
        assert_eq!(recorded, expected, "{parts:?}, {late}");
    }
    Ok(())
}
