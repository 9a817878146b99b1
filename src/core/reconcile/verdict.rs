//! What happens after an attempt: the one place that counts attempts and gives up.

use std::collections::BTreeSet;
use std::time::Duration;

use super::attempt::AttemptState;
use super::conclusion::{Aspect, Conclusion};
use super::groups;
use super::owner;
use super::request::Operation;
use super::suspicion::{Judgement, Suspicions};
use crate::core::code::Code;
use crate::core::hold::HoldScope;
use crate::core::person::document::Progress;
use crate::core::person::document::Trouble;
use crate::core::person::job::{Finished, JobId};
use crate::core::person::story::{Note, StoryEntry};
use crate::core::person::{Document, EventKind, OpenJob};
use crate::core::time::UnixMs;

/// How failures are tried again, and when they are given up.
#[derive(Debug, Clone, Copy)]
pub struct RetryRules {
    /// Upper bound of the first pause.
    pub first_ms: u64,
    /// Upper bound of every pause.
    pub max_ms: u64,
    /// A person whose attempts have failed for this long while others are served is blocked.
    pub give_up_after_ms: u64,
    /// How long the tries after an undocumented refusal are spread over if there is nobody to compare with.
    pub suspicion_ms: u64,
    /// After this many take-overs in a row, the person counts as the reason why workers stop.
    pub take_overs_max: u32,
}

/// Fewest failures before giving up on a person. Time alone is not enough: they may have been behind a hold, or the
/// bridge may have been off.
const FAILURES_MIN: u32 = 10;
/// The first wait for something that is known to come, such as a read that lags.
const PATIENT_MS: u64 = 500;
/// The longest such wait.
const PATIENT_MAX_MS: u64 = 15_000;
/// The first wait after an address was refused in a way that may affect all writes; then twice as long each time, so
/// that a few tries outlast short trouble.
const ADDRESS_FIRST_MS: u64 = 1_000;
/// The first pause after a 429 that says "at once"; then twice as long, up to 64 s.
const LIMITED_MS: u64 = 1_000;
const LIMITED_DOUBLINGS_MAX: u32 = 6;
/// How long until a person who wants another employee's account or address is tried again: it may be gone by then.
const OWNED_AGAIN_MS: u64 = 6 * 3_600_000;
/// A longer wait is a hold rather than a pause, so that it is reported.
pub const LONG_WAIT_MS: u64 = 3_600_000;

/// The state that a person is in after an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NextState {
    /// Up to date; nothing to wait for.
    Idle,
    /// Tried again at that time.
    Retry {
        /// When that will be.
        at: UnixMs,
        /// The target did not ask for the pause: news from HR ends it.
        wakes: bool,
    },
    /// Waits for a read at the HR system; a new event makes them due at once.
    Read {
        /// When that will be.
        at: UnixMs,
    },
    /// Behind a hold.
    Held {
        /// The scope of the hold.
        scope: HoldScope,
        /// When an announced change of employment takes effect: it may not need what is held.
        at: Option<UnixMs>,
    },
    /// Up to date; HR announced a change.
    Scheduled {
        /// When it takes effect.
        at: UnixMs,
    },
    /// Waits until HR says more, or until an announced change.
    Incomplete {
        /// When the announced change takes effect.
        at: Option<UnixMs>,
    },
    /// Waits until something changes.
    Blocked {
        /// A claim that somebody else has: giving it up is such a change.
        wants: Option<String>,
        /// When an announced change of employment takes effect: what blocks them does not stop a leave.
        at: Option<UnixMs>,
    },
}

/// What to commit, and what else to do.
#[derive(Debug, Clone)]
pub struct Ending {
    /// The document.
    pub document: Document,
    /// The state that the person is in then.
    pub next_state: NextState,
    /// Jobs that have ended.
    pub ended: Vec<(JobId, Finished)>,
    /// What to add to the story.
    pub story: Vec<StoryEntry>,
    /// A hold to set.
    pub hold: Option<(HoldScope, Code, Option<UnixMs>)>,
    /// The time before which nobody may call.
    pub back_off: Option<UnixMs>,
    /// Claims that the person gives up in any case; see [`Ending::gives_up`].
    pub disowned: Vec<String>,
    /// Claims that the attempt got.
    pub claimed: Vec<String>,
    /// When the jobs that are in effect now were accepted.
    pub applied: Vec<(EventKind, UnixMs)>,
}

