//! The Postman stand-in, over real HTTP.

mod client;
mod faults;
mod fixtures;
mod journal;
mod limits;
mod misbehaviour;
mod quirks;
