//! The reasons for which a request goes where it goes.

/// The reason of a decision, by which requests are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The rule names the variant.
    Pinned,
    /// The hash of the client's key, or the bucket of a flag engine, fell to the variant.
    Sticky,
    /// The client's earlier assignment was kept.
    Persisted,
    /// The flag engine leaves the client out: the variant is the rule's `otherwise`.
    Otherwise,
    /// The split is not sticky, or the request had no key: the variant was drawn.
    Random,
    /// The guard of the variant chosen is open: this one is its fallback.
    Guard,
    /// Everyone is held at the variant: `hold` of the configuration names it.
    Hold,
    /// The client has forced the variant, by a link or by the cookie that the link left: `override` of
    /// the rule lets it.
    Override,
    /// The decision is only counted: its rule, or the whole configuration, is in shadow.
    Shadow,
    /// No rule matched: Envoy's own route decides.
    Unmatched,
}

impl Reason {
    /// Every reason, in the order of their numbers.
    pub(crate) const ALL: [Reason; 10] = [
        Reason::Pinned,
        Reason::Sticky,
        Reason::Persisted,
        Reason::Otherwise,
        Reason::Random,
        Reason::Guard,
        Reason::Hold,
        Reason::Override,
        Reason::Shadow,
        Reason::Unmatched,
    ];

    /// Whether an experiment may count the decision: a part of it that chance or a key chose, and that
    /// the client saw.
    pub(crate) fn is_analysed(self) -> bool {
        match self {
            Reason::Pinned | Reason::Sticky | Reason::Persisted | Reason::Random => true,
            Reason::Otherwise
            | Reason::Guard
            | Reason::Hold
            | Reason::Override
            | Reason::Shadow
            | Reason::Unmatched => false,
        }
    }

    /// The name of the reason in logs, metrics and outputs.
    ///
    /// ```
    /// assert_eq!(traffic_split::Reason::Sticky.name(), "sticky");
    /// ```
    pub fn name(self) -> &'static str {
        match self {
            Reason::Pinned => "pinned",
            Reason::Sticky => "sticky",
            Reason::Persisted => "persisted",
            Reason::Otherwise => "otherwise",
            Reason::Random => "random",
            Reason::Guard => "guard",
            Reason::Hold => "hold",
            Reason::Override => "override",
            Reason::Shadow => "shadow",
            Reason::Unmatched => "unmatched",
        }
    }
}
