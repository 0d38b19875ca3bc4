//! The clients that move when one configuration replaces another.

use traffic_split::HeaderList;
use traffic_split::config::PersistSpec;

use crate::diff::client::{Client, Shape};
use crate::diff::group::Group;
use crate::diff::side::{At, Place, Side};
use crate::keys::Source;

/// The clients of one group of requests, by where they are before and after.
pub struct Movement<'a> {
    pub group: &'a Group,
    pub cells: Vec<Cell<'a>>,
}

/// The clients that are in one place before, and in another or the same after.
pub struct Cell<'a> {
    pub from: Place<'a>,
    pub to: Place<'a>,
    pub clients: u64,
    /// Those of them who move: without the route, places by points differ from client to client.
    pub moved: u64,
}

/// A cookie with an earlier assignment that counts in the new configuration, and the rule that sets it.
pub struct Kept<'a> {
    pub rule: &'a str,
    pub cookie: &'a PersistSpec,
}

/// Decides each request of each client by both configurations. A client has the cookies of `kept` with
/// what the old one has assigned to it.
pub fn count<'a>(
    sides: [&'a Side<'a>; 2],
    groups: impl Iterator<Item = &'a Group>,
    keys: &Source,
    kept: &[Kept<'_>],
) -> Vec<Movement<'a>> {
    let groups: Vec<_> = groups.map(|group| (group, narrowed(sides, group))).collect();
    let mut scenes: Vec<_> = groups
        .iter()
        .map(|(group, narrowed)| match (narrowed, &group.narrow) {
            (Some([old, new]), Some(narrow)) => Scene::new([old, new], &narrow.shapes, kept),
            _ => Scene::new(sides, &group.shapes, kept),
        })
        .collect();
    let is_fixed = |place: &usize| groups.get(*place).is_none_or(|(group, _)| group.is_fixed);
    let mut client = Client::default();
    let (fixed, mut others): (Vec<_>, Vec<_>) =
        scenes.iter_mut().enumerate().partition(|(place, _)| is_fixed(place));
    if !others.is_empty() {
        keys.for_each(|key| {
            client.set(key);
            others.iter_mut().for_each(|(_, scene)| scene.decide(&client, 1));
        });
    }
    client.set(b"user-0");
    fixed.into_iter().for_each(|(_, scene)| scene.decide(&client, keys.count()));
    let [old, new] = sides;
    let movement = |((group, _), scene): (&(&'a Group, _), Scene<'_, '_>)| {
        let own = |cell: Cell<'_>| Cell { from: old.own(cell.from), to: new.own(cell.to), ..cell };
        Movement { group, cells: scene.cells.into_iter().map(own).collect() }
    };
    groups.iter().zip(scenes).map(movement).collect()
}

/// The configurations with what decides the requests of a group, where that can be told.
fn narrowed<'a>([old, new]: [&Side<'a>; 2], group: &Group) -> Option<[Side<'a>; 2]> {
    let narrow = group.narrow.as_ref()?;
    let side = |it: usize, side: &Side<'a>| side.edited(|json| narrow.edit(it, json)).ok();
    Some([side(0, old)?, side(1, new)?])
}

/// The requests of one group in the making.
struct Scene<'s, 'k> {
    sides: [&'s Side<'s>; 2],
    shapes: &'s [Shape; 2],
    requests: [HeaderList; 2],
    /// Whether both configurations get the same request.
    shared: bool,
    kept: &'k [Kept<'k>],
    cells: Vec<Cell<'s>>,
}

