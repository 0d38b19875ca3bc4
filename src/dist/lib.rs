//! Makes what is shipped from what the compiler leaves.
//!
//! - [`trim`] takes out of a module what its host has no use for.
//! - [`image`] puts a module into an OCI image.
//! - [`licenses`] has the licences that go along with it.

pub mod image;
pub mod licenses;
pub mod trim;
