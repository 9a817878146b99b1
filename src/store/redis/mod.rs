//! The cluster engine: Redis or Valkey.

pub mod link;
