//! HTTP servers that say who they are and what they received.

use crate::message::{Seen, Value};
use anyhow::Result;
use http_body_util::{BodyExt, Full, channel::Channel, combinators::BoxBody};
use hyper::body::{Bytes, Incoming};
use hyper::header::{
    CONNECTION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, LOCATION, SET_COOKIE, UPGRADE,
};
use hyper::{Request, Response, StatusCode, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// Each value of this request header comes back as a `set-cookie` header.
pub const ANSWER_COOKIE: &str = "x-answer-cookie";

/// Each value of this request header, `name: value`, comes back as a header.
pub const ANSWER_HEADER: &str = "x-answer-header";

/// This request header says what the answer is: a status, `grpc-header-N` for an error of gRPC
/// without a message, `grpc-trailer-N` for one after a message, `grpc-none` for a call without a status,
/// `never`, `reads` for one that comes once the whole request is there, or a response that ends in its
/// middle: `breaks` (the upstream gives up) or `hangs` (nothing
/// more comes).
pub const ANSWER: &str = "x-answer";

/// A path with this beginning is answered by a 302 to the URL behind it.
pub const REDIRECT: &str = "/to?";

/// A path with this beginning is answered by a 503.
pub const FAILING: &str = "/failing";

/// The size of the largest request through an Envoy under test.
const HEAD_BYTES: u32 = 1 << 20;

type Body = BoxBody<Bytes, io::Error>;

/// A server on a free loopback port: HTTP/1.1, HTTP/2 without TLS, gRPC-shaped answers, upgrades.
pub struct Upstream {
    /// The address at which it listens.
    pub address: SocketAddr,
    state: Arc<State>,
    accepting: JoinHandle<()>,
}

#[derive(Default)]
struct State {
    count: AtomicU64,
    /// The number of requests in 100 that get a 503.
    failing: AtomicU64,
    /// Milliseconds before an answer.
    delay: AtomicU64,
}

impl State {
    /// Counts a request; whether it is one of those that fail, which are spread evenly.
    fn fails(&self) -> bool {
        let (count, failing) =
            (self.count.fetch_add(1, Ordering::Relaxed), self.failing.load(Ordering::Relaxed));
        count * failing / 100 != (count + 1) * failing / 100
    }
}

impl Upstream {
    /// Starts one that calls itself `name`.
    pub async fn start(name: &str) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let state = Arc::new(State::default());
        let accepting = tokio::spawn(accept(listener, name.into(), Arc::clone(&state)));
        Ok(Self { address, state, accepting })
    }

    /// A server that someone else runs.
    pub fn elsewhere(address: SocketAddr) -> Self {
        Self { address, state: Arc::default(), accepting: tokio::spawn(async {}) }
    }

    /// Starts one that answers every HTTP/1.1 request without a body by its name, and does nothing
    /// else: what is before it can be kept busy.
    pub async fn terse(name: &str) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let answer = format!("HTTP/1.1 200 OK\r\nx-upstream: {name}\r\ncontent-length: 0\r\n\r\n");
        let answer: Arc<[u8]> = answer.into_bytes().into();
        let state = Arc::new(State::default());
        let counted = Arc::clone(&state);
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve_tersely(stream, Arc::clone(&answer), Arc::clone(&counted)));
            }
        });
        Ok(Self { address, state, accepting })
    }

    /// The number of requests that it has received.
    pub fn count(&self) -> u64 {
        self.state.count.load(Ordering::Relaxed)
    }

    /// Answers `percent` of the requests by a 503 from now on.
    pub fn fail(&self, percent: u64) {
        self.state.failing.store(percent, Ordering::Relaxed);
    }

    /// Delays answers from now on.
    pub fn slow(&self, milliseconds: u64) {
        self.state.delay.store(milliseconds, Ordering::Relaxed);
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Starts an upstream for each name.
pub async fn start<'a>(
    names: impl IntoIterator<Item = &'a str>,
) -> Result<BTreeMap<String, Upstream>> {
    let mut upstreams = BTreeMap::new();
    for name in names {
        if !upstreams.contains_key(name) {
            upstreams.insert(name.into(), Upstream::start(name).await?);
        }
    }
    Ok(upstreams)
}

async fn accept(listener: TcpListener, name: Arc<str>, state: Arc<State>) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(serve(stream, Arc::clone(&name), Arc::clone(&state)));
    }
}

async fn serve(stream: TcpStream, name: Arc<str>, state: Arc<State>) {
    let _ = stream.set_nodelay(true);
    let answer = service_fn(move |request| respond(Arc::clone(&name), Arc::clone(&state), request));
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http2().max_header_list_size(HEAD_BYTES);
    // As many as a test may send through Envoy.
    builder.http1().max_headers(8192);
    // An error here is the peer's end of the connection.
    let _ = builder.serve_connection_with_upgrades(TokioIo::new(stream), answer).await;
}

async fn respond(
    name: Arc<str>,
    state: Arc<State>,
    mut request: Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    let fails = state.fails();
    if asked(&request) == Some("never") {
        std::future::pending::<()>().await;
    }
    if asked(&request) == Some("reads") {
        // An error is the end of a request that its client gave up.
        while request.body_mut().frame().await.is_some_and(|frame| frame.is_ok()) {}
    }
    let delay = state.delay.load(Ordering::Relaxed);
    if delay > 0 {
        tokio::time::sleep(Duration::from_millis(delay)).await;
    }
    let mut response = answer(&name, request);
    if fails {
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    }
    Ok(response)
}