impl<'s, 'k> Scene<'s, 'k> {
    fn new(sides: [&'s Side<'s>; 2], shapes: &'s [Shape; 2], kept: &'k [Kept<'k>]) -> Self {
        let mut requests = shapes.each_ref().map(Shape::request);
        let [old, new] = shapes;
        let shared = old == new && kept.is_empty();
        if let ([_, new], false) = (&mut requests, kept.is_empty()) {
            new.headers.push(("cookie".to_owned(), Vec::new()));
        }
        Scene { sides, shapes, requests, shared, kept, cells: Vec::new() }
    }

    fn decide(&mut self, client: &Client, clients: u64) {
        let ([before, after], [old, new]) = (self.sides, &mut self.requests);
        let [old_shape, new_shape] = self.shapes;
        old_shape.fill(client, old);
        let from = before.place(old, &mut client.chance(before.now()));
        let request = match self.shared {
            true => old,
            false => {
                new_shape.fill(client, new);
                if let (Some((_, value)), false) = (new.headers.last_mut(), self.kept.is_empty()) {
                    keep(self.kept, from, value);
                }
                new
            }
        };
        let to = after.place(request, &mut client.chance(after.now()));
        self.add(from, to, clients);
    }

    fn add(&mut self, from: Place<'s>, to: Place<'s>, clients: u64) {
        let moved = if from.at == to.at { 0 } else { clients };
        let known = self.cells.iter_mut().find(|cell| cell.from.is(from) && cell.to.is(to));
        match known {
            Some(cell) => {
                cell.clients += clients;
                cell.moved += moved;
            }
            None => self.cells.push(Cell { from, to, clients, moved }),
        }
    }
}

/// Writes the cookie that keeps what a client has been assigned to.
fn keep(kept: &[Kept<'_>], from: Place<'_>, into: &mut Vec<u8>) {
    into.clear();
    let cookie = kept.iter().find(|kept| from.rule == Some(kept.rule));
    let point = || from.point.map(|point| point.to_string());
    if let (Some(kept), Some(text)) = (cookie, from.variant.map(str::to_owned).or_else(point)) {
        into.extend_from_slice(format!("{}={text}", kept.cookie.cookie.name).as_bytes());
    }
}

impl<'a> Movement<'a> {
    pub fn clients(&self) -> u64 {
        self.cells.iter().map(|cell| cell.clients).sum()
    }

    /// The share of its clients that move, 0 to 1.
    pub fn moved(&self) -> f64 {
        self.share(|cell| cell.moved)
    }

    /// The least share that has to move, so that as many clients are in each place as there are.
    pub fn minimum(&self) -> f64 {
        let at = |place: fn(&Cell<'a>) -> At<'a>, at: At<'a>| -> u64 {
            self.cells.iter().filter(|cell| place(cell) == at).map(|cell| cell.clients).sum()
        };
        let mut places: Vec<At<'a>> = Vec::new();
        for cell in self.cells.iter().filter(|cell| !matches!(cell.to.at, At::Point(_))) {
            if !places.contains(&cell.to.at) {
                places.push(cell.to.at);
            }
        }
        let gains = places.into_iter().map(|place| {
            at(|cell| cell.to.at, place).saturating_sub(at(|cell| cell.from.at, place))
        });
        gains.sum::<u64>() as f64 / self.clients().max(1) as f64
    }

    /// The share of some clients of each cell among all.
    pub fn share(&self, part: impl Fn(&Cell<'a>) -> u64) -> f64 {
        self.cells.iter().map(part).sum::<u64>() as f64 / self.clients().max(1) as f64
    }
}

impl<'a> Place<'a> {
    /// Whether it is shown as the same: points are not told apart.
    fn is(self, other: Place<'a>) -> bool {
        let same = |a: Option<&str>, b: Option<&str>| match (a, b) {
            (Some(a), Some(b)) => std::ptr::eq(a, b),
            (None, None) => true,
            _ => false,
        };
        let at = match (self.at, other.at) {
            (At::Entry(a), At::Entry(b)) => std::ptr::eq(a, b),
            (At::Point(_), At::Point(_)) => true,
            (a, b) => std::mem::discriminant(&a) == std::mem::discriminant(&b),
        };
        at && same(self.rule, other.rule) && same(self.variant, other.variant)
    }
}
