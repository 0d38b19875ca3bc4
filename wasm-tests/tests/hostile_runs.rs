//! Second runs of a request, and what the host calls that they need may do.

use anyhow::{Context, Result};
use serde_json::{Value, json};
use wasm_tests::host::{Headers, Host, Root, Status, Stream};

fn configuration() -> Value {
    json!({
        "variantHeader": "x-variant",
        "metrics": "full",
        "variants": {"a": {}, "b": {}},
        "rules": [{"name": "r", "split": {"a": 1, "b": 1},
                   "sticky": {"issue": {"cookie": "id", "maxAge": "1d"}},
                   "persist": {"cookie": "kept", "maxAge": "1d"}}]
    })
}

fn configured() -> Result<(Host, Root)> {
    let mut host = Host::load(&wasm_tests::module()?)?;
    let root = configure(&mut host, "plugin")?;
    Ok((host, root))
}

fn configure(host: &mut Host, plugin: &str) -> Result<Root> {
    host.world().properties.insert(b"plugin_root_id".to_vec(), plugin.into());
    let root = host.configure(configuration().to_string().as_bytes())?;
    root.with_context(|| host.world().logged())
}

fn new_client() -> Headers {
    let fields = [(":method", "GET"), (":path", "/"), (":authority", "h"), ("x-request-id", "7")];
    fields.map(|(name, value)| (name.into(), value.into())).to_vec()
}

/// The request as the filter left it.
fn left(host: &mut Host) -> Result<Headers> {
    host.world().request.clone().context("no request")
}

/// The cookies that the response sets, and its end.
fn answer(host: &mut Host, stream: Stream) -> Result<Vec<String>> {
    let response = host.respond(stream, &vec![(b":status".to_vec(), b"200".to_vec())])?;
    host.close(stream)?;
    let set = response.into_iter().filter(|(name, _)| name == b"set-cookie");
    Ok(set.map(|(_, value)| String::from_utf8_lossy(&value).into_owned()).collect())
}

fn calls(host: &mut Host, name: &str) -> u64 {
    host.world().calls.get(name).copied().unwrap_or_default()
}

#[test]
fn a_later_run_sets_the_cookies_of_the_first() -> Result<()> {
    let (mut host, root) = configured()?;
    for runs in 1..4 {
        let mut stream = host.open(root, &new_client())?;
        let first = left(&mut host)?;
        for _ in 1..runs {
            let headers = left(&mut host)?;
            stream = host.run_again(root, stream, &headers)?;
            let mut again = left(&mut host)?;
            again.sort_unstable();
            let mut first = first.clone();
            first.sort_unstable();
            assert_eq!(again, first, "{runs} runs");
        }
        assert_eq!(answer(&mut host, stream)?.len(), 2, "{runs} runs");
        let responses = |(name, count): &(String, i64)| name.contains("responses") && *count > 0;
        let counted: i64 =
            host.world().metrics.iter().filter(|m| responses(m)).map(|(_, count)| count).sum();
        assert_eq!(counted, runs, "each request is counted once");
    }
    Ok(())
}

/// Whoever knows the request id of another request, and its cookie, is not taken for its next run.
#[test]
fn no_client_passes_for_a_later_run() -> Result<()> {
    let (mut host, root) = configured()?;
    let stream = host.open(root, &new_client())?;
    let copied = left(&mut host)?;
    host.end_stream(stream, "internal_redirect", 0)?;
    let state = host.world().state.clone();
    // Another request: it has no property.
    let stream = host.open(root, &copied)?;
    let set = answer(&mut host, stream)?;
    assert_eq!(set.len(), 1, "its identity is its own, and it is assigned: {set:?}");
    // The run that was awaited still is.
    host.world().state = state;
    let stream = host.open_run(root, &copied)?;
    assert_eq!(answer(&mut host, stream)?.len(), 2);
    // And is no more.
    let stream = host.open_run(root, &copied)?;
    assert_eq!(answer(&mut host, stream)?.len(), 1);
    Ok(())
}

