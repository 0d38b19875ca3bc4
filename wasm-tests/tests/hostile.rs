//! The module in a host that is as hostile as it can be; each test is a row of `faults.json`.

use anyhow::{Context, Result};
use serde_json::{Value, json};
use wasm_tests::case;
use wasm_tests::host::{Headers, Host, Root, Status, World};

const MIB: usize = 1 << 20;
const SECOND: u64 = 1_000_000_000;

fn start(world: World) -> Result<Host> {
    Host::start(&std::fs::read(wasm_tests::module()?)?, world)
}

/// Every kind of host call is made for this one: the map, a property, the clock, entropy, a log.
fn configuration() -> Value {
    json!({
        "clusterHeader": "x-split-cluster",
        "variantHeader": "x-split-variant",
        "variants": {"stable": {"cluster": "stable"}, "canary": {"cluster": "canary"}},
        "rules": [
            {"name": "near", "match": [{"sourceIp": ["10.0.0.0/8"]}], "to": "canary"},
            {"name": "agent", "match": [{"headers": {"user-agent": {"regex": "(a|b)*c"}}}], "to": "canary"},
            {"name": "kept", "match": [{"path": {"prefix": "/kept"}}], "split": {"stable": 1, "canary": 1},
             "persist": {"cookie": "kept", "maxAge": "1h"}},
            {"name": "rest", "split": {"stable": 1, "canary": 1}, "sticky": {
                "key": [{"cookie": "uid"}], "issue": {"cookie": "id", "maxAge": "30d"}}}
        ]
    })
}

fn configured(world: World) -> Result<(Host, Root)> {
    let mut host = start(world)?;
    let root = host.configure(configuration().to_string().as_bytes())?;
    let log = host.world().logged();
    Ok((host, root.context(log)?))
}

fn request(path: &str, headers: &[(&str, &[u8])]) -> Headers {
    let usual = [(":method", &b"GET"[..]), (":path", path.as_bytes()), (":authority", b"h")];
    let fields = usual.iter().chain(headers);
    fields.map(|(name, value)| (name.as_bytes().to_vec(), value.to_vec())).collect()
}

/// Every value of this header.
fn all<'a>(headers: &'a Headers, name: &str) -> Vec<&'a [u8]> {
    let named = headers.iter().filter(|(known, _)| known == name.as_bytes());
    named.map(|(_, value)| value.as_slice()).collect()
}

fn assert_decided(headers: &Headers) {
    let variant = all(headers, "x-split-variant");
    assert!(matches!(variant.as_slice(), [b"stable" | b"canary"] | []), "{headers:?}");
    assert_eq!(all(headers, "x-split-cluster"), variant);
}

#[test]
fn row_14_bytes_that_end_a_field_match_nothing_and_are_not_echoed() -> Result<()> {
    let (mut host, root) = configured(World::default())?;
    for byte in [b'\0', b'\r', b'\n'] {
        let agent = [b"abc", &[byte][..], b"c"].concat();
        let cookie = [b"uid=1", &[byte][..], b"x-split-cluster: canary; a=1"].concat();
        let headers = request("/", &[("user-agent", &agent), ("cookie", &cookie)]);
        let out = host.request(root, &headers)?;
        assert_decided(&out);
        // The bad pair counts as no key: an identity is issued, and the good pair goes along.
        let [cookie] = all(&out, "cookie")[..] else { panic!("{out:?}") };
        assert!(cookie.starts_with(b"a=1; id="), "{}", String::from_utf8_lossy(cookie));
    }
    Ok(())
}

#[test]
fn row_15_huge_values_take_bounded_memory() -> Result<()> {
    let (mut host, root) = configured(World::default())?;
    let huge = vec![b'a'; 60 << 10];
    let headers = request("/", &[("user-agent", &huge), ("cookie", &huge), ("x", &huge)]);
    host.request(root, &headers)?;
    let before = host.memory()?;
    for _ in 0..200 {
        assert_decided(&host.request(root, &headers)?);
    }
    assert_eq!(host.memory()?, before);
    assert!(before < 4 * MIB, "{before} bytes");
    Ok(())
}