/// Decides. `now` is the end of the attempt, `jitter` a random share in `[0, 1)`.
#[must_use]
pub fn decide(
    mut state: AttemptState,
    conclusion: &Conclusion,
    suspicions: &mut Suspicions,
    rules: &RetryRules,
    now: UnixMs,
    jitter: f64,
) -> Ending {
    state.drop_unclaimed();
    let was_shown = state.shown.is_some();
    let (disowned, claimed) = state.claims();
    let doubts_address = state.doubts_address();
    let groups_answered = state.groups.answered();
    let finished = state.finished();
    let is_over = matches!(conclusion, Conclusion::InLine(_) | Conclusion::Incomplete(_) | Conclusion::Blocked { .. });
    if is_over {
        state.document.settle_open_writes(was_shown, now);
    }
    if groups_answered.served {
        suspicions.group_served(state.document.person.id(), now);
    }
    let gives_way = state.gives_way && state.document.progress.create_unknown.is_none();
    let mut ending = Ending { disowned, claimed, ..Ending::new(state.document) };
    if gives_way {
        ending.disowned.extend(ending.document.record.email().map(|email| owner::address_key(email.lower())));
    }
    if !matches!(conclusion, Conclusion::Incomplete(_)) {
        ending.document.missing.clear();
    }
    match conclusion {
        Conclusion::InLine(finished) => ending.in_line(*finished, now),
        Conclusion::Incomplete(missing) => ending.incomplete(missing, now),
        Conclusion::Blocked { code: Code::ScimAddress, detail, wants: None } if doubts_address => {
            ending.address_refused(detail, suspicions, now);
        }
        Conclusion::Blocked { code: Code::ScimGroup, detail, wants: None } if groups_answered.forbidden => {
            ending.group_refused(detail, finished, suspicions, now);
        }
        Conclusion::Blocked { code, detail, wants } => {
            if *code == Code::ScimElsewhere && ending.document.progress.create_unknown.is_none() {
                // It is known that no member was created, so no create under this address is looked for again.
                ending.disowned.extend(ending.document.record.email().map(|email| owner::address_key(email.lower())));
            }
            ending.blocked(*code, detail.clone(), wants.clone(), now);
        }
        Conclusion::TryAgain { code, not_before, patient: true } => {
            let waited_ms = ending.document.waiting_since.map_or(0, |since| now.ms_since(since));
            let pause_ms = (waited_ms / 2).clamp(PATIENT_MS, PATIENT_MAX_MS);
            ending.retry(now.plus_ms(pause_ms), *not_before, *code, now);
        }
        Conclusion::TryAgain { code, not_before, patient: false } => {
            ending.fail(*code, *not_before, suspicions, rules, now, jitter);
        }
        Conclusion::Suspect { operation, status, not_before } => {
            ending.suspect(*operation, *status, *not_before, suspicions, rules, now, jitter);
        }
        Conclusion::RateLimited { until } => ending.limited(*until, suspicions, rules, now),
        Conclusion::Hold { scope, code, not_before } => ending.hold(scope.clone(), *code, *not_before, now),
    }
    if is_over {
        ending.look_again(now);
    }
    // Earlier addresses are needed only while a create may be unrecorded, or while it is not known which address the
    // member has: what an earlier attempt knew may be out of date, since a write of it may have had no answer.
    let document = &mut ending.document;
    let may_move = document.may_be_undone(Aspect::Address, now);
    let is_known = document.member.as_ref().is_some_and(|member| member.id.is_some());
    let has_hrs = document
        .member
        .as_ref()
        .zip(document.record.email())
        .is_some_and(|(member, email)| email.is(&member.user_name));
    document.forget_earlier();
    if is_known && !may_move && ((was_shown && has_hrs) || is_over)
        || !is_known && document.progress.create_unknown.is_none()
    {
        document.addresses.clear();
    }
    ending
}

/// The ending for a person whose workers died during the attempt, again and again.
#[must_use]
pub fn poisoned(document: Document, now: UnixMs) -> Ending {
    let detail = format!("{} workers stopped while working on them", document.progress.take_overs);
    let mut ending = Ending::new(document);
    ending.blocked(Code::JobPoison, detail, None, now);
    ending
}

