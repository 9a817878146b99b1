//! Holds, their trials and probes, and the limiter's tokens: all of it in the control state.

use super::control::{Control, HoldSlot, Lifted, Trial, slot_of};
use super::writer::Work;
use crate::core::code::Code;
use crate::core::event::EventKind;
use crate::core::hold::{Hold, HoldScope, ProbePauses, is_lifted_by_hand};
use crate::core::limiter::{CallKind, Grant, Rate};
use crate::core::time::UnixMs;
use crate::store::{StoreOptions, Token, TrialResult};

/// Sets a hold. The one that stands stays as it is where it has the same code, or where an operator
/// set it: eight workers that see the same refusal set one hold.
pub(super) fn set(work: &mut Work<'_>, now: UnixMs, scope: HoldScope, code: Code) -> Hold {
    let pauses = work.options.probe_pauses;
    let slot = work.control.slot_mut(scope);
    if let Some(standing) = &slot.hold
        && (standing.code == code || is_lifted_by_hand(standing.code))
    {
        return standing.clone();
    }
    // Lifted by a trial and back at once: it goes on where it was, so that it does not flap.
    let probes = match &slot.lifted {
        Some(lifted) if lifted.code == code && now.ms_since(lifted.at) <= pauses.max_ms => lifted.probes,
        Some(_) | None => 0,
    };
    let next_probe_at = (!is_lifted_by_hand(code)).then(|| now.plus_ms(pauses.after(probes)));
    let hold = Hold { scope, code, since: now, next_probe_at, probes };
    *slot = HoldSlot { hold: Some(hold.clone()), trial: None, lifted: None, ended_at: slot.ended_at };
    hold
}

/// Lifts the hold of a scope, or all; only where it is of that code, if one is given.
pub(super) fn lift(work: &mut Work<'_>, now: UnixMs, scope: Option<HoldScope>, code: Option<Code>) -> Vec<Hold> {
    let mut lifted = Vec::new();
    for one in [HoldScope::All, HoldScope::Creates] {
        if scope.is_none_or(|scope| scope == one) {
            let slot = work.control.slot_mut(one);
            if let Some(hold) = slot.hold.take_if(|hold| code.is_none_or(|code| code == hold.code)) {
                *slot = HoldSlot { ended_at: Some(now), ..HoldSlot::default() };
                lifted.push(hold);
            }
        }
    }
    *work.wake |= !lifted.is_empty();
    lifted
}

/// Since when jobs of this kind have not been held: now, where they are.
pub(super) fn free_since(control: &Control, now: UnixMs, kind: EventKind) -> Option<UnixMs> {
    let scopes: &[HoldScope] = match kind {
        EventKind::Hire => &[HoldScope::All, HoldScope::Creates],
        EventKind::Rename => &[HoldScope::All],
    };
    let ends = scopes.iter().map(|scope| control.slot(*scope));
    ends.filter_map(|slot| if slot.hold.is_some() { Some(now) } else { slot.ended_at }).max()
}

/// Whether a trial or probe of this hold may be handed out now.
pub(super) fn probe_is_due(slot: &HoldSlot, now: UnixMs) -> bool {
    probe_at(slot).is_some_and(|at| at <= now)
}

/// When the next trial or probe may be handed out; none where there is no hold, or an operator's.
pub(super) fn probe_at(slot: &HoldSlot) -> Option<UnixMs> {
    let next = slot.hold.as_ref()?.next_probe_at?;
    Some(slot.trial.as_ref().map_or(next, |trial| next.max(trial.until)))
}

/// Notes that a trial (with its lease's fence) or a probe was handed out.
pub(super) fn hand_out(slot: &mut HoldSlot, pauses: ProbePauses, now: UnixMs, fence: Option<i64>, until: UnixMs) {
    if let Some(hold) = &mut slot.hold {
        hold.probes = hold.probes.saturating_add(1);
        hold.next_probe_at = Some(now.plus_ms(pauses.after(hold.probes)));
        slot.trial = Some(Trial { fence, until });
    }
}

/// Ends a trial (with its lease's fence) or a probe. One that is not the last handed out, or whose
/// hold is another by now, says nothing about this hold.
pub(super) fn end(work: &mut Work<'_>, now: UnixMs, scope: HoldScope, fence: Option<i64>, result: Option<TrialResult>) {
    let slot = work.control.slot_mut(scope);
    if slot.trial.as_ref().is_none_or(|trial| trial.fence != fence) {
        return;
    }
    slot.trial = None;
    match result {
        Some(TrialResult::Passed) => {
            if let Some(hold) = slot.hold.take() {
                slot.ended_at = Some(now);
                slot.lifted = Some(Lifted { code: hold.code, probes: hold.probes, at: now });
                *work.wake = true;
            }
        }
        Some(TrialResult::Failed) | None => {}
    }
}

/// Takes a token.
pub(super) fn take_token(work: &mut Work<'_>, now: UnixMs, kind: CallKind) -> Token {
    let tat_us = &mut work.control.tat_us[slot_of(kind)];
    match rate(work.options, kind).ask(*tat_us, micros(now)) {
        Grant::Now { tat_us: next } => {
            *tat_us = next;
            Token::Granted
        }
        Grant::NotBefore { at_us } => Token::NotBefore(rounded_up(at_us)),
    }
}

/// No token of either kind before `until`.
pub(super) fn back_off(work: &mut Work<'_>, until: UnixMs) {
    for kind in [CallKind::Write, CallKind::Read] {
        let tat_us = &mut work.control.tat_us[slot_of(kind)];
        *tat_us = rate(work.options, kind).backed_off(*tat_us, micros(until));
    }
}

fn rate(options: &StoreOptions, kind: CallKind) -> Rate {
    match kind {
        CallKind::Write => options.writes,
        CallKind::Read => options.reads,
    }
}

fn micros(at: UnixMs) -> i64 {
    at.0.saturating_mul(1_000)
}

/// Not a moment too early.
fn rounded_up(at_us: i64) -> UnixMs {
    UnixMs(at_us.div_euclid(1_000) + i64::from(at_us.rem_euclid(1_000) > 0))
}
