//! Several plugins in one chain: each sees the request as the ones before it left it.

use serde::Serialize;
use traffic_split::{HeaderList, Outcome};

use super::explained::{Explained, example};
use super::table;
use crate::check::Checked;
use crate::output::{FAINT, STRONG};
use crate::plugin::Plugin;
use crate::routes::Routes;

/// The way of a request through a chain, as `-o json` prints it.
#[derive(Serialize)]
pub struct Chain {
    /// The plugins in the order in which they run.
    pub plugins: Vec<Link>,
    /// The routing headers at the end of the chain.
    pub headers: Vec<Survivor>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

#[derive(Serialize)]
pub struct Link {
    pub plugin: String,
    pub phase: Option<String>,
    pub priority: Option<f64>,
    /// The line of its configuration, where the file has the chain itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    #[serde(flatten)]
    pub explained: Explained,
}

/// A routing header that reaches the router.
#[derive(Serialize)]
pub struct Survivor {
    pub header: String,
    /// The value; `None` if it depends on chance.
    pub value: Option<String>,
    /// The plugin that wrote it last.
    pub plugin: String,
    /// The plugins whose decisions it undid, with what they had written.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub undone: Vec<String>,
}

/// Sends a request through these plugins, which are in their order.
pub fn run(plugins: &[(Plugin, Checked)], request: &HeaderList, routes: &Routes) -> Chain {
    let mut chain = Chain { plugins: Vec::new(), headers: Vec::new(), notes: Vec::new() };
    let mut headers = request.headers.clone();
    let mut written = Vec::new();
    for (plugin, checked) in plugins {
        let mut request = HeaderList::new(headers.clone()).with_source(request.source);
        request.written_earlier.clone_from(&written);
        let explained = Explained::new(checked, &request, routes);
        let (plan, environment) = (&checked.plan, &mut example(checked));
        let outcome = Outcome::decide(plan, &checked.snapshot, &request, environment);
        for change in outcome.request_headers().chain(outcome.baggage_change()) {
            headers.retain(|(name, _)| name != change.name);
            headers.extend(change.value.map(|value| (change.name.to_owned(), value.to_vec())));
            // What a filter puts into these stands beside what others did.
            if matches!(change.name, "cookie" | "baggage") {
                continue;
            }
            if outcome.is_carried_out() && !written.iter().any(|name| name == change.name) {
                written.push(change.name.to_owned());
            }
            let text = change.value.map(|value| String::from_utf8_lossy(value).into_owned());
            let value = text.map(|text| explained.is_certain.then_some(text));
            chain.write(change.name, value, &plugin.full_title());
        }
        written.extend(outcome.written_in_baggage().map(str::to_owned));
        chain.plugins.push(Link {
            plugin: plugin.full_title(),
            phase: plugin.place.phase.clone(),
            priority: plugin.place.priority,
            line: plugin.place.listed.map(|_| plugin.line),
            explained,
        });
    }
    if chain.headers.iter().any(|it| !it.undone.is_empty()) {
        chain.notes.push(
            "Plugins that share a header undo each other: give each its own, or one of them the rules \
             of both. A user whom both decide flips with the order of the plugins."
                .to_owned(),
        );
    }
    chain
}

impl Chain {
    /// Notes what a plugin does to a header: `None` removes it.
    fn write(&mut self, header: &str, value: Option<Option<String>>, plugin: &str) {
        let place = self.headers.iter().position(|known| known.header == header);
        let earlier = place.map(|place| self.headers.remove(place));
        let undone = earlier.map_or_else(Vec::new, |earlier| {
            let mut undone = earlier.undone;
            let value = earlier.value.unwrap_or_else(|| "a value by chance".to_owned());
            undone.push(format!("{value} of {}", earlier.plugin));
            undone
        });
        let gone = "the header is removed".to_owned();
        match value {
            Some(value) => {
                let (header, plugin) = (header.to_owned(), plugin.to_owned());
                self.headers.push(Survivor { header, value, plugin, undone });
            }
            None if !undone.is_empty() => {
                let (header, plugin) = (header.to_owned(), plugin.to_owned());
                self.headers.push(Survivor { header, value: Some(gone), plugin, undone });
            }
            None => {}
        }
    }

