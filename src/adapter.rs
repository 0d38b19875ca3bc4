//! The one place that speaks proxy-wasm: it hands the core what Envoy has, and applies what the
//! core decided. Compiled for Wasm only.

mod callbacks;
mod count;
mod gauges;
mod guards;
mod host;
mod response;
mod route;

use std::cell::RefCell;
use std::time::Duration;

use log::{error, info};
use proxy_wasm::hostcalls;
use proxy_wasm::types::{BufferType, Bytes, LogLevel};

use crate::guard::Sides;
use crate::{Environment, Plan, Snapshot};
use count::Counts;
use gauges::Gauges;
use guards::Guards;
use host::Host;

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Info);
}}

/// A plan at work in one worker.
struct Running {
    plan: Plan,
    counts: Counts,
    gauges: Gauges,
    guards: Guards,
    snapshot: RefCell<Snapshot>,
    /// What the guards have not yet shared, by place.
    tallies: RefCell<Vec<Sides>>,
}

impl Running {
    /// By the configuration that Envoy has for this plugin; `None`, and the mistakes in the log,
    /// where it is refused.
    fn configured() -> Option<Self> {
        if let Err(error) = host::seed_random() {
            error!("no entropy from the host: {error}");
            return None;
        }
        let plan = Plan::compile(&configuration(), &|name| std::env::var(name).ok());
        match plan {
            Ok(plan) => {
                info!("configured: {plan}");
                Some(Self::new(plan))
            }
            Err(errors) => {
                errors.to_string().lines().for_each(|line| error!("{line}"));
                None
            }
        }
    }

    fn new(plan: Plan) -> Self {
        let counts = Counts::define(&plan.metrics);
        counts.set(plan.metrics.generation, plan.generation.into());
        let guards = Guards::new(&plan);
        let snapshot = Snapshot::new(&plan, Host.now());
        let gauges = Gauges::tell(&plan, &counts, &snapshot);
        let tallies = plan.guards.iter().map(|_| Sides::default()).collect();
        let (snapshot, tallies) = (RefCell::new(snapshot), RefCell::new(tallies));
        let running = Running { plan, counts, gauges, guards, snapshot, tallies };
        running.tick();
        if running.changes() {
            host::tick_every(Duration::from_secs(1));
        }
        running
    }

    /// Whether anything of it still changes with time.
    fn changes(&self) -> bool {
        self.plan.changes(self.snapshot.borrow().now())
    }

    /// Moves on to the present.
    fn tick(&self) {
        let now = Host.now();
        let mut snapshot = self.snapshot.borrow_mut();
        snapshot.advance(&self.plan, now);
        self.gauges.renew(&self.plan, &self.counts, &snapshot);
        self.guards.share(self, &mut snapshot, now);
    }
}

/// The plugin's configuration; empty where Envoy was given none.
fn configuration() -> Bytes {
    let all = hostcalls::get_buffer(BufferType::PluginConfiguration, 0, usize::MAX);
    all.ok().flatten().unwrap_or_default()
}
