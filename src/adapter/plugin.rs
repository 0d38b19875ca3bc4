//! A plan at work in one worker.

use std::cell::RefCell;
use std::time::Duration;

use log::{error, info};

use super::abi;
use super::chain::Chain;
use super::environment::{seconds, seed_random};
use super::gauges::Gauges;
use super::guards::Guards;
use super::metrics::MetricIds;
use super::rerun::Reruns;
use crate::variant::Target;
use crate::{Class, Plan, Snapshot};

/// One configuration, with the state that its requests share.
pub(super) struct Plugin {
    pub(super) plan: Plan,
    pub(super) metrics: MetricIds,
    pub(super) snapshot: RefCell<Snapshot>,
    pub(super) chain: Chain,
    /// `None` where no later run of a request has to know of the first.
    pub(super) reruns: Option<Reruns>,
    gauges: Gauges,
    guards: Guards,
}

impl Plugin {
    /// The plugin that Envoy has a configuration for; `None`, and the reasons in the log, where it is
    /// refused.
    pub(super) fn configured() -> Option<Self> {
        match Self::configure() {
            Ok(plugin) => {
                info!("configured: {}; version {}", plugin.plan, crate::VERSION);
                Some(plugin)
            }
            Err(reasons) => {
                reasons.lines().for_each(|line| error!("{line}"));
                None
            }
        }
    }

    fn configure() -> Result<Self, String> {
        // Without entropy two workers could draw alike.
        seed_random().map_err(|error| format!("no entropy from the host: {error}"))?;
        let configuration = abi::plugin_configuration()
            .map_err(|status| format!("cannot read the configuration: {status}"))?;
        let configuration = configuration.unwrap_or_default();
        let plan = Plan::compile(&configuration, &|name| std::env::var(name).ok())
            .map_err(|errors| errors.to_string())?;
        // A number that stood for another metric would be worse than no metrics.
        let metrics = MetricIds::define(&plan.metrics)?;
        Ok(Self::new(plan, metrics))
    }

    fn new(plan: Plan, metrics: MetricIds) -> Self {
        metrics.record(plan.metrics.generation, plan.generation.into());
        metrics.record(plan.metrics.version, crate::metrics::VERSION);
        // Without a clock ramps stand at their start, until it can be read.
        let snapshot = Snapshot::new(&plan, seconds().unwrap_or(0));
        let gauges = Gauges::show(&plan, &metrics, &snapshot);
        let (guards, snapshot) = (Guards::new(&plan), RefCell::new(snapshot));
        let (chain, reruns) = (Chain::join(&plan), Reruns::declare(&plan));
        let plugin = Plugin { plan, metrics, snapshot, chain, reruns, gauges, guards };
        plugin.tick();
        plugin
    }

    /// No request begins under its configuration any more.
    pub(super) fn end(&self) {
        self.chain.leave();
        self.gauges.end();
    }

    /// The time between two ticks; 0 if nothing of it changes with time. A ramp that is over is looked
    /// at now and then: its end may have come by a clock that ran ahead, and that is set back.
    pub(super) fn period(&self) -> Duration {
        match self.plan.changes(self.snapshot.borrow().now()) {
            true => Duration::from_secs(1),
            false if self.plan.ramps.is_empty() => Duration::ZERO,
            false => Duration::from_secs(60),
        }
    }

    /// Moves ramps and guards on to the present. Without a clock they stay as they are.
    pub(super) fn tick(&self) {
        let Ok(now) = seconds() else { return };
        let mut snapshot = self.snapshot.borrow_mut();
        snapshot.advance(&self.plan, now);
        self.guards.share(&self.plan, &mut snapshot, now);
        self.gauges.renew(&self.plan, &self.metrics, &snapshot);
    }

    /// Counts a response, or a reset; `latency` is in milliseconds, from the request's last byte to the
    /// response's headers.
    pub(super) fn observe(&self, target: &Target, class: Class, latency: Option<u64>) {
        self.metrics.increment(target.metrics.response(class));
        if let Some(latency) = latency.filter(|_| class != Class::Reset) {
            self.metrics.record(target.metrics.latency, latency);
        }
        // An error counts also where nobody knows how long it took.
        self.guards.observe(&self.plan, target, class.is_error(), latency);
    }
}
