//! Configurations that share a VM, and what becomes of those that Envoy has ended.

use anyhow::{Context, Result};
use serde_json::json;
use wasm_tests::host::{Headers, Host, Root, Status};

fn host() -> Result<Host> {
    Host::load(&wasm_tests::module()?)
}

/// One whose rule pins every request to this variant; `rules` make it long.
fn configure(host: &mut Host, variant: &str, rules: usize) -> Result<Root> {
    let miss = |n| {
        json!({"name": format!("miss-{n}"), "to": variant,
               "match": [{"headers": {"x-tenant": {"exact": format!("{variant}-{n}")}}}]})
    };
    let last = json!({"name": "all", "to": variant});
    let rules: Vec<_> = (0..rules).map(miss).chain([last]).collect();
    // Of metrics their names are kept, since Envoy keeps the metrics.
    let config = json!({"metrics": "off", "variantHeader": "x-v", "variants": {variant: {}},
                        "rules": rules});
    let root = host.configure(config.to_string().as_bytes())?;
    root.with_context(|| host.world().logged())
}

/// Where a request of this configuration goes.
fn variant(host: &mut Host, root: Root) -> Result<Option<String>> {
    let sent = [(":method", "GET"), (":path", "/"), ("x-v", "client")];
    let sent = sent.map(|(n, v)| (n.as_bytes().to_vec(), v.as_bytes().to_vec())).to_vec();
    let seen = host.request(root, &sent)?;
    let values = seen.into_iter().filter(|(name, _)| name == b"x-v").map(|(_, value)| value);
    let mut values: Vec<_> = values.map(String::from_utf8).collect::<Result<_, _>>()?;
    assert!(values.len() < 2, "{values:?}");
    Ok(values.pop())
}

#[test]
fn each_request_meets_its_own_configuration() -> Result<()> {
    let mut host = host()?;
    let [a, b] = [configure(&mut host, "a", 0)?, configure(&mut host, "b", 0)?];
    for _ in 0..3 {
        assert_eq!(variant(&mut host, a)?.as_deref(), Some("a"));
        assert_eq!(variant(&mut host, b)?.as_deref(), Some("b"));
    }
    host.remove(a)?;
    let c = configure(&mut host, "c", 0)?;
    assert_eq!(variant(&mut host, b)?.as_deref(), Some("b"));
    assert_eq!(variant(&mut host, c)?.as_deref(), Some("c"));
    Ok(())
}

/// A request that began before an update ends under the configuration that it began with.
#[test]
fn a_request_outlives_its_configuration() -> Result<()> {
    let mut host = host()?;
    let config = json!({"variantHeader": "x-v", "debugHeader": "x-debug", "variants": {"a": {}},
                        "rules": [{"name": "all", "to": "a"}]});
    let root = host.configure(config.to_string().as_bytes())?.context("refused")?;
    let stream = host.open(root, &vec![])?;
    host.remove(root)?;
    let seen = host.respond(stream, &vec![(b":status".to_vec(), b"200".to_vec())])?;
    let debug = b"rule=all; variant=a; reason=pinned".to_vec();
    assert!(seen.contains(&(b"x-debug".to_vec(), debug)), "{seen:?}");
    host.close(stream)
}

#[test]
fn responses_meet_their_requests_in_any_order() -> Result<()> {
    let mut host = host()?;
    let debugged = |variant: &str| {
        let header = format!("x-debug-{variant}");
        json!({"variantHeader": "x-v", "debugHeader": header, "variants": {variant: {}},
               "rules": [{"name": "all", "to": variant}]})
    };
    let mut open = |variant: &str| -> Result<_> {
        let root = host.configure(debugged(variant).to_string().as_bytes())?.context("refused")?;
        let header = format!("x-debug-{variant}").into_bytes();
        let value = format!("rule=all; variant={variant}; reason=pinned").into_bytes();
        Ok((host.open(root, &vec![])?, (header, value)))
    };
    let streams = [open("a")?, open("b")?, open("c")?];
    for place in [1, 2, 0] {
        let (stream, expected) = &streams[place];
        let seen = host.respond(*stream, &vec![(b":status".to_vec(), b"200".to_vec())])?;
        assert!(seen.contains(expected), "{seen:?}");
        // Once: it may come again, for a response that Envoy makes itself.
        let again = host.respond(*stream, &vec![(b":status".to_vec(), b"503".to_vec())])?;
        assert_eq!(again.len(), 1, "{again:?}");
        host.close(*stream)?;
    }
    Ok(())
}

/// Only a filter with another one beside it tells what it wrote.
#[test]
fn a_filter_alone_sets_no_property() -> Result<()> {
    let mut host = host()?;
    let a = configure(&mut host, "a", 0)?;
    let told = |host: &mut Host| -> Result<bool> {
        host.world().state.clear();
        assert_eq!(variant(host, a)?.as_deref(), Some("a"));
        Ok(!host.world().state.is_empty())
    };
    assert!(!told(&mut host)?);
    // It writes a header of its own.
    let other = json!({"variantHeader": "x-other", "variants": {"a": {}}, "rules": []});
    host.configure(other.to_string().as_bytes())?.context("refused")?;
    assert!(!told(&mut host)?);
    let b = configure(&mut host, "b", 0)?;
    assert!(told(&mut host)?);
    host.remove(b)?;
    assert!(!told(&mut host)?);
    // Envoy may give a root context another configuration.
    let c = configure(&mut host, "c", 0)?;
    assert!(told(&mut host)?);
    assert!(host.reconfigure(c, other.to_string().as_bytes())?);
    assert!(!told(&mut host)?);
    Ok(())
}

/// The headers of an empty request behind both of these filters.
fn through(host: &mut Host, [first, last]: [Root; 2]) -> Result<Headers> {
    let seen = host.request(first, &vec![])?;
    let stream = host.open_run(last, &seen)?;
    host.close(stream)?;
    Ok(host.world().request.take().unwrap_or_default())
}

/// Where Envoy takes or gives no property, a header counts as the client's: it is removed.
#[test]
fn a_filter_that_cannot_be_told_believes_nobody() -> Result<()> {
    for call in ["proxy_set_property", "proxy_get_property"] {
        for failure in Status::FAILURES {
            let mut host = host()?;
            let first = configure(&mut host, "a", 0)?;
            let none = json!({"variantHeader": "x-v", "variants": {}, "rules": []});
            let last = host.configure(none.to_string().as_bytes())?.context("refused")?;
            host.world().answers.insert(call.into(), failure);
            let seen = through(&mut host, [first, last])?;
            assert!(!seen.iter().any(|(name, _)| name == b"x-v"), "{call}: {seen:?}");
            host.world().answers.clear();
            let seen = through(&mut host, [first, last])?;
            assert!(seen.contains(&(b"x-v".to_vec(), b"a".to_vec())), "{seen:?}");
        }
    }
    Ok(())
}

/// As Envoy does it: the new configuration begins before the old one ends.
#[test]
fn what_has_ended_leaves_no_memory_behind() -> Result<()> {
    let mut host = host()?;
    let mut memory = Vec::new();
    let mut old = configure(&mut host, "v-0", 200)?;
    for n in 1..=120 {
        let new = configure(&mut host, &format!("v-{n}"), 200)?;
        host.remove(old)?;
        assert_eq!(variant(&mut host, new)?, Some(format!("v-{n}")));
        old = new;
        memory.push(host.memory()?);
    }
    assert_eq!(memory.last(), memory.get(60), "{memory:?}");
    Ok(())
}