/// The answer that the request asks for.
fn asked(request: &Request<Incoming>) -> Option<&str> {
    request.headers().get(ANSWER)?.to_str().ok()
}

async fn serve_tersely(mut stream: TcpStream, answer: Arc<[u8]>, state: Arc<State>) {
    let _ = stream.set_nodelay(true);
    let mut buffer = Vec::with_capacity(4096);
    // An error here is the peer's end of the connection.
    while stream.read_buf(&mut buffer).await.is_ok_and(|read| read > 0) {
        while let Some(end) = end_of_head(&buffer) {
            buffer.drain(..end);
            state.count.fetch_add(1, Ordering::Relaxed);
            if stream.write_all(&answer).await.is_err() {
                return;
            }
        }
    }
}

/// The length of the head at the beginning of these bytes; none if it is not complete yet.
fn end_of_head(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|four| four == b"\r\n\r\n").map(|at| at + 4)
}

fn answer(name: &str, request: Request<Incoming>) -> Response<Body> {
    let seen = seen(name, &request);
    let asked = asked(&request).unwrap_or_default();
    let target = request.uri().path_and_query().map_or("", |target| target.as_str()).to_owned();
    let status = asked.parse().unwrap_or(StatusCode::OK);
    let in_headers = asked.strip_prefix("grpc-header-").map(HeaderValue::from_str);
    let trailer = asked.strip_prefix("grpc-trailer-").unwrap_or("0");
    let upgrade = request.headers().get(UPGRADE).cloned();
    let grpc = request.headers().get(CONTENT_TYPE).is_some_and(|kind| kind == "application/grpc");
    let mut response = Response::new(match (&upgrade, grpc) {
        _ if matches!(asked, "breaks" | "hangs") => unfinished(asked == "breaks"),
        (Some(_), _) => whole(Bytes::new()),
        (None, true) if in_headers.is_some() => whole(Bytes::new()),
        (None, true) if asked == "grpc-none" => whole(seen),
        (None, true) => grpc_body(&seen, trailer),
        (None, false) => whole(seen),
    });
    *response.status_mut() = status;
    if let Some(url) = target.strip_prefix(REDIRECT) {
        *response.status_mut() = StatusCode::FOUND;
        response.headers_mut().extend(HeaderValue::from_str(url).ok().map(|url| (LOCATION, url)));
    }
    if target.starts_with(FAILING) {
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    }
    let headers = response.headers_mut();
    if let Some(Ok(error)) = in_headers {
        headers.insert("grpc-status", error);
    }
    if let Ok(name) = HeaderValue::from_str(name) {
        headers.insert("x-upstream", name);
    }
    for cookie in request.headers().get_all(ANSWER_COOKIE) {
        headers.append(SET_COOKIE, cookie.clone());
    }
    for (name, value) in request.headers().get_all(ANSWER_HEADER).iter().filter_map(field) {
        headers.append(name, value);
    }
    if grpc {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    }
    if let Some(protocol) = upgrade {
        headers.insert(UPGRADE, protocol);
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        tokio::spawn(echo(request));
    }
    response
}

/// A header written as `name: value`.
fn field(text: &HeaderValue) -> Option<(HeaderName, HeaderValue)> {
    let (name, value) = text.to_str().ok()?.split_once(": ")?;
    Some((name.parse().ok()?, value.parse().ok()?))
}

fn seen(name: &str, request: &Request<Incoming>) -> Vec<u8> {
    let header = |(name, value): (&hyper::header::HeaderName, &HeaderValue)| {
        (name.to_string(), Value(value.as_bytes().to_vec()))
    };
    let seen = Seen {
        upstream: name.into(),
        method: request.method().to_string(),
        path: request.uri().path_and_query().map(ToString::to_string).unwrap_or_default(),
        headers: request.headers().iter().map(header).collect(),
    };
    serde_json::to_vec(&seen).unwrap_or_default()
}

fn whole(body: impl Into<Bytes>) -> Body {
    Full::new(body.into()).map_err(|never| match never {}).boxed()
}

/// The first part of a body, and then the end of the connection, or nothing more.
fn unfinished(breaks: bool) -> Body {
    let (mut sender, body) = Channel::new(1);
    tokio::spawn(async move {
        if sender.send_data(Bytes::from_static(b"part")).await.is_err() {
            return;
        }
        if !breaks {
            std::future::pending::<()>().await;
        }
        // Meanwhile the part is written: an error would overtake it.
        tokio::time::sleep(Duration::from_millis(20)).await;
        sender.abort(io::Error::other("the upstream gives up"));
    });
    body.boxed()
}

/// One message and the trailer that says how all went.
fn grpc_body(seen: &[u8], status: &str) -> Body {
    let length = u32::try_from(seen.len()).unwrap_or_default().to_be_bytes();
    let message = [&[0][..], &length, seen].concat();
    let trailers = HeaderMap::from_iter([(
        hyper::header::HeaderName::from_static("grpc-status"),
        HeaderValue::from_str(status).unwrap_or(HeaderValue::from_static("2")),
    )]);
    let body = Full::from(message).with_trailers(std::future::ready(Some(Ok(trailers))));
    body.map_err(|never| match never {}).boxed()
}

/// The request's connection, once it is upgraded, gives back what it gets.
async fn echo(request: Request<Incoming>) {
    if let Ok(upgraded) = hyper::upgrade::on(request).await {
        let (mut reader, mut writer) = tokio::io::split(TokioIo::new(upgraded));
        let _ = tokio::io::copy(&mut reader, &mut writer).await;
    }
}
