//! Reading a person at their HR system's API: what a thin webhook asks for.
//!
//! A notice says that something about a person changed, but not what. Which requests find out is data
//! ([`FetchRules`]): steps with templates, a kind of login, how an answer shows that it is an error,
//! and the mapping from answers to facts. Lives here: those rules, the requests they make, what replies
//! mean, the facts in them, everybody by the system's own list ([`Listing`]), and what follows from a read
//! ([`verdict`]). Not here: HTTP (`crate::hr`),
//! and when and by whom anything is read (`crate::worker`).

pub use self::api::{Api, ApiProblem};
pub use self::auth::Auth;
pub use self::credential::Credential;
pub use self::facts::{ListedFacts, ListedRow, PersonRead};
pub use self::list::ListRules;
pub use self::listing::{ListFailure, ListStep, Listing, PageEnd};
pub use self::read::{Asked, NextRead, ReadEnd, ReadState};
pub use self::reply::{HrReply, LIST_BYTES_MAX, NoReply, REPLY_BYTES_MAX};
pub use self::request::{HrRequest, Method};
pub use self::rules::{FetchRules, ReadRate, Step};

mod api;
mod auth;
mod body;
mod credential;
mod facts;
mod list;
mod listing;
pub mod login;
pub mod pace;
mod read;
mod reply;
mod request;
mod rules;
mod template;
pub mod verdict;

#[cfg(test)]
mod tests;
