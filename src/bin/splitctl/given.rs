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
    if segments.len() < 2 || segments.contains(&"") {
        let form = "give it as 'namespace,name=value', with a comma before each further name";
        return Err(form.to_owned());
    }
    Ok((self::path(Part::metadata(&segments)), value.trim().to_owned()))
}

/// Reads `NAME=VALUE` as a property of the request.
pub fn filter_state(text: &str) -> Result<(String, String), String> {
    match text.split_once('=').map(|(name, value)| (name.trim(), value.trim())) {
        Some((name, value)) if !name.is_empty() => {
            Ok((path(Part::filter_state(name)), value.to_owned()))
        }
        _ => Err("give it as 'name=value'".to_owned()),
    }
}

/// The name under which a request has a property: its path in the proxy.
pub fn path(property: Part) -> String {
    match property {
        Part::Property(path) => path,
        other => other.to_string(),
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
