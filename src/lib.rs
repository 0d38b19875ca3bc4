//! An Envoy WebAssembly filter that splits traffic: header, cookie and percentage rules choose the
//! upstream cluster of each request, stickily by hash.
//!
//! ```text
//! configuration (JSON) ── config ──> Config ── plan/compile ──> Plan
//!                                                                │
//! request ── Request (trait) ─────────────────────────> decide ──┴─> Decision ── effect ──> headers
//! ```
//!
//! Everything but `adapter` is a pure core: it knows no host, clock, randomness or log, and cannot
//! fail once there is a [`Plan`]. The adapter, compiled for Wasm only, is all that speaks
//! proxy-wasm. A new condition goes into `config/condition` and `matcher`, a new source of sticky
//! keys into `config/rule` and `key`, a new effect into `effect`; a bound on input into [`limits`].

#![deny(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::todo,
    clippy::unimplemented,
    clippy::unreachable,
    clippy::unwrap_used
)]
// What only the adapter uses is dead natively; the lints for Wasm still tell what nobody uses.
#![cfg_attr(not(target_arch = "wasm32"), allow(dead_code))]
#![cfg_attr(
    test,
    allow(
        clippy::arithmetic_side_effects,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::string_slice,
        clippy::unwrap_used
    )
)]

#[cfg(target_arch = "wasm32")]
mod adapter;
mod assign;
pub mod config;
mod cookie;
mod decide;
mod effect;
mod environment;
mod explain;
pub mod guard;
mod header_map;
mod history;
mod identity;
mod key;
mod layer;
pub mod limits;
mod matcher;
mod metrics;
mod plan;
mod ramp;
mod request;
mod snapshot;
mod sorted;
mod split;

pub use assign::Unassigned;
pub use config::{Error, Errors};
pub use decide::{Decision, Reason, decide, shadows};
pub use effect::{Cookies, Effect, cookies, effects};
pub use environment::Environment;
pub use explain::{Explanation, FoundKey, Missed, Step, explain};
pub use metrics::{Class, Ignored, Metric, MetricKind, Metrics};
pub use plan::{Plan, Rule, Variant};
pub use request::Request;
pub use snapshot::Snapshot;

#[doc = include_str!("security.md")]
pub mod security {}
#[doc = include_str!("wire-contract.md")]
pub mod wire_contract {}