#[test]
fn row_29_a_clock_that_steps_back_changes_no_assignment() -> Result<()> {
    let (mut host, root) = configured(World::default())?;
    let headers = request("/", &[("cookie", b"uid=7")]);
    let expected = host.request(root, &headers)?;
    for clock in [1_800_000_000 * SECOND, 1_600_000_000 * SECOND, 1, 0, u64::MAX] {
        host.world().clock = clock;
        assert_eq!(host.request(root, &headers)?, expected);
        // One that reads the clock, to issue a cookie.
        assert_decided(&host.request(root, &request("/kept", &[]))?);
        assert_decided(&host.request(root, &request("/", &[]))?);
    }
    Ok(())
}

#[test]
fn row_31_whatever_is_refused_natively_is_refused_here_without_a_trap() -> Result<()> {
    let mut host = start(World::with_memory(64 * MIB))?;
    for case in case::refused()? {
        assert!(host.configure(case.text().as_bytes())?.is_none(), "{}", case.name);
    }
    let deep = |open: &str| open.repeat(100_000).into_bytes();
    for bytes in [b"{\"a\":\"\xff\"}".to_vec(), b"\xff\xfe".to_vec(), deep("["), deep("{\"a\":")] {
        assert!(host.configure(&bytes)?.is_none());
    }
    // It still takes a good one.
    assert!(host.configure(configuration().to_string().as_bytes())?.is_some());
    Ok(())
}

/// Configurations that are short for the memory or the time that they ask for.
#[test]
fn row_33_no_configuration_takes_more_memory_or_time_than_its_share() -> Result<()> {
    let rule = |matches: Value| {
        json!({"variantHeader": "x-v", "variants": {"a": {}}, "rules": [{"name": "r", "match": matches, "to": "a"}]})
            .to_string()
    };
    let many = |count: usize, each: &dyn Fn(usize) -> String| {
        (0..count).map(each).collect::<Vec<_>>().join(",")
    };
    let wide = format!("{{{}}}", many(45_000, &|n| format!("\"{n}\":0")));
    let regexes = || {
        let conditions = many(16, &|k| format!("\"h{k}\":{{\"regex\":\"[a-z]{{999}}\"}}"));
        format!("{{\"headers\":{{{conditions}}}}}")
    };
    let ruled = |entries: &dyn Fn(usize) -> String| {
        let rules =
            many(60, &|n| format!("{{\"name\":\"r{n}\",\"to\":\"a\",\"match\":[{}]}}", entries(n)));
        format!("{{\"variantHeader\":\"x-v\",\"variants\":{{\"a\":{{}}}},\"rules\":[{rules}]}}")
    };
    let layer = many(1024, &|n| {
        format!(
            "{{\"name\":\"r{n}\",\"to\":\"a\",\"layer\":\"l\",\"slice\":[0,100],\"sticky\":{{\"key\":[{{\"cookie\":\"u{n}\"}}]}}}}"
        )
    });
    for (name, config) in [
        (
            "a long name with many fields",
            rule(json!([{"headers": {"x".repeat(500_000): "FIELDS"}}]))
                .replace("\"FIELDS\"", &wide),
        ),
        (
            "a name as long as may be with many fields",
            rule(json!([{"headers": {"x".repeat(1024): "FIELDS"}}])).replace("\"FIELDS\"", &wide),
        ),
        ("nothing but empty lists", format!("[{}]", many(300_000, &|_| "[]".into()))),
        ("many regexes", ruled(&|_| many(32, &|_| regexes()))),
        (
            "a layer of which all is wrong",
            format!(
                "{{\"variantHeader\":\"x-v\",\"variants\":{{\"a\":{{}}}},\"rules\":[{layer}]}}"
            ),
        ),
    ] {
        assert!(config.len() <= traffic_split::limits::CONFIG_BYTES, "{name}: {}", config.len());
        let mut host = start(World::with_memory(256 * MIB))?;
        let outcome = host.configure(config.as_bytes()).context(name)?;
        let (memory, instructions) = (host.memory()?, host.instructions()?);
        println!(
            "{name}: taken {}, {memory} bytes, {instructions} instructions",
            outcome.is_some()
        );
        assert!(outcome.is_none(), "{name}: taken");
        assert!(instructions < 5_000_000_000, "{name}: {instructions} instructions");
    }
    Ok(())
}

