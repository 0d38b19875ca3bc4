//! Second runs of a request. After a redirect that Envoy follows by itself, a custom response, or any
//! other re-creation of a stream, the filters see the request as the first run left it: with the
//! identity that was just issued, and the routing headers that were just written. A later run therefore
//! decides about the headers that its client sent, and draws what the first run drew.

use xxhash_rust::xxh64::xxh64;

use crate::environment::Environment;
use crate::header_map::HeaderMap;

/// The chance and the time that a run asked for first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Chance {
    random: Option<u64>,
    entropy: Option<[u8; 16]>,
    /// Seconds since 1970 (UTC).
    now: Option<u64>,
}

/// The first run of a request, as far as later runs depend on it.
#[derive(Debug, Default)]
pub(crate) struct FirstRun {
    pub(crate) chance: Chance,
    /// The headers as the client sent them: all of them, or those that are handed over.
    pub(crate) headers: HeaderMap,
}

impl FirstRun {
    /// The first run as bytes: a bit for each of `random`, `entropy` and `now` that is there, the three
    /// in little endian (0 if absent), and the header map. Of the headers only those of these names are
    /// handed over, `:authority`, `:path`, and `x-request-id`.
    #[cold]
    pub(crate) fn to_bytes(&self, names: &[&str]) -> Vec<u8> {
        let Chance { random, entropy, now } = self.chance;
        let given = [random.is_some(), entropy.is_some(), now.is_some()];
        let mut bytes =
            vec![given.iter().rev().fold(0, |bits, given| bits << 1 | u8::from(*given))];
        bytes.extend(random.unwrap_or(0).to_le_bytes());
        bytes.extend(entropy.unwrap_or_default());
        bytes.extend(now.unwrap_or(0).to_le_bytes());
        let mut kept = Vec::new();
        self.headers.each(|name, value| {
            if is_one_of(name, names) || is_one_of(name, &[AUTHORITY, PATH, REQUEST_ID]) {
                kept.push((name, value));
            }
        });
        bytes.extend(HeaderMap::of(&kept).0);
        bytes
    }

    /// The first run that these bytes hold, if they do.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (given, rest) = bytes.split_first()?;
        let (random, rest) = rest.split_first_chunk()?;
        let (entropy, rest) = rest.split_first_chunk()?;
        let (now, rest) = rest.split_first_chunk()?;
        let chance = Chance {
            random: (given & 1 != 0).then_some(u64::from_le_bytes(*random)),
            entropy: (given & 2 != 0).then_some(*entropy),
            now: (given & 4 != 0).then_some(u64::from_le_bytes(*now)),
        };
        Some(FirstRun { chance, headers: HeaderMap(rest.to_vec()) })
    }

    /// The headers of a later run, but those of these names, which the filter writes, as the client
    /// sent them.
    #[cold]
    pub(crate) fn restore(&self, later: &HeaderMap, names: &[&str]) -> HeaderMap {
        let mut fields = Vec::new();
        for (map, written) in [(later, false), (&self.headers, true)] {
            map.each(|name, value| {
                if is_one_of(name, names) == written {
                    fields.push((name, value));
                }
            });
        }
        HeaderMap::of(&fields)
    }

    /// The `:authority` that the client asked for.
    pub(crate) fn authority(&self) -> Option<&[u8]> {
        self.headers.first(AUTHORITY)
    }

    /// The `:path` that the client asked for.
    pub(crate) fn path(&self) -> Option<&[u8]> {
        self.headers.first(PATH)
    }
}

fn is_one_of(name: &[u8], names: &[&str]) -> bool {
    names.iter().any(|known| known.as_bytes() == name)
}

const AUTHORITY: &str = ":authority";
const PATH: &str = ":path";

/// The header that Envoy gives a request, and that stays the same in each run.
const REQUEST_ID: &str = "x-request-id";

/// The number by which the runs of a request are told from other requests: a hint and no proof, since
/// clients can choose it.
pub(crate) fn hint(headers: &HeaderMap) -> u64 {
    xxh64(headers.first(REQUEST_ID).unwrap_or_default(), 0)
}

/// An environment that gives the first answers of an earlier run once more, and notes its own.
pub(crate) struct Replay<E> {
    environment: E,
    /// The first answers, those of an earlier run among them.
    pub(crate) noted: Chance,
    /// Whether `random` and `entropy` of an earlier run are still to be given.
    left: [bool; 2],
}

