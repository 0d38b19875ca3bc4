//! Hosts, as authorities name them (RFC 3986 section 3.2).

use crate::limits;

/// The host of an authority; an IPv6 address keeps its brackets.
pub(crate) fn host(authority: &[u8]) -> &[u8] {
    let colon = authority.iter().rposition(|b| *b == b':');
    let port = colon.and_then(|colon| authority.split_at_checked(colon));
    match port {
        Some((host, port)) if port.iter().skip(1).all(u8::is_ascii_digit) => host,
        _ => authority,
    }
}

/// The host of an authority that has a port, or the dot of an absolute name (RFC 1034 section 3.1),
/// without both; `None` if it has neither. User information stays: it is never taken for a host.
pub(crate) fn bare_host(authority: &[u8]) -> Option<&[u8]> {
    let host = host(authority);
    let host = host.strip_suffix(b".").unwrap_or(host);
    (host.len() < authority.len() && host.len() <= limits::HOST_BYTES).then_some(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_has_no_port() {
        for (authority, expected, bare) in [
            ("h", "h", None),
            ("h:443", "h", Some("h")),
            ("h:", "h", Some("h")),
            ("h:44x", "h:44x", None),
            ("h.", "h.", Some("h")),
            ("h.:80", "h.", Some("h")),
            ("[::1]", "[::1]", None),
            ("[::1]:8443", "[::1]", Some("[::1]")),
            ("h@evil", "h@evil", None),
            ("h:80@evil", "h:80@evil", None),
            ("u@h:80", "u@h", Some("u@h")),
            ("", "", None),
        ] {
            assert_eq!(host(authority.as_bytes()), expected.as_bytes(), "{authority}");
            assert_eq!(bare_host(authority.as_bytes()), bare.map(str::as_bytes), "{authority}");
        }
        let long = |bytes| format!("{}:80", "h".repeat(bytes));
        assert!(bare_host(long(limits::HOST_BYTES).as_bytes()).is_some());
        assert!(bare_host(long(limits::HOST_BYTES + 1).as_bytes()).is_none());
    }
}
