//! Requests of every kind over kept connections, and what their answers have to be.

use anyhow::Result;
use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, OnceLock, PoisonError};

use super::features::{Kind, USERS};
use crate::message::pair;
use crate::raw::Connection;

/// Counts of the requests that were sent, and of those that went wrong.
pub(super) struct Traffic {
    pub(super) sent: AtomicU64,
    pub(super) failed: AtomicU64,
    /// The first answer that was wrong.
    pub(super) first: OnceLock<String>,
    /// Answers that sent a user elsewhere than the first one did, whichever worker gave it.
    pub(super) moved: AtomicU64,
    /// The variant of each user: 0 for none yet, 1 for stable, 2 for another.
    users: Vec<AtomicU8>,
    pub(super) issued: AtomicU64,
    ids: Mutex<HashSet<[u8; ID]>>,
}

/// Bytes of an issued identity as text.
const ID: usize = 22;

impl Traffic {
    pub(super) fn new() -> Self {
        Self {
            sent: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            first: OnceLock::new(),
            moved: AtomicU64::new(0),
            users: (0..USERS).map(|_| AtomicU8::new(0)).collect(),
            issued: AtomicU64::new(0),
            ids: Mutex::default(),
        }
    }

    /// The number of different identities.
    pub(super) fn distinct(&self) -> u64 {
        self.ids.lock().unwrap_or_else(PoisonError::into_inner).len() as u64
    }

    /// Sends one request after the other over a connection, as long as their number may go on.
    pub(super) async fn ask(&self, address: SocketAddr, go_on: impl Fn(u64) -> bool) -> Result<()> {
        let mut connection = Connection::open(address, None).await?;
        let (mut request, mut kept) = (String::new(), None::<Kept>);
        loop {
            let n = self.sent.fetch_add(1, Relaxed);
            if !go_on(n) {
                self.sent.fetch_sub(1, Relaxed);
                return Ok(());
            }
            let kind = Kind::of(n, kept.is_some());
            request.clear();
            kind.write(n, kept.as_ref().map_or("", |kept| &kept.cookie), &mut request)?;
            connection.write(request.as_bytes()).await?;
            let reply = connection.read().await?;
            let [upstream, debug, set_cookie] = ["x-upstream", "x-split-debug", "set-cookie"]
                .map(|name| reply.header(name).unwrap_or_default());
            if !kind.is_answered_by(reply.status, upstream, debug) {
                self.failed.fetch_add(1, Relaxed);
                self.first.get_or_init(|| format!("{request}{reply:?}"));
            }
            match kind {
                Kind::User => self.place(n, upstream),
                Kind::New => self.count(set_cookie),
                Kind::Forged => {
                    let (cookie, upstream) = (pair(set_cookie).to_owned(), upstream.to_owned());
                    kept = Some(Kept { cookie, upstream });
                }
                Kind::Kept => {
                    let kept = kept.take().map(|kept| kept.upstream).unwrap_or_default();
                    self.moved.fetch_add(u64::from(kept != upstream), Relaxed);
                }
                _ => {}
            }
        }
    }

    fn place(&self, n: u64, upstream: &str) {
        let here = if upstream == "stable" { 1 } else { 2 };
        if let Some(place) = self.users.get(Kind::user(n)) {
            let before = place.compare_exchange(0, here, Relaxed, Relaxed);
            self.moved.fetch_add(u64::from(before.is_err_and(|known| known != here)), Relaxed);
        }
    }

    fn count(&self, set_cookie: &str) {
        self.issued.fetch_add(1, Relaxed);
        let id = set_cookie.strip_prefix("id=").and_then(|rest| rest.as_bytes().first_chunk());
        if let Some(id) = id {
            self.ids.lock().unwrap_or_else(PoisonError::into_inner).insert(*id);
        }
    }
}

/// An assignment that was kept in a cookie, and where it led.
struct Kept {
    cookie: String,
    upstream: String,
}
