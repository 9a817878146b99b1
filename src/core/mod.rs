//! The judgement: is it genuine, what does it mean, what should we call, what does the reply mean,
//! what next. Pure functions over values: no async, no I/O, no clock, no randomness, no environment.
//! `tests/architecture.rs` holds this.

pub mod code;
pub mod delivery;
pub mod event;
pub mod hold;
pub mod job;
pub mod limiter;
pub mod mapping;
pub mod scim;
pub mod signature;
pub mod time;
