//! Every engine of the store against one suite, and what is particular to the embedded one.

mod conformance;
mod embedded;
mod harness;

conformance::conformance!(embedded_engine, crate::embedded::Folder::new());
