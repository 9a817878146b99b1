//! The Redis engine.

mod link;

pub use self::link::{Address, Durability, LinkOptions, Login, Place, TlsFiles};
