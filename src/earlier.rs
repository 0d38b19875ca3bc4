//! The routing headers that an earlier filter of this kind wrote: several can be in one chain.

use crate::plan::Plan;
use crate::request::Request;
use crate::variant::Target;

/// The routing headers that stay as an earlier filter in the chain wrote them, with their values.
#[derive(Debug)]
pub(crate) struct Earlier<'p>(Vec<(&'p str, Vec<u8>)>);

impl<'p> Earlier<'p> {
    /// Looks for them; `None` where there are none. A request without routing headers costs a look at
    /// its names alone.
    #[inline(never)]
    pub(crate) fn find(plan: &'p Plan, request: &impl Request) -> Option<Self> {
        let written = |name: &'p str| {
            let value = request.find_header(name, Some)?;
            request.is_written_earlier(name).then(|| (name, value.to_vec()))
        };
        let written: Vec<_> = plan.routing_headers().filter_map(written).collect();
        (!written.is_empty()).then_some(Earlier(written))
    }

    /// Whether an earlier filter wrote the header of this name.
    #[inline(never)]
    pub(crate) fn wrote(&self, name: &str) -> bool {
        self.value(name).is_some()
    }

    /// Whether an earlier filter sends the request where this target would.
    #[inline(never)]
    pub(crate) fn agrees(&self, plan: &Plan, target: &Target) -> bool {
        let is = |header: &Option<String>, text: Option<&str>| {
            let value = header.as_deref().and_then(|name| self.value(name))?;
            Some(text.map(str::as_bytes) == Some(value))
        };
        let cluster = is(&plan.cluster_header, target.variant.cluster.as_deref());
        cluster.or_else(|| is(&plan.variant_header, Some(&target.variant.name))).unwrap_or(false)
    }

    fn value(&self, name: &str) -> Option<&[u8]> {
        let (_, value) = self.0.iter().find(|(known, _)| *known == name)?;
        Some(value)
    }
}
