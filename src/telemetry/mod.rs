//! What the process tells of itself: logs and metrics.
//!
//! Beside the core: everybody may write to both. Neither carries personal data, bodies or secrets;
//! identifiers (`job`, `person`, `source`) are fields of logs and never labels of metrics, but for
//! `source`, which configuration bounds.

pub mod activity;
pub mod logs;
pub mod metrics;
pub mod scim_call;
