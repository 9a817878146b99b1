//! Every engine of the store against one suite, and what is particular to the embedded one.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "all of this is tests")]

mod conformance;
mod embedded;
mod harness;
mod memory;
mod properties;

conformance::conformance!(embedded_engine, crate::embedded::Folder::new());
conformance::conformance!(memory_engine, crate::memory::Kept::new());
