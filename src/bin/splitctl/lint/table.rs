//! The lints: one line for each, with what to do about it.

/// A kind of warning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lint {
    UnreachableRule,
    ImpossibleCondition,
    WholeRegex,
    PrefixWithoutSlash,
    LowerCaseMethod,
    UnusedVariant,
    FinishedRamp,
    RampAhead,
    DrainedVariant,
    InsecureCookie,
    UntrustedKey,
    UnsignedOverride,
    LongKey,
    Placeholder,
    BlindGuard,
    NarrowLatency,
    IdleHistory,
    SharedSalt,
    RepeatedResource,
    SharedHeader,
    SharedRule,
    SharedPluginName,
    UndoneRule,
    UnroutedVariant,
    UnknownVariant,
    UnknownCluster,
    RandomRoute,
    MovedByRoute,
}

/// Every lint with its name and the remedy.
pub const TABLE: [(Lint, &str, &str); 28] = [
    (
        Lint::UnreachableRule,
        "unreachable-rule",
        "put it before the rules that take its requests, or remove it",
    ),
    (
        Lint::ImpossibleCondition,
        "impossible-condition",
        "write the value as the filter gets it; `splitctl explain` shows how a request is seen",
    ),
    (
        Lint::WholeRegex,
        "whole-regex",
        "use exact, prefix or contains, or write `.*` where more may stand",
    ),
    (Lint::PrefixWithoutSlash, "prefix-without-slash", "begin it with a /, or use contains"),
    (Lint::LowerCaseMethod, "lower-case-method", "write it in capitals, or add ignoreCase: true"),
    (Lint::UnusedVariant, "unused-variant", "name it in a rule, or remove it"),
    (
        Lint::FinishedRamp,
        "finished-ramp",
        "write the weights of its end into split, and remove the ramp: nobody moves by that",
    ),
    (
        Lint::RampAhead,
        "ramp-ahead",
        "if it has run since its start, nothing is wrong, and `--at` its start says so; to go on after a \
         hold, give a new start and the rest of the duration",
    ),
    (
        Lint::DrainedVariant,
        "drained-variant",
        "that is right for a planned end; to send them away now, give persist: { drain: false }",
    ),
    (Lint::InsecureCookie, "insecure-cookie", "add secure: true wherever there is TLS"),
    (
        Lint::UntrustedKey,
        "untrusted-key",
        "give trusted: true if an earlier filter sets or removes it, or key by what one has proven",
    ),
    (Lint::UnsignedOverride, "unsigned-override", "sign it as well, or leave the others unsigned"),
    (
        Lint::LongKey,
        "long-key",
        "use a shorter identity: a cookie, a header or a claim with the user's id alone",
    ),
    (Lint::Placeholder, "placeholder", "replace it with your own"),
    (
        Lint::BlindGuard,
        "blind-guard",
        "lower minRequests or lengthen window; below that the guard never trips",
    ),
    (
        Lint::NarrowLatency,
        "narrow-latency",
        "give at least 1.5: latencies are counted in classes half an octave wide",
    ),
    (Lint::IdleHistory, "idle-history", "remove it: without it everyone stays as well"),
    (
        Lint::SharedSalt,
        "shared-salt",
        "one salt gives a user the same variant in both only with the same names and the same history; \
         make them equal, or give each its own salt",
    ),
    (
        Lint::RepeatedResource,
        "repeated-resource",
        "give each its own name or namespace (kustomize: namePrefix), or leave one out: the one that is \
         applied last replaces the other",
    ),
    (
        Lint::SharedHeader,
        "shared-header",
        "give each plugin a header of its own, and its routes as well",
    ),
    (
        Lint::SharedRule,
        "shared-rule",
        "name one of them otherwise, and keep its salt: metrics and gauges are told apart by the rule",
    ),
    (
        Lint::SharedPluginName,
        "shared-plugin-name",
        "give each its own pluginName: guards, logs and second runs of a request are told apart by it",
    ),
    (
        Lint::UndoneRule,
        "undone-rule",
        "let the earlier plugin run last, by a lower priority, or give each a header of its own",
    ),
    (
        Lint::UnroutedVariant,
        "unrouted-variant",
        "add a route for it, or remove the variant: its users get the default route",
    ),
    (Lint::UnknownVariant, "unknown-variant", "name a variant of the plugin, or remove the route"),
    (
        Lint::UnknownCluster,
        "unknown-cluster",
        "name one of the clusters: Envoy answers 503 for any other",
    ),
    (Lint::RandomRoute, "random-route", "give the route its weights, and let it read the point"),
    (Lint::MovedByRoute, "moved-by-route", "`splitctl diff` counts who moves"),
];

impl Lint {
    /// Its name, as in `unreachable-rule`.
    pub fn name(self) -> &'static str {
        self.row().map_or("", |(_, name, _)| name)
    }

    /// What to do about it.
    pub fn remedy(self) -> &'static str {
        self.row().map_or("", |(_, _, remedy)| remedy)
    }

    fn row(self) -> Option<&'static (Lint, &'static str, &'static str)> {
        TABLE.iter().find(|(lint, ..)| *lint == self)
    }
}