impl RetryRules {
    /// The pause before the next attempt: exponential with full jitter, capped.
    ///
    /// `failures` is how many there were before; `jitter` is a random share in `[0, 1)`.
    #[must_use]
    pub fn pause_ms(&self, failures: u32, jitter: f64) -> u64 {
        let cap_ms = self.first_ms.saturating_mul(1_u64.checked_shl(failures).unwrap_or(u64::MAX)).min(self.max_ms);
        let pause_ms = Duration::from_millis(cap_ms).mul_f64(jitter.clamp(0.0, 1.0)).as_millis().try_into();
        // Never at once: others who are due come first.
        pause_ms.unwrap_or(cap_ms).max(1)
    }
}

/// When the next change of employment that HR announced takes effect.
fn announced(document: &Document, now: UnixMs) -> Option<UnixMs> {
    document.record.next_change(now)
}

impl Ending {
    fn new(document: Document) -> Self {
        Self {
            document,
            next_state: NextState::Idle,
            ended: Vec::new(),
            story: Vec::new(),
            hold: None,
            back_off: None,
            disowned: Vec::new(),
            claimed: Vec::new(),
            applied: Vec::new(),
        }
    }

    /// No attempt was needed: the person stays where they were, or is up to date.
    #[must_use]
    pub fn of_folding(document: Document, now: UnixMs) -> Self {
        // What HR announced takes effect on its day, whatever an operator discarded before.
        let next_change = match document.not_followed_since {
            None => document.next_change(now),
            Some(_) => announced(&document, now),
        };
        let is_open = document.record.closed.is_none();
        let mut ending = Self::new(document);
        ending.next_state = match (next_change, &ending.document) {
            (_, document) if !document.missing.is_empty() => NextState::Incomplete { at: next_change },
            (_, Document { trouble: Some(trouble), .. }) => {
                let announced = announced(&ending.document, now).filter(|_| is_open);
                NextState::Blocked { wants: None, at: announced.into_iter().chain(trouble.again_at()).min() }
            }
            (Some(at), _) if is_open => NextState::Scheduled { at },
            _ => NextState::Idle,
        };
        if let Some(at) = ending.document.second_look(now) {
            ending.due_by(at);
        }
        ending
    }

    /// A write that brought no answer may still undo what is in effect now: the member is looked at once more.
    fn look_again(&mut self, now: UnixMs) {
        if let Some(at) = self.document.second_look(now) {
            self.tell(now, Note::LooksAgain { due_at: at });
            self.due_by(at);
        }
    }

    /// HR said nothing new during a pause between two tries: it goes on.
    #[must_use]
    pub fn still_paused(document: Document, at: UnixMs) -> Self {
        let mut ending = Self::new(document);
        ending.next_state = NextState::Retry { at, wakes: true };
        ending
    }

    /// Nothing to do at the target for now.
    #[must_use]
    pub fn untouched(document: Document) -> Self {
        Self::new(document)
    }

    /// Only other people had to be read: the jobs have ended.
    #[must_use]
    pub fn read_for_others(document: Document, now: UnixMs) -> Self {
        let mut ending = Self::new(document);
        ending.in_line(Finished::Unchanged, now);
        ending
    }

    /// A read shows that somebody whose member was handed over is not back: the jobs have ended.
    #[must_use]
    pub fn still_closed(mut document: Document, now: UnixMs) -> Self {
        let open = std::mem::take(&mut document.open);
        // A read that failed before is served by now.
        (document.trouble, document.waiting_since) = (None, None);
        document.progress = Progress::default();
        let words = u32::try_from(open.len()).unwrap_or(u32::MAX);
        document.words_after_close = document.words_after_close.saturating_add(words);
        let mut ending = Self::new(document);
        for job in open {
            ending.ended.push((job.id, Finished::HandedOver));
            ending.tell(now, Note::Ended { job: job.id, outcome: Finished::HandedOver });
        }
        ending
    }

    /// The person waits for a read at their HR system. If they wait for the target anyway, the next attempt begins
    /// with the read.
    pub fn wait_for_read(&mut self, at: UnixMs, code: Code, now: UnixMs) {
        if matches!(self.next_state, NextState::Retry { .. } | NextState::Held { .. }) {
            return;
        }
        let at = announced(&self.document, now).map_or(at, |announced| announced.min(at));
        self.document.waiting_since.get_or_insert(now);
        self.tell(now, Note::RetryAt { due_at: at, code });
        self.next_state = NextState::Read { at };
    }

