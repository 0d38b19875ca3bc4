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
mod compile;
pub mod config;
mod cookie;
mod decide;
mod environment;
mod explain;
pub mod guard;
mod header_map;
mod history;
mod identity;
mod index;
mod key;
mod layer;
pub mod limits;
mod matcher;
mod metrics;
mod outcome;
mod plan;
mod ramp;
mod reason;
mod rendezvous;
mod request;
mod rule;
mod snapshot;
mod sorted;
mod split;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod variant;

pub use assign::Unassigned;
pub use config::{Error, Errors};
pub use decide::{Decision, decide, shadows};
pub use environment::Environment;
pub use explain::{Explanation, FoundKey, Missed, Step, explain};
pub use metrics::{Class, Metric, MetricKind, Metrics};
pub use outcome::{HeaderChange, Outcome, ResponseEffects, ResponseHeader};
pub use plan::Plan;
pub use reason::Reason;
pub use request::{HeaderList, Ignored, IgnoredSet, Request};
pub use rule::Rule;
pub use snapshot::Snapshot;
pub use variant::Variant;

#[doc = include_str!("security.md")]
pub mod security {}
#[doc = include_str!("wire-contract.md")]
pub mod wire_contract {}
