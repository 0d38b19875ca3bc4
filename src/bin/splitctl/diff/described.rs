//! A request in the words of people: as it is given, or derived from a rule.

use std::fmt;
use std::net::IpAddr;

use traffic_split::config::{KeySource, Part};

use super::client::{Form, KEY, Piece, Shape, Source, pieces};
use crate::given;

/// The path of a request that is not asked for one.
const PATH: &str = "/";

/// A request as it is described.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Described {
    pub method: Option<String>,
    pub path: Option<String>,
    pub authority: Option<String>,
    /// Names and values of headers, cookies and query parameters. A property stands under its path.
    pub headers: Vec<(String, String)>,
    pub cookies: Vec<(String, String)>,
    pub params: Vec<(String, String)>,
    /// Members of the header `baggage`.
    pub baggage: Vec<(String, String)>,
    pub source: Option<IpAddr>,
    /// The parts that it must not have.
    pub without: Vec<Part>,
    /// Whether its clients have no key, and at most an identity that was issued to them.
    pub is_new: bool,
    /// Whether it is given, and not derived.
    pub is_given: bool,
}

/// Reads a request such as `GET /reviews | x-user-group: beta`, with `|` or a new line before each header.
pub fn parse(text: &str) -> Result<Described, String> {
    let mut lines = text.split(['\n', '|']).map(str::trim);
    let form = "give it as 'GET /path | header: value | sourceIp: 10.0.0.1', with \
                'metadata: namespace,name=value' and 'filterState: name=value' alike";
    let words: Vec<_> = lines.next().unwrap_or_default().split_whitespace().collect();
    let (method, target) = match words.as_slice() {
        [target] => ("GET", *target),
        [method, target] => (*method, *target),
        _ => return Err(form.to_owned()),
    };
    if !target.starts_with('/') {
        return Err(form.to_owned());
    }
    let mut request = Described {
        method: Some(method.to_owned()),
        path: Some(target.to_owned()),
        is_given: true,
        ..Described::default()
    };
    for line in lines.filter(|line| !line.is_empty()) {
        let (name, value) = given::header(line).map_err(|_| form.to_owned())?;
        match name.as_str() {
            "sourceip" => {
                let address = value.parse().map_err(|_| format!("{value:?} is no address"))?;
                request.source = Some(address);
            }
            ":authority" => request.authority = Some(value),
            "metadata" => request.headers.push(given::metadata(&value)?),
            "filterstate" => request.headers.push(given::filter_state(&value)?),
            _ => request.headers.push((name, value)),
        }
    }
    Ok(request)
}

/// Reads the requests of a file: one a paragraph, a header on each line after the first.
pub fn parse_all(text: &str) -> Result<Vec<Described>, String> {
    let text = text.replace('\r', "");
    let paragraphs = text.split("\n\n").map(str::trim).filter(|text| !text.is_empty());
    paragraphs.map(parse).collect()
}

/// The keys and cookies that clients carry in both configurations.
pub struct Carried {
    /// The places of their keys, each with its number if its value is another one than elsewhere.
    pub keys: Vec<(KeySource, usize)>,
    /// The cookies with identities that the old configuration has issued.
    pub issued: Vec<String>,
}

