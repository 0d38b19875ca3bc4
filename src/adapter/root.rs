//! Configurations, as Envoy begins, updates and ends them.

use std::rc::Rc;
use std::time::Duration;

use log::error;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::ContextType;

use super::abi;
use super::plugin::Plugin;
use super::stream::Stream;

/// The root context of one configuration in one VM.
#[derive(Default)]
pub(super) struct Root {
    /// `None` until a configuration is taken.
    plugin: Option<Rc<Plugin>>,
    /// The time between two ticks; 0 for none.
    period: Duration,
}

impl Context for Root {}

impl RootContext for Root {
    /// Runs in a canary VM on Envoy's main thread first, then once in every worker. Where it answers
    /// false to an update, Envoy keeps the old configuration.
    fn on_configure(&mut self, _size: usize) -> bool {
        let Some(plugin) = Plugin::configured() else { return false };
        let period = plugin.period();
        if let Some(old) = self.plugin.replace(Rc::new(plugin)) {
            old.end();
        }
        self.tick_every(period);
        true
    }

    /// Runs about once a second, while anything of the plan changes with time.
    fn on_tick(&mut self) {
        if let Some(plugin) = &self.plugin {
            plugin.tick();
            let period = plugin.period();
            self.tick_every(period);
        }
    }

    fn create_http_context(&self, _context: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Stream::new(self.plugin.clone())))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

/// The SDK drops a root context when Envoy has ended its configuration. Envoy does not end its timer,
/// which would go off for ever.
impl Drop for Root {
    fn drop(&mut self) {
        if let Some(plugin) = self.plugin.take() {
            plugin.end();
            self.tick_every(Duration::ZERO);
        }
    }
}

impl Root {
    fn tick_every(&mut self, period: Duration) {
        if period == self.period {
            return;
        }
        self.period = period;
        if let Err(status) = abi::set_tick_period(period) {
            error!("no timer from the host, so ramps and guards stand still: {status}");
        }
    }
}
