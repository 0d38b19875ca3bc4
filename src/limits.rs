//! Every bound that the filter keeps, each with its reason.
//!
//! A configuration beyond a bound is refused; a value of a request beyond one counts as absent.

/// Bytes of one plugin configuration: room for 1,024 ordinary rules or a list of tens of
/// thousands of ids, while a runaway template is refused before it is parsed.
pub const CONFIG_BYTES: usize = 1 << 20;

/// Errors reported for one configuration; the rest are counted in a last line.
pub const ERRORS: usize = 100;

/// Rules of one configuration.
pub const RULES: usize = 1024;

/// Variants defined in one configuration.
pub const VARIANTS: usize = 256;

/// Fields of one object: `variants` is the object that may have the most.
pub const FIELDS: usize = VARIANTS;

/// Variants of one split: each costs a hash and a logarithm per decision.
pub const SPLIT_VARIANTS: usize = 16;

/// Pairs of a rule whose weights the route has and a variant whose responses it counts: as many as
/// there can be with weights in the rules.
pub const ATTRIBUTED: usize = RULES * SPLIT_VARIANTS;

/// Entries (OR) of one rule's `match`.
pub const MATCH_ENTRIES: usize = 64;

/// Conditions (AND) of one `match` entry.
pub const CONDITIONS: usize = 16;

/// Sources tried for one sticky key.
pub const KEY_SOURCES: usize = 8;

/// Elements of one `in` list, or of one CIDR list.
pub const LIST: usize = 16_384;

/// Bytes of a rule's or variant's name, which ends up in headers, metrics and logs.
pub const NAME_BYTES: usize = 128;

/// Bytes of a cluster's name; `outbound|<port>|<subset>|<fqdn>` has an FQDN of up to 253.
pub const CLUSTER_BYTES: usize = 512;

/// Bytes of any other configured text: names of fields and headers, operands, salts.
pub const TEXT_BYTES: usize = 1024;

/// Bytes of a regular expression as written.
pub const REGEX_BYTES: usize = 512;

/// States of a regular expression (CVE-2022-24713: nested huge repetitions).
pub const REGEX_STATES: usize = 4096;

/// Entries of the table of a regular expression, of two bytes each.
pub const REGEX_TABLE: usize = 1 << 14;

/// States visited to make the table of one regular expression: usual ones take some thousand.
pub const REGEX_EFFORT: u32 = 1 << 17;

/// States visited to make all tables of a configuration: a tenth of a second. Expressions beyond are
/// run state by state.
pub const REGEX_EFFORTS: u32 = 1 << 22;

/// Regular expressions of one configuration: one a rule, and 32 MiB if each is as large as it may be.
pub const REGEXES: usize = 1024;

/// Nesting depth of a regular expression.
pub const REGEX_DEPTH: u32 = 32;

/// The greatest weight: with the least one, a share can be one request in 10^12, and sums stay exact
/// in an `f64`.
pub const WEIGHT_MAX: f64 = 1e6;

/// The least weight other than 0.
pub const WEIGHT_MIN: f64 = 1e-6;

/// Bytes of the value of one request header, of a path and of a query: as many as Envoy takes of all
/// headers by default (`max_request_headers_kb`).
pub const VALUE_BYTES: usize = 60 << 10;

/// Bytes of a value that a regular expression or `contains` looks at.
pub const SEARCH_BYTES: usize = 8 << 10;

/// Steps that all regular expressions and `contains` of a configuration share out: one condition has so
/// many for all values of a request that it looks at. A step is a character, by a table or in a search.
pub const SEARCH_STEPS: u32 = 1_500_000;

/// Steps for a visit of one state of a regular expression without a table.
pub const STEPS_OF_STATE: u32 = 5;

/// Bytes of `cookie` headers scanned per lookup: as many as Envoy takes of all headers by default.
/// Sessions kept in cookies are often of 16 KiB and more.
pub const COOKIE_BYTES: usize = 60 << 10;

/// Cookie pairs scanned per lookup; RFC 6265 section 6.1 asks user agents for 50 a domain.
pub const COOKIE_PAIRS: usize = 256;

