//! Each failure of a host call has one right consequence.

use anyhow::{Context, Result};
use serde_json::{Value, json};
use wasm_tests::host::{Headers, Host, Root, Status};

const SECOND: u64 = 1_000_000_000;

/// A pin, and a guarded split of which the canary has everything.
fn configuration() -> Value {
    json!({
        "clusterHeader": "x-cluster",
        "metrics": "full",
        "variants": {"stable": {"cluster": "stable"}, "canary": {"cluster": "canary"}},
        "rules": [
            {"name": "new", "match": [{"path": {"exact": "/new"}}], "split": {"stable": 1},
             "sticky": {"issue": {"cookie": "id", "maxAge": "1d"}}},
            {"name": "guarded", "match": [{"path": {"exact": "/"}}],
             "split": {"canary": 1, "stable": 0},
             "guard": {"watch": "canary", "fallback": "stable", "maxErrorRate": "5%",
                       "minRequests": 10, "window": "10s", "cooldown": "20s"}}
        ]
    })
}

fn configured() -> Result<(Host, Root)> {
    let mut host = Host::load(&wasm_tests::module()?)?;
    let root = host.configure(configuration().to_string().as_bytes())?;
    let log = host.world().logged();
    Ok((host, root.context(log)?))
}

/// A request to this path, from a client that names a cluster.
fn spoofed(path: &str) -> Headers {
    let fields =
        [(":method", "GET"), (":path", path), (":authority", "h"), ("x-cluster", "spoofed")];
    fields.map(|(name, value)| (name.into(), value.into())).to_vec()
}

/// A request to the guarded rule, answered with this status: where it went.
fn visit(host: &mut Host, root: Root, status: &str) -> Result<String> {
    let stream = host.open(root, &spoofed("/"))?;
    let request = host.world().request.take().context("no request")?;
    host.respond(stream, &vec![(b":status".to_vec(), status.into())])?;
    host.close(stream)?;
    let named = request.into_iter().find(|(name, _)| name == b"x-cluster");
    Ok(String::from_utf8(named.context("no routing header")?.1)?)
}

fn pass(host: &mut Host, root: Root, seconds: u64) -> Result<()> {
    for _ in 0..seconds {
        host.world().clock += SECOND;
        host.tick(root)?;
    }
    Ok(())
}

fn refuse(host: &mut Host, call: &str, status: Status) {
    host.world().answers.insert(call.into(), status);
}

/// Without the change the request would go where its client says.
#[test]
fn row_47_a_request_whose_headers_cannot_be_changed_is_answered_with_503() -> Result<()> {
    for (call, path) in [
        ("proxy_replace_header_map_value", "/"),
        ("proxy_replace_header_map_value", "/new"),
        ("proxy_remove_header_map_value", "/other"),
    ] {
        for status in Status::FAILURES {
            let (mut host, root) = configured()?;
            refuse(&mut host, call, status);
            assert_eq!(host.rejected(root, &spoofed(path))?, Some(503), "{call} {status:?}");
            assert!(host.world().logged().contains("answered with 503"), "{call} {status:?}");
            // Where it cannot even be answered, it is held: it still reaches nobody.
            refuse(&mut host, "proxy_send_local_response", status);
            assert_eq!(host.rejected(root, &spoofed(path))?, None, "{call} {status:?}");
            // The VM serves on.
            host.world().answers.clear();
            assert_eq!(visit(&mut host, root, "200")?, "canary");
        }
    }
    Ok(())
}

/// A record that cannot be read is not one that says that all is well.
#[test]
fn a_record_that_cannot_be_read_leaves_a_guard_as_it_is() -> Result<()> {
    for status in Status::FAILURES.into_iter().filter(|status| *status != Status::NotFound) {
        let (mut host, root) = configured()?;
        for _ in 0..20 {
            assert_eq!(visit(&mut host, root, "503")?, "canary");
        }
        pass(&mut host, root, 1)?;
        assert_eq!(visit(&mut host, root, "200")?, "stable");
        refuse(&mut host, "proxy_get_shared_data", status);
        for _ in 0..18 {
            pass(&mut host, root, 1)?;
            assert_eq!(visit(&mut host, root, "200")?, "stable", "{status:?}");
        }
        host.world().answers.clear();
        pass(&mut host, root, 1)?;
        assert_eq!(visit(&mut host, root, "200")?, "stable", "{status:?}: in the cooldown");
        pass(&mut host, root, 2)?;
        assert!(host.world().logged().contains("on trial"), "{}", host.world().logged());
    }
    Ok(())
}

