//! A formal model of lanes, leases, fences, inboxes and commits, checked with Stateright: every order in which an HR
//! system that gets no answer, workers that are slow or die, and leases that run out can meet, up to a bound.
//!
//! It does not restate what the bridge does: the store is the in-memory engine, and a worker folds, plans, judges
//! replies, decides and commits with the functions that it has in production. Only two things are the model's own: the
//! team, and the steps, each one call of the store or of the target, between which somebody else may act.
//!
//! Not covered: a call that is still under way when its lease ends. `lease` keeps a lease alive for longer than a call
//! can take, so this would need a process that is suspended for that long in the middle of a call. No fence would help
//! then, since the target checks none.

mod bridge;
mod busy_worker;
mod variants;
mod world;
