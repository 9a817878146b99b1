//! An undocumented refusal: is it this person's, or everybody's?
//!
//! The calls of others decide. Several people are refused without a served call of that kind in
//! between: it is the target's. Others are served in between: the person's own, after some tries. A
//! served read does not clear a write.

use crate::core::code::Code;
use crate::core::hold::HoldScope;
use crate::core::limiter::CallKind;
use crate::core::person::PersonId;
use crate::core::person::document::Progress;
use crate::core::time::UnixMs;

/// So many different people refused in a row are the target's.
pub const PEOPLE: usize = 2;
/// So many tries, with others served in between, are the person's own.
pub const TRIES: u32 = 5;
/// So old a refusal says nothing of the present.
const MEMORY_MS: u64 = 600_000;

/// What one worker process has seen of a kind of call.
#[derive(Debug, Clone, Default)]
struct Seen {
    /// Who was refused since the last call that was served.
    refused: Vec<(PersonId, UnixMs)>,
    /// When a call was last served, and for whom.
    served: Option<(Option<PersonId>, UnixMs)>,
}

/// What one worker process has seen.
#[derive(Debug, Clone, Default)]
pub struct Suspicions {
    reads: Seen,
    writes: Seen,
}

/// What a refusal comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judgement {
    /// Everybody is refused.
    Target,
    /// Too early to say: tried again.
    Open,
    /// Only this person is refused.
    Own,
}

impl Suspicions {
    /// A call was served.
    pub fn served(&mut self, kind: CallKind, person: Option<PersonId>, now: UnixMs) {
        let seen = self.seen(kind);
        seen.refused.clear();
        seen.served = Some((person, now));
    }

    /// A call was refused, undocumented. Judges it, and counts it in the person's progress.
    /// `spread_ms` is over how long the tries of somebody who is alone are spread.
    pub fn refused(
        &mut self,
        kind: CallKind,
        person: PersonId,
        progress: &mut Progress,
        now: UnixMs,
        spread_ms: u64,
    ) -> Judgement {
        let seen = self.seen(kind);
        seen.refused.retain(|(who, at)| *who != person && now.ms_since(*at) <= MEMORY_MS);
        let others_refused = seen.refused.len();
        seen.refused.push((person, now));
        let last_try = progress.failing_since;
        let others_served =
            seen.served.is_some_and(|(who, at)| who != Some(person) && last_try.is_some_and(|since| at >= since));
        progress.suspicions += 1;
        progress.suspicions_alone += u32::from(others_served);
        let failing_ms = last_try.map_or(0, |since| now.ms_since(since));
        if others_refused + 1 >= PEOPLE {
            Judgement::Target
        } else if progress.suspicions_alone >= TRIES || (progress.suspicions >= TRIES && failing_ms >= spread_ms) {
            Judgement::Own
        } else {
            Judgement::Open
        }
    }

    /// Whether somebody else's call was served since then.
    #[must_use]
    pub fn others_were_served(&self, person: PersonId, since: UnixMs) -> bool {
        [&self.reads, &self.writes]
            .iter()
            .any(|seen| seen.served.is_some_and(|(who, at)| who != Some(person) && at >= since))
    }

    /// What a refusal of everybody holds: writes alone where reads are served.
    #[must_use]
    pub fn hold(&self, kind: CallKind, status: Option<u16>) -> (HoldScope, Code) {
        let code = match status {
            Some(300..=399) => Code::HoldRedirect,
            _ => Code::HoldRefused,
        };
        let reads_are_served = self.reads.refused.is_empty() && self.reads.served.is_some();
        match kind {
            CallKind::Write if reads_are_served => (HoldScope::Writes, Code::HoldReadOnly),
            CallKind::Write | CallKind::Read => (HoldScope::All, code),
        }
    }

    fn seen(&mut self, kind: CallKind) -> &mut Seen {
        match kind {
            CallKind::Read => &mut self.reads,
            CallKind::Write => &mut self.writes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPREAD_MS: u64 = 120_000;

    fn refused(suspicions: &mut Suspicions, who: u64, progress: &mut Progress, now: i64) -> Judgement {
        progress.failing_since.get_or_insert(UnixMs(now));
        suspicions.refused(CallKind::Write, PersonId(who), progress, UnixMs(now), SPREAD_MS)
    }

    #[test]
    fn two_people_refused_in_a_row_are_the_targets() {
        let mut suspicions = Suspicions::default();
        let (mut ada, mut bob) = (Progress::default(), Progress::default());
        assert_eq!(refused(&mut suspicions, 1, &mut ada, 0), Judgement::Open);
        assert_eq!(refused(&mut suspicions, 1, &mut ada, 1), Judgement::Open);
        assert_eq!(refused(&mut suspicions, 2, &mut bob, 2), Judgement::Target);
    }

    #[test]
    fn a_served_read_does_not_clear_a_write_and_makes_the_hold_one_of_writes() {
        let mut suspicions = Suspicions::default();
        let (mut ada, mut bob) = (Progress::default(), Progress::default());
        refused(&mut suspicions, 1, &mut ada, 0);
        suspicions.served(CallKind::Read, Some(PersonId(3)), UnixMs(1));
        assert_eq!(refused(&mut suspicions, 2, &mut bob, 2), Judgement::Target);
        assert_eq!(suspicions.hold(CallKind::Write, Some(403)), (HoldScope::Writes, Code::HoldReadOnly));
        assert_eq!(suspicions.hold(CallKind::Read, Some(302)), (HoldScope::All, Code::HoldRedirect));
    }

    #[test]
    fn who_alone_is_refused_while_others_are_served_is_told_after_five_tries() {
        let mut suspicions = Suspicions::default();
        let mut ada = Progress::default();
        assert_eq!(refused(&mut suspicions, 1, &mut ada, 0), Judgement::Open);
        for now in 1..5 {
            suspicions.served(CallKind::Write, Some(PersonId(2)), UnixMs(now));
            assert_eq!(refused(&mut suspicions, 1, &mut ada, now), Judgement::Open);
        }
        suspicions.served(CallKind::Write, Some(PersonId(2)), UnixMs(5));
        assert_eq!(refused(&mut suspicions, 1, &mut ada, 5), Judgement::Own);
    }

    #[test]
    fn with_nobody_to_compare_with_the_tries_take_their_time() {
        let mut suspicions = Suspicions::default();
        let mut ada = Progress::default();
        for now in 0..20 {
            assert_eq!(refused(&mut suspicions, 1, &mut ada, now * 1000), Judgement::Open);
        }
        assert_eq!(refused(&mut suspicions, 1, &mut ada, 120_000), Judgement::Own);
    }
}
