//! Splits traffic in the data plane.
