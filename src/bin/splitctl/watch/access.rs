//! The way to Prometheus: its address, the credentials it asks for, and the authority that vouches for
//! it over TLS.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use base64ct::{Base64, Encoding};
use clap::Args;
use ureq::Agent;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};

/// The time to wait for an answer: enough for a busy Prometheus, and bearable for a person.
const PATIENCE: Duration = Duration::from_secs(30);

/// The environment variable with a token, for those who have no file.
const TOKEN: &str = "PROMETHEUS_TOKEN";

/// The environment variable with a name and a password.
const BASIC: &str = "PROMETHEUS_BASIC";

#[derive(Args)]
pub struct Access {
    /// The address of Prometheus, as in http://localhost:9090
    #[arg(long = "prometheus", value_name = "URL", env = "PROMETHEUS_URL", value_parser = address)]
    pub url: String,
    /// A file with a bearer token [env: PROMETHEUS_TOKEN, which is the token itself]
    #[arg(long, value_name = "FILE", conflicts_with = "basic_file")]
    token_file: Option<PathBuf>,
    /// A file with NAME:PASSWORD, for basic authentication [env: PROMETHEUS_BASIC, which is NAME:PASSWORD]
    #[arg(long, value_name = "FILE")]
    basic_file: Option<PathBuf>,
    /// A file with the certificates (PEM) of those who vouch for Prometheus [default: Mozilla's list]
    #[arg(long, value_name = "FILE", env = "PROMETHEUS_CA_FILE")]
    ca_file: Option<PathBuf>,
}

impl Access {
    pub fn agent(&self) -> Result<Agent> {
        let roots = match &self.ca_file {
            Some(file) => RootCerts::new_with_certs(&certificates(file)?),
            None => RootCerts::WebPki,
        };
        let agent = Agent::config_builder().timeout_global(Some(PATIENCE));
        let agent = agent.tls_config(TlsConfig::builder().root_certs(roots).build());
        // A proxy's or Prometheus' own words say more than a status.
        Ok(agent.http_status_as_error(false).build().into())
    }

    /// The value of the header `authorization` (RFC 6750, section 2.1; RFC 7617, section 2). An option
    /// outweighs the environment.
    pub fn authorization(&self) -> Result<Option<String>> {
        let known = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
        let (token, basic) = match (&self.token_file, &self.basic_file) {
            (Some(file), _) => (Some(read(file)?), None),
            (_, Some(file)) => (None, Some(read(file)?)),
            _ => (known(TOKEN), known(BASIC)),
        };
        let Some(token) = token else { return basic.map(|basic| by_password(&basic)).transpose() };
        Ok(Some(format!("Bearer {}", token.trim())))
    }
}

fn by_password(basic: &str) -> Result<String> {
    // Only the line's end is no part of a password.
    let basic = basic.trim_end_matches(['\r', '\n']);
    ensure!(basic.contains(':'), "the credentials are not NAME:PASSWORD");
    let mut encoded = vec![0; Base64::encoded_len(basic.as_bytes())];
    let encoded = Base64::encode(basic.as_bytes(), &mut encoded);
    Ok(format!("Basic {}", encoded.map_err(|_| anyhow!("the credentials are too long"))?))
}

fn read(file: &Path) -> Result<String> {
    fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))
}

fn certificates(file: &Path) -> Result<Vec<Certificate<'static>>> {
    let text = read(file)?;
    let certificates: Vec<_> = parse_pem(text.as_bytes())
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(Ok(certificate)),
            Ok(_) => None,
            Err(error) => Some(Err(error)),
        })
        .collect::<Result<_, _>>()
        .with_context(|| format!("{} is not PEM", file.display()))?;
    ensure!(!certificates.is_empty(), "{} has no certificate: give one as PEM", file.display());
    Ok(certificates)
}

/// Checks an address of Prometheus.
fn address(text: &str) -> Result<String, String> {
    let host = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    let host = host.unwrap_or_default();
    if host.is_empty() || host.starts_with('/') {
        return Err("give it as http://HOST:PORT or https://HOST".into());
    }
    if host.split('/').next().is_some_and(|host| host.contains('@')) {
        return Err("give credentials by --basic-file or PROMETHEUS_BASIC".into());
    }
    Ok(text.trim_end_matches('/').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_scheme_and_a_host_and_no_credentials() {
        for (text, expected) in [
            ("http://localhost:9090/", Some("http://localhost:9090")),
            ("https://prometheus.example/team", Some("https://prometheus.example/team")),
            ("localhost:9090", None),
            ("https:///", None),
            ("https://alice:sesame@prometheus", None),
        ] {
            assert_eq!(address(text).ok().as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn credentials_are_a_header() {
        let folder = env::temp_dir();
        let file = |name: &str, text: &str| {
            let path = folder.join(format!("splitctl-{}-{name}", std::process::id()));
            fs::write(&path, text).unwrap();
            path
        };
        let access = |token_file, basic_file| Access {
            url: "http://localhost".into(),
            token_file,
            basic_file,
            ca_file: None,
        };
        let (token, basic) = (file("token", "abc.def\n"), file("basic", "Aladdin:open sesame\n"));
        let neither = file("neither", "Aladdin\n");
        let header = |access: Access| access.authorization().unwrap().unwrap();
        assert_eq!(header(access(Some(token.clone()), None)), "Bearer abc.def");
        // RFC 7617, section 2.
        let expected = "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==";
        assert_eq!(header(access(None, Some(basic.clone()))), expected);
        assert!(access(None, Some(neither.clone())).authorization().is_err());
        assert!(certificates(&neither).unwrap_err().to_string().contains("has no certificate"));
        for path in [token, basic, neither] {
            fs::remove_file(path).unwrap();
        }
    }
}
