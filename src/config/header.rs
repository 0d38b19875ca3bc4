//! Names of header fields: those that a condition may read, and those that the filter may write.

use super::error::Errors;

/// Fields that routing, framing, security or other filters depend on (CVE-2023-35943): the filter
/// never writes them, whatever its configuration says.
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

/// Families of such fields.
const PROTECTED_PREFIXES: [&str; 6] =
    [":", "grpc-", "sec-", "x-envoy-", "x-forwarded-", "x-istio-"];

/// Checks a header that a condition or key reads, and gives it in lower case, as Envoy keeps it.
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

/// Checks a header that the filter writes, and gives it in lower case.
pub(super) fn routing(path: &str, name: &str, errors: &mut Errors) -> Option<String> {
    let lower = name.to_ascii_lowercase();
    let protected = PROTECTED.contains(&lower.as_str())
        || PROTECTED_PREFIXES.iter().any(|prefix| lower.starts_with(prefix));
    if protected {
        errors.invalid(
            path,
            format!("{name:?}"),
            "must not be a header that Envoy or HTTP itself depends on; x-split-cluster and \
             x-split-variant are usual",
        );
        return None;
    }
    readable(path, &lower, errors)
}

/// RFC 9110 section 5.6.2.
pub(super) fn is_token(name: &str) -> bool {
    !name.is_empty()
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}
