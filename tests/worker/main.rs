//! The worker, one step at a time: the real embedded store on one side, the stand-in over real HTTP
//! on the other, and a clock that is moved by hand.

mod bench;
mod failures;
mod holds;
mod journeys;
mod leases;
