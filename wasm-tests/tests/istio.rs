//! The manifests in a real mesh: applied to a real Kubernetes API, served by a real istiod, fetched
//! and run by a real pilot-agent with a real Envoy.

use anyhow::Result;
use wasm_tests::client::{Client, Protocol};
use wasm_tests::istio::mesh::Place;

#[tokio::test]
async fn variant_header() -> Result<()> {
    let place = Place::new("variant-header").await?;
    place.kubectl(&["apply", "-k", &place.folder.path("istio/variant-header")])?;
    let (proxy, address) = place.sidecar("productpage").await?;
    proxy.plugin(|_| true).await?;
    let mut client = Client::connect(Protocol::Http1, address).await?;
    let reply = client.send(&place.request()).await?;
    println!("{} {:?}", reply.status, reply.upstream());
    let reply = client.send(&place.request().with("x-user-group", "beta")).await?;
    println!("{} {:?}", reply.status, reply.upstream());
    Ok(())
}