impl Described {
    /// The request with a client's key in every place that is not described, or in the places that are
    /// marked; `accepted` are the issued cookies that count.
    pub fn shape(&self, carried: &Carried, accepted: &[String]) -> Shape {
        let mut request = self.clone();
        let mut source = self.source.map_or(Source::Unknown, Source::Given);
        let mut inner = Vec::new();
        if !self.is_marked() && !self.is_new {
            for (key, mark) in &carried.keys {
                let form = |inner: Option<&traffic_split::config::Inner>| Form {
                    mark: *mark,
                    json: inner.map_or_else(Vec::new, |inner| inner.json.clone()),
                    percent: inner.is_some_and(|inner| inner.percent),
                };
                match key {
                    KeySource::SourceIp if self.source.is_none() => source = Source::Own,
                    KeySource::Part(part) if !self.has(part) => {
                        inner.push((part.clone(), form(None)));
                    }
                    KeySource::Inner(part, inside) if !self.has(part) => {
                        inner.push((part.clone(), form(Some(inside))));
                    }
                    _ => {}
                }
            }
        }
        let key = |wanted: fn(&Part) -> Option<&String>| {
            let found = inner.iter().filter_map(move |(part, form)| Some((wanted(part)?, form)));
            found.map(|(name, form)| (name.clone(), vec![Piece::Key(form.clone())]))
        };
        let given = |pairs: &[(String, String)]| -> Vec<(String, Vec<Piece>)> {
            pairs.iter().map(|(name, value)| (name.clone(), pieces(value))).collect()
        };
        let mut cookies = given(&request.cookies);
        cookies.extend(key(|part| if let Part::Cookie(name) = part { Some(name) } else { None }));
        let ids = accepted.iter().filter(|name| !self.has(&Part::Cookie((*name).clone())));
        cookies.extend(ids.map(|name| (name.clone(), vec![Piece::Id])));
        let mut params = given(&request.params);
        params
            .extend(key(|part| if let Part::QueryParam(name) = part { Some(name) } else { None }));
        let mut headers = vec![
            (":method".to_owned(), pieces(self.method.as_deref().unwrap_or("GET"))),
            (":path".to_owned(), target(self.path.as_deref().unwrap_or(PATH), params)),
        ];
        let authority = request.authority.take();
        headers.extend(authority.map(|host| (":authority".to_owned(), pieces(&host))));
        headers.extend(given(&request.headers));
        headers.extend(key(|part| match part {
            Part::Header(name) | Part::Property(name) => Some(name),
            _ => None,
        }));
        let mut members = given(&request.baggage);
        members.extend(key(|part| if let Part::Baggage(name) = part { Some(name) } else { None }));
        if !members.is_empty() {
            headers.push(("baggage".to_owned(), joined(members, ",")));
        }
        if !cookies.is_empty() {
            headers.push(("cookie".to_owned(), joined(cookies, "; ")));
        }
        Shape { headers, source }
    }

    /// Whether it is given with the place of a client's key.
    fn is_marked(&self) -> bool {
        let texts = [&self.headers, &self.cookies, &self.params, &self.baggage];
        let mut values = texts.into_iter().flatten().map(|(_, value)| value).chain(&self.path);
        self.is_given && values.any(|value| value.contains(KEY))
    }

    /// Whether it says what this part is.
    pub fn has(&self, part: &Part) -> bool {
        let named = |pairs: &[(String, String)], name: &String| {
            pairs.iter().any(|(known, _)| known == name)
        };
        let listed = |list: &str, end: char, name: &String| {
            let begins = |pair: &str| pair.split('=').next().unwrap_or_default().trim() == name;
            let mut lines = self.headers.iter().filter(|(header, _)| header == list);
            lines.any(|(_, line)| line.split(end).any(begins))
        };
        self.without.contains(part)
            || match part {
                Part::Header(name) | Part::Property(name) => named(&self.headers, name),
                Part::Baggage(name) => named(&self.baggage, name) || listed("baggage", ',', name),
                Part::Cookie(name) | Part::CookieAnyCase(name) => {
                    named(&self.cookies, name) || listed("cookie", ';', name)
                }
                Part::QueryParam(name) => {
                    let query = self.path.as_deref().and_then(|path| path.split_once('?'));
                    let in_path = query.is_some_and(|(_, query)| {
                        query.split('&').any(|pair| pair.split('=').next() == Some(name.as_str()))
                    });
                    named(&self.params, name) || in_path
                }
                Part::Path => self.path.is_some(),
                Part::Method => self.method.is_some(),
                Part::Authority => self.authority.is_some(),
            }
    }
}

/// Writes the request as people read it.
impl fmt::Display for Described {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.as_deref().unwrap_or(PATH);
        write!(f, "{} {path}", self.method.as_deref().unwrap_or("GET"))?;
        let mut before = if path.contains('?') { "&" } else { "?" };
        for (name, value) in &self.params {
            write!(f, "{before}{name}={value}")?;
            before = "&";
        }
        if let Some(host) = &self.authority {
            write!(f, ", host: {host}")?;
        }
        for (name, value) in &self.headers {
            match name.contains('\0') {
                true => write!(f, ", {} {value}", Part::Property(name.clone()))?,
                false => write!(f, ", {name}: {value}")?,
            }
        }
        for (name, value) in &self.baggage {
            write!(f, ", baggage: {name}={value}")?;
        }
        for (name, value) in &self.cookies {
            write!(f, ", cookie: {name}={value}")?;
        }
        if let Some(source) = self.source {
            write!(f, ", from {source}")?;
        }
        for part in &self.without {
            write!(f, ", without {part}")?;
        }
        if self.is_new { write!(f, ", without a key") } else { Ok(()) }
    }
}

