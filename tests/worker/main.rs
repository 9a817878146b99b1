//! The worker, one step at a time: the in-memory store on one side, the stand-in over real HTTP on the other, and a
//! clock that the tests advance.

#[cfg(test)]
mod bench;
#[cfg(test)]
mod engines;
#[cfg(test)]
mod failures;
#[cfg(test)]
mod handovers;
#[cfg(test)]
mod holds;
#[cfg(test)]
mod journeys;
#[cfg(test)]
mod leases;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod lists;
#[cfg(test)]
mod owners;
#[cfg(test)]
mod rough_store;
#[cfg(test)]
mod rough_weather;
#[cfg(test)]
mod rows;
#[cfg(test)]
mod scope;
#[cfg(test)]
#[path = "../store/servers.rs"]
mod servers;
#[cfg(test)]
mod standstill;
