//! The values of a request that the filter passes over: those of a name in another case, and further
//! cookies of one name.

use traffic_split::HeaderList;
use traffic_split::config::Part;

/// The cookie or the query parameter whose name differs from that of a part in its case alone, as in
/// `cookie UID`; none if the request has the part itself. These names are compared with their case.
pub fn in_other_case(part: &Part, request: &HeaderList) -> Option<String> {
    let (kind, wanted, pairs) = match part {
        Part::Cookie(name) => ("cookie", name, cookies(request)),
        Part::QueryParam(name) => ("query parameter", name, params(request)),
        _ => return None,
    };
    let mut names = pairs.into_iter().map(|(name, _)| name);
    let alike = names.find(|name| name.eq_ignore_ascii_case(wanted.as_bytes()))?;
    let is_absent = part.values(request).is_empty() && alike != wanted.as_bytes();
    is_absent.then(|| format!("{kind} {}", String::from_utf8_lossy(alike)))
}

/// The values of the cookies with this name, in the order of arrival.
pub fn of_cookie<'r>(name: &str, request: &'r HeaderList) -> Vec<&'r [u8]> {
    let pairs = cookies(request).into_iter();
    pairs.filter(|(known, _)| *known == name.as_bytes()).map(|(_, value)| value).collect()
}

type Pair<'r> = (&'r [u8], &'r [u8]);

fn cookies(request: &HeaderList) -> Vec<Pair<'_>> {
    let lines = request.headers.iter().filter(|(name, _)| name == "cookie");
    lines.flat_map(|(_, line)| pairs(line, b';')).collect()
}

fn params(request: &HeaderList) -> Vec<Pair<'_>> {
    let path = request.headers.iter().find(|(name, _)| name == ":path");
    let query = path.and_then(|(_, path)| path.splitn(2, |b| *b == b'?').nth(1));
    pairs(query.unwrap_or_default(), b'&').collect()
}

fn pairs(text: &[u8], end: u8) -> impl Iterator<Item = Pair<'_>> {
    text.split(move |b| *b == end).filter_map(|pair| {
        let mut parts = pair.splitn(2, |b| *b == b'=');
        Some((parts.next()?.trim_ascii(), parts.next()?.trim_ascii()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_in_another_case_is_told_where_the_right_one_is_absent() {
        let cookie = Part::Cookie("uid".into());
        let param = Part::QueryParam("uid".into());
        for (part, headers, told) in [
            (&cookie, [("cookie", "a=1; UID=7")], Some("cookie UID")),
            (&cookie, [("cookie", "Uid=7; uid=8")], None),
            (&cookie, [("cookie", "uids=7; UID")], None),
            (&param, [(":path", "/?a=1&Uid=7")], Some("query parameter Uid")),
            (&param, [(":path", "/?uid=7")], None),
            (&Part::Header("uid".into()), [("cookie", "UID=7")], None),
        ] {
            let told = told.map(str::to_owned);
            assert_eq!(in_other_case(part, &HeaderList::new(headers)), told, "{headers:?}");
        }
    }
}
