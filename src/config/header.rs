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

/// Whether a name is a token (RFC 9110 section 5.6.2).
pub(super) fn is_token(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(is_token_byte)
}

/// Whether a character may stand in a token (RFC 9110 section 5.6.2).
pub(crate) fn is_token_byte(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b)
}
