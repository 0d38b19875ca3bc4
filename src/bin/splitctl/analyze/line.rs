//! A line of an access log, in JSON as `manifests/envoy.yaml` writes it.

use std::borrow::Cow;
use std::fmt;

use serde::de::{self, Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use traffic_split::Reason;

/// The parts of a line that an analysis looks at. Other keys are passed over.
#[derive(Default, serde::Deserialize)]
#[serde(default)]
pub struct Line<'a> {
    #[serde(borrow)]
    pub time: Text<'a>,
    #[serde(borrow)]
    pub path: Text<'a>,
    #[serde(borrow)]
    pub status: Text<'a>,
    #[serde(borrow)]
    pub flags: Text<'a>,
    #[serde(borrow)]
    pub duration_ms: Text<'a>,
    #[serde(borrow)]
    pub rule: Text<'a>,
    #[serde(borrow)]
    pub variant: Text<'a>,
    #[serde(borrow)]
    pub reason: Text<'a>,
    #[serde(borrow)]
    pub unit: Text<'a>,
    #[serde(borrow)]
    pub generation: Text<'a>,
    #[serde(borrow)]
    pub analysis: Text<'a>,
}

/// A value of a line: Envoy writes numbers as such or in quotes, by the format.
#[derive(Default)]
pub enum Text<'a> {
    #[default]
    Absent,
    Written(Cow<'a, str>),
    Number(f64),
}

/// The end of a response, as the filter counts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    Good,
    /// A 5xx, or no complete response, and not by the client's doing.
    Failed,
    /// The client left, or the connection became another one (101), so that its time says nothing; or
    /// the log has no status.
    Uncounted,
}

/// The reasons of decisions that are no part of an experiment, and their words for people.
pub const LEFT_OUT: [(&str, &str); 6] = [
    ("override", "forced"),
    ("guard", "moved by a guard"),
    ("hold", "held"),
    ("shadow", "in shadow"),
    ("otherwise", "left out by a flag"),
    ("other", "by `analysis: 0`"),
];

impl<'a> Line<'a> {
    /// Reads a line; `None` if it is no object in JSON.
    pub fn read(bytes: &'a [u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }

    pub fn ending(&self) -> Ending {
        // Envoy writes 0 where there was no response.
        let Some(status) = self.status.number() else { return Ending::Uncounted };
        let flagged = |codes: &[&str]| {
            let flags = self.flags.text().unwrap_or_default();
            flags.split(',').any(|flag| codes.contains(&flag))
        };
        if status >= 500.0 {
            Ending::Failed
        } else if status == 101.0 || flagged(&["DC", "DR"]) {
            Ending::Uncounted
        } else if status == 0.0 || flagged(&["UC", "UR", "UPE"]) {
            Ending::Failed
        } else {
            Ending::Good
        }
    }

    /// The place in [`LEFT_OUT`] of the reason why the decision is no part of an experiment.
    pub fn left_out(&self) -> Option<usize> {
        let reason = self.reason.text().unwrap_or_default();
        let known = LEFT_OUT.iter().position(|(name, _)| *name == reason);
        known.or_else(|| self.analysis.is("0").then_some(LEFT_OUT.len() - 1))
    }

    /// Whether a tester chose the variant.
    pub fn is_forced(&self) -> bool {
        self.reason.is("override")
    }

    /// Whether the unit's assignment was made before this request.
    pub fn is_persisted(&self) -> bool {
        self.reason.is(Reason::Persisted.name())
    }

    /// The milliseconds of the request, if it has a number that can be one: less than 30 years.
    pub fn millis(&self) -> Option<u64> {
        let millis = self.duration_ms.number().filter(|millis| (0.0..1e12).contains(millis))?;
        Some(millis as u64)
    }

    /// The path without its query.
    pub fn path(&self) -> Option<&str> {
        self.path.text()?.split('?').next()
    }
}

impl Text<'_> {
    /// The text, unless it is Envoy's `-` for nothing.
    pub fn text(&self) -> Option<&str> {
        match self {
            Text::Written(text) => Some(text.as_ref()).filter(|text| !matches!(*text, "" | "-")),
            Text::Absent | Text::Number(_) => None,
        }
    }

    pub fn number(&self) -> Option<f64> {
        match self {
            Text::Number(number) => Some(*number),
            _ => self.text()?.parse().ok(),
        }
    }

    fn is(&self, wanted: &str) -> bool {
        self.text() == Some(wanted) || self.number().is_some_and(|it| wanted.parse() == Ok(it))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyText)
    }
}

struct AnyText;

impl<'de> Visitor<'de> for AnyText {
    type Value = Text<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Text::Written(Cow::Borrowed(text)))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Text::Written(Cow::Owned(text.to_owned())))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Self::Value, E> {
        Ok(Text::Number(number as f64))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Self::Value, E> {
        Ok(Text::Number(number as f64))
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Self::Value, E> {
        Ok(Text::Number(number))
    }

    fn visit_bool<E: de::Error>(self, _: bool) -> Result<Self::Value, E> {
        Ok(Text::Absent)
    }

    fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
        Ok(Text::Absent)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Text::Absent)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Text::Absent)
    }
}
