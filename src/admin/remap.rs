//! Maps kept payloads again, with the current mappings.

use std::sync::Arc;

use bytes::Bytes;

use crate::core::code::Code;
use crate::core::person::{Event, Person, SourceName};

/// Maps a kept payload again, with the source's current mapping; none if the source is not configured.
pub type Remap = Arc<dyn Fn(&SourceName, &[u8]) -> Option<Remapped> + Send + Sync>;

/// What the current mapping makes of a payload.
#[derive(Debug, Clone, Default)]
pub struct Remapped {
    /// The events that it states.
    pub events: Vec<Event>,
    /// Records of it that still cannot be mapped.
    pub unmapped: Vec<StillUnmapped>,
    /// How many of its records the mapping ignores.
    pub ignored: usize,
}

/// A record that still cannot be mapped.
#[derive(Debug, Clone)]
pub struct StillUnmapped {
    /// Who it is about, if it says at least that.
    pub person: Option<Person>,
    /// The reason.
    pub code: Code,
    /// Fields and shapes, never values.
    pub detail: String,
    /// The record, as received.
    pub payload: Bytes,
}
