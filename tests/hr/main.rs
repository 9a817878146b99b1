//! Thin webhooks: a notice, the read at the HR system that it triggers, and the result at the target. The in-memory
//! store, both stand-ins over real HTTP, and a clock that the tests advance.

#[cfg(test)]
mod answers;
#[cfg(test)]
mod journeys;
#[cfg(test)]
mod lists;
#[cfg(test)]
mod logins;
#[cfg(test)]
mod pace;
#[cfg(test)]
mod rig;
#[cfg(test)]
mod trouble;
