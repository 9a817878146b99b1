//! The judgement: is it genuine, what does it mean, what should we call, what does the reply mean,
//! what next. Pure functions over values: no async, no I/O, no clock, no randomness, no environment.
//! `tests/architecture.rs` enforces this.

pub mod activity;
pub mod alert;
pub mod audit;
pub mod braces;
pub mod capture;
pub mod clock_watch;
pub mod code;
pub mod csv;
pub mod deliveries;
pub mod delivery;
pub mod fetch;
pub mod guard;
pub mod hold;
pub mod hourly;
pub mod json;
pub mod limiter;
pub mod mapping;
pub mod outdated;
pub mod person;
pub mod problems;
pub mod processes;
pub mod reconcile;
pub mod retry_hint;
pub mod roster;
pub mod signature;
pub mod store_health;
pub mod tally;
pub mod target_name;
pub mod time;
pub mod trace;
