//! Reasons in cookies and parameters: a name in another case, and several values.

use traffic_split::HeaderList;
use traffic_split::config::Part;

use super::super::sent;

/// A cookie or parameter that has the name of a part in another case.
pub fn named_otherwise(part: &Part, request: &HeaderList) -> Option<String> {
    let other = sent::in_other_case(part, request)?;
    Some(format!("{other} is there, and not {part}, which the rule reads: a name has a case"))
}

/// Several values of a cookie that differ.
pub fn repeated(part: Option<&Part>, request: &HeaderList) -> Option<String> {
    let Some(Part::Cookie(name)) = part else { return None };
    let values = sent::of_cookie(name, request);
    let first = values.first()?;
    values.iter().any(|value| value != first).then(|| {
        format!(
            "cookie {name} is there {} times with different values, and the first that can be read \
             counts: browsers send the cookie of the longest path first, so it may flip from path to \
             path",
            values.len()
        )
    })
}
