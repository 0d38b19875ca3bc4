//! Requests at a steady pace.

use anyhow::Result;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::task::JoinSet;
use wasm_tests::client::{Client, Protocol};
use wasm_tests::message::Request;

/// Sends so many requests a second over so many connections, each numbered, for as long as the
/// value lives.
pub fn send(
    to: SocketAddr,
    connections: u32,
    per_second: u32,
    request: fn(u64) -> Request,
) -> JoinSet<Result<()>> {
    let number = Arc::new(AtomicU64::new(0));
    let mut tasks = JoinSet::new();
    for _ in 0..connections {
        let number = Arc::clone(&number);
        tasks.spawn(async move {
            let mut client = Client::connect(Protocol::Http1, to).await?;
            let pace = Duration::from_secs(1) * connections / per_second;
            let mut pace = tokio::time::interval(pace);
            loop {
                pace.tick().await;
                client.send(&request(number.fetch_add(1, Ordering::Relaxed))).await?;
            }
        });
    }
    tasks
}
