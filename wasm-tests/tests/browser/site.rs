//! A site with pages, scripts, styles, images and calls, each of which says which variant made it.

use anyhow::{Context, Result, ensure};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE};
use hyper::service::service_fn;
use hyper::{HeaderMap, Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use serde_json::Value;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;
use wasm_tests::browser::Browser;
use wasm_tests::native::ENVIRONMENT;
use wasm_tests::updated::Updated;
use wasm_tests::upstream::Upstream;
use wasm_tests::wait::eventually;

/// The requests that the variants have had: path, and `Sec-Purpose`.
type Seen = Arc<Mutex<Vec<(String, String)>>>;

/// A site of the variants `stable` and `next` behind an Envoy, and a browser before it.
pub struct Site {
    pub browser: Browser,
    pub envoy: Updated,
    seen: Seen,
}

impl Site {
    /// Starts all of it; none where there is no browser.
    pub async fn start(configuration: &Value) -> Result<Option<Self>> {
        let Some(browser) = Browser::start().await? else { return Ok(None) };
        let seen = Seen::default();
        let mut upstreams = BTreeMap::new();
        for name in ["stable", "next"] {
            upstreams.insert(name.to_owned(), variant(name, Arc::clone(&seen)).await?);
        }
        let envoy = Updated::before(configuration, &ENVIRONMENT, upstreams).await?;
        Ok(Some(Self { browser, envoy, seen }))
    }

    /// Changes the configuration, and waits until the browser's connections have ended: they are of the
    /// old one to their end.
    pub async fn update(&mut self, configuration: &Value) -> Result<()> {
        self.envoy.update(configuration, &ENVIRONMENT).await?;
        eventually("the end of the old connections", async || {
            let stats = self.envoy.envoy().stats_like(DRAINING).await?;
            ensure!(!stats.is_empty() && stats.values().all(|count| *count == 0), "{stats:?}");
            Ok(())
        })
        .await
    }

    /// Navigates to a path.
    pub async fn open(&mut self, path: &str) -> Result<()> {
        let url = format!("http://{}{path}", self.envoy.address()?);
        self.browser.open(&url).await
    }

    /// Waits until a page is there in full whose `what` (an expression of JavaScript) is this.
    pub async fn comes(&mut self, what: &str, expected: &str) -> Result<()> {
        let script = format!("return document.readyState + ' ' + {what}");
        eventually("the page", async || {
            let page = self.browser.run(&script).await?;
            ensure!(page == format!("complete {expected}"), "{page}, not {expected}");
            Ok(())
        })
        .await
    }

    /// The variants of the page in front and of the parts that came with it.
    pub async fn parts(&mut self) -> Result<Vec<String>> {
        texts(&self.browser.run(PARTS).await?)
    }

    /// The variants of parts that the page in front asks for now.
    pub async fn late_parts(&mut self) -> Result<Vec<String>> {
        texts(&self.browser.run(LATE_PARTS).await?)
    }

    /// The `Sec-Purpose` of the requests for this path, in order.
    pub fn purposes(&self, path: &str) -> Vec<String> {
        let seen = self.seen.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let asked = seen.iter().filter(|(known, _)| known == path);
        asked.map(|(_, purpose)| purpose.clone()).collect()
    }
}

/// The parts of listeners that are gone but for their connections.
const DRAINING: &str = "listener_manager.total_.*draining";

fn texts(value: &Value) -> Result<Vec<String>> {
    let texts = value.as_array().context("no list")?;
    Ok(texts.iter().map(|text| text.as_str().unwrap_or_default().to_owned()).collect())
}

/// What `/app.js` left, the title, and what the style, the image and the page inside say.
const PARTS: &str = r#"
    const style = getComputedStyle(document.body).getPropertyValue("--variant").trim();
    const image = document.querySelector("img").naturalWidth;
    const inside = document.querySelector("iframe").contentDocument.title;
    return [document.title, window.script, style, image === 60 ? "stable" : "next", inside];
"#;

/// A call, a module, an image and a page inside, none of which the page has asked for before.
const LATE_PARTS: &str = r#"
    const once = "?" + Math.random();
    const call = await (await fetch("/call" + once)).text();
    const module = (await import("/late.js" + once)).default;
    const loads = (part, url) => new Promise((loaded, fails) => {
        Object.assign(part, { src: url + once, onload: loaded, onerror: fails });
        document.body.append(part);
    });
    const image = new Image();
    await loads(image, "/image.svg");
    const frame = document.createElement("iframe");
    await loads(frame, "/frame");
    const inside = frame.contentDocument.title;
    return [call, module, image.naturalWidth === 60 ? "stable" : "next", inside];
"#;

/// A server of one variant.
async fn variant(name: &'static str, seen: Seen) -> Result<Upstream> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let seen = Arc::clone(&seen);
            let answer = service_fn(move |request| {
                note(&request, &seen);
                async move { Ok::<_, Infallible>(answer(name, request.uri().path())) }
            });
            tokio::spawn(async move {
                let builder = Builder::new(TokioExecutor::new());
                // An error here is the peer's end of the connection.
                let _ = builder.serve_connection(TokioIo::new(stream), answer).await;
            });
        }
    });
    Ok(Upstream::elsewhere(address))
}

fn note(request: &Request<Incoming>, seen: &Seen) {
    let purpose = |headers: &HeaderMap| {
        let purpose = headers.get("sec-purpose").and_then(|value| value.to_str().ok());
        purpose.unwrap_or_default().to_owned()
    };
    if let Ok(mut seen) = seen.lock() {
        seen.push((request.uri().path().to_owned(), purpose(request.headers())));
    }
}

fn answer(name: &str, path: &str) -> Response<Full<Bytes>> {
    let (kind, body) = match path {
        "/app.js" => ("text/javascript", format!("window.script = '{name}';")),
        "/late.js" => ("text/javascript", format!("export default '{name}';")),
        "/style.css" => ("text/css", format!("body {{ --variant: {name}; }}")),
        "/image.svg" => ("image/svg+xml", image(name.len() * 10)),
        "/call" => ("text/plain", name.to_owned()),
        "/frame" => ("text/html", format!("<!doctype html><title>{name}</title>")),
        _ => ("text/html", page(name)),
    };
    let response = Response::builder().header(CONTENT_TYPE, kind).header(CACHE_CONTROL, "no-store");
    response.body(Full::from(body)).unwrap_or_default()
}

/// An image of this width. The name of `stable` has six letters.
fn image(width: usize) -> String {
    format!("<svg xmlns='http://www.w3.org/2000/svg' width='{width}' height='10'></svg>")
}

fn page(name: &str) -> String {
    format!(
        "<!doctype html><meta charset=utf-8><title>{name}</title><link rel=icon href='data:,'>\
         <link rel=stylesheet href=/style.css><body><script src=/app.js></script>\
         <img src=/image.svg><iframe src=/frame></iframe>\
         <form method=post action=/form></form><a href=/ahead>ahead</a>"
    )
}
