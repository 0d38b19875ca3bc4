//! Many users who ask all the time while the weights of a route change, and what each of them saw.

use anyhow::{Context, Result, ensure};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;
use traffic_split::testing::FixedEnvironment;
use traffic_split::{Outcome, Plan, Snapshot};
use wasm_tests::bootstrap::POINT_HEADER;
use wasm_tests::client::{Client, Protocol};
use wasm_tests::istio::proxy::Proxy;
use wasm_tests::istio::weights::{Change, Watch};
use wasm_tests::message::{Reply, Request, pair};
use wasm_tests::native;
use wasm_tests::route::entry;
use wasm_tests::wait::eventually;

/// The users with a cookie of their own.
pub const USERS: usize = 10_000;
/// The requests that are under way at once.
pub const CONNECTIONS: usize = 16;
/// The time between two requests over one connection.
const EVERY: Duration = Duration::from_millis(8);
/// One request in so many is the first of a new user, and as many are later ones of such users.
const NEWCOMER: usize = 10;
/// The upstream that stands for the canary.
const CANARY: &str = "v3";

/// An answer.
#[derive(Clone, Copy, Debug)]
struct Visit {
    sent: Duration,
    answered: Duration,
    user: usize,
    canary: bool,
}

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

/// What they saw.
pub struct Seen {
    visits: Vec<Visit>,
    issued: BTreeMap<usize, String>,
    changes: Vec<Change>,
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
                None => self::user(&self.request, user),
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

/// A request of the user of this number.
pub fn user(request: &Request, number: usize) -> Request {
    request.clone().with("cookie", format!("uid=user-{number}").as_str())
}

/// The number that the native core writes for a request.
pub fn point(plan: &Plan, request: &Request) -> Result<u64> {
    let snapshot = Snapshot::new(plan, 0);
    let mut environment = FixedEnvironment::default();
    let request = native::request(request);
    let outcome = Outcome::decide(plan, &snapshot, &request, &mut environment);
    let mut changes = outcome.request_headers();
    let written = changes.find(|change| change.name == POINT_HEADER).context("no such header")?;
    Ok(std::str::from_utf8(written.value.context("it is removed")?)?.parse()?)
}

/// Whether Envoy's arithmetic sends this point to the canary, which has so many percent and stands
/// last.
pub fn goes_to_canary(point: u64, percent: u32) -> bool {
    entry(point, &[("stable", 100 - percent), ("canary", percent)]) == "canary"
}

/// The time that Envoy's workers may take a new route after each other.
const APART: Duration = Duration::from_millis(500);

impl Seen {
    /// The weights that a request may have met.
    fn met(&self, visit: &Visit) -> impl Iterator<Item = u32> {
        let ends = self.changes.iter().skip(1).map(|next| next.after + APART);
        let ends = ends.chain([Duration::MAX]);
        let (sent, answered) = (visit.sent, visit.answered);
        let during = self.changes.iter().zip(ends);
        during
            .filter(move |(change, end)| change.before <= answered && sent <= *end)
            .map(|(change, _)| change.canary)
    }

    /// The time up to which the canary only grew.
    fn grew(&self) -> Duration {
        let falls = self.changes.windows(2).find(|two| two[1].canary < two[0].canary);
        falls.map_or(Duration::MAX, |two| two[1].before)
    }

    /// The users who were in the canary and left it while it grew.
    pub fn flipped(&self) -> usize {
        let grew = self.grew();
        let mut last = BTreeMap::<usize, bool>::new();
        let mut flipped = std::collections::BTreeSet::new();
        for visit in self.visits.iter().filter(|visit| visit.answered < grew) {
            if last.insert(visit.user, visit.canary) == Some(true) && !visit.canary {
                flipped.insert(visit.user);
            }
        }
        flipped.len()
    }

    /// Every answer, the first of each new user included, is from where the native core's number
    /// leads at the weight of that time. A line for each weight.
    pub fn is_what_the_core_says(&self, plan: &Plan, request: &Request) -> Result<Vec<String>> {
        let mut points = BTreeMap::new();
        for number in 0..USERS {
            points.insert(number, point(plan, &user(request, number))?);
        }
        for (number, cookie) in &self.issued {
            let asked = request.clone().with("cookie", cookie.as_str());
            points.insert(*number, point(plan, &asked)?);
        }
        let mut lines = Vec::new();
        let mut asked = BTreeMap::<u32, BTreeMap<usize, bool>>::new();
        for visit in &self.visits {
            let point = points.get(&visit.user).context("a new user was issued no cookie")?;
            let met: Vec<_> = self.met(visit).collect();
            let led = met.iter().any(|percent| goes_to_canary(*point, *percent) == visit.canary);
            ensure!(led, "{visit:?} with {point} at {met:?} percent");
            if let [percent] = met.as_slice() {
                asked.entry(*percent).or_default().insert(visit.user, visit.canary);
            }
        }
        for (percent, users) in asked {
            let canary = users.values().filter(|canary| **canary).count();
            let new = users.keys().filter(|user| **user >= USERS).count();
            let (users, share) = (users.len(), 100.0 * canary as f64 / users.len() as f64);
            lines.push(format!(
                "{percent:3} %: {users} users, {new} of them new; {canary} in the canary, {share:.2} %"
            ));
        }
        Ok(lines)
    }

    /// The number of requests.
    pub fn count(&self) -> usize {
        self.visits.len()
    }

    /// The number of new users.
    pub fn newcomers(&self) -> usize {
        self.issued.len()
    }

    /// The weights that the canary had, in their order.
    pub fn weights(&self) -> Vec<u32> {
        self.changes.iter().map(|change| change.canary).collect()
    }
}