    /// Writes the chain for people.
    pub fn table(&self) -> String {
        let mut text = String::new();
        for (link, number) in self.plugins.iter().zip(1..) {
            let (name, place) = (&link.plugin, link.place());
            text += &format!("{number}. {STRONG}{name}{STRONG:#} {FAINT}({place}){FAINT:#}\n\n");
            for line in table::table(&link.explained).lines() {
                text += format!("   {line}").trim_end();
                text.push('\n');
            }
            text.push('\n');
        }
        text += &format!("{STRONG}at the end of the chain{STRONG:#}\n");
        if self.headers.is_empty() {
            text += "   no plugin has written a header: Envoy's own route decides\n";
        }
        for Survivor { header, value, plugin, undone } in &self.headers {
            let value = value.as_deref().unwrap_or("by chance");
            text += &format!("   {header}: {STRONG}{value}{STRONG:#}, by {plugin}\n");
            for undone in undone {
                text += &format!("      in place of {undone}\n");
            }
        }
        for note in &self.notes {
            text += &format!("   note: {note}\n");
        }
        text
    }
}

impl Link {
    /// The fields that decide its place in the chain.
    fn place(&self) -> String {
        if let Some(line) = self.line {
            return format!("line {line}");
        }
        let phase = self.phase.as_deref().unwrap_or("before the router");
        match self.priority {
            Some(priority) => format!("{phase}, priority {priority}"),
            None => format!("{phase}, no priority"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::check;
    use crate::{document, plugin};

    fn chain(plugins: &[(&str, &str, &str)], headers: &[(&str, &str)]) -> Chain {
        let plugin = |(name, header, rules): &(&str, &str, &str)| {
            let yaml = format!(
                "kind: WasmPlugin\nmetadata: {{name: {name}}}\nspec:\n  pluginConfig:\n    variantHeader: \
                 {header}\n    variants: {{ a: {{}}, b: {{}} }}\n    rules: {rules}"
            );
            let plugin = plugin::find(&document::parse(&yaml).unwrap(), &yaml).remove(0);
            let checked = check(&plugin).map_err(|_| yaml).unwrap();
            (plugin, checked)
        };
        let plugins: Vec<_> = plugins.iter().map(plugin).collect();
        let request = HeaderList::new(headers.iter().map(|(name, value)| (*name, *value)));
        run(&plugins, &request, &Routes::default())
    }

    fn end(chain: &Chain) -> Vec<String> {
        let line = |it: &Survivor| {
            format!("{}={:?} {} {:?}", it.header, it.value.as_deref(), it.plugin, it.undone)
        };
        chain.headers.iter().map(line).collect()
    }

    const ALL_A: &str = "[ { name: x, to: a } ]";
    const ALL_B: &str = "[ { name: second, to: b } ]";
    const BETA: &str =
        "[ { name: second, match: [ { headers: { g: { exact: beta } } } ], to: b } ]";

    #[test]
    fn the_later_plugin_with_a_rule_that_matches_decides() {
        let both = chain(&[("one", "v", ALL_A), ("two", "v", ALL_B)], &[("v", "client")]);
        let undone = "v=Some(\"b\") WasmPlugin two [\"a of WasmPlugin one\"]";
        assert_eq!(end(&both), [undone]);
        assert_eq!(both.notes.len(), 1);
        // The later one without such a rule leaves the header alone.
        let first = chain(&[("one", "v", ALL_A), ("two", "v", BETA)], &[("v", "client")]);
        assert_eq!(end(&first), ["v=Some(\"a\") WasmPlugin one []"]);
        let beta = chain(&[("one", "v", ALL_A), ("two", "v", BETA)], &[("g", "beta")]);
        assert_eq!(end(&beta), [undone]);
        let apart = chain(&[("one", "v", ALL_A), ("two", "w", ALL_B)], &[]);
        assert_eq!(
            end(&apart),
            ["v=Some(\"a\") WasmPlugin one []", "w=Some(\"b\") WasmPlugin two []"]
        );
        assert_eq!(end(&chain(&[("one", "v", BETA)], &[("v", "client")])), [""; 0]);
    }

    #[test]
    fn a_plugin_sees_what_the_one_before_it_wrote() {
        let follows = "[ { name: second, match: [ { headers: { v: { exact: a } } } ], to: b } ]";
        let chain = chain(&[("one", "v", ALL_A), ("two", "w", follows)], &[("v", "b")]);
        assert_eq!(chain.headers.len(), 2);
        assert_eq!(chain.plugins[1].explained.rule.as_deref(), Some("second"));
    }

    #[test]
    fn a_value_by_chance_is_no_value() {
        let drawn = "[ { name: second, split: { a: 1, b: 1 } } ]";
        assert_eq!(end(&chain(&[("one", "v", drawn)], &[])), ["v=None WasmPlugin one []"]);
    }
}
