//! What to do at the target: what should be, what to ask next, what a reply means, and what happens
//! then. Pure: the same record, member and replies lead to the same calls.
//!
//! Lives here: requests and replies as values, the plan, the look-up, suspicion, the verdict. Not
//! here: HTTP and JSON on the wire (`crate::scim`), and when anything is done (`crate::worker`).

pub mod attempt;
mod bounds;
pub mod capabilities;
pub mod carrier;
pub mod claim_result;
pub mod claims;
pub mod conclusion;
mod confirm;
pub mod group;
pub mod groups;
mod json;
pub mod judge;
mod learn;
pub mod listing;
pub mod member;
pub mod no_reply;
mod open;
pub mod owner;
pub mod plan;
pub mod preview;
pub mod refusal;
pub mod reply;
pub mod request;
mod rules;
pub mod search;
mod shown;
mod step;
pub mod suspicion;
pub mod target;
pub mod verdict;
mod waits;
mod write;

#[cfg(test)]
mod claim_tests;
#[cfg(test)]
mod create_tests;
#[cfg(test)]
mod earlier_tests;
#[cfg(test)]
mod groups_tests;
#[cfg(test)]
mod open_tests;
#[cfg(test)]
mod order_tests;
#[cfg(test)]
mod plan_tests;
#[cfg(test)]
mod scope_tests;
#[cfg(test)]
mod search_tests;
#[cfg(test)]
mod target_tests;
#[cfg(test)]
pub(crate) mod team_tests;
#[cfg(test)]
mod waiting_tests;
#[cfg(test)]
pub(crate) mod world_tests;
