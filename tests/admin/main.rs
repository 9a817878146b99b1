//! The admin listener over real HTTP, on a store in memory: health, metrics, API, console.

#![expect(clippy::unwrap_used, reason = "a test says what went wrong by panicking")]

mod api;
mod console;
mod deliveries;
mod events;
mod gate;
mod health;
mod http;
mod routes;
mod stage;
mod trial;
