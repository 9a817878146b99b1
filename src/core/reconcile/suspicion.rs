//! An undocumented refusal: is it this person's, or everybody's?
//!
//! The calls for others decide. If several people are refused without a served call of that kind in between, it is
//! the target's. If others are served in between, it is the person's own, after some tries. A served read does not
//! clear a write.
//!
//! Two people with trouble of their own look like trouble of the target. So a harmless read is made first
//! ([`Suspicions::asks`]): everything is held only if that read is refused, and a person with nobody to compare
//! with is given up only if it is served. A person who was refused while others were served says less about the target than others
//! do; and while others are served, it takes more people.

use crate::core::code::Code;
use crate::core::hold::HoldScope;
use crate::core::limiter::CallKind;
use crate::core::person::PersonId;
use crate::core::person::document::{Forbidden, Progress};
use crate::core::time::UnixMs;

/// This many different people refused in a row mean trouble of the target, if nobody was served lately.
pub const PEOPLE: usize = 2;
/// This many do, whatever was served before.
pub const PEOPLE_AT_ONCE: usize = 5;
/// This many refused tries, with others served in between, mean the person's own trouble.
pub const TRIES: u32 = 5;
/// This many refused tries of an address mean trouble with the address.
const ADDRESS_TRIES: u32 = 4;
/// This many forbidden writes of groups mean the person's own trouble, if nobody else's tell.
const GROUP_TRIES: u32 = 3;
/// A refusal this old says nothing about the present.
const MEMORY_MS: u64 = 600_000;
/// If anybody was served within this time, two refusals do not mean everybody: both people may have trouble of their
/// own.
const LATELY_MS: u64 = 2_000;
/// How long a served harmless read proves that reads are not refused to everybody.
const PROBED_MS: u64 = 60_000;
/// How recent it must be to give up on a person, or to treat a pause of hours as one person's.
const PROBED_NOW_MS: u64 = 10_000;

/// A person who was refused.
#[derive(Debug, Clone, Copy)]
struct Refused {
    person: PersonId,
    at: UnixMs,
    /// Others were served since they were first refused: it may well be their own trouble.
    is_contradicted: bool,
}

/// What one worker process has seen of one kind of call.
#[derive(Debug, Clone, Default)]
struct Seen {
    /// People who were refused since the last served call.
    refused: Vec<Refused>,
    /// When a call was last served, and for which person.
    served: Option<(PersonId, UnixMs)>,
}

/// What one worker process has seen.
#[derive(Debug, Clone, Default)]
pub struct Suspicions {
    reads: Seen,
    writes: Seen,
    /// Writes of groups that were forbidden, and served.
    groups: Seen,
    /// When a harmless read was served: the team's list, for nobody in particular.
    probed: Option<UnixMs>,
}

