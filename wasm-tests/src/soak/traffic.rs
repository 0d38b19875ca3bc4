//! Requests of every kind over kept connections, and what their answers have to be.

use anyhow::{Context, Result, ensure};
use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, OnceLock, PoisonError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::features::{Kind, USERS};
use crate::upstream::end_of_head;

/// What was sent, and what of it went wrong.
pub(super) struct Traffic {
    pub(super) sent: AtomicU64,
    pub(super) failed: AtomicU64,
    /// The first answer that was wrong.
    pub(super) first: OnceLock<String>,
    /// Answers that sent a user elsewhere than the first one did, whichever worker gave it.
    pub(super) moved: AtomicU64,
    /// By user: 0 for not yet, 1 for stable, 2 for anything else.
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

    /// How many identities differ from all others.
    pub(super) fn distinct(&self) -> u64 {
        self.ids.lock().unwrap_or_else(PoisonError::into_inner).len() as u64
    }

    /// Sends one request after the other over a connection, as long as their number may go on.
    pub(super) async fn ask(&self, address: SocketAddr, go_on: impl Fn(u64) -> bool) -> Result<()> {
        let mut connection = Connection::open(address).await?;
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
            let answer = connection.send(request.as_bytes()).await?;
            if !kind.is_answered_by(answer.status, answer.upstream, answer.debug) {
                self.failed.fetch_add(1, Relaxed);
                self.first.get_or_init(|| format!("{request}{}", answer.head));
            }
            match kind {
                Kind::User => self.place(n, answer.upstream),
                Kind::New => self.count(answer.set_cookie),
                Kind::Forged => {
                    let pair = answer.set_cookie.split(';').next().unwrap_or_default();
                    let (cookie, upstream) = (pair.to_owned(), answer.upstream.to_owned());
                    kept = Some(Kept { cookie, upstream });
                }
                Kind::Kept => {
                    let kept = kept.take().map(|kept| kept.upstream).unwrap_or_default();
                    self.moved.fetch_add(u64::from(kept != answer.upstream), Relaxed);
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

/// As much of HTTP/1.1 as these answers need: to measure the server, not the client.
struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// What is looked at of an answer; empty where it is not there.
struct Answer<'a> {
    head: &'a str,
    status: u16,
    upstream: &'a str,
    debug: &'a str,
    set_cookie: &'a str,
}

impl Connection {
    async fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::with_capacity(4096) })
    }

    async fn send(&mut self, request: &[u8]) -> Result<Answer<'_>> {
        self.stream.write_all(request).await?;
        self.buffer.clear();
        let head = loop {
            ensure!(self.stream.read_buf(&mut self.buffer).await? > 0, "Envoy hung up");
            if let Some(end) = end_of_head(&self.buffer) {
                break end;
            }
        };
        let text = std::str::from_utf8(self.buffer.get(..head).unwrap_or_default())?;
        let whole = head + field(text, "content-length").parse::<usize>().unwrap_or(0);
        while self.buffer.len() < whole {
            ensure!(self.stream.read_buf(&mut self.buffer).await? > 0, "Envoy hung up");
        }
        let text = std::str::from_utf8(self.buffer.get(..head).unwrap_or_default())?;
        let status = text.get(9..12).context("no status")?.parse()?;
        let [upstream, debug, set_cookie] =
            ["x-upstream", "x-split-debug", "set-cookie"].map(|name| field(text, name));
        Ok(Answer { head: text, status, upstream, debug, set_cookie })
    }
}

/// The first field of this name; Envoy writes names in lower case.
fn field<'a>(head: &'a str, name: &str) -> &'a str {
    let value = |line: &'a str| line.strip_prefix(name)?.strip_prefix(": ");
    head.split("\r\n").find_map(value).unwrap_or_default()
}
