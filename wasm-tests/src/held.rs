//! Connections that clients hold open while something changes.

use crate::client::{Client, Protocol};
use crate::message::{Reply, Request};
use crate::raw::{self, Connection};
use anyhow::{Result, ensure};
use std::net::SocketAddr;

const FRAME: &[u8] = b"\x81\x02hi";

/// WebSockets and a connection of HTTP/2, all of them to one listener.
pub struct Held {
    sockets: Vec<Connection>,
    count: usize,
    http2: Client,
}

impl Held {
    /// Opens so many WebSockets, each of which echoes, and the connection of HTTP/2.
    pub async fn open(address: SocketAddr, count: usize, request: &Request) -> Result<Self> {
        let mut sockets = Vec::new();
        for _ in 0..count {
            let (reply, connection) = raw::upgraded(address, request, "websocket").await?;
            ensure!(reply.status == 101, "{reply:?}");
            sockets.push(connection);
        }
        let http2 = Client::connect(Protocol::Http2, address).await?;
        let mut held = Self { sockets, count, http2 };
        ensure!(held.closed().await == 0, "closed at once");
        held.ask(request).await?;
        Ok(held)
    }

    /// Has every WebSocket echo once more; how many have been closed so far.
    pub async fn closed(&mut self) -> usize {
        let mut open = Vec::new();
        for mut socket in self.sockets.drain(..) {
            if socket.echo(FRAME).await.is_ok_and(|echoed| echoed == FRAME) {
                open.push(socket);
            }
        }
        self.sockets = open;
        self.count.saturating_sub(self.sockets.len())
    }

    /// Sends a request over the connection of HTTP/2; an error if that has been closed.
    pub async fn ask(&mut self, request: &Request) -> Result<Reply> {
        self.http2.send(request).await
    }
}
