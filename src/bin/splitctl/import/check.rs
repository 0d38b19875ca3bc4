//! The check that whatever is written is valid: a rule that the filter refuses is left out.

use anyhow::{Result, anyhow, bail};
use traffic_split::Plan;

use super::form::Remark;
use super::write::{Draft, configuration};
use crate::document;

/// Leaves out the rules that the filter refuses, with a remark for each.
///
/// # Errors
/// The configuration is refused as a whole.
pub fn check(draft: &mut Draft) -> Result<()> {
    loop {
        let yaml = configuration(draft, true);
        let documents = document::parse(&yaml)
            .map_err(|error| anyhow!("line {}: {}", error.line, error.message))?;
        let json = documents.first().map(serde_json::to_vec).transpose()?.unwrap_or_default();
        let Err(errors) = Plan::compile(&json, &|_| None) else { return Ok(()) };
        let refused = errors.iter().find_map(|error| Some((place(&error.path)?, error)));
        match refused.filter(|(place, _)| *place < draft.rules.len()) {
            Some((place, error)) => {
                let rule = draft.rules.remove(place);
                let text = format!("{}; the rule is left out: write it otherwise", error.message);
                let (file, line) = rule.place;
                let field = error.path.split_once('.').map_or("rule", |(_, field)| field);
                draft.remarks.extend(rule.remarks);
                draft.remarks.push(Remark {
                    file,
                    line,
                    field: field.to_owned(),
                    lost: true,
                    text,
                });
            }
            None => bail!("the filter refuses what was read: {errors}"),
        }
    }
}

/// The place of the rule that a path leads to.
fn place(path: &str) -> Option<usize> {
    path.strip_prefix("rules[")?.split_once(']')?.0.parse().ok()
}
