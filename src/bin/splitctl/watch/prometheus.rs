//! Queries to Prometheus: <https://prometheus.io/docs/prometheus/latest/querying/api/#instant-queries>.

use std::collections::BTreeMap;

use anyhow::{Context, Result, anyhow, bail};
use serde::Deserialize;
use ureq::Agent;

use super::access::Access;

pub struct Prometheus {
    agent: Agent,
    authorization: Option<String>,
    url: String,
}

/// A series and its value.
pub struct Sample {
    labels: BTreeMap<String, String>,
    pub value: f64,
}

/// Prometheus' own words on an expression that it cannot read.
#[derive(Debug)]
pub struct Unreadable(String);

impl std::fmt::Display for Unreadable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unreadable {}

impl Sample {
    pub fn label(&self, name: &str) -> &str {
        self.labels.get(name).map_or("", String::as_str)
    }

    /// All labels as a selector: `{app="shop"}`.
    pub fn selector(&self) -> String {
        let labels = self.labels.iter().map(|(name, value)| format!("{name}={value:?}"));
        format!("{{{}}}", labels.collect::<Vec<_>>().join(","))
    }
}

#[derive(Deserialize)]
struct Reply {
    data: Option<Data>,
    #[serde(rename = "errorType", default)]
    kind: String,
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
    pub fn new(access: &Access) -> Result<Self> {
        let (agent, authorization) = (access.agent()?, access.authorization()?);
        Ok(Prometheus { agent, authorization, url: access.url.clone() })
    }

    /// Evaluates an expression that is an instant vector, now.
    ///
    /// # Errors
    /// [`Unreadable`] if the expression cannot be read.
    pub fn query(&self, expression: &str) -> Result<Vec<Sample>> {
        let url = &self.url;
        let mut request = self.agent.get(format!("{url}/api/v1/query")).query("query", expression);
        if let Some(authorization) = &self.authorization {
            request = request.header("authorization", authorization);
        }
        let mut response = request.call().map_err(|error| self.unreached(error))?;
        let status = response.status();
        if matches!(status.as_u16(), 401 | 403) {
            bail!(
                "{url} refuses the credentials (status {status}): give them by --token-file or \
                 --basic-file"
            );
        }
        let text = response.body_mut().read_to_string().unwrap_or_default();
        let reply: Reply = serde_json::from_str(&text).map_err(|_| {
            anyhow!(
                "{url} does not answer as Prometheus does (status {status}): give its address, with \
                 the path that comes before /api/v1/query"
            )
        })?;
        match reply {
            Reply { error: Some(error), kind, .. } if kind == "bad_data" => {
                Err(Unreadable(error).into())
            }
            Reply { error: Some(error), .. } => bail!("Prometheus refuses {expression}: {error}"),
            Reply { data: Some(data), .. } => data.result.into_iter().map(sample).collect(),
            _ => bail!("{url} answers without data"),
        }
    }

    fn unreached(&self, error: ureq::Error) -> anyhow::Error {
        let url = &self.url;
        let unknown = error.to_string().contains("certificate");
        let error = anyhow::Error::from(error);
        match unknown {
            true => error.context(format!(
                "{url} shows a certificate that is not to be trusted; --ca-file names who vouches \
                 for it"
            )),
            false => error.context(format!("cannot reach Prometheus at {url}")),
        }
    }
}

fn sample(Series { metric, value: (_, value) }: Series) -> Result<Sample> {
    let value = value.parse().with_context(|| format!("not a number: {value:?}"))?;
    Ok(Sample { labels: metric, value })
}
