//! What the process reports about itself: logs, metrics and traces.
//!
//! Beside the core: every module may write to them. None carries personal data, bodies or secrets;
//! identifiers (`job`, `person`, `source`) are fields of logs and attributes of spans, and never labels of
//! metrics, except for `source`, which configuration bounds.

pub mod activity;
pub mod logs;
pub mod metrics;
pub mod scim_call;
pub mod seldom;
pub mod store_log;
pub mod traces;
