//! The cluster engine: Redis or Valkey.

pub mod link;

pub use self::link::{Address, Durability, LinkOptions, Login, Place, TlsFiles};
