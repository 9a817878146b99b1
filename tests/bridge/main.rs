//! The whole binary, as it ships: real signals, real HTTP on both sides, signatures made by somebody
//! else's library.

#[cfg(test)]
mod addresses;
#[cfg(test)]
mod alerts;
#[cfg(test)]
mod capture;
#[cfg(test)]
mod commands;
#[cfg(test)]
mod erasing;
#[cfg(test)]
mod fetches;
#[cfg(test)]
mod follow;
#[cfg(test)]
mod forwarded;
#[cfg(test)]
mod groups;
#[cfg(test)]
mod healthcheck;
#[cfg(test)]
mod init;
#[cfg(test)]
mod kills;
#[cfg(test)]
mod live;
#[cfg(test)]
mod log_reader;
#[cfg(test)]
mod memory;
#[cfg(test)]
mod moving;
#[cfg(test)]
#[path = "../chaos/oracle.rs"]
mod oracle;
#[cfg(test)]
mod power;
#[path = "../servers/power_cut.rs"]
mod power_cut;
#[cfg(test)]
mod privacy;
#[cfg(test)]
#[expect(dead_code, reason = "shared with the tests of a cluster, which use more of it")]
mod process;
#[cfg(test)]
mod quiet;
#[cfg(test)]
mod redis;
#[cfg(test)]
#[path = "../chaos/redis_server.rs"]
#[expect(dead_code, reason = "shared with the tests of a cluster, which restart it")]
mod redis_server;
#[cfg(test)]
mod roster;
#[cfg(test)]
mod scope;
#[cfg(test)]
mod shutdown;
#[cfg(test)]
mod store_trouble;
#[cfg(test)]
#[cfg(any(debug_assertions, feature = "failpoints"))]
mod supervision;
#[cfg(test)]
#[cfg(feature = "otlp")]
mod traces;
#[cfg(test)]
mod unusable;
#[cfg(test)]
#[path = "../chaos/words.rs"]
mod words;
