//! An Envoy WebAssembly filter that splits traffic: header, cookie and percentage rules choose the
//! upstream cluster of each request, stickily by hash.
//!
//! ```text
//! configuration (JSON) ── config ──> Config ── compile ──> Plan
//!                                                           │
//! request ── Request ────────────────────────────> decide ──┴──> Decision ── outcome ──> Outcome
//!                                                                                          │
//!                                              headers, counters, cookies <── adapter ─────┘
//! ```
//!
//! Everything but `adapter` is a pure core: it knows no host, clock, randomness or log, and it cannot
//! fail once there is a [`Plan`]. The adapter, compiled for Wasm only, hands the core what Envoy has
//! and carries out the [`Outcome`]; `adapter/abi.rs` declares the host functions. Imports run one way:
//! a file never imports one that imports it.
//!
//! # Where a new thing goes
//!
//! A part of the request that conditions and keys read, such as the SNI of the TLS connection:
//! 1. `config/part.rs`: a variant of [`config::Part`], its name in messages, and one line in the table
//!    that registers it.
//! 2. `request/part.rs`: one arm of `Part::find`, the only reader of parts. Matchers, keys, the index
//!    and explanations ask it. A part that is no header, cookie or piece of the path also needs a
//!    method of [`Request`], and `adapter/request.rs` the host call behind it.
//! 3. `src/configuration.md` and `src/bin/splitctl/schema.json`: the field.
//! 4. `wasm-tests/cases/`: a case, which runs in the core and in Envoy.
//!
//! A way to split, such as by earlier weights:
//! 1. A file with the choice, as `history.rs` is, and its vectors in `wasm-tests/vectors/`.
//! 2. `split.rs`: one variant of `Picker`, and its arm in `Split::pick`.
//! 3. `config/split.rs` and `compile/split.rs`: the field that asks for it, and where it becomes that
//!    variant.
//! 4. `src/configuration.md`, `src/wire-contract.md` and the schema.
//!
//! A flag engine whose buckets a split may use:
//! 1. `engine/`: a file with its settings, its hash and its ranges, and one line in the table of
//!    `engine.rs`.
//! 2. `wasm-tests/vectors/engines.json`: assignments by another implementation, and a test beside the
//!    engine itself in `wasm-tests/tests/sdks.rs`.
//! 3. `src/configuration.md` and the schema: its settings.
//!
//! An effect on the response, such as a header with the unit of an experiment:
//! 1. `outcome.rs`: one more header in `Outcome::told`, with its `HeaderKind`, by which the adapter knows
//!    whether a later filter in the chain takes it away. `outcome/cookies.rs` has those that set cookies.
//! 2. The field that asks for it: `config.rs`, or the file of its part in `config/`, and [`Plan`] with
//!    `compile.rs`, which carry it to the outcome.
//! 3. `src/configuration.md`, the schema, and a test in `outcome/tests.rs`.
//!
//! A bound on input is a constant in [`limits`], with its reason.

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
// Items that only the adapter uses are dead natively; the lints for Wasm still find those that nobody
// uses.
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
mod baggage;
mod caching;
mod compile;
pub mod config;
mod cookie;
mod decide;
mod decision;
mod earlier;
mod ending;
mod engine;
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
mod mac;
mod matcher;
mod metrics;
mod navigation;
mod outcome;
mod overrides;
mod persist;
mod plan;
pub mod point;
mod ramp;
mod reason;
mod regex;
mod rendezvous;
mod request;
mod rerun;
mod rule;
mod snapshot;
mod sorted;
mod split;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod unit;
mod variant;

pub use assign::Unassigned;
pub use config::{Error, Errors};
pub use decide::{decide, shadows};
pub use decision::Decision;
pub use engine::{Engine, Hashed};
pub use environment::Environment;
pub use explain::{Explanation, FoundKey, Missed, Step, explain};
pub use identity::is_issued_text;
pub use metrics::{Class, Metric, MetricKind, Metrics};
pub use outcome::{Due, HeaderChange, Outcome, ResponseEffects, ResponseHeader};
pub use overrides::Override;
pub use plan::Plan;
pub use reason::Reason;
pub use request::{HeaderList, Ignored, IgnoredSet, Request};
pub use rule::Rule;
pub use snapshot::Snapshot;
pub use variant::Variant;

/// The version of the filter: the line `configured:` in Envoy's log ends with it, and `splitctl version`
/// says it.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

#[doc = include_str!("security.md")]
pub mod security {}
#[doc = include_str!("wire-contract.md")]
pub mod wire_contract {}
