//! Many users who ask all the time while the weights of a route change. [`crate::seen`] is what they
//! saw.

use crate::seen::{self, Seen, USERS, Visit};
use anyhow::{Result, ensure};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;
use wasm_tests::client::{Client, Protocol};
use wasm_tests::istio::proxy::Proxy;
use wasm_tests::istio::weights::Watch;
use wasm_tests::message::{Reply, Request, pair};
use wasm_tests::wait::eventually;

/// The requests that are under way at once.
const CONNECTIONS: usize = 16;
/// The time between two requests over one connection.
const EVERY: Duration = Duration::from_millis(8);
/// One request in so many is the first of a new user, and as many are later ones of such users.
const NEWCOMER: usize = 10;
/// The upstream that stands for the canary.
const CANARY: &str = "v3";

/// The answers of one connection.
#[derive(Default)]
struct Visits {
    visits: Vec<Visit>,
    /// The cookies of new users, whose numbers begin after those of all others.
    issued: BTreeMap<usize, String>,
    failed: Vec<String>,
}

/// Users who ask until they are stopped.
pub struct Crowd {
    watch: Watch,
    stopped: Arc<AtomicBool>,
    /// The requests of each connection that were for its own users.
    asked: Vec<Arc<AtomicUsize>>,
    tasks: JoinSet<Result<Visits>>,
}

impl Crowd {
    /// Starts to ask; the weights are those of this virtual host.
    pub async fn start(
        proxy: &Proxy,
        virtual_host: &str,
        address: SocketAddr,
        request: &Request,
    ) -> Result<Self> {
        let started = Instant::now();
        let stopped = Arc::new(AtomicBool::new(false));
        let asked: Vec<Arc<AtomicUsize>> = (0..CONNECTIONS).map(|_| Arc::default()).collect();
        let mut tasks = JoinSet::new();
        for (number, asked) in asked.iter().enumerate() {
            let client = Client::connect(Protocol::Http1, address).await?;
            let connection = Connection {
                number,
                request: request.clone(),
                started,
                stopped: Arc::clone(&stopped),
                asked: Arc::clone(asked),
            };
            tasks.spawn(connection.ask(client));
        }
        Ok(Self { watch: Watch::start(proxy, virtual_host, started), stopped, asked, tasks })
    }

    /// Waits until the canary has this weight.
    pub async fn has(&self, percent: u32) -> Result<()> {
        eventually("the weight", async || {
            let changes = self.watch.changes();
            ensure!(changes.last().is_some_and(|last| last.canary == percent), "{changes:?}");
            Ok(())
        })
        .await
    }

    /// Waits until every user with a cookie of their own has asked once more.
    pub async fn everyone_asks(&self) -> Result<()> {
        let asked = || self.asked.iter().map(|count| count.load(Ordering::Relaxed));
        let before: Vec<_> = asked().collect();
        // Its own users, in turn, and the one that was under way.
        let round = USERS / CONNECTIONS + 1;
        eventually("a round of all users", async || {
            let rest = asked().zip(&before).filter(|(now, before)| *now < **before + round).count();
            ensure!(rest == 0, "{rest} connections have not asked for all their users");
            Ok(())
        })
        .await
    }

    /// Ends it; an error if a request failed.
    pub async fn stop(mut self) -> Result<Seen> {
        self.stopped.store(true, Ordering::Relaxed);
        let mut all = Visits::default();
        while let Some(task) = self.tasks.join_next().await {
            let visits = task??;
            all.visits.extend(visits.visits);
            all.issued.extend(visits.issued);
            all.failed.extend(visits.failed);
        }
        let (failed, first) = (all.failed.len(), all.failed.first());
        ensure!(failed == 0, "{failed} of {} requests failed: {first:?}", all.visits.len());
        // Those of one connection, and so those of each user, are in their order already.
        all.visits.sort_by_key(|visit| visit.sent);
        Ok(Seen { visits: all.visits, issued: all.issued, changes: self.watch.changes() })
    }
}

/// A connection, which asks for its own part of the users in turn.
struct Connection {
    number: usize,
    request: Request,
    started: Instant,
    stopped: Arc<AtomicBool>,
    asked: Arc<AtomicUsize>,
}

impl Connection {
    async fn ask(self, mut client: Client) -> Result<Visits> {
        let mut all = Visits::default();
        let mut pace = tokio::time::interval(EVERY);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut returning = Vec::new();
        let (mut known, mut next) = (self.number, USERS + self.number);
        for n in 0.. {
            if self.stopped.load(Ordering::Relaxed) {
                break;
            }
            pace.tick().await;
            let user = match n % NEWCOMER {
                0 => next,
                1 if !returning.is_empty() => returning[n * 7 % returning.len()],
                _ => {
                    let user = known;
                    known += CONNECTIONS;
                    if known >= USERS {
                        known = self.number;
                    }
                    self.asked.fetch_add(1, Ordering::Relaxed);
                    user
                }
            };
            let asked = match all.issued.get(&user) {
                Some(cookie) => self.request.clone().with("cookie", cookie.as_str()),
                None if user == next => self.request.clone(),
                None => seen::user(&self.request, user),
            };
            let sent = self.started.elapsed();
            let reply = client.send(&asked).await?;
            let answered = self.started.elapsed();
            let Some(upstream) = reply.upstream().filter(|_| reply.status == 200) else {
                all.failed.push(format!("{asked:?}: {reply:?}"));
                continue;
            };
            all.visits.push(Visit { sent, answered, user, canary: upstream == CANARY });
            if user == next {
                if let Some(cookie) = issued(&reply) {
                    all.issued.insert(user, cookie);
                    returning.push(user);
                }
                next += CONNECTIONS;
            }
        }
        Ok(all)
    }
}

fn issued(reply: &Reply) -> Option<String> {
    reply.header("set-cookie").map(|cookie| pair(cookie).to_owned())
}