/// Bytes of `cookie` headers scanned for one request by all look-ups: 2 KB for each of 4,000, or 60 KiB
/// for each of 136.
pub const SCANNED_BYTES: usize = 8 << 20;

/// Query parameters scanned per lookup.
pub const QUERY_PAIRS: usize = 256;

/// Bytes of an integer that `range` reads: those of 64 bits have 20 digits.
pub const INTEGER_BYTES: usize = 64;

/// Names of members, one inside the other, that lead to a part of a JSON value.
pub const JSON_NAMES: usize = 8;

/// Different metadata, filter state and members of baggage that a configuration looks at: each is read
/// and made once in a request.
pub const TEXTS: usize = 16;

/// The least whole number of a property, 2^51, of which the proxy's eight bytes could be a text as well.
pub const AMBIGUOUS_NUMBER: f64 = 2_251_799_813_685_248.0;

/// Segments of the path to a value of metadata: the namespace, and names inside it.
pub const SEGMENTS: usize = 8;

/// Values that are no identity, of one sticky key.
pub const NO_IDENTITIES: usize = 64;

/// Bytes of a sticky key: bearer tokens have some thousand, and most servers take no longer line
/// (`large_client_header_buffers` of nginx, `LimitRequestFieldSize` of httpd).
pub const KEY_BYTES: usize = 8 << 10;

/// Earlier weights of one split: each is a step of hashing per decision.
pub const HISTORY: usize = 32;

/// Cookies that issue identities, in one configuration.
pub const IDENTITIES: usize = 8;

/// Cookies that keep forced variants, in one configuration: rules may share one.
pub const OVERRIDES: usize = 8;

/// Seconds that a cookie may last: 400 days, the most that user agents keep
/// (RFC 6265bis section 5.5).
pub const MAX_AGE: u64 = 400 * 86_400;

/// Bytes of a value in a cookie that the filter sets: a variant's name, two times and a signature
/// fit.
pub const SIGNED_BYTES: usize = 256;

/// Values of one signed cookie that are verified per lookup, each with all keys: user agents send a
/// few of one name, set for other paths and domains, while an attacker could send hundreds.
pub const SIGNED_VALUES: usize = 8;

/// Values of all signed cookies that are verified for one request: more than a client has of its own that
/// matter, while an attacker could send 256.
pub const SIGNED_VALUES_OF_REQUEST: usize = 16;

/// Bytes of values that are read for an identity inside them, and of keys that flag engines hash, of all
/// rules that a request asks: a session of 1.25 KB for each of 1,024 rules.
pub const INNER_BYTES: usize = 5 << 18;

/// Bytes that all conditions look at in the second and later values of headers that are repeated: 9 values
/// of 400 bytes for each of 1,000 conditions.
pub const REPEATED_BYTES: usize = 4 << 20;

/// Bytes of `baggage` that every hop has to pass on (W3C Baggage section 3.3.2): a member of ours does
/// not make it longer.
pub const BAGGAGE_BYTES: usize = 8 << 10;

/// Members of `baggage` that every hop has to pass on.
pub const BAGGAGE_MEMBERS: usize = 64;

/// Bytes of the host that a signature binds: the longest name has 253 (RFC 1035 section 2.3.4).
pub const HOST_BYTES: usize = 255;

/// Signing keys in one environment variable.
pub const SIGNING_KEYS: usize = 8;

/// The fewest bytes of a signing key: no less than the hash's output (RFC 2104 section 3).
pub const SIGNING_KEY_BYTES: usize = 32;

/// Seconds that a cookie may be issued in the future, since the clocks of two proxies differ.
pub const CLOCK_SKEW: u64 = 300;

/// Steps of a ramp: with more, it would look like a line.
pub const RAMP_STEPS: u32 = 1000;

/// The most responses that a guard may wait for.
pub const GUARD_REQUESTS: u32 = 1_000_000;

/// The greatest latency that a guard may allow, over the fallback's: with more it would never trip.
pub const LATENCY_RATIO: f64 = 1000.0;

/// Seconds of a guard's window, and of its cooldown: a day.
pub const WINDOW: u64 = 86_400;

/// Requests that a worker awaits the next run of: most come at once, and those that another filter
/// holds up within its round trip. The oldest are forgotten.
pub const RERUNS: usize = 128;
