//! One thread that keeps a few connections busy: what it costs itself stays on its own processor.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

const CONNECTIONS: usize = 8;
const PATIENCE: Duration = Duration::from_secs(30);

/// Kept connections to one listener, with the request that they send.
pub struct Load {
    connections: Vec<TcpStream>,
    request: Vec<u8>,
}

impl Load {
    /// Connects.
    pub fn new(address: SocketAddr, request: Vec<u8>) -> Result<Self> {
        let connect = |_| {
            let connection = TcpStream::connect(address)?;
            connection.set_nodelay(true)?;
            connection.set_read_timeout(Some(PATIENCE))?;
            anyhow::Ok(connection)
        };
        Ok(Self { connections: (0..CONNECTIONS).map(connect).collect::<Result<_>>()?, request })
    }

    /// Sends at least so many requests, one a connection at a time; how many, and the last answer.
    pub fn run(&mut self, requests: usize) -> Result<(usize, String)> {
        let rounds = requests.div_ceil(CONNECTIONS);
        let mut last = Vec::new();
        for _ in 0..rounds {
            for connection in &mut self.connections {
                connection.write_all(&self.request)?;
            }
            for connection in &mut self.connections {
                last = answer(connection)?;
            }
        }
        Ok((rounds * CONNECTIONS, String::from_utf8_lossy(&last).into_owned()))
    }
}

/// Reads one answer; its head.
fn answer(connection: &mut TcpStream) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    let head = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
        let count = connection.read(&mut buffer)?;
        ensure!(count > 0, "Envoy closed the connection");
        bytes.extend(&buffer[..count]);
    };
    let mut left = (head + length(&bytes[..head])?).saturating_sub(bytes.len());
    while left > 0 {
        let count = connection.read(&mut buffer)?;
        ensure!(count > 0, "Envoy closed the connection");
        left = left.saturating_sub(count);
    }
    bytes.truncate(head);
    ensure!(bytes.starts_with(b"HTTP/1.1 200 "), "{}", String::from_utf8_lossy(&bytes));
    Ok(bytes)
}

fn length(head: &[u8]) -> Result<usize> {
    let head = String::from_utf8_lossy(head).to_lowercase();
    let field = head.lines().find_map(|line| line.strip_prefix("content-length:"));
    match field {
        Some(length) => length.trim().parse().context("content-length"),
        None => Ok(0),
    }
}
