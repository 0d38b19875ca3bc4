//! Routes with weights beside a configuration: those of Istio, of the Gateway API and of Envoy itself.

mod advice;
mod find;

pub use advice::{changes, warnings};

use anyhow::{Context, Result, anyhow, bail};

use crate::document;

/// A route with its entries as Envoy gets them: Istio leaves out those of weight 0.
#[derive(Debug, PartialEq, Eq)]
pub struct Route {
    /// The file as given.
    pub file: String,
    /// The first line of its entries.
    pub line: usize,
    /// The resource and the place in it, as in `VirtualService reviews http[0]`.
    pub title: String,
    pub entries: Vec<Entry>,
    /// Whether it has several entries, those of weight 0 among them.
    pub is_weighted: bool,
    /// The request header that Envoy takes a point from; `None` where the route does not say.
    pub header: Option<String>,
    pub is_envoys: bool,
}

/// A destination and its weight.
#[derive(Debug, PartialEq, Eq)]
pub struct Entry {
    pub name: String,
    pub weight: u64,
}

/// The routes of some files.
#[derive(Debug, Default)]
pub struct Routes {
    pub all: Vec<Route>,
    /// The headers that EnvoyFilters add to routes.
    pub headers: Vec<String>,
}

impl Routes {
    /// Reads the routes of these files.
    pub fn read(paths: &[String]) -> Result<Routes> {
        let mut routes = Routes::default();
        paths.iter().try_for_each(|path| routes.add(path))?;
        Ok(routes)
    }

    /// Reads the routes of files that have nothing else to say: the first one has the configuration.
    ///
    /// # Errors
    /// If one of the others has no route.
    pub fn beside(paths: &[String]) -> Result<Routes> {
        for path in paths.get(1..).unwrap_or(&[]) {
            let own = Routes::read(std::slice::from_ref(path))?;
            if own.all.is_empty() && own.headers.is_empty() {
                bail!("{path}: no route here; the plugins of a chain stand in one file, the first");
            }
        }
        Routes::read(paths)
    }

    /// Adds the routes of a file. Standard input has none: it is read for the configuration.
    pub fn add(&mut self, path: &str) -> Result<()> {
        if path == "-" {
            return Ok(());
        }
        let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {path}"))?;
        let documents = document::parse(&text).map_err(|_| anyhow!("{path}: not YAML"))?;
        documents.iter().for_each(|document| self.find(document, path));
        Ok(())
    }

    /// The route that has the weights of a rule.
    pub fn only(&self, rule: &str) -> Result<&Route> {
        let weighted: Vec<_> = self.all.iter().filter(|route| route.is_weighted).collect();
        let all: Vec<_> = self.all.iter().collect();
        match (weighted.as_slice(), all.as_slice()) {
            ([route], _) | ([], [route]) => Ok(route),
            ([], _) => bail!(
                "rule {rule} has its weights in the route: give that as well, as another -f FILE \
                 (a VirtualService, an HTTPRoute or Envoy's own configuration)"
            ),
            (routes, _) => {
                let titles: Vec<_> = routes.iter().map(|route| route.title.as_str()).collect();
                bail!("several routes have weights, give only one of them: {}", titles.join(", "))
            }
        }
    }
}

impl Route {
    pub fn total(&self) -> u64 {
        self.entries.iter().fold(0, |sum, entry| sum.saturating_add(entry.weight))
    }

    /// The name of the entry that a point chooses.
    pub fn entry(&self, point: u64) -> Option<&str> {
        let mut rest = point.checked_rem(self.total())?;
        for entry in &self.entries {
            match rest.checked_sub(entry.weight) {
                None => return Some(&entry.name),
                Some(less) => rest = less,
            }
        }
        None
    }

