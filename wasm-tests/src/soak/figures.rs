//! The figures of a soak, and whether they are good.

use std::fmt;

use super::{Memory, Scale};

// When memory was taken.
pub(super) const WARM: &str = "warm";
pub(super) const HALF: &str = "half the requests";
pub(super) const TENTH: &str = "a tenth of the updates";
pub(super) const UPDATED: &str = "all updates";
pub(super) const END: &str = "the end";

/// KiB that Envoy 1.40 may keep of an update, for good, on each thread that has a VM: the workers
/// and the main one. It keeps 0.24 of whatever Wasm filter (what to do about that configuration
/// if its VM fails), and 0.37 of one that asks for ticks (the timer). What this is to catch,
/// metrics defined anew each time, was 3.4.
const ENVOYS_OWN: f64 = 0.75;
/// Over which memory has to be flat.
const SPANS: [(&str, &str); 3] = [(WARM, HALF), (TENTH, UPDATED), (UPDATED, END)];

/// The figures of a soak.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    /// Requests answered, over all.
    pub requests: u64,
    /// Requests whose answer was not that of the rule and the upstream that they had to meet.
    pub failed: u64,
    /// The first of them, and its answer.
    pub first: Option<String>,
    /// Clients who did not stay with their variant, whichever worker answered.
    pub moved: u64,
    /// Identities issued, and how many of them differ from all others.
    pub identities: (u64, u64),
    /// Requests a second, warm and before the updates.
    pub rate: f64,
    /// Updates that Envoy took and refused.
    pub updates: (u64, u64),
    /// The updates taken when a tenth of all was done.
    pub tenth: u64,
    /// Memory by what was done then, in order: see `Scale`.
    pub memory: Vec<(&'static str, Memory)>,
    /// VMs before the updates and at the end.
    pub vms: (u64, u64),
    /// Connections that each worker accepted.
    pub connections: Vec<u64>,
}

impl Figures {
    /// Growth in percent, of Envoy and of its VMs, from one of these points to a later one.
    pub fn growth(&self, from: &str, to: &str) -> [f64; 2] {
        let [from, to] = [from, to].map(|name| self.at(name));
        let percent = |from: u64, to: u64| 100.0 * (to as f64 / from.max(1) as f64 - 1.0);
        [percent(from.envoy, to.envoy), percent(from.vms, to.vms)]
    }

    /// The most of these, but for what Envoy keeps of each update by itself.
    pub fn greatest_growth(&self) -> f64 {
        let own = self.configured() * ENVOYS_OWN;
        let growth = |(from, to): &(&str, &str)| {
            let [mut envoy, vms] = self.growth(from, to);
            if *from == TENTH {
                envoy -= 100.0 * own / self.at(from).envoy.max(1) as f64;
            }
            [envoy, vms]
        };
        SPANS.iter().flat_map(growth).fold(f64::NEG_INFINITY, f64::max)
    }

    /// KiB of Envoy's heap that each update has left, a thread.
    pub fn kept(&self) -> f64 {
        (self.at(UPDATED).heap as f64 - self.at(TENTH).heap as f64) / self.configured().max(1.0)
    }

    /// The number of times that one of Envoy's threads has configured a VM, once warm.
    fn configured(&self) -> f64 {
        ((self.updates.0 - self.tenth) * (self.connections.len() as u64 + 1)) as f64
    }

    fn at(&self, name: &str) -> Memory {
        let found = self.memory.iter().find(|(known, _)| *known == name);
        found.map(|(_, memory)| *memory).unwrap_or_default()
    }

    /// Whether all went as it had to, memory aside.
    pub fn is_good(&self, scale: &Scale) -> bool {
        let updates = (u64::from(scale.good), u64::from(scale.bad));
        self.failed + self.moved == 0
            && self.identities.0 == self.identities.1
            && self.updates == updates
            && self.vms.0 == self.vms.1
            && self.connections.len() == scale.workers as usize
            && !self.connections.contains(&0)
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Figures { requests, failed, moved, rate, updates, identities, vms, .. } = self;
        writeln!(f, "requests    {requests}, {failed} failed; {rate:.0} a second")?;
        writeln!(f, "updates     {} taken, {} refused", updates.0, updates.1)?;
        writeln!(f, "identities  {} issued, {} different", identities.0, identities.1)?;
        writeln!(f, "moved       {moved}, over {} workers", self.connections.len())?;
        writeln!(f, "VMs         {} before the updates, {} after", vms.0, vms.1)?;
        for (name, Memory { envoy, heap, vms }) in &self.memory {
            write!(f, "memory      {name}: Envoy {envoy} KiB, of them its heap {heap} KiB; ")?;
            writeln!(f, "linear memories of its VMs {vms} KiB")?;
        }
        for (from, to) in SPANS {
            let [envoy, vms] = self.growth(from, to);
            writeln!(f, "growth      {from} to {to}: Envoy {envoy:+.1} %, VMs {vms:+.1} %")?;
        }
        writeln!(f, "an update   {:.2} KiB of Envoy's heap for each thread", self.kept())?;
        match &self.first {
            Some(first) => write!(f, "the first that failed:\n{first}"),
            None => Ok(()),
        }
    }
}
