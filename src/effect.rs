//! What a decision does to the request: it writes the routing headers, and whatever a client sent
//! in them is overwritten or removed.

use crate::decide::Decision;
use crate::plan::Plan;

/// A change of one request header, which replaces all its values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Effect<'p> {
    /// The header's name, in lower case.
    pub header: &'p str,
    /// Its only value; `None` removes it.
    pub value: Option<&'p str>,
}

/// The changes that a decision makes, in order.
pub fn effects<'p>(
    plan: &'p Plan,
    decision: &Decision<'p>,
) -> impl Iterator<Item = Effect<'p>> + use<'p> {
    let variant = decision.variant();
    let cluster = variant.and_then(|variant| variant.cluster.as_deref());
    let name = variant.map(|variant| variant.name.as_str());
    [(&plan.cluster_header, cluster), (&plan.variant_header, name)]
        .into_iter()
        .filter_map(|(header, value)| Some(Effect { header: header.as_deref()?, value }))
}
