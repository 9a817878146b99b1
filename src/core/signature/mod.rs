//! Is a delivery genuine? One declarative scheme says how a source signs; what a new HR system
//! needs is a TOML table and no code.
//!
//! Lives here: the scheme, the check over raw bytes, the other direction ([`sign()`]: what a source
//! would send), and what a delivery is remembered by. Nothing here parses a body before its
//! signature holds, except for handshakes that a source is configured to make unsigned.

pub mod fields;
pub mod scheme;
pub mod template;
mod validate;

pub use scheme::Scheme;
pub use validate::SchemeProblem;
