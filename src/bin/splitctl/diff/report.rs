//! The answer of `splitctl diff`, for people and for programs.

use serde::Serialize;

use super::group::Group;
use super::side::{At, Place};
use crate::keys::Source;
use crate::movement::{Cell, Movement};
use crate::output::{BAD, FAINT, Ordered, STRONG, columns, percent};

/// The requests of a group that are shown to people.
const SHOWN: usize = 5;

/// The answer as `-o json` prints it. The fields at the top are those of the requests that move most.
#[derive(Serialize)]
pub struct Report {
    pub keys: u64,
    /// The rule that decides these requests, in the old configuration.
    pub rule: Option<String>,
    /// The greatest share of the clients who send some request, and move.
    pub moved: f64,
    pub minimum: f64,
    pub matrix: Ordered<Ordered<f64>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_moved: Option<f64>,
    /// Whether a routing header that routes read is gone, or has another name.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub rerouted: bool,
    pub requests: Vec<Requests>,
    pub hints: Vec<String>,
}

/// Requests that both configurations answer alike.
#[derive(Serialize)]
pub struct Requests {
    pub requests: Vec<String>,
    pub moved: f64,
    /// The least share of the clients that has to move, so that each place has as many as it has.
    pub minimum: f64,
    /// The shares of all clients from each old place to each new one.
    pub matrix: Ordered<Ordered<f64>>,
    /// The moves from one rule to another.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<Between>,
    /// The rules that decide before, and those after.
    #[serde(skip)]
    decided: [Vec<String>; 2],
    #[serde(skip)]
    is_one: bool,
}

/// Clients who move from one rule to another; `None` where no rule decides.
#[derive(Serialize)]
pub struct Between {
    pub from: Option<String>,
    pub to: Option<String>,
    pub moved: f64,
}

/// The names of places, and their order.
pub struct Names {
    /// Whether a place is called by its variant.
    pub by_variant: bool,
    pub order: Vec<String>,
}

impl Names {
    fn name(&self, place: Place<'_>) -> String {
        let text = match place.at {
            At::Cluster(_) if self.by_variant => place.variant.unwrap_or("-"),
            At::Cluster(name) | At::Variant(name) | At::Entry(name) => name,
            At::Point(_) => "by the route",
            At::Drawn => "drawn by Envoy",
            At::Own => "no rule",
        };
        text.to_owned()
    }

    fn sort(&self, names: &mut Vec<String>) {
        let place = |name: &String| self.order.iter().position(|known| known == name);
        names.sort_by_key(|name| place(name).unwrap_or(usize::MAX));
        names.dedup();
    }
}

