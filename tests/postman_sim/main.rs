//! The Postman stand-in, over real HTTP.

#[cfg(test)]
mod client;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod journal;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod misbehaviour;
#[cfg(test)]
mod quirks;
#[cfg(test)]
mod writes;
