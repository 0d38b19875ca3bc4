use super::*;

/// The changes of a response with these headers, as `name: value` or `-name`.
fn changed(caching: &Caching, sets_cookie: bool, response: &[(&str, &str)]) -> Vec<String> {
    let fields: Vec<_> = response.iter().map(|(n, v)| (n.as_bytes(), v.as_bytes())).collect();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let line = |(name, value): Change<'_>| match value {
        Some(value) => format!("{}: {}", text(name), text(&value)),
        None => format!("-{}", text(name)),
    };
    caching.changes(sets_cookie, &fields).into_iter().map(line).collect()
}

fn private_ones() -> Caching {
    Caching { private: true, vary: Vec::new() }
}

/// The changes of `Cache-Control` beside a cookie of the filter.
fn with_cookie(cache_control: &str) -> Vec<String> {
    changed(&private_ones(), true, &[("cache-control", cache_control)])
}

#[test]
fn a_response_with_a_cookie_is_stored_by_no_shared_cache() {
    for (upstream, expected) in [
        ("public, max-age=600", "private, max-age=600"),
        ("max-age=600", "private, max-age=600"),
        ("PUBLIC,S-MaxAge=60 , max-age=5,immutable", "private, max-age=5, immutable"),
        ("s-maxage=\"60\"", "private"),
        ("no-cache", "private, no-cache"),
        ("no-cache=\"set-cookie, x\", public", "private, no-cache=\"set-cookie, x\""),
        ("", "private"),
        // Only these fields are private.
        ("private=\"x-a, set-cookie\", max-age=5", "private, max-age=5"),
        ("must-revalidate, x=\"a\\\", public\"", "private, must-revalidate, x=\"a\\\", public\""),
        // Directives that contradict each other.
        ("private, s-maxage=60", "private"),
        ("public, no-store", "no-store"),
        ("must-understand, no-store, max-age=5", "private, must-understand, no-store, max-age=5"),
    ] {
        assert_eq!(with_cookie(upstream), [format!("cache-control: {expected}")], "{upstream}");
    }
    let expected = ["cache-control: private"];
    assert_eq!(changed(&private_ones(), true, &[]), expected, "caches may guess a lifetime");
    let lines = [("cache-control", "max-age=5"), ("cache-control", "public")];
    assert_eq!(changed(&private_ones(), true, &lines), ["cache-control: private, max-age=5"]);
}

#[test]
fn a_response_that_is_private_already_stays_as_it_is() {
    for upstream in ["private", "no-store", "Private, max-age=600", "max-age=0, NO-STORE"] {
        assert_eq!(with_cookie(upstream), [""; 0], "{upstream}");
    }
}

#[test]
fn a_content_delivery_network_is_told_too() {
    let public = [
        ("cache-control", "private"),
        ("cdn-cache-control", "max-age=600"),
        ("cloudflare-cdn-cache-control", "public"),
        ("surrogate-control", "max-age=3600"),
        ("surrogate-control", "content=\"ESI/1.0\""),
        ("edge-control", "!no-store, max-age=1h"),
        ("x-accel-expires", "3600"),
        ("expires", "Thu, 01 Dec 2033 16:00:00 GMT"),
    ];
    let expected = [
        "-cdn-cache-control",
        "-cloudflare-cdn-cache-control",
        "-surrogate-control",
        "-edge-control",
        "-x-accel-expires",
    ];
    assert_eq!(changed(&private_ones(), true, &public), expected);
    let kept = [("cache-control", "private"), ("cdn-cache-control", "no-store")];
    assert_eq!(changed(&private_ones(), true, &kept), [""; 0]);
}

#[test]
fn a_response_without_a_cookie_stays_and_so_does_one_where_the_author_knows_better() {
    let public = [("cache-control", "public"), ("cdn-cache-control", "max-age=600")];
    assert_eq!(changed(&private_ones(), false, &public), [""; 0]);
    assert_eq!(changed(&Caching::default(), true, &public), [""; 0]);
}

#[test]
fn vary_names_each_header_once() {
    let caching = Caching { private: false, vary: vec!["cookie".into(), "x-user-group".into()] };
    for (upstream, expected) in [
        (&[][..], Some("cookie, x-user-group")),
        (&["Accept-Encoding"], Some("Accept-Encoding, cookie, x-user-group")),
        (&["Cookie , Origin"], Some("Cookie, Origin, x-user-group")),
        (&["Origin", "X-User-Group"], Some("Origin, X-User-Group, cookie")),
        (&["cookie, X-USER-GROUP"], None),
        (&["cookie", "x-user-group"], None),
        (&["*"], None),
        (&["Origin, *"], None),
        (&["", ","], Some("cookie, x-user-group")),
    ] {
        let response: Vec<_> = upstream.iter().map(|value| ("vary", *value)).collect();
        let expected = Vec::from_iter(expected.map(|names| format!("vary: {names}")));
        assert_eq!(changed(&caching, false, &response), expected, "{upstream:?}");
    }
}
