//! Many requests at once, and where they went.

use crate::client::{Client, Protocol};
use crate::message::Request;
use anyhow::{Context, Result};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::task::JoinSet;

/// Sends the requests over so many connections; the names of the upstreams reached, in the
/// requests' order.
pub async fn send(
    protocol: Protocol,
    address: SocketAddr,
    connections: usize,
    requests: Vec<Request>,
) -> Result<Vec<String>> {
    let requests = Arc::new(requests);
    let mut tasks = JoinSet::new();
    for first in 0..connections {
        let requests = Arc::clone(&requests);
        tasks.spawn(async move {
            let mut client = Client::connect(protocol, address).await?;
            let mut reached = Vec::new();
            for (index, request) in requests.iter().enumerate().skip(first).step_by(connections) {
                let reply = client.send(request).await?;
                let upstream = reply
                    .upstream()
                    .with_context(|| format!("{request:?}: {} from Envoy itself", reply.status))?;
                reached.push((index, upstream.to_owned()));
            }
            anyhow::Ok(reached)
        });
    }
    let mut reached = Vec::with_capacity(requests.len());
    while let Some(task) = tasks.join_next().await {
        reached.extend(task??);
    }
    reached.sort_unstable();
    Ok(reached.into_iter().map(|(_, upstream)| upstream).collect())
}

/// How often each name occurs.
pub fn counts(names: &[String]) -> BTreeMap<&str, usize> {
    let mut counts = BTreeMap::new();
    for name in names {
        *counts.entry(name.as_str()).or_default() += 1;
    }
    counts
}

/// How many standard errors `count` of `n` lies from the probability `p`: the error of a binomial
/// count is the square root of `n p (1 - p)`.
pub fn standard_errors(count: usize, n: usize, p: f64) -> f64 {
    let n = n as f64;
    (count as f64 - n * p) / (n * p * (1.0 - p)).sqrt()
}