/// The verdict on a refusal.
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
    pub fn served(&mut self, kind: CallKind, person: PersonId, now: UnixMs) {
        let seen = self.seen(kind);
        seen.refused.clear();
        seen.served = Some((person, now));
    }

    /// A harmless read was served. It does not clear any refusal: it was not about a person.
    pub fn probe_served(&mut self, now: UnixMs) {
        self.probed = Some(now);
    }

    /// A call was refused, undocumented. Judges it, and counts it in the person's progress.
    /// `spread_ms` is the time over which the tries of a person who is alone are spread.
    pub fn refused(
        &mut self,
        kind: CallKind,
        person: PersonId,
        progress: &mut Progress,
        now: UnixMs,
        spread_ms: u64,
    ) -> Judgement {
        // A refusal of all reads would refuse the harmless one, too.
        let reads_are_served = kind == CallKind::Read && self.probed_within(PROBED_MS, now);
        let seen = self.seen(kind);
        let last_try = progress.refused_at.replace(now);
        let others_served =
            seen.served.is_some_and(|(who, at)| who != person && last_try.is_some_and(|last| at >= last));
        progress.suspicions += 1;
        progress.suspicions_alone += u32::from(others_served);
        let is_contradicted = progress.suspicions_alone > 0;
        seen.refused.retain(|refused| refused.person != person && now.ms_since(refused.at) <= MEMORY_MS);
        seen.refused.push(Refused { person, at: now, is_contradicted });
        let people = seen.refused.len();
        let witnesses = seen.refused.iter().filter(|refused| !refused.is_contradicted).count();
        let served_lately = seen.served.is_some_and(|(_, at)| now.ms_since(at) < LATELY_MS);
        let is_spread = progress.suspicions >= TRIES
            && progress.failing_since.is_some_and(|since| now.ms_since(since) >= spread_ms);
        if progress.suspicions_alone >= TRIES {
            Judgement::Own
        } else if people >= PEOPLE_AT_ONCE || (witnesses >= PEOPLE && !served_lately && !reads_are_served) {
            Judgement::Target
        } else if !is_spread {
            Judgement::Open
        } else if people >= PEOPLE && !reads_are_served {
            Judgement::Target
        } else {
            Judgement::Own
        }
    }

    /// An address was refused with 403. Either its domain is not verified, or all writes are refused; other people's
    /// writes show which. If there are none, it is tried a few times.
    pub fn address_refused(&mut self, person: PersonId, progress: &mut Progress, now: UnixMs) -> Judgement {
        let last_try = progress.refused_at.replace(now);
        progress.suspicions += 1;
        let is_recent = |refused: &Refused| now.ms_since(refused.at) <= MEMORY_MS;
        let writes_are_served = self.writes.served.is_some_and(|(_, at)| last_try.is_some_and(|last| at >= last));
        if self.writes.refused.iter().any(|refused| refused.person != person && is_recent(refused)) {
            Judgement::Target
        } else if writes_are_served || progress.suspicions >= ADDRESS_TRIES {
            Judgement::Own
        } else {
            Judgement::Open
        }
    }

    /// A write of a group was served.
    pub fn group_served(&mut self, person: PersonId, now: UnixMs) {
        self.groups.refused.clear();
        self.groups.served = Some((person, now));
    }

    /// A write of a group was forbidden. That is everybody's trouble if others' were, too, and none was served in between:
    /// the key may not write groups. `before`: what was forbidden to this person before.
    pub fn group_refused(&mut self, person: PersonId, before: Option<Forbidden>, now: UnixMs) -> Judgement {
        let seen = &mut self.groups;
        seen.refused.retain(|refused| refused.person != person && now.ms_since(refused.at) <= MEMORY_MS);
        let are_others = !seen.refused.is_empty();
        seen.refused.push(Refused { person, at: now, is_contradicted: false });
        let is_since = |at: UnixMs| before.map_or(now.ms_since(at) <= MEMORY_MS, |before| at >= before.at);
        if are_others {
            Judgement::Target
        } else if seen.served.is_some_and(|(_, at)| is_since(at)) {
            Judgement::Own
        } else if before.is_some_and(|before| before.is_everybodys) {
            Judgement::Target
        } else if before.is_some_and(|before| before.times + 1 >= GROUP_TRIES) {
            Judgement::Own
        } else {
            Judgement::Open
        }
    }

    /// The verdict on a refusal that needs a harmless read to confirm it: everything would be held, or a person
    /// without others to compare with would be given up.
    #[must_use]
    pub fn asks(
        &self,
        kind: CallKind,
        person: PersonId,
        progress: &Progress,
        now: UnixMs,
        spread_ms: u64,
    ) -> Option<Judgement> {
        let (mut would_be, mut progress) = (self.clone(), progress.clone());
        progress.failing_since.get_or_insert(now);
        let judgement = would_be.refused(kind, person, &mut progress, now, spread_ms);
        let is_asked = match judgement {
            Judgement::Target => {
                would_be.hold(kind, None, now).0 == HoldScope::All && !self.probed_within(PROBED_MS, now)
            }
            Judgement::Own => progress.suspicions_alone < TRIES && !self.probed_lately(now),
            Judgement::Open => false,
        };
        is_asked.then_some(judgement)
    }

    /// Whether a harmless read was served just now.
    #[must_use]
    pub fn probed_lately(&self, now: UnixMs) -> bool {
        self.probed_within(PROBED_NOW_MS, now)
    }

    /// Whether a call for another person was served since then.
    #[must_use]
    pub fn others_were_served(&self, person: PersonId, since: UnixMs) -> bool {
        [&self.reads, &self.writes].iter().any(|seen| seen.served.is_some_and(|(who, at)| who != person && at >= since))
    }

    /// What to hold when everybody is refused: only writes, if reads are served.
    #[must_use]
    pub fn hold(&self, kind: CallKind, status: Option<u16>, now: UnixMs) -> (HoldScope, Code) {
        let code = match status {
            Some(300..=399) => Code::HoldRedirect,
            _ => Code::HoldRefused,
        };
        let reads_are_served =
            (self.reads.refused.is_empty() && self.reads.served.is_some()) || self.probed_within(PROBED_MS, now);
        match kind {
            CallKind::Write if reads_are_served => (HoldScope::Writes, Code::HoldReadOnly),
            CallKind::Write | CallKind::Read => (HoldScope::All, code),
        }
    }

    fn probed_within(&self, ms: u64, now: UnixMs) -> bool {
        self.probed.is_some_and(|at| now.ms_since(at) < ms)
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
        refused_of(suspicions, CallKind::Write, who, progress, now)
    }

    fn refused_of(
        suspicions: &mut Suspicions,
        kind: CallKind,
        who: u64,
        progress: &mut Progress,
        now: i64,
    ) -> Judgement {
        progress.failing_since.get_or_insert(UnixMs(now));
        suspicions.refused(kind, PersonId(who), progress, UnixMs(now), SPREAD_MS)
    }

    fn asks(suspicions: &Suspicions, kind: CallKind, who: u64, progress: &Progress, now: i64) -> Option<Judgement> {
        suspicions.asks(kind, PersonId(who), progress, UnixMs(now), SPREAD_MS)
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
        suspicions.served(CallKind::Read, PersonId(3), UnixMs(1));
        assert_eq!(refused(&mut suspicions, 2, &mut bob, 2), Judgement::Target);
        let hold = |kind, status| suspicions.hold(kind, Some(status), UnixMs(2));
        assert_eq!(hold(CallKind::Write, 403), (HoldScope::Writes, Code::HoldReadOnly));
        assert_eq!(hold(CallKind::Read, 302), (HoldScope::All, Code::HoldRedirect));
    }

    #[test]
    fn a_person_who_alone_is_refused_while_others_are_served_is_given_up_after_five_tries() {
        let mut suspicions = Suspicions::default();
        let mut ada = Progress::default();
        assert_eq!(refused(&mut suspicions, 1, &mut ada, 0), Judgement::Open);
        for now in 1..5 {
            suspicions.served(CallKind::Write, PersonId(2), UnixMs(now));
            assert_eq!(refused(&mut suspicions, 1, &mut ada, now), Judgement::Open);
        }
        suspicions.served(CallKind::Write, PersonId(2), UnixMs(5));
        assert_eq!(refused(&mut suspicions, 1, &mut ada, 5), Judgement::Own);
    }

    #[test]
    fn one_served_call_of_another_person_gives_up_nobody_who_is_refused_many_times_after_it() {
        let mut suspicions = Suspicions::default();
        let mut ada = Progress::default();
        refused(&mut suspicions, 1, &mut ada, 0);
        suspicions.served(CallKind::Write, PersonId(2), UnixMs(1));
        for now in 2..30 {
            assert_eq!(refused(&mut suspicions, 1, &mut ada, now), Judgement::Open);
        }
        assert_eq!(ada.suspicions_alone, 1);
    }

    #[test]
    fn with_nobody_to_compare_the_tries_are_spread_out() {
        let mut suspicions = Suspicions::default();
        let mut ada = Progress::default();
        for now in 0..20 {
            assert_eq!(refused(&mut suspicions, 1, &mut ada, now * 1000), Judgement::Open);
        }
        assert_eq!(asks(&suspicions, CallKind::Write, 1, &ada, 119_999), None);
        assert_eq!(asks(&suspicions, CallKind::Write, 1, &ada, 120_000), Some(Judgement::Own), "a read is made first");
        suspicions.probe_served(UnixMs(120_000));
        assert_eq!(asks(&suspicions, CallKind::Write, 1, &ada, 120_000), None);
        assert_eq!(refused(&mut suspicions, 1, &mut ada, 120_000), Judgement::Own);
    }

    #[test]
    fn two_people_whose_writes_are_refused_while_others_are_served_are_given_up_and_hold_nobody() {
        let mut suspicions = Suspicions::default();
        let (mut ada, mut bob) = (Progress::default(), Progress::default());
        let mut told = Vec::new();
        for now in 0..6 {
            suspicions.served(CallKind::Write, PersonId(3), UnixMs(now * 1000));
            told.push(refused(&mut suspicions, 1, &mut ada, now * 1000 + 300));
            told.push(refused(&mut suspicions, 2, &mut bob, now * 1000 + 600));
        }
        assert!(told[..10].iter().all(|judgement| *judgement == Judgement::Open), "{told:?}");
        assert_eq!(told[10..], [Judgement::Own, Judgement::Own]);
    }

    #[test]
    fn two_people_who_were_refused_while_others_were_served_hold_nobody_until_others_are_refused_too() {
        let mut suspicions = Suspicions::default();
        let (mut ada, mut bob) = (Progress::default(), Progress::default());
        refused(&mut suspicions, 1, &mut ada, 0);
        assert_eq!(refused(&mut suspicions, 2, &mut bob, 0), Judgement::Target);
        suspicions.served(CallKind::Write, PersonId(3), UnixMs(30_000));
        for now in [40_000, 50_000] {
            assert_eq!(refused(&mut suspicions, 1, &mut ada, now), Judgement::Open);
            assert_eq!(refused(&mut suspicions, 2, &mut bob, now), Judgement::Open);
        }
        let (mut eve, mut ian) = (Progress::default(), Progress::default());
        assert_eq!(refused(&mut suspicions, 4, &mut eve, 60_000), Judgement::Open);
        assert_eq!(refused(&mut suspicions, 5, &mut ian, 60_000), Judgement::Target);
    }

    #[test]
    fn a_refusal_of_everybody_is_seen_at_once_by_many_and_soon_by_two() {
        let mut suspicions = Suspicions::default();
        suspicions.served(CallKind::Write, PersonId(9), UnixMs(0));
        let mut people = vec![Progress::default(); 5];
        let mut judged = Vec::new();
        for (who, progress) in people.iter_mut().enumerate() {
            judged.push(refused(&mut suspicions, who as u64, progress, 100));
        }
        let open = Judgement::Open;
        assert_eq!(judged, [open, open, open, open, Judgement::Target]);

        let mut suspicions = Suspicions::default();
        suspicions.served(CallKind::Write, PersonId(9), UnixMs(0));
        let (mut ada, mut bob) = (Progress::default(), Progress::default());
        refused(&mut suspicions, 1, &mut ada, 100);
        assert_eq!(refused(&mut suspicions, 2, &mut bob, 200), Judgement::Open);
        assert_eq!(refused(&mut suspicions, 1, &mut ada, 2_000), Judgement::Target);
    }

    #[test]
    fn a_refusal_of_everybody_that_comes_back_is_held_against_nobody() {
        // Another person was served in between, so the refusals of two people looked like their own trouble.
        let mut suspicions = Suspicions::default();
        let (mut ada, mut bob) = (Progress::default(), Progress::default());
        refused(&mut suspicions, 1, &mut ada, 0);
        refused(&mut suspicions, 2, &mut bob, 0);
        suspicions.served(CallKind::Write, PersonId(3), UnixMs(1_000));
        let mut judged = Vec::new();
        for now in (10_000..300_000).step_by(10_000) {
            judged.push(refused(&mut suspicions, 1, &mut ada, now));
            judged.push(refused(&mut suspicions, 2, &mut bob, now));
        }
        assert!(!judged.contains(&Judgement::Own), "{judged:?}");
        assert!(judged.contains(&Judgement::Target), "{judged:?}");
    }

    #[test]
    fn before_holding_everything_a_harmless_read_is_tried_and_if_served_two_people_hold_nobody() {
        let mut suspicions = Suspicions::default();
        let (mut ada, mut bob) = (Progress::default(), Progress::default());
        refused_of(&mut suspicions, CallKind::Read, 1, &mut ada, 0);
        assert_eq!(asks(&suspicions, CallKind::Read, 2, &bob, 1), Some(Judgement::Target));
        suspicions.probe_served(UnixMs(1));
        assert_eq!(asks(&suspicions, CallKind::Read, 2, &bob, 1), None);
        assert_eq!(refused_of(&mut suspicions, CallKind::Read, 2, &mut bob, 1), Judgement::Open);
        assert_eq!(asks(&suspicions, CallKind::Read, 1, &ada, 60_001), Some(Judgement::Target), "asked again");
        // If two people's writes are refused, only writes are held.
        refused(&mut suspicions, 3, &mut Progress::default(), 2);
        assert_eq!(refused(&mut suspicions, 4, &mut Progress::default(), 3), Judgement::Target);
        assert_eq!(suspicions.hold(CallKind::Write, Some(403), UnixMs(3)).0, HoldScope::Writes);
    }

    #[test]
    fn an_address_refusal_is_its_own_only_while_other_writes_are_served() {
        let judged = |suspicions: &mut Suspicions, ada: &mut Progress, now| {
            suspicions.address_refused(PersonId(1), ada, UnixMs(now))
        };
        // Nobody else writes.
        let (mut suspicions, mut ada) = (Suspicions::default(), Progress::default());
        let tries: Vec<_> = (0..4).map(|now| judged(&mut suspicions, &mut ada, now)).collect();
        assert_eq!(tries, [Judgement::Open, Judgement::Open, Judgement::Open, Judgement::Own]);
        // Another person is served after it.
        let (mut suspicions, mut ada) = (Suspicions::default(), Progress::default());
        suspicions.served(CallKind::Write, PersonId(2), UnixMs(0));
        assert_eq!(judged(&mut suspicions, &mut ada, 1), Judgement::Open, "that was before");
        suspicions.served(CallKind::Write, PersonId(2), UnixMs(2));
        assert_eq!(judged(&mut suspicions, &mut ada, 3), Judgement::Own);
        // Another person is refused.
        let (mut suspicions, mut ada) = (Suspicions::default(), Progress::default());
        assert_eq!(judged(&mut suspicions, &mut ada, 1), Judgement::Open);
        refused(&mut suspicions, 2, &mut Progress::default(), 2);
        assert_eq!(judged(&mut suspicions, &mut ada, 3), Judgement::Target);
        // Addresses alone hold nobody: the domain may be the reason.
        let (mut suspicions, mut ada) = (Suspicions::default(), Progress::default());
        judged(&mut suspicions, &mut ada, 1);
        assert_eq!(refused(&mut suspicions, 2, &mut Progress::default(), 2), Judgement::Open);
    }

    #[test]
    fn reads_that_are_refused_to_many_hold_everything_though_the_list_is_served() {
        let mut suspicions = Suspicions::default();
        suspicions.probe_served(UnixMs(0));
        let mut people = vec![Progress::default(); 5];
        let mut last = Judgement::Open;
        for (who, progress) in people.iter_mut().enumerate() {
            last = refused_of(&mut suspicions, CallKind::Read, who as u64, progress, 100);
        }
        assert_eq!(last, Judgement::Target);
    }
}
