//! Other people's SCIM 2.0 providers, as targets of the whole binary. `script/setup` installs them.

#[cfg(test)]
mod journeys;
#[cfg(test)]
#[path = "../bridge/process.rs"]
#[expect(dead_code, reason = "shared with the tests of the whole binary, which use more of it")]
mod process;
#[cfg(test)]
mod providers;
#[cfg(test)]
#[path = "../servers/mod.rs"]
#[expect(dead_code, reason = "shared with the tests of the cluster store, which use more of it")]
mod servers;
