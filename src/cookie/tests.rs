use super::*;
use crate::request::HeaderList;

fn cookie(domain: Option<&str>, keys: Option<&str>) -> Cookie {
    kept(Some(100), false, domain, keys)
}

fn kept(max_age: Option<u64>, renew: bool, domain: Option<&str>, keys: Option<&str>) -> Cookie {
    let config = CookieSpec {
        name: "c".into(),
        path: "/".into(),
        domain: domain.map(str::to_owned),
        max_age,
        renew,
        same_site: SameSite::Lax,
        secure: false,
        http_only: false,
        partitioned: false,
        signing: None,
    };
    let signer = |keys| Signer::new(Keys::parse(keys).unwrap(), "c", None);
    Cookie::new(&config, keys.map(signer))
}

fn found(cookie: &Cookie, request: &HeaderList, now: u64) -> Option<Vec<u8>> {
    cookie.find(request, || now, |value| Some(value.to_vec())).map(|found| found.what)
}

#[test]
fn a_value_has_a_longest_length() {
    for (bytes, expected) in [(limits::SIGNED_BYTES, true), (limits::SIGNED_BYTES + 1, false)] {
        let request = HeaderList::new([("cookie", format!("c={}", "v".repeat(bytes)))]);
        assert_eq!(found(&cookie(None, None), &request, 0).is_some(), expected, "{bytes}");
    }
}

#[test]
fn an_unsigned_cookie_is_looked_for_beyond_the_values_that_are_verified() {
    let values = "c=; ".repeat(limits::SIGNED_VALUES) + "c=last";
    let request = HeaderList::new([("cookie", values)]);
    let last = |value| (value == b"last").then_some(());
    assert!(cookie(None, None).find(&request, || 0, last).is_some());
}

#[derive(serde::Deserialize)]
struct Dated {
    payload: String,
    issued: u64,
    value: String,
}

/// Computed by the recipe with another program.
#[test]
fn a_dated_value_never_changes() {
    let text = include_str!("../../wasm-tests/vectors/dated-v1.json");
    let mut all: serde_json::Value = serde_json::from_str(text).unwrap();
    let vectors: Vec<Dated> = serde_json::from_value(all["vectors"].take()).unwrap();
    assert_eq!(vectors.len(), 8);
    for Dated { payload, issued, value } in vectors {
        let request = HeaderList::new([("cookie", format!("c={value}"))]);
        let ours = kept(Some(100), true, None, None);
        assert_eq!(ours.value(&payload, &request, issued), value);
        let is_payload = |text: &[u8]| (text == payload.as_bytes()).then_some(());
        for (age, due) in [(0, false), (9, false), (10, true), (u64::MAX, true)] {
            let now = issued.saturating_add(age);
            let found = ours.find(&request, || now, is_payload).unwrap();
            assert_eq!(found.due, due && now - issued >= 10, "{value} {age}");
        }
        // It is read without renewal as well, and a value without a time is due at once.
        let still = cookie(None, None);
        assert!(!still.find(&request, || u64::MAX, is_payload).unwrap().due);
        assert_eq!(still.value(&payload, &request, issued), payload);
        let undated = HeaderList::new([("cookie", format!("c={payload}"))]);
        assert!(ours.find(&undated, || 10, is_payload).unwrap().due);
    }
}

#[test]
fn a_value_is_renewed_once_in_a_tenth_of_its_life() {
    let keys = "k".repeat(limits::SIGNING_KEY_BYTES);
    for (max_age, tenth) in [(100, 10), (101, 11), (9, 1), (1, 1), (limits::MAX_AGE, 3_456_000)] {
        for keys in [None, Some(keys.as_str())] {
            let cookie = kept(Some(max_age), true, Some("h"), keys);
            let value = cookie.value("v", &HeaderList::default(), 1000);
            let request = HeaderList::new([("cookie", format!("c={value}"))]);
            let due = |now| {
                let v = |value: &[u8]| (value == b"v").then_some(());
                cookie.find(&request, || now, v).map(|found| found.due)
            };
            assert_eq!(due(1000 + tenth - 1), Some(false), "{max_age} {value}");
            // One who is signed has ended by then where its life is a second.
            let ended = keys.is_some() && tenth == max_age;
            assert_eq!(due(1000 + tenth), (!ended).then_some(true), "{max_age} {value}");
            assert_eq!(due(999), Some(false), "a clock that steps back");
        }
    }
}

#[test]
fn a_value_with_another_time_is_none() {
    for value in ["v~", "v~x", "v~1~", "~1", "v~10000000000000000", "v~~1"] {
        let request = HeaderList::new([("cookie", format!("c={value}"))]);
        let v = |value: &[u8]| (value == b"v").then_some(());
        let cookie = kept(Some(100), true, None, None);
        assert!(cookie.find(&request, || 1, v).is_none(), "{value}");
    }
}

/// A session has no `Max-Age`, and what is signed for it holds as long as any cookie may.
#[test]
fn a_session_ends_with_the_browser() {
    let keys = "k".repeat(limits::SIGNING_KEY_BYTES);
    let session = kept(None, false, Some("h"), Some(&keys));
    let value = session.value("v", &HeaderList::default(), 1000);
    let set = session.set(&value);
    assert_eq!(set, format!("c={value}; Path=/; Domain=h; SameSite=Lax"));
    let request = HeaderList::new([("cookie", format!("c={value}"))]);
    assert!(found(&session, &request, 999 + limits::MAX_AGE).is_some());
    assert!(found(&session, &request, 1000 + limits::MAX_AGE).is_none());
}

/// A signature holds in the domain of the cookie, or else at the host it was set for.
#[test]
fn a_signature_binds_a_scope() {
    let keys = "k".repeat(limits::SIGNING_KEY_BYTES);
    let at = |host: &str, cookie: Option<&str>| {
        let headers = [(":authority", Some(host)), ("cookie", cookie)];
        HeaderList::new(headers.into_iter().filter_map(|(name, value)| Some((name, value?))))
    };
    for (domain, host, other, expected) in [
        (None, "www.example.com", "example.com", false),
        (None, "www.example.com", "WWW.example.com:8443", true),
        (Some("example.com"), "www.example.com", "example.com", true),
    ] {
        let cookie = cookie(domain, Some(&keys));
        let value = cookie.value("payload", &at(host, None), 1000);
        assert_eq!(
            cookie.set(&value),
            format!(
                "c={value}; Max-Age=100; Path=/{}; SameSite=Lax",
                domain.map(|domain| format!("; Domain={domain}")).unwrap_or_default()
            )
        );
        let back = at(other, Some(&format!("c={value}")));
        let payload = expected.then(|| b"payload".to_vec());
        assert_eq!(found(&cookie, &back, 1099), payload, "{domain:?} {host} {other}");
        assert_eq!(found(&cookie, &back, 1100), None, "expired");
    }
}
