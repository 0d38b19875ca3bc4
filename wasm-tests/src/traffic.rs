//! Users who keep asking while something changes, and where each request went.

use crate::client::{Client, Protocol};
use crate::message::Request;
use anyhow::{Context, Result};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// Between two requests of a connection.
const PACE: Duration = Duration::from_millis(5);

/// Who answers where no upstream did.
pub const ENVOY: &str = "envoy";

/// One request and its answer.
#[derive(Clone, Debug)]
pub struct Visit {
    /// When it was sent, since the first.
    pub at: Duration,
    /// Of the connections, which.
    pub connection: usize,
    /// Of the users, which.
    pub user: usize,
    /// The upstream that answered, or [`ENVOY`].
    pub upstream: String,
    /// The status of the answer.
    pub status: u16,
}

/// Requests that go on until they are stopped.
pub struct Traffic {
    started: Instant,
    visits: Arc<Mutex<Vec<Visit>>>,
    stopped: Arc<AtomicBool>,
    tasks: JoinSet<Result<()>>,
}

/// What a user asks for: `/reviews/1`, with the header `x-user-id`.
pub fn request(user: usize) -> Request {
    Request::get("/reviews/1").with("x-user-id", format!("user-{user}").as_str())
}

impl Traffic {
    /// Starts it over so many connections, each of which asks for all users in turn.
    pub async fn start(address: SocketAddr, connections: usize, users: usize) -> Result<Self> {
        let (visits, stopped) = (Arc::default(), Arc::new(AtomicBool::new(false)));
        let mut traffic = Self { started: Instant::now(), visits, stopped, tasks: JoinSet::new() };
        for connection in 0..connections {
            let client = Client::connect(Protocol::Http1, address).await?;
            let (visits, stopped) = (Arc::clone(&traffic.visits), Arc::clone(&traffic.stopped));
            let started = traffic.started;
            traffic.tasks.spawn(async move {
                let mut client = client;
                let mut users = (0..users).cycle().skip(connection * users / connections);
                while !stopped.load(Ordering::Relaxed) {
                    let user = users.next().context("no users")?;
                    let at = started.elapsed();
                    let reply = client.send(&request(user)).await?;
                    let upstream = reply.upstream().unwrap_or(ENVOY).to_owned();
                    let visit = Visit { at, connection, user, upstream, status: reply.status };
                    visits.lock().unwrap_or_else(PoisonError::into_inner).push(visit);
                    tokio::time::sleep(PACE).await;
                }
                Ok(())
            });
        }
        Ok(traffic)
    }

    /// How long it has been going on.
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Lets it go on until it has lasted so long.
    pub async fn until(&self, elapsed: Duration) {
        tokio::time::sleep(elapsed.saturating_sub(self.elapsed())).await;
    }

    /// The visits since then.
    pub fn since(&self, elapsed: Duration) -> Vec<Visit> {
        let visits = self.visits.lock().unwrap_or_else(PoisonError::into_inner);
        visits.iter().filter(|visit| visit.at >= elapsed).cloned().collect()
    }

    /// Ends it; all visits, in the order of their answers.
    pub async fn stop(mut self) -> Result<Vec<Visit>> {
        self.stopped.store(true, Ordering::Relaxed);
        while let Some(task) = self.tasks.join_next().await {
            task??;
        }
        let mut visits = self.visits.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(std::mem::take(&mut *visits))
    }
}
