//! Is a delivery genuine? A declarative scheme describes how a source signs: a new HR system needs a TOML table and no
//! code.
//!
//! This module holds the scheme, the check over raw bytes, the reverse ([`sign()`]: what a source would send), and how
//! a repeated delivery is recognised. Nothing here parses a body before its signature is verified, except for
//! handshakes that a source is configured to send unsigned.

mod cut;
mod dedupe;
pub mod fields;
mod genuine;
mod handshake;
mod keys;
mod lookup;
mod neighbours;
mod read;
mod refusal;
pub mod scheme;
mod seen;
mod sign;
pub mod template;
mod validate;
mod verify;

pub use dedupe::DedupeKey;
pub use genuine::Genuine;
pub use handshake::HandshakeAnswer;
pub use keys::{Keys, SecretProblem, check_secret};
pub use neighbours::neighbours;
pub use refusal::{Refusal, Role};
pub use scheme::Scheme;
pub use sign::{ToSign, sign};
pub use validate::SchemeProblem;
pub use verify::Verifier;
