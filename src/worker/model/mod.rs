//! A formal model of lanes, leases, fences, inboxes and commits, checked with Stateright: every order in which an HR
//! system that gets no answer, workers that are slow or die, and leases that run out can meet, up to a bound.
//!
//! It does not describe again what the bridge does: the store is the in-memory engine, and a worker folds, plans,
//! judges replies, decides and commits by the functions that it has in production. The model's own are the steps
//! between which another may come in (one call of the store or of the target each), and the team.
//!
//! Not in it: a call that is still under way when its lease ends. `lease` keeps a lease alive for longer than a call
//! can take, so that this needs a process that is stopped for that long in the middle of one; no fence is checked by
//! the target.

mod bridge;
mod hand;
mod variants;
mod world;