impl<E> Replay<E> {
    pub(crate) fn new(environment: E, earlier: Chance) -> Self {
        let left = [earlier.random.is_some(), earlier.entropy.is_some()];
        Replay { environment, noted: earlier, left }
    }
}

impl<E: Environment> Environment for Replay<E> {
    #[inline(never)]
    fn random(&mut self) -> u64 {
        if let (true, Some(drawn)) = (std::mem::take(&mut self.left[0]), self.noted.random) {
            return drawn;
        }
        let drawn = self.environment.random();
        self.noted.random.get_or_insert(drawn);
        drawn
    }

    #[inline(never)]
    fn entropy(&mut self) -> Option<[u8; 16]> {
        if std::mem::take(&mut self.left[1]) {
            return self.noted.entropy;
        }
        let drawn = self.environment.entropy()?;
        self.noted.entropy.get_or_insert(drawn);
        Some(drawn)
    }

    /// The time stands still within a request, and so a signature is the same in each run.
    #[inline(never)]
    fn now(&mut self) -> u64 {
        *self.noted.now.get_or_insert_with(|| self.environment.now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::FixedEnvironment;

    fn fields(map: &HeaderMap) -> Vec<(String, String)> {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let mut fields = Vec::new();
        map.each(|name, value| fields.push((text(name), text(value))));
        fields
    }

    fn map(fields: &[(&str, &str)]) -> HeaderMap {
        let bytes: Vec<_> = fields.iter().map(|(n, v)| (n.as_bytes(), v.as_bytes())).collect();
        HeaderMap::of(&bytes)
    }

    #[test]
    fn a_first_run_is_read_back() {
        let all = Chance { random: Some(7), entropy: Some([9; 16]), now: Some(11) };
        for chance in [
            all,
            Chance { random: None, ..all },
            Chance { entropy: None, ..all },
            Chance { now: None, ..all },
            Chance::default(),
        ] {
            let headers = map(&[
                (":authority", "h"),
                (":path", "/"),
                ("cookie", "a=1"),
                ("x-request-id", "7"),
            ]);
            let bytes = FirstRun { chance, headers }.to_bytes(&["cookie", "x-v"]);
            let read = FirstRun::from_bytes(&bytes).unwrap();
            assert_eq!(read.chance, chance);
            let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
            let kept =
                [(":authority", "h"), (":path", "/"), ("cookie", "a=1"), ("x-request-id", "7")];
            assert_eq!(fields(&read.headers), kept.map(|(name, value)| pair(name, value)));
            assert_eq!(hint(&read.headers), xxh64(b"7", 0));
            assert_eq!((read.authority(), read.path()), (Some(&b"h"[..]), Some(&b"/"[..])));
            // A third run gets the same.
            assert_eq!(read.to_bytes(&["cookie"]), bytes);
        }
        for length in 0..33 {
            assert!(FirstRun::from_bytes(&vec![0xff; length]).is_none());
        }
    }

    #[test]
    fn a_later_run_sees_what_the_client_sent_in_the_headers_that_the_filter_writes() {
        let first = map(&[(":path", "/old"), ("cookie", "a=1"), ("cookie", "id=bad")]);
        let later = [(":path", "/new"), ("x-v", "canary"), ("cookie", "a=1; id=new"), ("y", "z")];
        let run = FirstRun { headers: first, ..FirstRun::default() };
        let restored = run.restore(&map(&later), &["cookie", "x-v"]);
        let expected = [(":path", "/new"), ("y", "z"), ("cookie", "a=1"), ("cookie", "id=bad")];
        assert_eq!(fields(&restored), fields(&map(&expected)));
    }

    #[test]
    fn what_was_drawn_is_drawn_once_more() {
        let world = || FixedEnvironment { now: 5, ..FixedEnvironment::default() };
        let mut first = Replay::new(world(), Chance::default());
        let answers = (first.random(), first.entropy(), first.now());
        let mut later = Replay::new(FixedEnvironment { draws: 9, ..world() }, first.noted);
        later.environment.now = 6;
        assert_eq!((later.random(), later.entropy(), later.now()), answers);
        assert_ne!(later.random(), answers.0, "only the first draw is the same");
        assert_eq!(later.now(), 5, "the time stands still");
        assert_eq!(later.noted, first.noted);
    }
}
