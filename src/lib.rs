//! `scim-bridge`: signed HR webhooks in, a Postman team kept up to date over SCIM 2.0.

pub mod admin;
pub mod alert;
pub mod app;
pub mod cli;
pub mod clock;
pub mod config;
pub mod core;
pub mod descriptors;
pub mod failpoint;
pub mod files;
pub mod hr;
#[cfg(feature = "stand-ins")]
pub mod hr_sim;
pub mod intake;
pub mod lifecycle;
pub mod peer;
#[cfg(feature = "stand-ins")]
pub mod postman_sim;
pub mod roster;
pub mod scim;
pub mod secret;
pub mod store;
pub mod supervision;
pub mod telemetry;
pub mod worker;
