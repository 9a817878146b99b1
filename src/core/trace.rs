//! Trace contexts: the trace and span that something belongs to, as W3C Trace Context (level 1, §3.2) writes them in
//! the header `traceparent`; kept with an event from its delivery to the calls that it causes.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};

/// The length of a `traceparent` of version 00.
const LEN: usize = 55;

/// A place in a trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(into = "String")]
pub struct TraceContext {
    /// The trace's id; never zero.
    pub trace_id: u128,
    /// The span's id; never zero.
    pub span_id: u64,
    /// Bit 0: whether the trace is recorded.
    pub flags: u8,
}

impl TraceContext {
    /// Reads a `traceparent`; none if it is malformed: then a new trace begins.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (head, rest) = text.split_at_checked(LEN)?;
        let [version, trace_id, span_id, flags] = head.split('-').collect::<Vec<_>>().try_into().ok()?;
        let is_known = version == "00" && rest.is_empty();
        let is_later = version != "00" && version != "ff" && (rest.is_empty() || rest.starts_with('-'));
        let (version, trace_id) = (hex(version, 2)?, hex(trace_id, 32)?);
        let (span_id, flags) = (hex(span_id, 16)?, hex(flags, 2)?);
        let context = Self {
            trace_id,
            span_id: u64::try_from(span_id).ok()?,
            // In a later version, only this bit is known to keep its meaning.
            flags: u8::try_from(flags).ok()? & if version == 0 { 0xff } else { 1 },
        };
        ((is_known || is_later) && trace_id != 0 && span_id != 0).then_some(context)
    }

    /// Reads what was stored with an event. An unknown form by another version counts as none: an event does not
    /// depend on its trace.
    pub fn stored<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Self>, D::Error> {
        let stored = serde_json::Value::deserialize(from)?;
        Ok(stored.as_str().and_then(Self::parse))
    }

    /// The trace's id, in the form in which people search for it.
    #[must_use]
    pub fn trace(self) -> String {
        format!("{:032x}", self.trace_id)
    }
}

/// Lower-case hex digits, this many.
fn hex(text: &str, digits: usize) -> Option<u128> {
    let is_hex = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    (text.len() == digits && is_hex).then(|| u128::from_str_radix(text, 16).ok())?
}

impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.trace_id, self.span_id, self.flags)
    }
}

impl From<TraceContext> for String {
    fn from(context: TraceContext) -> Self {
        context.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIVEN: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_traceparent_reads_and_is_written_as_it_was() {
        let context = TraceContext::parse(GIVEN).unwrap();
        assert_eq!(context.trace(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!((context.span_id, context.flags), (0x00f0_67aa_0ba9_02b7, 1));
        assert_eq!(context.to_string(), GIVEN);
    }

    #[test]
    fn a_later_version_is_read_as_far_as_it_is_known() {
        for text in [
            "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-03",
            "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what-comes-later",
        ] {
            assert_eq!(TraceContext::parse(text), TraceContext::parse(GIVEN), "{text}");
        }
    }

    #[test]
    fn a_malformed_traceparent_is_ignored() {
        for text in [
            "",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-011",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01x",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473g-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00_4bf92f3577b34da6a3ce929d0e0e4736_00f067aa0ba902b7_01",
            "00-4bf92f3577b34da6a3ce929d0e0e473-600f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0é",
        ] {
            assert_eq!(TraceContext::parse(text), None, "{text}");
        }
    }
}
