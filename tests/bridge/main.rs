//! The whole binary, as it ships: real signals, real HTTP on both sides, signatures made by somebody
//! else's library.

#[cfg(test)]
mod commands;
#[cfg(test)]
mod kills;
#[cfg(test)]
mod privacy;
#[cfg(test)]
mod process;
#[cfg(test)]
mod shutdown;