/// A path with these parameters behind it.
fn target(path: &str, params: Vec<(String, Vec<Piece>)>) -> Vec<Piece> {
    let mut target = pieces(path);
    if !params.is_empty() {
        let mark = if path.contains('?') { "&" } else { "?" };
        target.push(Piece::Text(mark.to_owned()));
        target.extend(joined(params, "&"));
    }
    target
}

/// Pairs with a text between them.
fn joined(pairs: Vec<(String, Vec<Piece>)>, between: &str) -> Vec<Piece> {
    let mut all = Vec::new();
    for (place, (name, value)) in pairs.into_iter().enumerate() {
        let between = if place > 0 { between } else { "" };
        all.push(Piece::Text(format!("{between}{name}=")));
        all.extend(value);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_read_as_it_is_written() {
        for (text, name) in [
            ("/a?b=1", "GET /a?b=1"),
            ("POST /a | X-Group: beta | Host: h:80", "POST /a, host: h:80, x-group: beta"),
            ("GET / | sourceIp: 10.0.0.1", "GET /, from 10.0.0.1"),
            ("GET /\ncookie: uid={key}", "GET /, cookie: uid={key}"),
            (
                "GET / | metadata: a.b, c = {key} | filterState: d.e=f g",
                "GET /, metadata a.b, c {key}, filter state d.e f g",
            ),
        ] {
            assert_eq!(parse(text).unwrap().to_string(), name);
        }
        for wrong in [
            "",
            "GET",
            "a b c",
            "GET / | x",
            "GET / | sourceIp: 1.2.3",
            "/ | metadata: a=b",
            "/ | filterState: a",
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
        let all = parse_all("/a\nx: 1\n\n\nPOST /b\r\n\r\n").unwrap();
        assert_eq!(
            all.iter().map(Described::to_string).collect::<Vec<_>>(),
            ["GET /a, x: 1", "POST /b"]
        );
    }

    #[test]
    fn a_key_goes_where_nothing_is_described() {
        let cookie = |name: &str| Part::Cookie(name.into());
        let carried = Carried {
            keys: vec![
                (KeySource::Part(cookie("uid")), 0),
                (KeySource::Part(Part::Header("x-user".into())), 1),
                (KeySource::Part(Part::QueryParam("u".into())), 0),
                (KeySource::Part(Part::Baggage("member".into())), 0),
            ],
            issued: vec!["id".into()],
        };
        let text = |described: &Described| {
            let shape = described.shape(&carried, &carried.issued);
            let mut client = super::super::client::Client::default();
            client.set(b"k");
            let mut request = shape.request();
            shape.fill(&client, &mut request);
            let headers = request.headers.iter();
            let headers = headers.map(|(n, v)| format!("{n}={}", String::from_utf8_lossy(v)));
            let text = headers.collect::<Vec<_>>().join(" | ");
            text.split("id=8yZdTJOruNx7OaykJd-qsA").collect::<Vec<_>>().join("id=ID")
        };
        assert_eq!(
            text(&parse("/").unwrap()),
            ":method=GET | :path=/?u=k | x-user=k~1 | baggage=member=k | cookie=uid=k; id=ID"
        );
        let described = parse("/ | baggage: a=1, member =7;p | cookie: b=1; uid=8; id=9").unwrap();
        assert_eq!(
            text(&described),
            ":method=GET | :path=/?u=k | baggage=a=1, member =7;p | cookie=b=1; uid=8; id=9 | x-user=k~1"
        );
        let marked = parse("/ | x-user: {key} | cookie: id=7").unwrap();
        assert_eq!(text(&marked), ":method=GET | :path=/ | x-user=k | cookie=id=7");
        let without =
            Described { without: vec![cookie("uid"), cookie("id")], ..Described::default() };
        assert_eq!(text(&without), ":method=GET | :path=/?u=k | x-user=k~1 | baggage=member=k");
        let new = Described { is_new: true, ..Described::default() };
        assert_eq!(text(&new), ":method=GET | :path=/ | cookie=id=ID");
    }
}
