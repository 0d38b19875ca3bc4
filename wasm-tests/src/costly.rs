//! A search for the configuration and the request that cost the filter most. Both are made from a few
//! numbers, so that a search can change them one by one, and keep what costs more.

use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::host::{Headers, Host, World};

/// The numbers from which a configuration and a request are made.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Genes(pub Vec<u8>);

/// The numbers that there are.
const GENES: usize = 28;

/// Bytes of the headers that Envoy lets in by default.
const REQUEST_BYTES: usize = 60 << 10;

impl Genes {
    /// Numbers drawn by chance.
    pub fn random(random: &mut impl FnMut(usize) -> usize) -> Self {
        Genes((0..GENES).map(|_| random(256) as u8).collect())
    }

    /// The same but for a few of them.
    #[must_use]
    pub fn changed(&self, random: &mut impl FnMut(usize) -> usize) -> Self {
        let mut changed = self.clone();
        for _ in 0..1 + random(3) {
            if let Some(gene) = changed.0.get_mut(random(GENES)) {
                *gene = random(256) as u8;
            }
        }
        changed
    }

    fn of<T: Clone>(&self, place: usize, choices: &[T]) -> T {
        let gene = usize::from(self.0.get(place).copied().unwrap_or(0));
        choices[gene % choices.len()].clone()
    }

    /// The filter's configuration. Its last rule takes every request.
    pub fn configuration(&self) -> Value {
        let variants: Map<_, _> = (0..16).map(|n| (format!("v{n}"), json!({}))).collect();
        let mut bytes = 0;
        let mut rules = Vec::new();
        for n in 0..self.of(0, &[1, 2, 8, 9, 40, 300, 1000, 1000]) {
            let rule = self.rule(n);
            bytes += rule.to_string().len() + 1;
            // What is refused as too long costs nothing.
            if bytes > (1 << 20) - 4096 {
                break;
            }
            rules.push(rule);
        }
        rules.push(json!({ "name": "last", "to": "v0" }));
        json!({
            "variantHeader": "x-v", "debugHeader": "x-d", "variants": variants, "rules": rules,
            "metrics": self.of(1, &["off", "counts"])
        })
    }

    fn rule(&self, n: usize) -> Value {
        let mut rule = json!({ "name": format!("r{n}") });
        let entries: Vec<_> =
            (0..self.of(2, &[0, 1, 1, 2, 8, 64])).map(|e| self.entry(n, e)).collect();
        if !entries.is_empty() {
            rule["match"] = entries.into();
        }
        let kind = self.of(3, &["to", "split", "split", "history", "persist", "persist", "engine"]);
        let signing =
            if self.of(4, &[true, false]) { json!({ "env": "KEYS" }) } else { Value::Null };
        let cookie = |name: String| {
            let mut cookie = json!({ "cookie": name, "maxAge": "30d" });
            if !signing.is_null() {
                cookie["signing"] = signing.clone();
            }
            cookie
        };
        let weights: Map<_, _> =
            (0..16).map(|v| (format!("v{v}"), json!(1 + (n + v) % 7))).collect();
        let layered = self.of(5, &[false, true]);
        match kind {
            "to" => rule["to"] = "v1".into(),
            "engine" => {
                rule["split"] = (0..2).map(|v| json!({ format!("v{v}"): 50_000 })).collect();
                rule["sticky"] = json!({ "engine": { "launchdarkly": { "flag": format!("f{n}"), "salt": "s" } } });
            }
            _ => rule["split"] = weights.clone().into(),
        }
        if kind == "persist" {
            rule["persist"] = cookie(format!("p{n}"));
        }
        if kind == "history" {
            let old =
                |h: usize| (0..16).map(|v| (format!("v{v}"), json!(1 + (n + v + h) % 5))).collect();
            rule["history"] = (0..32).map(|h| Value::Object(old(h))).collect();
        }
        if kind != "to" || layered {
            self.key(&mut rule, n, &cookie);
        }
        if layered {
            rule["layer"] = "l".into();
            rule["slice"] = json!([n as f64 / 100.0, (n + 1) as f64 / 100.0]);
        }
        if self.of(6, &[true, false]) {
            rule["mode"] = "shadow".into();
        }
        rule
    }