#[test]
fn a_plugin_takes_no_run_of_another() -> Result<()> {
    let (mut host, root) = configured()?;
    let other = configure(&mut host, "other")?;
    assert_eq!(host.world().declared.len(), 2);
    let stream = host.open(root, &new_client())?;
    let headers = left(&mut host)?;
    let stream = host.run_again(other, stream, &headers)?;
    assert_eq!(
        answer(&mut host, stream)?.len(),
        1,
        "for the other one the identity is the client's"
    );
    Ok(())
}

/// A client who returns costs no property, neither a read nor a write.
#[test]
fn a_client_who_returns_costs_no_property() -> Result<()> {
    let mut configuration = configuration();
    configuration["metrics"] = "counts".into();
    let mut host = Host::load(&wasm_tests::module()?)?;
    let root = host.configure(configuration.to_string().as_bytes())?.context("refused")?;
    let stream = host.open(root, &new_client())?;
    let set = answer(&mut host, stream)?;
    let pairs: Vec<_> = set.iter().filter_map(|set| set.split(';').next()).collect();
    let mut known = new_client();
    known.push((b"cookie".to_vec(), pairs.join("; ").into_bytes()));
    host.world().calls.clear();
    let stream = host.open(root, &known)?;
    assert!(answer(&mut host, stream)?.is_empty());
    for call in ["proxy_get_property", "proxy_set_property"] {
        assert_eq!(calls(&mut host, call), 0, "{call}");
    }
    // A new client: its end is looked at.
    let stream = host.open(root, &new_client())?;
    answer(&mut host, stream)?;
    assert_eq!(calls(&mut host, "proxy_get_property"), 1);
    assert_eq!(calls(&mut host, "proxy_set_property"), 0);
    Ok(())
}

/// Each failure leaves a second run that is decided anew, and a line in the log where nobody else
/// would tell.
#[test]
fn a_property_that_fails_costs_a_second_run_its_knowledge_alone() -> Result<()> {
    for (call, line) in [
        ("proxy_call_foreign_function", "decided anew"),
        ("proxy_set_property", "decided anew"),
        ("proxy_get_property", ""),
    ] {
        for status in Status::FAILURES {
            let mut host = Host::load(&wasm_tests::module()?)?;
            host.world().answers.insert(call.into(), status);
            let root = configure(&mut host, "plugin")?;
            let stream = host.open(root, &new_client())?;
            let headers = left(&mut host)?;
            let stream = host.run_again(root, stream, &headers)?;
            assert_eq!(answer(&mut host, stream)?.len(), 1, "{call} {status:?}");
            // Envoy answers so to a property that is there already.
            let told = call == "proxy_call_foreign_function" && status == Status::BadArgument;
            let logged = host.world().logged();
            assert!(told || logged.contains(line), "{call} {status:?}: {logged}");
            host.world().answers.clear();
            let stream = host.open(root, &new_client())?;
            assert_eq!(answer(&mut host, stream)?.len(), 2, "{call} {status:?}: the VM serves on");
        }
    }
    Ok(())
}

/// Runs that never come are forgotten once there are `limits::RERUNS` newer ones, and bytes that no
/// run wrote are none.
#[test]
fn runs_that_never_come_leave_nothing() -> Result<()> {
    let (mut host, root) = configured()?;
    let mut warm = 0;
    for n in 0..2000 {
        let mut headers = new_client();
        headers.push((b"x-request-id".to_vec(), n.to_string().into_bytes()));
        let stream = host.open(root, &headers)?;
        host.end_stream(stream, "internal_redirect", 0)?;
        if n == 1000 {
            warm = host.memory()?;
        }
    }
    assert_eq!(host.memory()?, warm);
    for bytes in [&b""[..], &[0xff; 10], &[0xff; 100]] {
        let name = host.world().declared.first().cloned().context("nothing declared")?;
        host.world().state.insert(name, bytes.to_vec());
        let stream = host.open_run(root, &new_client())?;
        assert!(!answer(&mut host, stream)?.is_empty(), "{bytes:?}");
    }
    Ok(())
}
