//! The manifests in a real mesh: applied to a real Kubernetes API, served by a real istiod, the
//! module fetched from a registry and run by a real pilot-agent with its Envoy.

mod argo_rollouts;
mod bookinfo;
mod callers;
mod chart;
mod crowd;
mod drawn;
mod existing;
mod extension;
mod fetch;
mod flagger;
mod imported;
mod order;
mod places;
mod readme;
mod route_weights;
mod routes;
mod scalars;
mod seen;
mod shell;
mod signing;
mod steer;
mod teams;
mod types;
mod updates;
mod waypoint;