    /// The entries with their shares, 0 to 1.
    pub fn shares(&self) -> impl Iterator<Item = (&str, f64)> {
        let total = self.total().max(1) as f64;
        self.entries.iter().map(move |entry| (entry.name.as_str(), entry.weight as f64 / total))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routes(yaml: &str) -> Routes {
        let mut routes = Routes::default();
        for document in document::parse(yaml).unwrap() {
            routes.find(&document, "f");
        }
        routes
    }

    fn entries(route: &Route) -> Vec<(&str, u64)> {
        route.entries.iter().map(|entry| (entry.name.as_str(), entry.weight)).collect()
    }

    #[test]
    fn every_kind_of_route() {
        let found = routes(
            "kind: VirtualService\nmetadata: {name: reviews}\nspec:\n  http:\n  - name: canary\n    \
             route:\n    - {destination: {host: reviews, subset: v1}, weight: 90}\n    - \
             {destination: {host: reviews, subset: v3}, weight: 10}\n    - {destination: {host: \
             gone}, weight: 0}\n  - route: [{destination: {host: ratings}}]\n---\nkind: \
             HTTPRoute\nmetadata: {name: shop}\nspec: {rules: [{backendRefs: [{name: a}, {name: b, \
             weight: 3}]}]}\n---\nvirtual_hosts:\n- routes:\n  - route: {weighted_clusters: \
             {header_name: X-P, clusters: [{name: c, weight: 1}, {name: d, weight: {value: \
             2}}]}}\n---\nkind: EnvoyFilter\nspec: {configPatches: [{patch: {value: {route: \
             {weighted_clusters: {header_name: x-p}}}}}]}",
        );
        let seen: Vec<_> = found.all.iter().map(|r| (r.title.as_str(), entries(r))).collect();
        assert_eq!(
            seen,
            [
                ("VirtualService reviews http[0]", vec![("reviews/v1", 90), ("reviews/v3", 10)]),
                ("VirtualService reviews http[1]", vec![("ratings", 100)]),
                ("HTTPRoute shop rules[0]", vec![("a", 1), ("b", 3)]),
                ("weighted_clusters", vec![("c", 1), ("d", 2)]),
            ]
        );
        let weighted: Vec<_> = found.all.iter().map(|route| route.is_weighted).collect();
        assert_eq!(weighted, [true, false, true, true]);
        assert_eq!(found.all[3].header.as_deref(), Some("x-p"));
        assert_eq!(found.headers, ["x-p"]);
        let patch = "kind: EnvoyPatchPolicy\nspec: {jsonPatches: [{operation: {op: add, path: \
                     header_name, value: X-P}}, {operation: {op: add, path: /a/b, value: x}}]}";
        assert_eq!(routes(patch).headers, ["x-p"]);
    }

    /// The arithmetic of `wasm-tests/vectors/point-v1.json`, which a real Envoy is held to.
    #[test]
    fn a_point_chooses_as_envoy_does() {
        let vectors = include_str!("../../../wasm-tests/vectors/point-v1.json");
        let vectors: serde_json::Value = serde_json::from_str(vectors).unwrap();
        let route =
            |weights: &str| routes(&format!("weighted_clusters: {{clusters: [{weights}]}}"));
        let two = route("{name: a, weight: 90}, {name: b, weight: 10}");
        let three = route("{name: a, weight: 1}, {name: b, weight: 1}, {name: c, weight: 1}");
        for vector in vectors["vectors"].as_array().unwrap() {
            let point = vector["point"].as_str().unwrap().parse().unwrap();
            assert_eq!(two.all[0].entry(point), vector["of90and10"].as_str());
            assert_eq!(three.all[0].entry(point), vector["of1and1and1"].as_str());
        }
        assert_eq!(route("").all.len(), 0);
    }

    #[test]
    fn a_rule_needs_one_route_with_weights() {
        let one = "weighted_clusters: {clusters: [{name: a, weight: 1}, {name: b, weight: 1}]}";
        assert!(routes(one).only("r").is_ok());
        assert!(routes("{}").only("r").unwrap_err().to_string().starts_with("rule r has its"));
        let two = routes(&format!("{one}\n---\n{one}")).only("r").unwrap_err().to_string();
        assert!(two.starts_with("several routes have weights"), "{two}");
    }
}
