//! Makes what is shipped from what the compiler leaves.
//!
//! - [`trim`] takes out of a module what its host has no use for.
//! - [`image`] puts a module into an OCI image.
//! - [`licenses`] has the licences that go along with it, and [`sbom`] the list of its parts: both ask
//!   [`packages`] what cargo links.
//! - [`release`] puts everything into one folder, with the [`chart`], its [`notes`] and its [`provenance`], and
//!   [`verify`] checks such a folder. All [archives](archive) are the same each time.

pub mod archive;
pub mod chart;
pub mod image;
pub mod licenses;
pub mod notes;
pub mod packages;
pub mod provenance;
pub mod release;
pub mod sbom;
pub mod trim;
pub mod verify;
