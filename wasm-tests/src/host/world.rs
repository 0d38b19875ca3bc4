//! The world around the module: a request, a clock, a log, and a record of every call.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use wasmi::{StoreLimits, StoreLimitsBuilder};

/// Header fields in order, pseudo headers among them; names in lower case.
pub type Headers = Vec<(Vec<u8>, Vec<u8>)>;

/// The header maps of the ABI that this host has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Map {
    /// The request's headers.
    Request,
    /// The response's headers.
    Response,
    /// The response's trailers.
    Trailers,
}

/// The status that a host call returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
#[expect(missing_docs, reason = "the names are the specification's")]
pub enum Status {
    Ok = 0,
    NotFound = 1,
    BadArgument = 2,
    SerializationFailure = 3,
    ParseFailure = 4,
    Empty = 7,
    CasMismatch = 8,
    InternalFailure = 10,
    Unimplemented = 12,
}

impl Status {
    /// Every status that the specification has for a failure.
    pub const FAILURES: [Status; 8] = [
        Status::NotFound,
        Status::BadArgument,
        Status::SerializationFailure,
        Status::ParseFailure,
        Status::Empty,
        Status::CasMismatch,
        Status::InternalFailure,
        Status::Unimplemented,
    ];
}

/// The world as the module finds it. Every field can be changed between calls.
pub struct World {
    /// The request's headers, where there is a request.
    pub request: Option<Headers>,
    /// The response's headers, where there is a response.
    pub response: Option<Headers>,
    /// The response's trailers, where there are any.
    pub trailers: Option<Headers>,
    /// Properties, by their paths joined with `\0`.
    pub properties: BTreeMap<Vec<u8>, Vec<u8>>,
    /// The plugin's configuration.
    pub configuration: Vec<u8>,
    /// Metrics in the order of their definition: name and value.
    pub metrics: Vec<(String, i64)>,
    /// Data that all VMs of this host share, each with the number of its last write.
    pub shared: BTreeMap<Vec<u8>, (Vec<u8>, u32)>,
    /// Reads of shared data that another VM follows with a write, so that the next write is too late.
    pub overtaken: u32,
    /// The properties that the module has set, by their paths.
    pub state: BTreeMap<Vec<u8>, Vec<u8>>,
    /// The properties that last over all runs of a request, by their names.
    pub declared: BTreeSet<Vec<u8>>,
    /// The contexts that there are.
    pub(super) contexts: BTreeSet<u32>,
    /// The status with which the module answered the request itself.
    pub local_response: Option<u32>,
    /// Milliseconds between ticks, where the module has asked for them.
    pub period: Option<u32>,
    /// The VM's environment.
    pub environment: BTreeMap<String, String>,
    /// The time of the clock, in nanoseconds since 1970.
    pub clock: u64,
    /// State of the generator behind `random_get`; `None`: no entropy.
    pub entropy: Option<u64>,
    /// Answers that take the place of a host call's own, by its name: the call has no effect.
    pub answers: BTreeMap<String, Status>,
    /// Lines logged, each with its level; the oldest go when there are many.
    pub log: VecDeque<(i32, String)>,
    /// The number of calls of each callback and each host function.
    pub calls: BTreeMap<String, u64>,
    pub(super) limits: StoreLimits,
}

const LOG_LINES: usize = 1000;

impl Default for World {
    fn default() -> Self {
        Self {
            request: None,
            response: None,
            trailers: None,
            properties: BTreeMap::new(),
            configuration: Vec::new(),
            metrics: Vec::new(),
            shared: BTreeMap::new(),
            overtaken: 0,
            state: BTreeMap::new(),
            declared: BTreeSet::new(),
            contexts: BTreeSet::new(),
            local_response: None,
            period: None,
            environment: BTreeMap::new(),
            clock: 1_700_000_000_000_000_000,
            entropy: Some(0),
            answers: BTreeMap::new(),
            log: VecDeque::new(),
            calls: BTreeMap::new(),
            limits: StoreLimits::default(),
        }
    }
}

impl World {
    /// A world with so many bytes of linear memory and no more.
    pub fn with_memory(bytes: usize) -> Self {
        Self { limits: StoreLimitsBuilder::new().memory_size(bytes).build(), ..Self::default() }
    }

    /// A header map, if it is there.
    pub fn headers(&mut self, map: Map) -> Option<&mut Headers> {
        match map {
            Map::Request => self.request.as_mut(),
            Map::Response => self.response.as_mut(),
            Map::Trailers => self.trailers.as_mut(),
        }
    }

    /// The environment as WASI has it: `name=value`, each with a NUL behind it.
    pub(super) fn variables(&self) -> Vec<Vec<u8>> {
        let pairs = self.environment.iter();
        pairs.map(|(name, value)| format!("{name}={value}\0").into_bytes()).collect()
    }

    /// Every line logged.
    pub fn logged(&self) -> String {
        self.log.iter().map(|(_, line)| line.as_str()).collect::<Vec<_>>().join("\n")
    }

    pub(super) fn count(&mut self, name: &str) {
        match self.calls.get_mut(name) {
            Some(count) => *count += 1,
            None => drop(self.calls.insert(name.to_owned(), 1)),
        }
    }

    pub(super) fn log(&mut self, level: i32, line: String) {
        if self.log.len() == LOG_LINES {
            self.log.pop_front();
        }
        self.log.push_back((level, line));
    }

    /// 64 bits of a known sequence (splitmix64: Steele, Lea and Flood, OOPSLA 2014).
    pub(super) fn random(&mut self) -> Option<u64> {
        let state = self.entropy.as_mut()?;
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Some(z ^ (z >> 31))
    }
}

/// A header map as bytes: a count, the lengths of every name and value, then these, each with a
/// NUL behind it; numbers are 32 bits, little endian.
pub(super) fn serialize(headers: &Headers) -> Vec<u8> {
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX).to_le_bytes();
    let mut bytes = number(headers.len()).to_vec();
    for (name, value) in headers {
        bytes.extend(number(name.len()));
        bytes.extend(number(value.len()));
    }
    for part in headers.iter().flat_map(|(name, value)| [name, value]) {
        bytes.extend(part);
        bytes.push(0);
    }
    bytes
}