    /// The HR system refuses the read: the person waits behind its hold, unless they wait for the target anyway.
    pub fn wait_for_hold(&mut self, scope: HoldScope, code: Code, not_before: Option<UnixMs>, now: UnixMs) {
        let waits = matches!(self.next_state, NextState::Retry { .. } | NextState::Held { .. });
        if waits {
            self.hold.get_or_insert((scope, code, not_before));
        } else {
            self.hold(scope, code, not_before, now);
        }
    }

    /// The read failed for good: a dead letter, unless there is trouble with the target already.
    pub fn block_for_read(&mut self, code: Code, detail: String, now: UnixMs) {
        if !matches!(self.next_state, NextState::Retry { .. } | NextState::Held { .. } | NextState::Blocked { .. }) {
            self.blocked(code, detail, None, now);
        }
    }

    /// They are due by then, whatever they wait for.
    pub fn due_by(&mut self, until: UnixMs) {
        match &mut self.next_state {
            NextState::Retry { at, .. } | NextState::Read { at } | NextState::Scheduled { at } => *at = until.min(*at),
            NextState::Held { at, .. } | NextState::Blocked { at, .. } | NextState::Incomplete { at } => {
                *at = Some(at.map_or(until, |at| at.min(until)));
            }
            NextState::Idle => self.next_state = NextState::Scheduled { at: until },
        }
    }

    /// Given back unfinished and uncounted, due at once. The first claims are those on groups, which are given up so
    /// that nobody waits for them; the others stay if the person needs them.
    #[must_use]
    pub fn given_back(document: Document, (disowned, claimed): (Vec<String>, Vec<String>), now: UnixMs) -> Self {
        let mut ending = Self { disowned, claimed, ..Self::new(document) };
        ending.tell(now, Note::GivenBack);
        ending.next_state = NextState::Retry { at: now, wakes: false };
        ending
    }

    /// The claims to give up: all that the person may have and no longer needs. `before`: the claims before the
    /// attempt.
    #[must_use]
    pub fn gives_up(&self, before: &BTreeSet<String>) -> BTreeSet<String> {
        let uses = owner::claims(&self.document);
        let may_have = before.iter().chain(&self.claimed).filter(|claim| !uses.contains(*claim));
        may_have.chain(&self.disowned).cloned().collect()
    }

    /// The tags of the people whose wait may end with this commit: those for the claims given up, and for all claims
    /// of a leaver. Never the claim that this person waits for: somebody else has it, and they would wake themselves
    /// for ever.
    #[must_use]
    pub fn releases(&self, gives_up: &BTreeSet<String>, now: UnixMs) -> Vec<String> {
        let is_blocked = matches!(self.next_state, NextState::Blocked { .. });
        let wants = match &self.next_state {
            NextState::Blocked { wants, .. } => wants.as_ref(),
            _ => None,
        };
        let is_open = owner::has_left(&self.document, is_blocked, now);
        let left = if is_open { owner::claims(&self.document) } else { BTreeSet::new() };
        gives_up.union(&left).filter(|key| Some(*key) != wants).map(|key| owner::tag(key)).collect()
    }

    /// The code of the reason for the next try.
    #[must_use]
    pub fn code(&self) -> Option<Code> {
        self.story.iter().rev().find_map(|entry| match entry.note {
            Note::RetryAt { code, .. } | Note::Held { code, .. } | Note::Blocked { code } => Some(code),
            _ => None,
        })
    }

    fn tell(&mut self, at: UnixMs, note: Note) {
        self.story.push(StoryEntry { at, note });
    }

    /// The jobs have ended, except for those whose statement takes effect later.
    fn in_line(&mut self, finished: Finished, now: UnixMs) {
        self.document.note_in_line(now);
        let next_change = self.document.record.next_change(now);
        let waits = |job: &OpenJob| next_change.is_some() && job.from.is_some_and(|from| from > now);
        let (open, ended): (Vec<_>, Vec<_>) = self.document.open.drain(..).partition(waits);
        self.document.open = open;
        for job in ended {
            self.ended.push((job.id, finished));
            self.applied.push((job.kind, job.accepted_at));
            self.tell(now, Note::Ended { job: job.id, outcome: finished });
        }
        self.document.trouble = None;
        self.document.labels_told.clear();
        // Another try with the groups was due, but this attempt did not need it: it is dropped.
        self.document.groups_wait = self.document.groups_wait.filter(|wait| wait.due > now);
        let create_unknown = self.document.progress.create_unknown.filter(|_| self.document.member.is_none());
        self.document.progress = crate::core::person::document::Progress { create_unknown, ..Default::default() };
        self.document.waiting_since = next_change.map(|_| self.document.waiting_since.unwrap_or(now));
        self.next_state = match self.document.next_change(now) {
            Some(at) => {
                self.tell(now, Note::Scheduled { due_at: at });
                NextState::Scheduled { at }
            }
            None => NextState::Idle,
        };
    }

