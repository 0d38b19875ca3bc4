//! Users who keep asking while something changes, and where each request went.

use crate::client::{Client, Protocol};
use crate::message::Request;
use anyhow::Result;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

/// The name for Envoy itself, where no upstream answered.
pub const ENVOY: &str = "envoy";

/// One request and its answer.
#[derive(Clone, Debug)]
pub struct Visit {
    /// When it was sent, since the first.
    pub at: Duration,
    /// The number of the connection.
    pub connection: usize,
    /// The number of the user.
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

/// A user's request: `/reviews/1`, with the header `x-user-id`.
pub fn request(user: usize) -> Request {
    Request::get("/reviews/1").with("x-user-id", format!("user-{user}").as_str())
}

impl Traffic {
    /// Starts it over so many connections, each of which sends a request `every` so often: those
    /// of `users` users in turn.
    pub async fn start(
        address: SocketAddr,
        connections: usize,
        every: Duration,
        users: usize,
        request: impl Fn(usize) -> Request + Clone + Send + Sync + 'static,
    ) -> Result<Self> {
        let (visits, stopped) =
            (Arc::<Mutex<Vec<Visit>>>::default(), Arc::new(AtomicBool::new(false)));
        let (started, next) = (Instant::now(), Arc::new(AtomicUsize::new(0)));
        let mut tasks = JoinSet::new();
        for connection in 0..connections {
            let mut client = Client::connect(Protocol::Http1, address).await?;
            let (visits, stopped) = (Arc::clone(&visits), Arc::clone(&stopped));
            let (next, request) = (Arc::clone(&next), request.clone());
            tasks.spawn(async move {
                let mut pace = tokio::time::interval(every);
                pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
                while !stopped.load(Ordering::Relaxed) {
                    pace.tick().await;
                    let user = next.fetch_add(1, Ordering::Relaxed) % users;
                    let at = started.elapsed();
                    let reply = client.send(&request(user)).await?;
                    let upstream = reply.upstream().unwrap_or(ENVOY).to_owned();
                    let visit = Visit { at, connection, user, upstream, status: reply.status };
                    visits.lock().unwrap_or_else(PoisonError::into_inner).push(visit);
                }
                Ok(())
            });
        }
        Ok(Self { started, visits, stopped, tasks })
    }

    /// Users who ask for `/reviews/1` over so many connections, 200 times a second on each.
    pub async fn reviews(address: SocketAddr, connections: usize, users: usize) -> Result<Self> {
        Self::start(address, connections, Duration::from_millis(5), users, request).await
    }

    /// The time since it was started.
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
