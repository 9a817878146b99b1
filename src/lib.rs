//! `scim-bridge`: signed HR webhooks in, a Postman team kept in line over SCIM 2.0.

pub mod admin;
pub mod clock;
pub mod core;
pub mod hr;
pub mod hr_sim;
pub mod lifecycle;
pub mod postman_sim;
pub mod scim;
pub mod secret;
pub mod store;
pub mod telemetry;
pub mod worker;
