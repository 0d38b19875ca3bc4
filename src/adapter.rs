//! The one place that speaks proxy-wasm: it hands the core what Envoy has, and applies what the
//! core decided. Compiled for Wasm only.

mod count;
mod guards;
mod host;
mod stream;
mod weights;

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use log::{error, info};
use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{BufferType, Bytes, ContextType, LogLevel};

use crate::guard::Sides;
use crate::{Ambient, Errors, Moment, Plan};
use count::Counts;
use guards::Guards;
use host::Host;
use stream::Stream;
use weights::Weights;

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Info);
    proxy_wasm::set_root_context(|_| Box::new(Root::default()));
}}

/// One plugin configuration. Plugins of one module share a VM, each with a root of its own.
#[derive(Default)]
struct Root {
    running: Option<Rc<Running>>,
    guards: Guards,
}

/// A plan at work in one worker.
struct Running {
    plan: Plan,
    counts: Counts,
    weights: Weights,
    moment: RefCell<Moment>,
    /// What the guards have not yet shared, by place.
    tallies: RefCell<Vec<Sides>>,
}

impl Context for Root {}

impl RootContext for Root {
    /// Runs in a canary VM on Envoy's main thread first, then once in every worker. Where it
    /// answers false to an update, Envoy keeps the old configuration.
    fn on_configure(&mut self, _size: usize) -> bool {
        if let Err(error) = host::seed_random() {
            error!("no entropy from the host: {error}");
            return false;
        }
        let config = configuration();
        let plan = Plan::compile(&config, &|name| std::env::var(name).ok());
        match plan.and_then(seen_whole) {
            Ok(plan) => {
                info!("configured: {plan}");
                self.run(plan);
                true
            }
            Err(errors) => {
                errors.to_string().lines().for_each(|line| error!("{line}"));
                false
            }
        }
    }

    /// About once a second, where a plan has ramps or guards.
    fn on_tick(&mut self) {
        if let Some(running) = &self.running {
            let now = Host.now();
            let mut moment = running.moment.borrow_mut();
            moment.advance(&running.plan, now);
            running.weights.renew(&running.plan, &running.counts, &moment);
            self.guards.share(running, &mut moment, now);
        }
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }

    fn create_http_context(&self, _context_id: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Stream::new(self.running.clone())))
    }
}

/// Refuses what needs the response in a module that sees only requests.
fn seen_whole(plan: Plan) -> Result<Plan, Errors> {
    let mut errors = Errors::default();
    if !host::sees_responses() {
        for path in plan.response_fields() {
            errors.forbidden(&path, "needs the response: load traffic_split.wasm, which sees it");
        }
    }
    if errors.is_empty() { Ok(plan) } else { Err(errors) }
}

/// The plugin's configuration; empty where Envoy was given none.
fn configuration() -> Bytes {
    let all = hostcalls::get_buffer(BufferType::PluginConfiguration, 0, usize::MAX);
    all.ok().flatten().unwrap_or_default()
}

impl Root {
    fn run(&mut self, plan: Plan) {
        let counts = Counts::define(&plan.meters);
        counts.set(plan.meters.generation, plan.generation.into());
        self.guards = Guards::new(&plan);
        let moment = Moment::new(&plan, Host.now());
        let weights = Weights::tell(&plan, &counts, &moment);
        let tallies = plan.guards.iter().map(|_| Sides::default()).collect();
        if plan.changes() && hostcalls::set_tick_period(Duration::from_secs(1)).is_err() {
            error!("no timer from the host: ramps and guards stand still");
        }
        let (moment, tallies) = (RefCell::new(moment), RefCell::new(tallies));
        self.running = Some(Rc::new(Running { plan, counts, weights, moment, tallies }));
        self.on_tick();
    }
}
