//! Names of header fields: the ones that conditions and keys may read, and the ones that the filter
//! may write.

use super::error::Errors;

/// Fields that the filter never writes, because routing, framing, security or other filters depend on
/// them (CVE-2023-35943).
const PROTECTED: [&str; 22] = [
    "accept-encoding",
    "authorization",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "cookie",
    "expect",
    "forwarded",
    "host",
    "keep-alive",
    "origin",
    "proxy-authorization",
    "proxy-connection",
    "referer",
    "set-cookie",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
    "x-request-id",
];

/// The first letters of further such fields.
const PROTECTED_PREFIXES: [&str; 6] =
    [":", "grpc-", "sec-", "x-envoy-", "x-forwarded-", "x-istio-"];

/// Fields of a response that caches, browsers and the filter itself depend on.
const RESPONSE: [&str; 14] = [
    "age",
    "cache-control",
    "clear-site-data",
    "date",
    "etag",
    "expires",
    "last-modified",
    "location",
    "refresh",
    "retry-after",
    "server-timing",
    "strict-transport-security",
    "vary",
    "www-authenticate",
];

/// The first letters of further such fields.
const RESPONSE_PREFIXES: [&str; 3] = ["access-control-", "content-", "cross-origin-"];

/// Checks a header that a condition or a key reads, and returns its name in lower case, as Envoy
/// keeps it.
pub(super) fn readable(path: &str, name: &str, errors: &mut Errors) -> Option<String> {
    let remedy = match name {
        ":path" => "use `path`",
        ":method" => "use `method`",
        ":authority" => "use `authority`",
        _ if name.eq_ignore_ascii_case("host") => "use `authority`, which is how Envoy keeps it",
        _ if is_token(name) => return Some(name.to_ascii_lowercase()),
        _ => "must be a header's name: letters, digits and !#$%&'*+-.^_`|~",
    };
    errors.invalid(path, format!("{name:?}"), remedy);
    None
}

/// Checks a header that the filter writes, and returns its name in lower case.
pub(super) fn routing(path: &str, name: &str, errors: &mut Errors) -> Option<String> {
    let lower = name.to_ascii_lowercase();
    let protected = PROTECTED.contains(&lower.as_str())
        || PROTECTED_PREFIXES.iter().any(|prefix| lower.starts_with(prefix));
    if protected {
        errors.invalid(
            path,
            format!("{name:?}"),
            "must not be a header that Envoy or HTTP itself depends on; x-split-cluster, \
             x-split-variant and x-split-point are usual",
        );
        return None;
    }
    readable(path, &lower, errors)
}

/// Checks a response header that the filter writes over the upstream's, and returns its name in lower
/// case.
pub(super) fn response(path: &str, name: &str, errors: &mut Errors) -> Option<String> {
    let lower = name.to_ascii_lowercase();
    if RESPONSE.contains(&lower.as_str())
        || RESPONSE_PREFIXES.iter().any(|prefix| lower.starts_with(prefix))
    {
        let remedy =
            "must not be a header that browsers and caches depend on; x-split-variant is usual";
        errors.invalid(path, format!("{name:?}"), remedy);
        return None;
    }
    routing(path, name, errors)
}

/// Whether a name is a token (RFC 9110 section 5.6.2).
pub(super) fn is_token(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(is_token_byte)
}

/// Whether a character may stand in a token (RFC 9110 section 5.6.2).
pub(crate) fn is_token_byte(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b)
}
