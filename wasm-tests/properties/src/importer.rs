//! Any bytes are refused with a reason, or become rules that the filter accepts.

use arbitrary::{Result, Unstructured};
use traffic_split::Plan;

use crate::document::{self, Node};
use crate::given::env;
use crate::import::command::draft;
use crate::import::form::Key;
use crate::import::sources::{self, File, From};
use crate::import::write::{Draft, configuration, envoy, wasm_plugin};

/// Manifests of each system.
const MANIFESTS: [&str; 11] = [
    include_str!("../../import/nginx-header-cookie-weight.yaml"),
    include_str!("../../import/nginx-header-value.yaml"),
    include_str!("../../import/nginx-header-pattern.yaml"),
    include_str!("../../import/nginx-shared-service.yaml"),
    include_str!("../../import/nginx-affinity.yaml"),
    include_str!("../../import/higress-canary.yaml"),
    include_str!("../../import/higress-traffic-tag.yaml"),
    include_str!("../../import/istio-header-weights.yaml"),
    include_str!("../../import/gateway-hosts.yaml"),
    include_str!("../../import/gateway-query-method.yaml"),
    include_str!("../../import/nginx-split-clients.conf"),
];

/// Texts that say something where a value stands.
const VALUES: [&str; 24] = [
    "\"\"",
    "always",
    "never",
    "0",
    "-1",
    "1e9",
    "101",
    "\"^(a\"",
    "\"a|b\"",
    "\"(?=a)\"",
    "\"*\"",
    "\"*.a\"",
    "on",
    "\"a b\"",
    "\"\\u0001\"",
    "\"é\"",
    "{}",
    "[]",
    "~",
    "{ regex: \"[\" }",
    "{ prefix: \"\" }",
    "x_y",
    "/",
    "\":path\"",
];

/// Manifests in which words are replaced and bytes are cut, or bytes as they are.
pub fn importer(bytes: &[u8]) -> bool {
    let mut u = Unstructured::new(bytes);
    given(&mut u).is_ok_and(|(files, from, as_is)| check(&files, from, as_is))
}

fn given(u: &mut Unstructured<'_>) -> Result<(Vec<File>, From, bool)> {
    let systems = [
        From::Auto,
        From::Auto,
        From::IngressNginx,
        From::Istio,
        From::GatewayApi,
        From::Nginx,
        From::Higress,
    ];
    let (from, as_is) = (*u.choose(&systems)?, u.arbitrary()?);
    let mut files = Vec::new();
    for number in 0..u.int_in_range(1..=2)? {
        let text = match u.int_in_range(0..=9)? {
            0 => String::from_utf8_lossy(u.bytes(u.len() / 2)?).into_owned(),
            _ => damaged(u)?,
        };
        files.push(File { name: format!("{number}.yaml"), text });
    }
    Ok((files, from, as_is))
}

/// A manifest with up to four words that are others, and maybe without a line.
fn damaged(u: &mut Unstructured<'_>) -> Result<String> {
    let mut text = (*u.choose(&MANIFESTS)?).to_owned();
    for _ in 0..u.int_in_range(0..=4)? {
        let words: Vec<_> = text.split_whitespace().collect();
        let Some(word) = words.get(u.choose_index(words.len().max(1))?) else { break };
        let (word, value) = ((*word).to_owned(), *u.choose(&VALUES)?);
        text = text.replacen(&word, value, 1);
    }
    if u.ratio(1, 8)? {
        let lines: Vec<_> = text.lines().collect();
        let gone = u.choose_index(lines.len().max(1))?;
        let kept = lines.iter().enumerate().filter(|(place, _)| *place != gone);
        text = kept.map(|(_, line)| format!("{line}\n")).collect();
    }
    Ok(text)
}

/// Whether the files are taken.
fn check(files: &[File], from: From, as_is: bool) -> bool {
    let keys = if as_is { vec![Key::Cookie("uid".into())] } else { Vec::new() };
    let drafted = sources::import(files, from, as_is).and_then(|all| draft(all, keys));
    let draft = match drafted {
        Ok(draft) => draft,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return false;
        }
    };
    for clusters in [false, true] {
        let yaml = configuration(&draft, clusters);
        let read = document::parse(&yaml).unwrap_or_else(|error| panic!("{error:?}\n{yaml}"));
        let [root] = read.as_slice() else { panic!("{yaml}") };
        assert!(names_are_texts(root), "{yaml}");
        let json = serde_json::to_vec(root).expect("a tree is JSON");
        Plan::compile(&json, &env).unwrap_or_else(|errors| panic!("{errors}\n{yaml}"));
    }
    assert_eq!(document::parse(&wasm_plugin(&draft)).expect("YAML").len(), 2);
    let bootstrap = envoy(&draft).expect("a bootstrap");
    document::parse(&bootstrap).unwrap_or_else(|error| panic!("{error:?}\n{bootstrap}"));
    remarks_are_lines(&draft);
    true
}

/// Whether no name was written so that Kubernetes would make another one of it.
fn names_are_texts(node: &Node) -> bool {
    let fields = node.fields().iter().map(|(_, node)| node);
    fields.clone().all(|node| node.key.is_none())
        && fields.chain(node.elements()).all(names_are_texts)
}

fn remarks_are_lines(draft: &Draft) {
    let of_rules = draft.rules.iter().flat_map(|rule| &rule.remarks);
    for remark in draft.remarks.iter().chain(of_rules) {
        let line = remark.display();
        assert!(!line.chars().any(char::is_control) && remark.line > 0, "{line:?}");
    }
}