impl Requests {
    pub fn new<'a>(movement: &Movement<'a>, names: &Names) -> Self {
        let Group { requests, shapes: [old, _], .. } = movement.group;
        let cells = || movement.cells.iter();
        let all = |name: fn(&Cell<'a>) -> Place<'a>| {
            let mut all: Vec<_> = cells().map(|cell| names.name(name(cell))).collect();
            all.sort();
            names.sort(&mut all);
            all
        };
        let (from, to) = (all(|cell| cell.from), all(|cell| cell.to));
        let share = |from: &String, to: &String| {
            movement.share(|cell| {
                let here = names.name(cell.from) == *from && names.name(cell.to) == *to;
                if here { cell.clients } else { 0 }
            })
        };
        let row =
            |from: &String| Ordered(to.iter().map(|to| (to.clone(), share(from, to))).collect());
        let mut between: Vec<Between> = Vec::new();
        for cell in cells().filter(|cell| cell.moved > 0) {
            let name = |place: Place<'_>| place.rule.map(str::to_owned);
            let (from, to) = (name(cell.from), name(cell.to));
            let moved = cell.moved as f64 / movement.clients().max(1) as f64;
            match between.iter_mut().find(|known| known.from == from && known.to == to) {
                Some(known) => known.moved += moved,
                None => between.push(Between { from, to, moved }),
            }
        }
        let rules = |rule: fn(&Cell<'a>) -> Option<&'a str>| {
            let mut rules: Vec<String> = Vec::new();
            for name in cells().filter_map(rule) {
                if !rules.iter().any(|known| known == name) {
                    rules.push(name.to_owned());
                }
            }
            rules
        };
        let decided = [rules(|cell| cell.from.rule), rules(|cell| cell.to.rule)];
        Requests {
            requests: requests.iter().map(ToString::to_string).collect(),
            moved: movement.moved(),
            minimum: movement.minimum(),
            matrix: Ordered(from.iter().map(|from| (from.clone(), row(from))).collect()),
            rules: if between.iter().any(|it| it.from != it.to) { between } else { Vec::new() },
            decided,
            is_one: movement.group.is_fixed && old.is_fixed(),
        }
    }

    fn table(&self) -> String {
        let mut text = String::new();
        for request in self.requests.iter().take(SHOWN) {
            text += &format!("{STRONG}{request}{STRONG:#}{}\n", self.by());
        }
        if let Some(more @ 1..) = self.requests.len().checked_sub(SHOWN) {
            text += &format!("and {more} more that are decided alike\n");
        }
        let Ordered(matrix) = &self.matrix;
        let to = matrix
            .iter()
            .take(1)
            .flat_map(|(_, Ordered(row))| row.iter().map(|(to, _)| to.clone()));
        let mut rows = vec![std::iter::once("from \\ to".to_owned()).chain(to).collect()];
        for (from, Ordered(row)) in matrix {
            let cells = row.iter().map(|(_, share)| percent(*share));
            rows.push(std::iter::once(from.clone()).chain(cells).collect());
        }
        text += "\n";
        for line in columns(&rows, true) {
            text += &format!("  {line}\n");
        }
        text += &format!("\nmoved    {STRONG}{}{STRONG:#}\n", percent(self.moved));
        text += &format!(
            "minimum  {} {FAINT}(the least that these shares allow){FAINT:#}\n",
            percent(self.minimum)
        );
        for Between { from, to, moved } in &self.rules {
            let named = |rule: &Option<String>| match rule {
                Some(rule) => format!("the rule {rule}"),
                None => "no rule".to_owned(),
            };
            text += &match from == to {
                true => format!("         {} within {}\n", percent(*moved), named(from)),
                false => {
                    format!("         {} from {} to {}\n", percent(*moved), named(from), named(to))
                }
            };
        }
        text
    }

    /// The rules that decide.
    fn by(&self) -> String {
        let one = if self.is_one { ", all alike" } else { "" };
        let [before, after] = self.decided.each_ref().map(|rules| match rules.as_slice() {
            [] => "no rule".to_owned(),
            rules => rules.join(", "),
        });
        match before == after {
            true => format!(" ({before}{one})"),
            false => format!(" ({before} before, {after} after{one})"),
        }
    }
}

impl Report {
    pub fn is_good(&self) -> bool {
        self.max_moved.is_none_or(|most| self.moved <= most && !self.rerouted)
    }

    pub fn table(&self, keys: &Source) -> String {
        let mut text = format!("{}\n\n", keys.title());
        let (moving, staying): (Vec<_>, Vec<_>) =
            self.requests.iter().partition(|it| it.moved > 0.0);
        let tables: Vec<_> = moving.iter().map(|requests| requests.table()).collect();
        text += &tables.join("\n");
        if !staying.is_empty() {
            let before = if moving.is_empty() { "" } else { "\n" };
            text += &format!("{before}Nobody moves who sends\n");
            for requests in staying {
                for request in requests.requests.iter().take(SHOWN) {
                    text += &format!("  {request}{}\n", requests.by());
                }
                if let Some(more @ 1..) = requests.requests.len().checked_sub(SHOWN) {
                    text += &format!("  and {more} more that are decided alike\n");
                }
            }
        }
        for hint in &self.hints {
            text += &format!("\n{hint}\n");
        }
        if let Some(most) = self.max_moved.filter(|_| !self.is_good()) {
            let (moved, most) = (percent(self.moved), percent(most));
            let why = if self.rerouted { ", unless the routes change with the header" } else { "" };
            let moved = if self.rerouted { "all may".to_owned() } else { moved };
            text += &format!("\n{BAD}{moved} move{why}, and --max-moved is {most}{BAD:#}\n");
        }
        text
    }
}