#[test]
fn row_34_a_nested_repetition_is_refused_in_bounded_time() -> Result<()> {
    let mut host = start(World::default())?;
    let before = host.instructions()?;
    for regex in [
        "((a{999}){999}){999}",
        "(((((a{99}){99}){99}){99}){99}){99}",
        "(?:a{4294967295})",
        "(((a*)*)*)*{999999}",
    ] {
        let config = json!({"variantHeader": "x-v", "variants": {"a": {}}, "rules": [
            {"name": "r", "match": [{"headers": {"x": {"regex": regex}}}], "to": "a"}]});
        assert!(host.configure(config.to_string().as_bytes())?.is_none(), "{regex}");
    }
    let taken = host.instructions()? - before;
    assert!(taken < 60_000_000, "{taken} instructions");
    Ok(())
}

#[test]
fn rows_36_and_37_requests_and_regexes_leave_no_memory_behind() -> Result<()> {
    let (mut host, root) = configured(World::default())?;
    let mut once = |n: usize| -> Result<usize> {
        let agent = "ab".repeat(n % 64);
        let cookie = format!("uid={n}; a=b");
        let headers = match n % 4 {
            0 => request("/", &[("cookie", cookie.as_bytes())]),
            1 => request("/kept", &[("user-agent", agent.as_bytes())]),
            2 => request("/", &[]),
            _ => request("/kept", &[("cookie", b"kept=canary")]),
        };
        let stream = host.open(root, &headers)?;
        host.respond(stream, &vec![(b":status".to_vec(), b"200".to_vec())])?;
        host.close(stream)?;
        host.memory()
    };
    let warm = (0..1_000).map(&mut once).last().context("none")??;
    for n in 0..20_000 {
        assert_eq!(once(n)?, warm, "request {n}");
    }
    Ok(())
}

/// What the host refuses is missing, and nothing else changes.
#[test]
fn rows_46_and_47_no_refused_host_call_takes_the_module_down() -> Result<()> {
    let refused = [
        Status::NotFound,
        Status::BadArgument,
        Status::SerializationFailure,
        Status::ParseFailure,
        Status::Empty,
        Status::CasMismatch,
        Status::InternalFailure,
        Status::Unimplemented,
    ];
    let calls = [
        "proxy_get_property",
        "proxy_get_header_map_pairs",
        "proxy_get_current_time_nanoseconds",
        "proxy_log",
        "proxy_add_header_map_value",
    ];
    let mut wrong = Vec::new();
    for call in calls {
        for status in refused {
            if let Err(error) = refuse(call, status) {
                wrong.push(format!("{call} answers {status:?}: {error:#}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

fn refuse(call: &str, status: Status) -> Result<()> {
    let (mut host, root) = configured(World::default())?;
    host.world().answers.insert(call.to_owned(), status);
    for path in ["/", "/kept"] {
        let spoofed = [("x-split-cluster", &b"spoofed"[..]), ("x-split-variant", b"spoofed")];
        let stream = host.open(root, &request(path, &spoofed))?;
        assert_decided(host.world().request.as_ref().context("no request")?);
        host.respond(stream, &vec![(b":status".to_vec(), b"200".to_vec())])?;
        host.close(stream)?;
    }
    Ok(())
}

/// What is left of row 47: without it the request would go where its client says.
#[test]
fn row_47_a_routing_header_that_cannot_be_written_fails_the_request() -> Result<()> {
    for call in ["proxy_replace_header_map_value", "proxy_remove_header_map_value"] {
        let mut host = start(World::default())?;
        host.world().answers.insert(call.to_owned(), Status::BadArgument);
        // One of the two is written to, whatever is decided.
        let spoofed = [("x-split-cluster", &b"spoofed"[..])];
        let config = json!({"clusterHeader": "x-split-cluster", "variants": {"a": {"cluster": "a"}}, "rules": [
            {"name": "r", "match": [{"path": {"exact": "/a"}}], "to": "a"}]});
        let other = host.configure(config.to_string().as_bytes())?.context("refused")?;
        let path = if call.contains("replace") { "/a" } else { "/" };
        assert!(host.request(other, &request(path, &spoofed)).is_err(), "{call}");
    }
    Ok(())
}

/// The memory of a small VM runs out; what fails is the request, and a new VM serves on.
#[test]
fn row_40_without_memory_the_request_fails_and_a_new_vm_serves() -> Result<()> {
    let used = configured(World::default())?.0.memory()?;
    let (mut host, root) = configured(World::with_memory(used + MIB))?;
    let huge = request("/", &[("x", &vec![b'a'; 4 * MIB])]);
    assert!(host.request(root, &huge).is_err());
    let (mut host, root) = configured(World::with_memory(used + MIB))?;
    assert_decided(&host.request(root, &request("/", &[]))?);
    Ok(())
}
