//! The fuzz targets.

#[path = "targets.rs"]
mod targets;

pub use targets::{body, configuration, delivery, document, filter, head, mapping, scim_reply};