    fn incomplete(&mut self, missing: &[&str], now: UnixMs) {
        self.document.missing = missing.iter().map(|name| (*name).to_owned()).collect();
        self.document.trouble = None;
        self.document.progress.note_served();
        self.document.waiting_since.get_or_insert(now);
        let missing = self.document.missing.clone();
        self.tell(now, Note::Incomplete { missing });
        self.next_state = NextState::Incomplete { at: announced(&self.document, now) };
    }

    fn blocked(&mut self, code: Code, detail: String, wants: Option<String>, now: UnixMs) {
        let same = self.document.trouble.take().filter(|trouble| trouble.code == code);
        let newest = self.document.open.last().map(|job| job.id);
        let id = same.as_ref().map(|trouble| trouble.id).or(newest);
        let id = id.unwrap_or_else(|| JobId::about(0, self.document.person.id()));
        let since = same.map_or(now, |trouble| trouble.since);
        self.document.trouble = Some(Trouble { id, code, detail, since, tried_at: Some(now) });
        self.document.waiting_since.get_or_insert(now);
        self.tell(now, Note::Blocked { code });
        // Nothing announces that an account was removed at the target.
        let again = (code == Code::ScimOwned).then(|| now.plus_ms(OWNED_AGAIN_MS));
        let at = announced(&self.document, now).into_iter().chain(again).min();
        self.next_state = NextState::Blocked { wants, at };
    }

    /// Tried again when the pause is over, and not before the target allows it.
    fn retry(&mut self, pause_ends: UnixMs, not_before: Option<UnixMs>, code: Code, now: UnixMs) {
        let at = not_before.map_or(pause_ends, |until| until.max(pause_ends));
        let wakes = not_before.is_none();
        self.document.waiting_since.get_or_insert(now);
        self.document.progress.again_at = wakes.then_some(at);
        self.tell(now, Note::RetryAt { due_at: at, code });
        self.next_state = NextState::Retry { at, wakes };
    }

    fn hold(&mut self, scope: HoldScope, code: Code, not_before: Option<UnixMs>, now: UnixMs) {
        self.document.waiting_since.get_or_insert(now);
        self.tell(now, Note::Held { scope: scope.clone(), code });
        self.hold = Some((scope.clone(), code, not_before));
        let at = announced(&self.document, now);
        self.next_state = NextState::Held { scope, at };
    }

    /// An attempt failed because of the target or the network.
    fn fail(
        &mut self,
        code: Code,
        not_before: Option<UnixMs>,
        suspicions: &Suspicions,
        rules: &RetryRules,
        now: UnixMs,
        jitter: f64,
    ) {
        let progress = &mut self.document.progress;
        let failing_since = *progress.failing_since.get_or_insert(now);
        let pause_ms = rules.pause_ms(progress.failures.saturating_sub(progress.woken), jitter);
        progress.failures = progress.failures.saturating_add(1);
        let long = now.ms_since(failing_since) >= rules.give_up_after_ms && progress.failures >= FAILURES_MIN;
        // Only if others are served: an outage of the target, however long, makes nobody a dead letter.
        if long && suspicions.others_were_served(self.document.person.id(), failing_since) {
            let detail = format!("the last attempt failed with {code}; others are served");
            return self.blocked(Code::ScimGaveUp, detail, None, now);
        }
        self.retry(now.plus_ms(pause_ms), not_before, code, now);
    }