#[test]
fn what_was_counted_while_a_record_could_not_be_read_is_kept() -> Result<()> {
    let (mut host, root) = configured()?;
    refuse(&mut host, "proxy_get_shared_data", Status::InternalFailure);
    for _ in 0..20 {
        assert_eq!(visit(&mut host, root, "503")?, "canary");
    }
    pass(&mut host, root, 2)?;
    assert_eq!(visit(&mut host, root, "200")?, "canary", "nobody knows yet");
    host.world().answers.clear();
    pass(&mut host, root, 1)?;
    assert_eq!(visit(&mut host, root, "200")?, "stable");
    Ok(())
}

/// A response that cannot be read says nothing of its variant, good or bad.
#[test]
fn a_response_whose_status_cannot_be_read_is_not_counted() -> Result<()> {
    for status in Status::FAILURES.into_iter().filter(|status| *status != Status::NotFound) {
        let (mut host, root) = configured()?;
        refuse(&mut host, "proxy_get_property", status);
        for _ in 0..20 {
            assert_eq!(visit(&mut host, root, "503")?, "canary");
        }
        pass(&mut host, root, 1)?;
        assert_eq!(visit(&mut host, root, "200")?, "canary", "{status:?}");
        let responses = |(name, count): &(String, i64)| name.contains("responses") && *count > 0;
        assert!(!host.world().metrics.iter().any(responses), "{status:?}");
    }
    Ok(())
}

#[test]
fn a_configuration_that_cannot_be_read_is_refused() -> Result<()> {
    for status in Status::FAILURES {
        let mut host = Host::load(&wasm_tests::module()?)?;
        refuse(&mut host, "proxy_get_buffer_bytes", status);
        assert!(host.configure(configuration().to_string().as_bytes())?.is_none(), "{status:?}");
        let why = match status {
            // Envoy has none.
            Status::NotFound => "configuration: Required value".to_owned(),
            status => format!("cannot read the configuration: status {}", status as i32),
        };
        assert!(host.world().logged().contains(&why), "{}", host.world().logged());
        host.world().answers.clear();
        assert!(host.configure(configuration().to_string().as_bytes())?.is_some());
    }
    Ok(())
}

/// A number that stood for another metric would be worse than no metrics.
#[test]
fn a_metric_that_cannot_be_defined_refuses_the_configuration_by_name() -> Result<()> {
    for status in Status::FAILURES {
        let mut host = Host::load(&wasm_tests::module()?)?;
        refuse(&mut host, "proxy_define_metric", status);
        assert!(host.configure(configuration().to_string().as_bytes())?.is_none(), "{status:?}");
        let why = format!("metric tsplit_unmatched_total: status {}", status as i32);
        assert!(host.world().logged().contains(&why), "{}", host.world().logged());
        host.world().answers.clear();
        assert!(host.configure(configuration().to_string().as_bytes())?.is_some());
    }
    Ok(())
}

/// The client is not told of its identity, and gets another one next time: no worse than without.
#[test]
fn a_response_header_that_cannot_be_written_is_logged_and_lost() -> Result<()> {
    for status in Status::FAILURES {
        let (mut host, root) = configured()?;
        refuse(&mut host, "proxy_add_header_map_value", status);
        let stream = host.open(root, &spoofed("/new"))?;
        let seen = host.respond(stream, &vec![(b":status".to_vec(), b"200".to_vec())])?;
        host.close(stream)?;
        assert!(!seen.iter().any(|(name, _)| name == b"set-cookie"), "{status:?}");
        let why = format!("the response header set-cookie: status {}", status as i32);
        assert!(host.world().logged().contains(&why), "{}", host.world().logged());
    }
    Ok(())
}
