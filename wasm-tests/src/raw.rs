//! HTTP/1.1 written to a socket byte by byte, for what a client library refuses to send.

use crate::client::connect;
use crate::message::{Reply, Request};
use anyhow::{Context, Result};
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Sends the request on a connection of its own, header names and order as they are.
pub async fn send(address: SocketAddr, request: &Request) -> Result<Reply> {
    let mut stream = connect(address, request.source).await?;
    stream.write_all(&written(request, "connection: close\r\n")).await?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await?;
    parse(&bytes)
}

/// Asks for an upgrade to `protocol`, sends `payload` then, and reads as many bytes back.
pub async fn upgrade(
    address: SocketAddr,
    request: &Request,
    protocol: &str,
    payload: &[u8],
) -> Result<(Reply, Vec<u8>)> {
    let mut stream = connect(address, request.source).await?;
    let upgrade = format!("connection: upgrade\r\nupgrade: {protocol}\r\n");
    stream.write_all(&written(request, &upgrade)).await?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.context("the connection ended in the reply's head")?);
    }
    let reply = parse(&head)?;
    let mut echoed = Vec::new();
    if reply.status == 101 {
        stream.write_all(payload).await?;
        echoed.resize(payload.len(), 0);
        stream.read_exact(&mut echoed).await?;
    }
    Ok((reply, echoed))
}

fn written(request: &Request, more: &str) -> Vec<u8> {
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

fn parse(bytes: &[u8]) -> Result<Reply> {
    let end =
        bytes.windows(4).position(|four| four == b"\r\n\r\n").context("no end of the head")?;
    let (head, body) = bytes.split_at(end);
    let mut lines = head.split(|byte| *byte == b'\n').map(|line| line.trim_ascii_end());
    let first = std::str::from_utf8(lines.next().unwrap_or_default())?;
    let status = first.split(' ').nth(1).context("no status")?.parse()?;
    let header = |line: &[u8]| {
        let colon = line.iter().position(|byte| *byte == b':')?;
        let name = String::from_utf8_lossy(line.get(..colon)?).into_owned();
        Some((name, line.get(colon + 1..)?.trim_ascii().to_vec()))
    };
    let mut reply = Reply {
        status,
        headers: lines.filter_map(header).collect(),
        body: body.get(4..).unwrap_or_default().to_vec(),
    };
    if reply.header("transfer-encoding") == Some("chunked") {
        reply.body = unchunked(&reply.body)?;
    }
    Ok(reply)
}

fn unchunked(mut bytes: &[u8]) -> Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let end = bytes.windows(2).position(|two| two == b"\r\n").context("no end of a chunk")?;
        let (size, rest) = bytes.split_at(end);
        let size = usize::from_str_radix(std::str::from_utf8(size)?, 16)?;
        if size == 0 {
            return Ok(body);
        }
        let chunk = rest.get(2..2 + size).context("a chunk cut short")?;
        body.extend_from_slice(chunk);
        bytes = rest.get(4 + size..).context("a chunk cut short")?;
    }
}
