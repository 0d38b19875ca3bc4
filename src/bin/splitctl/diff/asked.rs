//! The values that one rule reads of a request beside its conditions.

use traffic_split::HeaderList;
use traffic_split::config::{KeySource, Part, RuleSpec};

/// The values of one part of a request.
type Values = Vec<Vec<u8>>;

/// The values by which a rule tells a client, for each place that it looks at.
#[derive(Default, PartialEq, Eq)]
pub struct Asked {
    /// The values of its key, up to the place that has one, and behind them that of an issued identity.
    pub key: Vec<Values>,
    /// Whether the last place has the key.
    pub is_told: bool,
    /// The values of the parameter and the cookie by which a client forces its variant.
    pub forced: Vec<Values>,
    /// The values of the cookie that keeps its variant.
    pub kept: Values,
}

impl Asked {
    /// `made_up` says that no key of a client is one that a rule might not take.
    pub fn new(rule: &RuleSpec, request: &HeaderList, made_up: bool) -> Self {
        let cookie = |name: &str| values(Some(&Part::Cookie(name.to_owned())), request);
        let mut asked = Asked::default();
        if let Some(forced) = &rule.overrides {
            let param = Part::QueryParam(forced.query_param.clone());
            asked.forced = vec![values(Some(&param), request), cookie(&forced.cookie.name)];
        }
        asked.kept = rule.persist().map(|kept| cookie(&kept.cookie.name)).unwrap_or_default();
        let Some(sticky) = &rule.sticky else { return asked };
        // A value that is no identity may be the key of a client.
        let made_up = made_up && !sticky.ignore.iter().any(|it| it.starts_with("user-"));
        for source in &sticky.key {
            let values = values(source.part(), request);
            // A text inside another one is not looked for here.
            let is_plain = made_up && !matches!(source, KeySource::Inner(..));
            asked.is_told =
                is_plain && values.first().is_some_and(|value| sticky.is_identity(value));
            asked.key.push(values);
            if asked.is_told {
                return asked;
            }
        }
        asked.key.extend(sticky.issue.iter().map(|issue| cookie(&issue.name)));
        asked
    }

    /// Forgets the key.
    pub fn forget_key(&mut self) {
        self.key.clear();
        self.is_told = false;
    }

    /// Whether a client brings more than its key: a variant that it forces, or one that is kept.
    pub fn is_read(&self) -> bool {
        !self.kept.is_empty() || !self.forced.iter().all(Vec::is_empty)
    }
}

/// The values of a part of a request, or of its address.
fn values(part: Option<&Part>, request: &HeaderList) -> Values {
    match part {
        Some(part) => part.values(request).into_iter().map(<[u8]>::to_vec).collect(),
        None => request.source.iter().map(|it| it.to_string().into_bytes()).collect(),
    }
}
