//! The parts of a request that are given on the command line, and the environment for it.

use traffic_split::Environment;
use traffic_split::config::Part;

/// An environment whose chance is fixed. That is no harm, since an outcome that depends on chance is
/// never shown as certain.
pub struct Example {
    /// The time, in seconds since 1970.
    pub now: u64,
}

impl Environment for Example {
    fn random(&mut self) -> u64 {
        0
    }

    fn entropy(&mut self) -> Option<[u8; 16]> {
        Some([0; 16])
    }

    fn now(&mut self) -> u64 {
        self.now
    }
}

/// Reads `name: value`. The name `host` becomes `:authority`, as Envoy keeps it.
pub fn header(text: &str) -> Result<(String, String), String> {
    let (name, value) = match text.split_once(':') {
        Some((name, value)) if !name.trim().is_empty() => (name.trim(), value.trim()),
        _ => return Err("give it as 'name: value'".into()),
    };
    let name = name.to_ascii_lowercase();
    let name = if name == "host" { ":authority".to_owned() } else { name };
    Ok((name, value.to_owned()))
}

/// Reads `NAMESPACE,NAME,...=VALUE` as a property of the request.
pub fn metadata(text: &str) -> Result<(String, String), String> {
    let (path, value) = text.split_once('=').unwrap_or_default();
    let segments: Vec<_> = path.split(',').map(str::trim).collect();
    match Part::metadata(&segments) {
        Part::Property(path) if segments.len() > 1 && !segments.contains(&"") => {
            Ok((path, value.trim().to_owned()))
        }
        _ => Err("give it as 'namespace,name=value', with a comma before each further name".into()),
    }
}

/// Reads `NAME=VALUE` as a property of the request.
pub fn filter_state(text: &str) -> Result<(String, String), String> {
    match text.split_once('=').map(|(name, value)| (Part::filter_state(name), value)) {
        Some((Part::Property(path), value)) => Ok((path, value.trim().to_owned())),
        _ => Err("give it as 'name=value'".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_as_curl_takes_them() {
        let pair = |name: &str, value: &str| Ok((name.to_owned(), value.to_owned()));
        assert_eq!(header("Cookie: uid=7; a=b:c"), pair("cookie", "uid=7; a=b:c"));
        assert_eq!(header("Host: a:80"), pair(":authority", "a:80"));
        assert_eq!(header("x:"), pair("x", ""));
        assert!(header("x").is_err());
        assert!(header(": x").is_err());
    }
}
