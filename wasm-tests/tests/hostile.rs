//! The module in a host that is as hostile as it can be; each test is a row of `faults.json`.

use anyhow::{Context, Result};
use serde_json::{Map, Value, json};
use wasm_tests::case;
use wasm_tests::host::{Headers, Host, Root, Status, World};
use wasm_tests::native::ENVIRONMENT;

const MIB: usize = 1 << 20;
const SECOND: u64 = 1_000_000_000;

fn start(world: World) -> Result<Host> {
    Host::start(&std::fs::read(wasm_tests::module()?)?, world)
}

/// The filter makes every kind of host call for this configuration: the map, a property, the clock,
/// entropy, a log. No two rules share a variant, so that the variant tells which rule decided.
fn configuration() -> Value {
    let names = ["near", "agent", "kept-a", "kept-b", "rest-a", "rest-b"];
    let variants: Map<_, _> =
        names.into_iter().map(|name| (name.to_owned(), json!({"cluster": name}))).collect();
    json!({
        "clusterHeader": "x-split-cluster",
        "variantHeader": "x-split-variant",
        "variants": variants,
        "rules": [
            {"name": "near", "match": [{"sourceIp": ["10.0.0.0/8"]}], "to": "near"},
            {"name": "agent", "match": [{"headers": {"user-agent": {"regex": "(a|b)*c"}}}], "to": "agent"},
            {"name": "kept", "match": [{"path": {"prefix": "/kept"}}], "split": {"kept-a": 1, "kept-b": 1},
             "persist": {"cookie": "kept", "maxAge": "1h"}},
            {"name": "rest", "split": {"rest-a": 1, "rest-b": 1}, "sticky": {
                "key": [{"cookie": "uid"}], "issue": {"cookie": "id", "maxAge": "30d"}}}
        ]
    })
}

/// The variants of the rule for paths under `/kept`.
const KEPT: [&str; 2] = ["kept-a", "kept-b"];
/// The variants of the rule for every request.
const REST: [&str; 2] = ["rest-a", "rest-b"];

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

/// Each routing header has exactly one value, the same in both, and it is one of these variants.
#[track_caller]
fn assert_decided(headers: &Headers, variants: &[&str]) {
    let [variant] = all(headers, "x-split-variant")[..] else { panic!("{headers:?}") };
    assert!(variants.iter().any(|name| name.as_bytes() == variant), "{variants:?}: {headers:?}");
    assert_eq!(all(headers, "x-split-cluster"), [variant], "{headers:?}");
}

/// The errors for which the module refuses this configuration, as it logs them.
#[track_caller]
fn refusal(host: &mut Host, configuration: &[u8]) -> Result<Vec<String>> {
    host.world().log.clear();
    let outcome = host.configure(configuration)?;
    assert!(outcome.is_none(), "taken");
    Ok(host.world().log.drain(..).map(|(_, line)| line).collect())
}

