//! Runs the filter in a real Envoy, on loopback.
