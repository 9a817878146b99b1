//! What the process reports about itself: logs, metrics and traces.
//!
//! Every module may write to it. No output contains personal data, bodies or secrets; identifiers
//! (`job`, `person`, `source`) are fields of logs and attributes of spans, never labels of metrics, except for
//! `source`, which the configuration bounds.

pub mod activity;
pub mod logs;
pub mod metrics;
pub mod rate_limited_log;
pub mod scim_call;
pub mod store_log;
pub mod traces;
