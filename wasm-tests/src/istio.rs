//! Istio itself, as released, in front of a real Kubernetes API: no cluster and no containers.
//!
//! - [`tools`] builds the programs from their Go modules.
//! - [`kubernetes`] is etcd and the API server, which keep what is applied; nothing is scheduled.
//!   [`types`] are resource types of others.
//! - [`control_plane`] is istiod, which reads from there.
//! - [`proxy`] is a pilot-agent with its Envoy, in the place of a pod.
//! - [`registry`] serves the module's image; [`folder`] is a user's copy of the manifests.
//! - [`mesh`] is all of these, shared by the tests; [`place`] is a test's part of it.
//! - [`controller`] is one that writes weights into routes, [`analysis`] the Prometheus that it asks,
//!   [`reports`] what it is told of pods; [`weights`] are those that arrive in Envoy.

pub mod analysis;
pub mod chart;
pub mod control_plane;
pub mod controller;
pub mod folder;
pub mod kubernetes;
pub mod mesh;
pub mod place;
pub mod proxy;
pub mod registry;
pub mod reports;
pub mod tools;
pub mod types;
pub mod weights;

use anyhow::Result;
use std::collections::BTreeSet;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::Mutex;

/// The minor version that Istio's own proxy is built from: Istio 1.31 ships Envoy 1.39.
pub const ENVOY: &str = "1.39.3";

/// A loopback port that is free now, and that nobody else here was given. Several of these programs
/// cannot choose one themselves.
pub fn free_port() -> Result<u16> {
    static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());
    loop {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        if GIVEN.lock().map_or(true, |mut given| given.insert(port)) {
            return Ok(port);
        }
    }
}
