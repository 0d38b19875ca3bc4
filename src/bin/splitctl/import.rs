//! `splitctl import`: the canaries of other systems as rules of the filter.
//!
//! ```text
//! files ─ sources ─> Imported: hosts, routes, remarks ─ arrange ─> rules ─ check ─> write
//!         ingress_nginx, higress, istio, gateway, nginx, traffic_tag
//! ```

mod arrange;
mod canary;
mod check;
pub mod command;
mod cookie;
pub mod form;
mod gateway;
mod higress;
mod ingress;
mod ingress_nginx;
mod istio;
mod names;
mod nginx;
mod pattern;
pub mod sources;
mod traffic_tag;
pub mod write;
