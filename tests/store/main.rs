//! One test suite for every engine of the store, and the particulars of each.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "all of this is tests")]

mod arrivals;
mod conformance;
mod embedded;
mod harness;
mod memory;
mod processes;
mod properties;
mod redis;
mod redis_clock;
mod servers;

conformance::conformance!(embedded_engine, crate::embedded::Folder::new());
conformance::conformance!(memory_engine, crate::memory::Kept::new());
conformance::conformance!(redis_engine, crate::redis::Keyspace::on(&crate::servers::REDIS));
conformance::conformance!(valkey_engine, crate::redis::Keyspace::on(&crate::servers::VALKEY));
