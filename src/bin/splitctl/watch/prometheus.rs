//! Queries to Prometheus: <https://prometheus.io/docs/prometheus/latest/querying/api/#instant-queries>.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use serde::Deserialize;
use ureq::Agent;

/// The time to wait for an answer: enough for a busy Prometheus, and bearable for a person.
const PATIENCE: Duration = Duration::from_secs(30);

pub struct Prometheus {
    agent: Agent,
    url: String,
}

/// A series and its value.
pub struct Sample {
    labels: BTreeMap<String, String>,
    pub value: f64,
}

impl Sample {
    pub fn label(&self, name: &str) -> &str {
        self.labels.get(name).map_or("", String::as_str)
    }
}

#[derive(Deserialize)]
struct Reply {
    data: Option<Data>,
    error: Option<String>,
}

#[derive(Deserialize)]
struct Data {
    result: Vec<Series>,
}

#[derive(Deserialize)]
struct Series {
    metric: BTreeMap<String, String>,
    value: (f64, String),
}

impl Prometheus {
    pub fn new(url: &str) -> Self {
        let agent = Agent::config_builder().timeout_global(Some(PATIENCE));
        let agent = agent.http_status_as_error(false).build().into();
        Prometheus { agent, url: url.trim_end_matches('/').to_owned() }
    }

    /// Evaluates an expression that is an instant vector, now.
    pub fn query(&self, expression: &str) -> Result<Vec<Sample>> {
        let url = &self.url;
        let request = self.agent.get(format!("{url}/api/v1/query")).query("query", expression);
        let mut response =
            request.call().with_context(|| format!("cannot reach Prometheus at {url}"))?;
        let status = response.status();
        let text = response.body_mut().read_to_string().unwrap_or_default();
        let reply: Reply = serde_json::from_str(&text).map_err(|_| {
            anyhow!(
                "{url} does not answer as Prometheus does (status {status}): give its address, with \
                 the path that comes before /api/v1/query"
            )
        })?;
        match reply {
            Reply { error: Some(error), .. } => bail!("Prometheus refuses {expression}: {error}"),
            Reply { data: Some(data), .. } => data.result.into_iter().map(sample).collect(),
            _ => bail!("{url} answers without data"),
        }
    }
}

fn sample(Series { metric, value: (_, value) }: Series) -> Result<Sample> {
    let value = value.parse().with_context(|| format!("not a number: {value:?}"))?;
    Ok(Sample { labels: metric, value })
}

/// Checks an address of Prometheus.
pub fn url(text: &str) -> Result<String, String> {
    if text.starts_with("https://") {
        return Err(
            "no TLS here; forward its port, as in kubectl port-forward svc/prometheus 9090, \
                    and give http://localhost:9090"
                .into(),
        );
    }
    let host = text.strip_prefix("http://").unwrap_or_default();
    if host.is_empty() || host.starts_with('/') {
        return Err("give it as http://HOST:PORT".into());
    }
    Ok(text.to_owned())
}
