//! The one endpoint of a Prometheus that a canary's analysis asks.

use crate::envoy::get;
use anyhow::Result;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::{Request, Response, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use serde_json::json;
use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// The figures of an answer, which are made up: no server has a sidecar that would count its requests.
///
/// A query with `istio_requests_total` is one for the share of good answers, in percent where it
/// says so; a quantile is one for milliseconds. `vector(1)` asks whether anybody is there.
pub struct Analysis {
    /// The address of its API.
    pub address: SocketAddr,
    bad: Arc<AtomicBool>,
    accepting: JoinHandle<()>,
}

impl Analysis {
    /// Starts it; all is well.
    pub async fn start() -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let bad = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&bad);
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let told = Arc::clone(&told);
                tokio::spawn(async move {
                    let answer = service_fn(|request| answer(request, Arc::clone(&told)));
                    let builder = Builder::new(TokioExecutor::new());
                    // An error here is the peer's end of the connection.
                    let _ = builder.serve_connection(TokioIo::new(stream), answer).await;
                });
            }
        });
        get(address, "/api/v1/query?query=vector%281%29").await?;
        Ok(Self { address, bad, accepting })
    }

    /// From now on half of the answers of the canary are bad, as far as anybody asks.
    pub fn fail(&self) {
        self.bad.store(true, Ordering::Relaxed);
    }
}

impl Drop for Analysis {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Queries come in the URL or in the body.
async fn answer(
    request: Request<Incoming>,
    bad: Arc<AtomicBool>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let url = request.uri().to_string();
    let body = request.into_body().collect().await.map(|body| body.to_bytes().to_vec());
    let query = url + &String::from_utf8_lossy(&body.unwrap_or_default());
    let good = if bad.load(Ordering::Relaxed) { 0.5 } else { 1.0 };
    let value = match query {
        _ if query.contains("histogram_quantile") => 5.0,
        _ if query.contains("istio_requests_total") && query.contains("100") => good * 100.0,
        _ if query.contains("istio_requests_total") => good,
        _ => 1.0,
    };
    let found = json!([{"metric": {}, "value": [0, value.to_string()]}]);
    let answered = json!({"status": "success", "data": {"resultType": "vector", "result": found}});
    Ok(Response::new(answered.to_string().into()))
}
