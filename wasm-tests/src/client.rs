//! One connection to Envoy, in HTTP/1.1 or HTTP/2 with prior knowledge.

use crate::message::{Reply, Request, Value};
use anyhow::{Context, Result};
use http_body_util::channel::{Channel, Sender};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::{http1, http2};
use hyper::header::{HOST, HeaderMap, HeaderName, HeaderValue};
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use tokio::net::{TcpSocket, TcpStream};

/// The protocol a client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2 without TLS and without an upgrade.
    Http2,
}

/// A connection that is kept between requests.
pub enum Client {
    /// HTTP/1.1.
    Http1(http1::SendRequest<Body>),
    /// HTTP/2.
    Http2(http2::SendRequest<Body>),
}

type Body = BoxBody<Bytes, Infallible>;

/// Connects, from a chosen loopback address where one is given.
pub async fn connect(address: SocketAddr, source: Option<IpAddr>) -> Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    if let Some(source) = source {
        socket.bind((source, 0).into())?;
    }
    let stream = socket.connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

impl Client {
    /// Connects.
    pub async fn connect(protocol: Protocol, address: SocketAddr) -> Result<Self> {
        Self::connect_from(protocol, address, None).await
    }

    /// Connects from a chosen loopback address.
    pub async fn connect_from(
        protocol: Protocol,
        address: SocketAddr,
        source: Option<IpAddr>,
    ) -> Result<Self> {
        let io = TokioIo::new(connect(address, source).await?);
        // The tasks end with their connections.
        match protocol {
            Protocol::Http1 => {
                let (sender, connection) = http1::handshake(io).await?;
                tokio::spawn(connection);
                Ok(Self::Http1(sender))
            }
            Protocol::Http2 => {
                let (sender, connection) = http2::handshake(TokioExecutor::new(), io).await?;
                tokio::spawn(connection);
                Ok(Self::Http2(sender))
            }
        }
    }

    /// Sends a request and reads the whole reply.
    pub async fn send(&mut self, request: &Request) -> Result<Reply> {
        whole(self.head(request).await?).await
    }

    /// Sends a request with a short body and trailers, where there are any, and reads the whole reply.
    pub async fn send_with_trailers(
        &mut self,
        request: &Request,
        trailers: &[(String, Value)],
    ) -> Result<Reply> {
        if trailers.is_empty() {
            return self.send(request).await;
        }
        let mut map = HeaderMap::new();
        for (name, value) in trailers {
            map.append(
                HeaderName::from_bytes(name.as_bytes())?,
                HeaderValue::from_bytes(&value.0)?,
            );
        }
        let body = Full::from("x").with_trailers(std::future::ready(Some(Ok(map))));
        whole(self.begin(request, body.boxed()).await?).await
    }

    /// Sends a request with a body whose last byte comes this much later than all the rest.
    pub async fn upload(&mut self, request: &Request, late: Duration) -> Result<Reply> {
        let (mut sender, body) = Channel::new(2);
        let last = async {
            sender.send_data(Bytes::from_static(&[b'x'; 1023])).await.context("the first bytes")?;
            tokio::time::sleep(late).await;
            // The upstream may have answered before.
            let _ = Sender::send_data(&mut sender, Bytes::from_static(b"x")).await;
            drop(sender);
            anyhow::Ok(())
        };
        let (sent, reply) =
            tokio::join!(last, async { whole(self.begin(request, body.boxed()).await?).await });
        sent?;
        reply
    }

    /// Sends a request and reads the head of the reply. Where the response is dropped before its body
    /// has ended, HTTP/1.1 ends the connection, and HTTP/2 resets the stream.
    pub async fn head(&mut self, request: &Request) -> Result<hyper::Response<Incoming>> {
        self.begin(request, Full::default().boxed()).await
    }

    async fn begin(&mut self, request: &Request, body: Body) -> Result<hyper::Response<Incoming>> {
        Ok(match self {
            Self::Http1(sender) => {
                let uri = request.path.clone();
                let mut built = build(request, uri, body)?;
                built.headers_mut().insert(HOST, HeaderValue::from_str(&request.authority)?);
                sender.ready().await?;
                sender.send_request(built).await?
            }
            Self::Http2(sender) => {
                let uri = format!("http://{}{}", request.authority, request.path);
                sender.ready().await?;
                sender.send_request(build(request, uri, body)?).await?
            }
        })
    }
}

async fn whole(response: hyper::Response<Incoming>) -> Result<Reply> {
    let (head, body) = response.into_parts();
    let body = body.collect().await?;
    let trailers = body.trailers().cloned().unwrap_or_default();
    let fields = head.headers.iter().chain(&trailers);
    let headers = fields.map(|(name, value)| (name.to_string(), value.as_bytes().to_vec()));
    Ok(Reply {
        status: head.status.as_u16(),
        headers: headers.collect(),
        body: body.to_bytes().to_vec(),
    })
}

fn build(request: &Request, uri: String, body: Body) -> Result<hyper::Request<Body>> {
    let mut built = hyper::Request::builder().method(request.method.as_str()).uri(uri);
    for (name, value) in &request.headers {
        let name = HeaderName::from_bytes(name.as_bytes())?;
        built = built.header(name, HeaderValue::from_bytes(&value.0)?);
    }
    Ok(built.body(body)?)
}
