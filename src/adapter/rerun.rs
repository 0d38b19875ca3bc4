//! Later runs of a request. At the end of a run that is followed by another, the adapter hands over
//! what [`FirstRun`] holds, in a property of the request: its next run proves itself by it, since no
//! client can set one. The property is read only if the request is one that this worker awaits.

use log::{error, warn};

use super::abi::{self, Status};
use super::vm::{Vm, plugin_id};
use crate::header_map::HeaderMap;
use crate::limits;
use crate::plan::Plan;
use crate::rerun::{FirstRun, hint};

/// The name of the property by which the runs of one plugin know each other.
pub(super) struct Reruns(String);

impl Reruns {
    /// Declares the property; `None` where no later run has to know of the first.
    pub(super) fn declare(plan: &Plan) -> Option<Self> {
        if !plan.reruns_matter {
            return None;
        }
        let name = format!("tsplit.run.{:016x}", plugin_id());
        match abi::declare_request_property(&name) {
            // An earlier configuration of the plugin has declared it.
            Ok(()) | Err(Status::BAD_ARGUMENT) => {}
            Err(status) => {
                warn!("a request that Envoy runs again is decided anew: {status}");
            }
        }
        Some(Reruns(name))
    }

    /// The first run of the request with these headers; `None` if this is its first.
    #[cold]
    pub(super) fn first_run(&self, headers: &HeaderMap) -> Option<FirstRun> {
        let hint = hint(headers);
        let place = Vm::with(|vm| vm.reruns.iter().position(|known| *known == hint))?;
        // A property that cannot be read proves nothing: this is then a request like any other.
        let bytes = abi::property(&self.0).ok()??;
        Vm::with(|vm| vm.reruns.remove(place));
        FirstRun::from_bytes(&bytes)
    }

    /// Whether this worker awaits any later run.
    pub(super) fn are_awaited(&self) -> bool {
        Vm::with(|vm| !vm.reruns.is_empty())
    }

    /// Hands a run over to the next one.
    #[cold]
    pub(super) fn hand_over(&self, plan: &Plan, run: &FirstRun) {
        if let Err(status) = abi::set_property(&self.0, &run.to_bytes(&plan.own_headers())) {
            error!("a request that Envoy runs again is decided anew: {status}");
            return;
        }
        Vm::with(|vm| {
            let spare = vm.reruns.len().saturating_sub(limits::RERUNS.saturating_sub(1));
            vm.reruns.drain(..spare);
            vm.reruns.push(hint(&run.headers));
        });
    }
}