#[test]
fn row_14_bytes_that_end_a_field_match_nothing_and_are_not_echoed() -> Result<()> {
    let (mut host, root) = configured(World::default())?;
    for byte in [b'\0', b'\r', b'\n'] {
        let agent = [b"abc", &[byte][..], b"c"].concat();
        let cookie = [b"uid=1", &[byte][..], b"x-split-cluster: canary; a=1"].concat();
        let headers = request("/", &[("user-agent", &agent), ("cookie", &cookie)]);
        let out = host.request(root, &headers)?;
        assert_decided(&out, &REST);
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
        assert_decided(&host.request(root, &headers)?, &REST);
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
    assert_decided(&expected, &REST);
    for clock in [1_800_000_000 * SECOND, 1_600_000_000 * SECOND, 1, 0, u64::MAX] {
        host.world().clock = clock;
        assert_eq!(host.request(root, &headers)?, expected);
        // The filter reads the clock for each of these, to issue a cookie.
        assert_decided(&host.request(root, &request("/kept", &[]))?, &KEPT);
        assert_decided(&host.request(root, &request("/", &[]))?, &REST);
    }
    Ok(())
}

#[test]
fn row_31_whatever_is_refused_natively_is_refused_here_without_a_trap() -> Result<()> {
    let mut host = start(World::with_memory(64 * MIB))?;
    for (name, value) in ENVIRONMENT {
        host.world().environment.insert(name.to_owned(), value.to_owned());
    }
    for case in case::refused()? {
        assert_eq!(refusal(&mut host, case.text().as_bytes())?, case.errors, "{}", case.name);
    }
    let deep = |open: &str| open.repeat(100_000).into_bytes();
    for bytes in [b"{\"a\":\"\xff\"}".to_vec(), b"\xff\xfe".to_vec(), deep("["), deep("{\"a\":")] {
        assert_eq!(refusal(&mut host, &bytes)?.len(), 1);
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
    for (name, config, reason) in [
        (
            "a long name with many fields",
            rule(json!([{"headers": {"x".repeat(500_000): "FIELDS"}}]))
                .replace("\"FIELDS\"", &wide),
            "Too long: may not be more than 1024 bytes",
        ),
        (
            "a name as long as may be with many fields",
            rule(json!([{"headers": {"x".repeat(1024): "FIELDS"}}])).replace("\"FIELDS\"", &wide),
            "Too many: 45000: must have at most 256 items",
        ),
        (
            "nothing but empty lists",
            format!("[{}]", many(300_000, &|_| "[]".into())),
            "configuration: Invalid value: […]: must be an object",
        ),
        (
            "many regexes",
            ruled(&|_| many(32, &|_| regexes())),
            "rules: Forbidden: more than 1024 regular expressions",
        ),
        (
            "a layer of which all is wrong",
            format!(
                "{{\"variantHeader\":\"x-v\",\"variants\":{{\"a\":{{}}}},\"rules\":[{layer}]}}"
            ),
            "must not overlap rules[0].slice [0, 100] of the layer l",
        ),
    ] {
        assert!(config.len() <= traffic_split::limits::CONFIG_BYTES, "{name}: {}", config.len());
        let mut host = start(World::with_memory(256 * MIB))?;
        let errors = refusal(&mut host, config.as_bytes()).context(name)?.join("\n");
        let (memory, instructions) = (host.memory()?, host.instructions()?);
        println!("{name}: {memory} bytes, {instructions} instructions");
        let shown: String = errors.replace("xxxxxxxx", "").chars().take(2_000).collect();
        assert!(errors.contains(reason), "{name}: {shown}");
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
        let errors = refusal(&mut host, config.to_string().as_bytes())?;
        let [error] = errors.as_slice() else { panic!("{regex}: {errors:?}") };
        assert!(error.starts_with("rules[0].match[0].headers.x.regex: Invalid value: "), "{error}");
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
        let (headers, variants) = match n % 4 {
            0 => (request("/", &[("cookie", cookie.as_bytes())]), &REST[..]),
            1 => (request("/kept", &[("user-agent", agent.as_bytes())]), &KEPT[..]),
            2 => (request("/", &[]), &REST[..]),
            _ => (request("/kept", &[("cookie", b"kept=kept-b")]), &KEPT[1..]),
        };
        let stream = host.open(root, &headers)?;
        assert_decided(host.world().request.as_ref().context("no request")?, variants);
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

/// The filter goes without what the host refuses it, and decides by the rest.
#[test]
fn rows_46_and_47_no_refused_host_call_takes_the_module_down() -> Result<()> {
    let near = &["near"][..];
    let usual = [near, &REST, &KEPT];
    // Each call, with the variants for each of `VISITS` where it is refused.
    let calls = [
        // Without the peer's address, the rule on it does not match.
        ("proxy_get_property", [&REST[..], &REST, &KEPT]),
        // Without headers, the rule on the path does not match.
        ("proxy_get_header_map_pairs", [near, &REST, &REST]),
        ("proxy_get_current_time_nanoseconds", usual),
        ("proxy_log", usual),
        ("proxy_add_header_map_value", usual),
    ];
    for (call, expected) in calls {
        for status in Status::FAILURES {
            println!("{call}: {status:?}");
            for ((peer, path), variants) in VISITS.into_iter().zip(expected) {
                let (mut host, root) = configured(World::default())?;
                host.world().properties.insert(b"source\0address".to_vec(), peer.into());
                host.world().answers.insert(call.to_owned(), status);
                let spoofed = [("x-split-cluster", &b"near"[..]), ("x-split-variant", b"near")];
                let stream = host.open(root, &request(path, &spoofed))?;
                assert_decided(host.world().request.as_ref().context("no request")?, variants);
                host.respond(stream, &vec![(b":status".to_vec(), b"200".to_vec())])?;
                host.close(stream)?;
            }
        }
    }
    Ok(())
}

/// The address of a peer, and the path that it asks for.
const VISITS: [(&str, &str); 3] =
    [("10.0.0.1:80", "/"), ("192.0.2.1:80", "/"), ("192.0.2.1:80", "/kept")];

/// The memory of a small VM runs out; what fails is the request, and a new VM serves on.
#[test]
fn row_40_without_memory_the_request_fails_and_a_new_vm_serves() -> Result<()> {
    let used = configured(World::default())?.0.memory()?;
    let (mut host, root) = configured(World::with_memory(used + MIB))?;
    let huge = request("/", &[("x", &vec![b'a'; 4 * MIB])]);
    let error = host.request(root, &huge).err().context("served")?;
    assert_eq!(error.to_string(), "trapped in proxy_on_request_headers");
    let (mut host, root) = configured(World::with_memory(used + MIB))?;
    assert_decided(&host.request(root, &request("/", &[]))?, &REST);
    Ok(())
}
