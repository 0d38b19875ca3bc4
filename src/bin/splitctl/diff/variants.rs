//! The variants of two configurations: the same names with other clusters, and the other way round.

use traffic_split::config::{Config, VariantSpec};

/// The changes of variants, in words. Where a client is, is the cluster, or without clusters the name.
pub fn changes(old: &Config, new: &Config) -> Vec<String> {
    let by_cluster = is_by_cluster(old, new);
    let known = |config: &Config, name: &str| config.variants.iter().any(|it| it.name == name);
    let mut changes = Vec::new();
    for before in &old.variants {
        let after = new.variants.iter().find(|it| it.name == before.name);
        match (after, cluster(before)) {
            (Some(after), Some(cluster)) if by_cluster && after.cluster != before.cluster => {
                changes.push(format!(
                    "The variant {} is the cluster {}, before {cluster}.",
                    before.name,
                    after.cluster.as_deref().unwrap_or("none")
                ));
            }
            (None, Some(cluster)) if by_cluster => {
                let mut others = new.variants.iter();
                let renamed = others.find(|it| {
                    it.cluster.as_deref() == Some(cluster) && !known(old, &it.name)
                });
                changes.extend(renamed.map(|after| {
                    format!(
                        "The variant {} is called {} now, at the same cluster: nobody moves by it but in \
                         splits, which draw by the names of their variants.",
                        before.name, after.name
                    )
                }));
            }
            (None, _) if !by_cluster && old.variants.len() == new.variants.len() => changes.push(format!(
                "The variant {} is gone: without a clusterHeader, a route knows a variant by its name.",
                before.name
            )),
            _ => {}
        }
    }
    changes
}

/// Whether places are told by clusters.
pub fn is_by_cluster(old: &Config, new: &Config) -> bool {
    old.cluster_header.is_some() && new.cluster_header.is_some()
}

/// Whether each variant of both has one cluster, and each cluster one variant, so that the names tell
/// the places.
pub fn names_tell(old: &Config, new: &Config) -> bool {
    let all = || old.variants.iter().chain(&new.variants);
    all().all(|a| all().all(|b| (a.name == b.name) == (cluster(a) == cluster(b))))
}

fn cluster(variant: &VariantSpec) -> Option<&str> {
    variant.cluster.as_deref()
}
