//! The Redis engine, configured and wired as in production, on real servers that fail in every possible way.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "all of this is tests")]

mod cluster;
#[path = "../store/conformance/mod.rs"]
mod conformance;
mod durability;
mod failures;
#[path = "../store/harness.rs"]
mod harness;
mod history;
mod listings;
mod logins;
#[path = "../store/memory.rs"]
mod memory;
#[path = "../servers/network.rs"]
mod network;
mod partitions;
mod power;
#[path = "../servers/power_cut.rs"]
mod power_cut;
mod rights;
mod sentinel;
#[path = "../servers/mod.rs"]
mod servers;
mod settings;
mod stage;
mod wakes;

/// Generates a test for each make of server.
macro_rules! on_both {
    ($($name:ident)*) => {
        mod redis {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() { super::$name(crate::servers::Make::Redis).await })*
        }
        mod valkey {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() { super::$name(crate::servers::Make::Valkey).await })*
        }
    };
}
pub(crate) use on_both;