    #[expect(clippy::too_many_arguments, reason = "a judgement of many circumstances")]
    fn suspect(
        &mut self,
        operation: Operation,
        status: Option<u16>,
        not_before: Option<UnixMs>,
        suspicions: &mut Suspicions,
        rules: &RetryRules,
        now: UnixMs,
        jitter: f64,
    ) {
        let kind = operation.call_kind();
        let person = self.document.person.id();
        let progress = &mut self.document.progress;
        progress.failing_since.get_or_insert(now);
        let is_long = not_before.is_some_and(|until| until.ms_since(now) > LONG_WAIT_MS);
        match suspicions.refused(kind, person, progress, now, rules.suspicion_ms) {
            Judgement::Target => {
                let (scope, code) = suspicions.hold(kind, status, now);
                let code = if is_long { Code::HoldQuota } else { code };
                self.document.progress.suspicions = 0;
                self.hold(scope, code, not_before, now);
            }
            Judgement::Own => {
                let detail = format!("after {}, status {}", operation.as_http(), status.unwrap_or_default());
                self.blocked(Code::ScimRejected, detail, None, now);
            }
            Judgement::Open => {
                // If there is nobody to compare with, the tries are spread, so that a minute's trouble blocks nobody.
                let spread_ms = rules.suspicion_ms / 8;
                let pause_ms = rules.pause_ms(progress.failures, jitter).min(spread_ms.max(rules.first_ms));
                progress.failures = progress.failures.saturating_add(1);
                // One reply alone does not make anybody wait for hours; a hold does.
                let asked = not_before.filter(|_| !is_long);
                let code = if status == Some(429) { Code::ScimRateLimited } else { Code::ScimRefused };
                self.retry(now.plus_ms(pause_ms), asked, code, now);
            }
        }
    }

    /// An address was refused, but perhaps all writes are.
    fn address_refused(&mut self, detail: &str, suspicions: &mut Suspicions, now: UnixMs) {
        let person = self.document.person.id();
        let progress = &mut self.document.progress;
        progress.failing_since.get_or_insert(now);
        match suspicions.address_refused(person, progress, now) {
            Judgement::Target => {
                progress.suspicions = 0;
                self.hold(HoldScope::Writes, Code::HoldReadOnly, None, now);
            }
            Judgement::Own => self.blocked(Code::ScimAddress, detail.to_owned(), None, now),
            Judgement::Open => {
                let pause_ms = ADDRESS_FIRST_MS << (progress.suspicions - 1);
                self.retry(now.plus_ms(pause_ms), None, Code::ScimRefused, now);
            }
        }
    }

    /// The target forbids a group, perhaps to everybody. Everything else about the person is up to date.
    fn group_refused(&mut self, detail: &str, finished: Finished, suspicions: &mut Suspicions, now: UnixMs) {
        let before = self.document.groups_wait.and_then(|wait| wait.forbidden);
        match suspicions.group_refused(self.document.person.id(), before, now) {
            Judgement::Own => {
                self.document.groups_wait = None;
                self.blocked(Code::ScimGroup, detail.to_owned(), None, now);
            }
            judgement => {
                groups::wait_for_rights(&mut self.document, judgement == Judgement::Target, now);
                self.in_line(finished, now);
            }
        }
    }

    /// 429: everybody waits, unless only this person gets it while others are served.
    fn limited(&mut self, until: UnixMs, suspicions: &Suspicions, rules: &RetryRules, now: UnixMs) {
        let person = self.document.person.id();
        let progress = &mut self.document.progress;
        let since = *progress.failing_since.get_or_insert(now);
        // The target says to come back at once: wait a little longer each time.
        let least_ms = LIMITED_MS << progress.limited_alone.min(LIMITED_DOUBLINGS_MAX);
        let until = if until <= now { now.plus_ms(least_ms) } else { until };
        let is_alone = progress.limited_alone > 0 && suspicions.others_were_served(person, since);
        progress.limited_alone = progress.limited_alone.saturating_add(1);
        if !is_alone {
            self.back_off = Some(until);
        } else if progress.limited_alone > super::suspicion::TRIES && now.ms_since(since) >= rules.suspicion_ms {
            let detail = "answered 429 again and again while others are served".to_owned();
            return self.blocked(Code::ScimRejected, detail, None, now);
        } else {
            // Reported like any other change that keeps failing.
            progress.failures = progress.failures.saturating_add(1);
        }
        if until.ms_since(now) > LONG_WAIT_MS {
            return self.hold(HoldScope::All, Code::HoldQuota, Some(until), now);
        }
        self.retry(until, Some(until), Code::ScimRateLimited, now);
    }
}
