//! Writes that were answered with a success, and that no reply has shown.

use super::attempt::AttemptState;
use super::capabilities::Capabilities;
use super::conclusion::Aspect;
use super::request::{Active, Operation};
use super::rules::{PlanRules, WantedMembership, wanted_address};
use super::write::{Seen, names_differ};
use crate::core::code::Code;
use crate::core::time::UnixMs;

/// How often a write is repeated that no read shows.
const WRITES_MAX: u32 = 4;

/// Looks whether this read shows what was written. If it does not, that aspect waits, or is written again, or is given up
/// after some tries; the others go on.
pub(super) fn confirm(
    state: &mut AttemptState,
    seen: &Seen,
    membership: WantedMembership,
    rules: &PlanRules,
    now: UnixMs,
) {
    if let Some(operation) = state.unshown.take() {
        let aspect = Aspect::written_by(operation);
        if let Some(aspect) = aspect.filter(|aspect| differs(state, seen, membership, *aspect)) {
            state.document.progress.note_unshown(aspect, now);
            state.left_alone.push(aspect);
        } else {
            state.wrote.push(operation);
            state.note_written(operation, now);
        }
    }
    for write in state.document.progress.unshown.clone() {
        let aspect = write.aspect;
        if state.is_refused(aspect) {
            continue;
        }
        if !differs(state, seen, membership, aspect) {
            state.wrote.extend(operation_of(aspect));
            state.document.progress.note_shown(aspect);
            if let Some(known) = &mut state.document.member {
                known.cover(aspect, now);
            }
        } else if write.writes >= WRITES_MAX {
            state.refused.push((aspect, Code::ScimNotApplied, "reads still show the old value".to_owned()));
        } else if now.ms_since(write.at) < rules.read_lag_ms.min(2_500 << write.writes) {
            // Longer each time, up to the lag of reads.
            state.left_alone.push(aspect);
        }
    }
    // Whatever goes out as a PUT is made of what was read, and would undo what the read does not show yet.
    let is_fresh = state.document.progress.unshown.iter().any(|write| now.ms_since(write.at) < rules.read_lag_ms);
    let capabilities = state.capabilities.unwrap_or(Capabilities::UNTOLD);
    for (aspect, is_patched) in [
        (Aspect::Membership, capabilities.patch),
        (Aspect::Address, capabilities.patch),
        (Aspect::Names, rules.target.patches_names(capabilities)),
    ] {
        if is_fresh && !is_patched && !state.is_refused(aspect) && differs(state, seen, membership, aspect) {
            state.left_alone.push(aspect);
        }
    }
}

fn operation_of(aspect: Aspect) -> Option<Operation> {
    match aspect {
        Aspect::Membership => Some(Operation::SetActive),
        Aspect::Address => Some(Operation::SetUserName),
        Aspect::Names => Some(Operation::Replace),
        Aspect::Groups => None,
    }
}

/// Whether this aspect of the member is not as HR says.
fn differs(state: &AttemptState, seen: &Seen, membership: WantedMembership, aspect: Aspect) -> bool {
    match aspect {
        Aspect::Membership => match (membership, seen.active) {
            (WantedMembership::Left, Active::On) | (WantedMembership::Employed, Active::Off) => true,
            (WantedMembership::Left, Active::Off | Active::Unknown)
            | (WantedMembership::Employed, Active::On | Active::Unknown)
            | (WantedMembership::Unsaid, _) => false,
        },
        Aspect::Address => wanted_address(&state.document).is_some_and(|email| !email.is(&seen.user_name)),
        Aspect::Names => names_differ(state, seen),
        Aspect::Groups => false,
    }
}
