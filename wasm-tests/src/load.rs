//! Many requests at once, and where they went.

use crate::client::{Client, Protocol};
use crate::message::{Reply, Request, pair};
use anyhow::{Context, Result, ensure};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::task::JoinSet;

/// Runs so many tasks at once; what each returns, in the order in which they end.
pub async fn at_once<T, F>(count: usize, task: impl Fn(usize) -> F) -> Result<Vec<T>>
where
    T: Send + 'static,
    F: Future<Output = Result<T>> + Send + 'static,
{
    let mut tasks: JoinSet<_> = (0..count).map(task).collect();
    let mut returned = Vec::with_capacity(count);
    while let Some(task) = tasks.join_next().await {
        returned.push(task??);
    }
    Ok(returned)
}

/// Sends the requests over so many connections; the names of the upstreams reached, in the
/// requests' order.
pub async fn send(
    protocol: Protocol,
    address: SocketAddr,
    connections: usize,
    requests: Vec<Request>,
) -> Result<Vec<String>> {
    let requests = Arc::new(requests);
    let reached = at_once(connections, |first| {
        let requests = Arc::clone(&requests);
        async move {
            let mut client = Client::connect(protocol, address).await?;
            let mut reached = Vec::new();
            for (index, request) in requests.iter().enumerate().skip(first).step_by(connections) {
                let reply = client.send(request).await?;
                let upstream = reply
                    .upstream()
                    .with_context(|| format!("{request:?}: {} from Envoy itself", reply.status))?;
                reached.push((index, upstream.to_owned()));
            }
            Ok(reached)
        }
    });
    let mut reached = reached.await?.concat();
    reached.sort_unstable();
    Ok(reached.into_iter().map(|(_, upstream)| upstream).collect())
}

/// A user whom nobody has seen before, and who came back.
#[derive(Debug)]
pub struct Newcomer {
    /// The only `Set-Cookie` field of the first answer.
    pub cookie: String,
    /// The upstreams that the first and the second visit reached.
    pub reached: [String; 2],
}

/// Sends `count` newcomers. Each comes back over another connection than it first came over.
pub async fn newcomers(
    protocol: Protocol,
    address: SocketAddr,
    connections: usize,
    path: &'static str,
    count: usize,
) -> Result<Vec<Newcomer>> {
    let newcomers = at_once(connections, |first| async move {
        let mut first_visit = Client::connect(protocol, address).await?;
        let mut second_visit = Client::connect(protocol, address).await?;
        let mut newcomers = Vec::new();
        for _ in (first..count).step_by(connections) {
            let reply = first_visit.send(&Request::get(path)).await?;
            let mut cookies = reply.all("set-cookie");
            let cookie = cookies.pop().context("a newcomer is issued no cookie")?;
            ensure!(cookies.is_empty(), "a newcomer is issued more than one: {reply:?}");
            let again = Request::get(path).with("cookie", pair(&cookie));
            let again = second_visit.send(&again).await?;
            ensure!(again.all("set-cookie").is_empty(), "issued again: {again:?}");
            let upstream = |reply: &Reply| reply.upstream().map(str::to_owned);
            let reached = [&reply, &again].map(upstream).map(Option::unwrap_or_default);
            newcomers.push(Newcomer { cookie, reached });
        }
        Ok(newcomers)
    });
    Ok(newcomers.await?.into_iter().flatten().collect())
}

/// The number of times that each name occurs.
pub fn counts(names: &[String]) -> BTreeMap<&str, usize> {
    let mut counts = BTreeMap::new();
    for name in names {
        *counts.entry(name.as_str()).or_default() += 1;
    }
    counts
}

/// The distance of `count` of `n` from the probability `p` in standard errors: the error of a
/// binomial count is the square root of `n p (1 - p)`.
pub fn standard_errors(count: usize, n: usize, p: f64) -> f64 {
    let n = n as f64;
    (count as f64 - n * p) / (n * p * (1.0 - p)).sqrt()
}
