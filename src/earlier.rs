//! The routing headers that an earlier filter of this kind wrote: several can be in one chain.

use crate::decision::Decision;
use crate::plan::Plan;
use crate::request::Request;

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

    /// Whether an earlier filter sends the request where this decision would.
    #[inline(never)]
    pub(crate) fn agrees(&self, plan: &Plan, decision: &Decision<'_>) -> bool {
        let variant = decision.variant();
        let texts = [
            (&plan.cluster_header, variant.and_then(|variant| variant.cluster.clone())),
            (&plan.variant_header, variant.map(|variant| variant.name.clone())),
            (&plan.point_header, decision.point().map(|point| point.to_string())),
        ];
        let would = |name: &str, value: &[u8]| {
            texts.iter().any(|(header, text)| {
                header.as_deref() == Some(name) && text.as_deref().map(str::as_bytes) == Some(value)
            })
        };
        self.0.iter().all(|(name, value)| would(name, value))
    }

    fn value(&self, name: &str) -> Option<&[u8]> {
        let (_, value) = self.0.iter().find(|(known, _)| *known == name)?;
        Some(value)
    }
}
