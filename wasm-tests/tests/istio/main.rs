//! The manifests in a real mesh: applied to a real Kubernetes API, served by a real istiod, the
//! module fetched from a registry and run by a real pilot-agent with its Envoy.

mod bookinfo;
mod extension;
mod fetch;
mod places;
mod readme;
mod routes;
mod scalars;
mod signing;
mod steer;
mod updates;
mod waypoint;