    fn key(&self, rule: &mut Value, n: usize, cookie: &impl Fn(String) -> Value) {
        let inner = json!({ "header": "x", "decode": "percent", "json": "id" });
        let source =
            match self.of(7, &["header", "cookie", "query", "inner", "issue", "many", "own"]) {
                "header" => json!([{ "header": "x" }]),
                "cookie" => json!([{ "cookie": "c" }]),
                "query" => json!([{ "queryParam": "q" }]),
                "inner" => json!([inner]),
                "many" => (0..8).map(|_| inner.clone()).collect(),
                "own" => json!([{ "cookie": format!("c{n}") }, { "queryParam": format!("q{n}") }]),
                _ if rule["sticky"].is_null() => {
                    rule["sticky"] =
                        json!({ "issue": cookie(format!("id{}", n % self.of(8, &[1, 2, 8]))) });
                    return;
                }
                _ => json!([{ "header": "x" }]),
            };
        rule["sticky"]["key"] = source;
    }

    fn entry(&self, n: usize, e: usize) -> Value {
        let mut entry = json!({});
        for c in 0..self.of(9, &[1, 1, 2, 4, 15]) {
            let place = 10 + 2 * (c % 2);
            let own = format!("{n}-{e}-{c}");
            let operator = self.operator(place + 1, &own);
            let name = |kind: &str| {
                if self.of(14, &[true, false]) { kind.to_owned() } else { format!("{kind}{own}") }
            };
            match self
                .of(place, &["headers", "cookies", "queryParams", "path", "authority", "method"])
            {
                "headers" => entry["headers"][name("x")] = operator,
                "cookies" => entry["cookies"][name("c")] = operator,
                "queryParams" => entry["queryParams"][name("q")] = operator,
                part => entry[part] = operator,
            }
        }
        entry
    }

    /// An operator that most values do not meet, so that the next one is asked.
    fn operator(&self, place: usize, own: &str) -> Value {
        let mut operator = match self.of(place, &[0, 1, 2, 3, 4, 5, 6, 7, 8, 8, 8]) {
            0 => json!({ "exact": own }),
            1 => json!({ "prefix": format!("ab{own}") }),
            2 => json!({ "suffix": format!("{own}ab") }),
            3 => json!({ "contains": format!("{}{own}", "ab".repeat(self.of(15, &[1, 8, 200]))) }),
            4 => {
                json!({ "in": (0..self.of(15, &[2, 20, 200])).map(|i| format!("{own}{i}")).collect::<Vec<_>>() })
            }
            5 => json!({ "range": { "start": 1, "end": 2 } }),
            6 => json!({ "present": true, "not": true }),
            7 => json!({ "exact": "ab", "not": true }),
            _ => json!({ "regex": self.of(16, &[
                "(.*){400}!", "(a|b)*a(a|b){20}!", "((a|b)*(a|b)*)*!", ".*.*.*.*.*.*!", "(a?b?){100}!",
                ".*a.{200}!", "[a-z]{0,500}!", "\\b(ab)*\\B.*\\b!", "(é|a|b)*!", "(a*)*(b*)*(ab)*!",
                ".*(a.*b.*){9}!", "(a|ab|aba|abab)*!",
            ]) }),
        };
        if self.of(17, &[false, false, true])
            && operator["range"].is_null()
            && operator["present"].is_null()
        {
            operator["ignoreCase"] = true.into();
        }
        operator
    }

    /// A text of so many bytes.
    fn text(&self, place: usize, bytes: usize) -> String {
        let filler =
            self.of(place, &["ab", "a", " a", "é", "0", "%61", "ba", "/ab", "A", "\t", "a,"]);
        let mut text = filler.repeat(bytes / filler.len());
        if self.of(place + 1, &[false, true]) {
            text = format!("%7b%22a%22:%22{}%22,%22id%22:0}}", text.get(30..).unwrap_or_default());
        }
        text
    }

