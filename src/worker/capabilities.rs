//! What the target last said that it can do: one attempt reads it, and for an hour all others use it, too.

use std::sync::{Mutex, PoisonError};

use crate::core::reconcile::capabilities::Capabilities;
use crate::core::time::UnixMs;

/// One read an hour, so that a change at the provider is noticed without a restart.
const ASKED_AGAIN_MS: u64 = 3_600_000;

#[derive(Debug, Default)]
pub(super) struct Learnt(Mutex<Option<(UnixMs, Capabilities)>>);

impl Learnt {
    /// What is known at `now`; none: ask.
    pub(super) fn known(&self, now: UnixMs) -> Option<Capabilities> {
        let learnt = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        learnt.filter(|(at, _)| now.ms_since(*at) < ASKED_AGAIN_MS).map(|(_, capabilities)| capabilities)
    }

    /// Keeps what an attempt knew at its end.
    pub(super) fn learn(&self, capabilities: Option<Capabilities>, now: UnixMs) {
        let Some(capabilities) = capabilities else { return };
        let mut learnt = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_fresh = learnt.is_some_and(|(at, _)| now.ms_since(at) < ASKED_AGAIN_MS);
        match &mut *learnt {
            Some((_, known)) if is_fresh => *known = capabilities,
            learnt => *learnt = Some((now, capabilities)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn learnt_capabilities_hold_for_an_hour() {
        let learnt = Learnt::default();
        assert_eq!(learnt.known(UnixMs(0)), None);
        learnt.learn(None, UnixMs(0));
        assert_eq!(learnt.known(UnixMs(0)), None);
        learnt.learn(Some(Capabilities::POSTMAN), UnixMs(0));
        let (last, over) = (UnixMs(0).plus_ms(ASKED_AGAIN_MS - 1), UnixMs(0).plus_ms(ASKED_AGAIN_MS));
        learnt.learn(Some(Capabilities::UNTOLD), last);
        assert_eq!(learnt.known(last), Some(Capabilities::UNTOLD));
        assert_eq!(learnt.known(over), None);
    }
}
