//! HTTP/1.1 written to a socket byte by byte, for what a client library refuses to send, and for a
//! load that costs next to nothing itself.

use crate::client::connect;
use crate::message::{Reply, Request};
use anyhow::{Context, Result, ensure};
use std::net::{IpAddr, SocketAddr};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Fields that an answer may have.
const FIELDS: usize = 64;

/// A connection that is kept between requests.
pub struct Connection {
    stream: TcpStream,
    /// The bytes that were read and belong to no reply yet.
    read: Vec<u8>,
}

impl Connection {
    /// Connects, from a chosen loopback address where one is given.
    pub async fn open(address: SocketAddr, source: Option<IpAddr>) -> Result<Self> {
        Ok(Self { stream: connect(address, source).await?, read: Vec::with_capacity(4096) })
    }

    /// Writes these bytes.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<()> {
        Ok(self.stream.write_all(bytes).await?)
    }

    /// Reads one reply, whose body is as long as its `content-length` says.
    pub async fn read(&mut self) -> Result<Reply> {
        let (mut reply, head) = loop {
            if let Some(parsed) = parse(&self.read)? {
                break parsed;
            }
            self.more().await?;
        };
        ensure!(reply.header("transfer-encoding").is_none(), "chunks are not read: {reply:?}");
        let length = reply.header("content-length").map_or(Ok(0), str::parse::<usize>)?;
        while self.read.len() < head + length {
            self.more().await?;
        }
        reply.body = self.read.drain(..head + length).skip(head).collect();
        Ok(reply)
    }

    /// Writes these bytes, and reads as many back.
    pub async fn echo(&mut self, bytes: &[u8]) -> Result<Vec<u8>> {
        self.write(bytes).await?;
        while self.read.len() < bytes.len() {
            self.more().await?;
        }
        Ok(self.read.drain(..bytes.len()).collect())
    }

    async fn more(&mut self) -> Result<()> {
        ensure!(self.stream.read_buf(&mut self.read).await? > 0, "the connection ended in a reply");
        Ok(())
    }
}

/// The head of a reply and its length; none if it is not complete yet.
fn parse(bytes: &[u8]) -> Result<Option<(Reply, usize)>> {
    let mut fields = [httparse::EMPTY_HEADER; FIELDS];
    let mut head = httparse::Response::new(&mut fields);
    let httparse::Status::Complete(length) = head.parse(bytes)? else { return Ok(None) };
    let field = |field: &httparse::Header<'_>| (field.name.to_owned(), field.value.to_vec());
    let headers = head.headers.iter().map(field).collect();
    let status = head.code.context("no status")?;
    Ok(Some((Reply { status, headers, body: Vec::new() }, length)))
}

/// Sends the request on a connection of its own, header names and order as they are.
pub async fn send(address: SocketAddr, request: &Request) -> Result<Reply> {
    let mut connection = Connection::open(address, request.source).await?;
    connection.write(&written(request, "connection: close\r\n")).await?;
    connection.read().await
}

/// Asks for an upgrade to `protocol`, sends `payload` then, and reads as many bytes back.
pub async fn upgrade(
    address: SocketAddr,
    request: &Request,
    protocol: &str,
    payload: &[u8],
) -> Result<(Reply, Vec<u8>)> {
    let (reply, mut connection) = upgraded(address, request, protocol).await?;
    let echoed =
        if reply.status == 101 { connection.echo(payload).await? } else { connection.read };
    Ok((reply, echoed))
}

/// Asks for an upgrade to `protocol`; the reply, and the connection, which goes on.
pub async fn upgraded(
    address: SocketAddr,
    request: &Request,
    protocol: &str,
) -> Result<(Reply, Connection)> {
    let mut connection = Connection::open(address, request.source).await?;
    let upgrade = format!("connection: upgrade\r\nupgrade: {protocol}\r\n");
    connection.write(&written(request, &upgrade)).await?;
    Ok((connection.read().await?, connection))
}

/// A request in HTTP/1.1, with these lines more.
pub fn written(request: &Request, more: &str) -> Vec<u8> {
    let Request { method, path, authority, .. } = request;
    let mut bytes = format!("{method} {path} HTTP/1.1\r\nhost: {authority}\r\n{more}").into_bytes();
    for (name, value) in &request.headers {
        bytes.extend_from_slice(name.as_bytes());
        bytes.extend_from_slice(b": ");
        bytes.extend_from_slice(&value.0);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"\r\n");
    bytes
}