    /// The request's headers: as many as Envoy lets in by default.
    pub fn request(&self) -> Headers {
        const SIZES: [usize; 9] = [10, 100, 250, 1500, 4000, 8180, 16_000, 30_000, 58_000];
        let mut left = REQUEST_BYTES;
        let mut headers = vec![(":method".to_owned(), "GET".to_owned())];
        let mut add = |name: &str, value: String| {
            let bytes = name.len() + value.len();
            if bytes <= left {
                left -= bytes;
                headers.push((name.to_owned(), value));
            }
        };
        let forged =
            |name: String| format!("{name}=AAAAAAAAAAAAAAAAAAAAAA.0.ffffffff.{}A", "Q".repeat(42));
        for _ in 0..self.of(18, &[1, 1, 2, 7, 30, 80]) {
            add("x", self.text(19, self.of(21, &SIZES)));
        }
        let size = self.of(22, &SIZES);
        match self.of(23, &["none", "long", "many", "same", "forged", "own", "blank"]) {
            "long" => add("cookie", format!("a={};c=ab", "b".repeat(size))),
            "many" => add("cookie", "a=1;".repeat((size / 4).min(254)) + "c=abab"),
            "same" => add("cookie", "c=ab;".repeat((size / 5).min(255))),
            "forged" => add(
                "cookie",
                (0..size / 90).map(|n| forged(format!("p{n}"))).collect::<Vec<_>>().join(";"),
            ),
            "own" => add(
                "cookie",
                (0..size / 90)
                    .map(|n| forged(format!("id{}", n % 8)))
                    .collect::<Vec<_>>()
                    .join(";"),
            ),
            "blank" => {
                add("cookie", format!("a={};c= {} ", " ".repeat(size / 2), " ".repeat(size / 2)))
            }
            _ => {}
        }
        let size = self.of(24, &SIZES);
        let query = match self.of(25, &["none", "many", "long", "own"]) {
            "many" => "a&".repeat((size / 2).min(255)),
            "long" => format!("a={}&q=ab", "b".repeat(size)),
            "own" => (0..(size / 8).min(255)).map(|n| format!("q{n}=ab&")).collect(),
            _ => String::new(),
        };
        let path = "/ab".repeat(self.of(26, &SIZES) / 3);
        let host = "h.".repeat(self.of(27, &SIZES) / 2) + "h:80";
        add(":path", format!("{path}?{query}"));
        add(":authority", host);
        if !headers.iter().any(|(name, _)| name == ":path") {
            headers.push((":path".to_owned(), "/".to_owned()));
        }
        let bytes = |(name, value): (String, String)| (name.into_bytes(), value.into_bytes());
        headers.into_iter().map(bytes).collect()
    }
}

/// Numbers below a bound, the same for a seed (xorshift64*: Vigna, ACM TOMS 42(4), 2016).
pub fn random(seed: u64) -> impl FnMut(usize) -> usize {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    move |bound| {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        (state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32) as usize % bound.max(1)
    }
}

/// The fuel that a request takes under a configuration, and that of taking the configuration; `None`
/// where it is refused.
pub fn fuel(module: &[u8], genes: &Genes) -> Result<Option<(u64, u64)>> {
    let mut host = Host::start(module, World::default())?;
    let keys = vec!["k".repeat(32); 8].join(",");
    host.world().environment.insert("KEYS".into(), keys);
    host.world().properties.insert(b"source\0address".to_vec(), b"192.0.2.1:80".to_vec());
    let before = host.instructions()?;
    let Some(root) = host.configure(genes.configuration().to_string().as_bytes())? else {
        return Ok(None);
    };
    let configured = host.instructions()? - before;
    // The first request of a VM costs more than those to come.
    host.request(root, &vec![(b":path".to_vec(), b"/".to_vec())])?;
    let before = host.instructions()?;
    let out = host.request(root, &genes.request())?;
    ensure!(out.iter().any(|(name, _)| name == b"x-v"), "nothing was decided");
    Ok(Some((host.instructions()? - before, configured)))
}

/// Looks for a costly pair so many times, beginning with the costliest known ones; the costliest, with
/// their fuel, the most first.
pub fn search(
    module: &[u8],
    known: &[Genes],
    tries: usize,
    random: &mut impl FnMut(usize) -> usize,
) -> Result<Vec<(u64, Genes)>> {
    const KEPT: usize = 12;
    let mut kept: Vec<(u64, Genes)> = Vec::new();
    for attempt in 0..tries + known.len() {
        let genes = match known.get(attempt) {
            Some(known) => known.clone(),
            None if kept.is_empty() || random(6) == 0 => Genes::random(random),
            None => kept[random(kept.len())].1.changed(random),
        };
        let Some((fuel, _)) = fuel(module, &genes)? else { continue };
        if kept.first().is_none_or(|(most, _)| fuel > *most) {
            eprintln!("{attempt:>7}: {fuel} {}", serde_json::to_string(&genes)?);
        }
        kept.push((fuel, genes));
        kept.sort_by_key(|(fuel, _)| std::cmp::Reverse(*fuel));
        kept.dedup_by_key(|(fuel, _)| *fuel);
        kept.truncate(KEPT);
    }
    Ok(kept)
}
