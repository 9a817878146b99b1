//! Promises 1 to 8 at once, in a cluster: several intakes and workers on one Redis, a Postman that fails in every way,
//! processes that are killed and stopped, a Redis that is restarted.
//!
//! The oracle is the stand-in's journal and the store: every event that was answered 200 has ended; the newest value of
//! each fact is in effect, once; one member per person; the rate limit never exceeded. `take_over` tests a single kill,
//! to see when the person's next call is made.

#[cfg(test)]
mod oracle;
#[cfg(test)]
#[path = "../bridge/process.rs"]
#[expect(dead_code, reason = "shared with the tests of one process, which use more of it")]
mod process;
#[cfg(test)]
#[expect(dead_code, reason = "shared with the tests of one process, which use more of it")]
mod redis_server;
#[cfg(test)]
mod run;
#[cfg(test)]
mod senders;
#[cfg(test)]
mod take_over;
#[cfg(test)]
mod upgrade;
#[cfg(test)]
mod words;
