//! The store as one would write it without a disk and without a thought of speed: every question is
//! answered by looking through everything. What it says is what an engine must say.

use std::collections::BTreeMap;

use scim_bridge::core::code::Code;
use scim_bridge::core::event::EventKind;
use scim_bridge::core::hold::{Hold, HoldScope, is_lifted_by_hand};
use scim_bridge::core::job::{JobId, JobState};
use scim_bridge::core::limiter::{CallKind, Grant};
use scim_bridge::core::time::UnixMs;
use scim_bridge::store::{StoreOptions, TrialResult, WaitReason};

/// A job as the model knows it.
#[derive(Debug, Clone)]
pub(crate) struct ModelJob {
    pub(crate) id: JobId,
    pub(crate) person: usize,
    pub(crate) kind: EventKind,
    pub(crate) fate: Fate,
    pub(crate) due_at: UnixMs,
    pub(crate) attempts: u32,
    pub(crate) take_overs: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Live,
    Dead,
    Done(UnixMs),
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct ModelLease {
    pub(crate) seq: u64,
    pub(crate) fence: u64,
    pub(crate) until: UnixMs,
}

/// Where a lane stands: always worked out anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    Idle,
    Due { head: u64, at: UnixMs },
    Leased { job: u64, until: UnixMs },
    Parked,
}

/// What a claim must answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Given {
    /// By sequence, each with the hold that it is the trial of.
    Jobs(Vec<(u64, Option<HoldScope>)>),
    Probe(HoldScope),
    Wait(Option<UnixMs>, WaitReason),
}

/// The trial (by its fence) or probe that is out, and until when.
type Out = (Option<u64>, UnixMs);

pub(crate) struct Model {
    pub(crate) options: StoreOptions,
    pub(crate) jobs: BTreeMap<u64, ModelJob>,
    pub(crate) leases: BTreeMap<usize, ModelLease>,
    /// Since when a due lane's head could run.
    ready: BTreeMap<usize, UnixMs>,
    next_seq: u64,
    tat_us: BTreeMap<&'static str, i64>,
    pub(crate) holds: BTreeMap<HoldScope, Hold>,
    out: BTreeMap<HoldScope, Out>,
    lifted: BTreeMap<HoldScope, (Code, u32, UnixMs)>,
}

impl Model {
    pub(crate) fn new(options: StoreOptions) -> Self {
        Self {
            options,
            jobs: BTreeMap::new(),
            leases: BTreeMap::new(),
            ready: BTreeMap::new(),
            next_seq: 1,
            tat_us: BTreeMap::new(),
            holds: BTreeMap::new(),
            out: BTreeMap::new(),
            lifted: BTreeMap::new(),
        }
    }

    fn live(&self, person: usize) -> impl Iterator<Item = (u64, &ModelJob)> {
        let mine = self.jobs.iter().filter(move |(_, job)| job.person == person && job.fate == Fate::Live);
        mine.map(|(seq, job)| (*seq, job))
    }

    pub(crate) fn standing(&self, person: usize) -> Standing {
        let parked =
            self.jobs.values().any(|j| j.person == person && j.fate == Fate::Dead && j.kind == EventKind::Hire);
        if let Some(lease) = self.leases.get(&person) {
            Standing::Leased { job: lease.seq, until: lease.until }
        } else if parked {
            Standing::Parked
        } else if let Some((head, _)) = self.live(person).next() {
            Standing::Due { head, at: self.ready.get(&person).copied().unwrap_or_default() }
        } else {
            Standing::Idle
        }
    }

    /// Where a job stands.
    pub(crate) fn state(&self, seq: u64) -> JobState {
        let job = &self.jobs[&seq];
        match (job.fate, self.standing(job.person)) {
            (Fate::Dead, _) => JobState::Dead,
            (Fate::Done(_), _) => JobState::Done,
            (Fate::Live, Standing::Parked) => JobState::Parked,
            (Fate::Live, Standing::Leased { job, .. }) if job == seq => JobState::Running,
            (Fate::Live, _) => JobState::Waiting,
        }
    }

    /// Runs a change, then notes since when the lane's head can run, if it is another than before.
    fn change(&mut self, person: usize, now: UnixMs, change: impl FnOnce(&mut Self)) {
        let before = self.standing(person);
        change(self);
        let (parked, head) = (self.standing(person) == Standing::Parked, self.live(person).next());
        let Some((head, job)) = head.filter(|_| !parked) else { return };
        if !matches!(before, Standing::Due { head: same, .. } if same == head) {
            self.ready.insert(person, job.due_at.max(now));
        }
    }

    pub(crate) fn is_full(&self) -> bool {
        let waiting = self.jobs.keys().filter(|seq| matches!(self.state(**seq), JobState::Waiting | JobState::Parked));
        waiting.count() as u64 >= self.options.high_water_jobs
    }

    pub(crate) fn accept(&mut self, now: UnixMs, person: usize, kind: EventKind, id: JobId) {
        self.change(person, now, |model| {
            let job = ModelJob { id, person, kind, fate: Fate::Live, due_at: now, attempts: 0, take_overs: 0 };
            model.jobs.insert(model.next_seq, job);
            model.next_seq += 1;
        });
    }

    pub(crate) fn take_token(&mut self, now: UnixMs, kind: CallKind) -> Result<(), UnixMs> {
        let rate = if kind == CallKind::Write { self.options.writes } else { self.options.reads };
        let tat_us = self.tat_us.entry(kind.as_str()).or_default();
        match rate.ask(*tat_us, now.0 * 1_000) {
            Grant::Now { tat_us: next } => {
                *tat_us = next;
                Ok(())
            }
            Grant::NotBefore { at_us } => Err(UnixMs((at_us + 999) / 1_000)),
        }
    }

    pub(crate) fn back_off(&mut self, until: UnixMs) {
        for (kind, rate) in [(CallKind::Write, self.options.writes), (CallKind::Read, self.options.reads)] {
            let tat_us = self.tat_us.entry(kind.as_str()).or_default();
            *tat_us = rate.backed_off(*tat_us, until.0 * 1_000);
        }
    }

    /// What a claim answers. The leases get their fences afterwards.
    pub(crate) fn claim(&mut self, now: UnixMs, jobs_max: usize, lease_ms: u64) -> Given {
        use EventKind::{Hire, Rename};
        let mut given = Vec::new();
        let mut missing = Vec::new();
        let creates = self.holds.contains_key(&HoldScope::Creates);
        let plan: Vec<(&[EventKind], Option<HoldScope>)> = match self.holds.get(&HoldScope::All) {
            Some(_) if self.probe_at(HoldScope::All).is_none_or(|at| at > now) => Vec::new(),
            Some(hold) if matches!(hold.code, Code::HoldPlan | Code::HoldSeats) => {
                vec![(&[Hire], Some(HoldScope::All)), (&[Rename], Some(HoldScope::All))]
            }
            Some(_) if creates => vec![(&[Rename], Some(HoldScope::All))],
            Some(_) => vec![(&[Hire, Rename], Some(HoldScope::All))],
            None if creates && self.probe_at(HoldScope::Creates).is_some_and(|at| at <= now) => {
                vec![(&[Hire], Some(HoldScope::Creates)), (&[Rename], None)]
            }
            None if creates => vec![(&[Rename], None)],
            None => vec![(&[Hire, Rename], None)],
        };
        let is_trial_of_all = plan.iter().any(|(_, trial)| *trial == Some(HoldScope::All));
        for (kinds, trial) in plan {
            let room = if trial == Some(HoldScope::All) && !(given.is_empty() && missing.is_empty()) {
                // A Hire that is merely short of a token is waited for.
                0
            } else if trial.is_some() {
                1
            } else {
                jobs_max - given.len()
            };
            self.give(now, kinds, trial, room, lease_ms, &mut given, &mut missing);
        }
        if is_trial_of_all && given.is_empty() && missing.is_empty() {
            match self.take_token(now, CallKind::Read) {
                Ok(()) => {
                    self.hand_out(HoldScope::All, now, None, now.plus_ms(lease_ms));
                    return Given::Probe(HoldScope::All);
                }
                Err(at) => missing.push((CallKind::Read, at)),
            }
        }
        if given.is_empty() { self.wait(now, &missing) } else { Given::Jobs(given) }
    }

    #[expect(clippy::too_many_arguments, reason = "what a claim has gathered so far")]
    fn give(
        &mut self,
        now: UnixMs,
        kinds: &[EventKind],
        trial: Option<HoldScope>,
        room: usize,
        lease_ms: u64,
        given: &mut Vec<(u64, Option<HoldScope>)>,
        missing: &mut Vec<(CallKind, UnixMs)>,
    ) {
        let mut lanes: Vec<(bool, UnixMs, u64)> = Vec::new();
        for person in self.people() {
            match self.standing(person) {
                Standing::Leased { job, until } if until <= now => lanes.push((false, until, job)),
                Standing::Due { head, at } if at <= now => lanes.push((true, at, head)),
                Standing::Leased { .. } | Standing::Due { .. } | Standing::Idle | Standing::Parked => {}
            }
        }
        lanes.retain(|(_, _, seq)| kinds.contains(&self.jobs[seq].kind));
        lanes.sort_unstable();
        let most = given.len() + room;
        for (is_due, _, seq) in lanes {
            let job = &self.jobs[&seq];
            let (person, token) =
                (job.person, if job.kind == EventKind::Hire { CallKind::Write } else { CallKind::Read });
            if given.len() == most || missing.iter().any(|(kind, _)| *kind == token) {
                continue;
            }
            if let Err(at) = self.take_token(now, token) {
                missing.push((token, at));
                continue;
            }
            self.jobs.get_mut(&seq).unwrap().take_overs += u32::from(!is_due);
            let until = now.plus_ms(lease_ms);
            self.leases.insert(person, ModelLease { seq, fence: 0, until });
            if let Some(scope) = trial {
                self.hand_out(scope, now, Some(0), until);
            }
            given.push((seq, trial));
        }
    }

    /// The engine's fence for a lease that was just given.
    pub(crate) fn fence(&mut self, seq: u64, fence: u64, trial: Option<HoldScope>) {
        let person = self.jobs[&seq].person;
        self.leases.get_mut(&person).unwrap().fence = fence;
        if let Some(scope) = trial {
            self.out.get_mut(&scope).unwrap().0 = Some(fence);
        }
    }

    fn wait(&self, now: UnixMs, missing: &[(CallKind, UnixMs)]) -> Given {
        let mut times: Vec<UnixMs> = missing.iter().map(|(_, at)| *at).collect();
        let all = self.holds.contains_key(&HoldScope::All);
        let creates = self.holds.contains_key(&HoldScope::Creates);
        times.extend(self.probe_at(HoldScope::All).filter(|at| all && *at > now));
        let mut is_held = false;
        for kind in [EventKind::Hire, EventKind::Rename] {
            let next = self.people().into_iter().filter_map(|person| match self.standing(person) {
                Standing::Due { head, at } => Some((head, at)),
                Standing::Leased { job, until } => Some((job, until)),
                Standing::Idle | Standing::Parked => None,
            });
            let Some(next) = next.filter(|(seq, _)| self.jobs[seq].kind == kind).map(|(_, at)| at).min() else {
                continue;
            };
            if all || (creates && kind == EventKind::Hire) {
                is_held |= next <= now;
                if !all {
                    let tried = self.probe_at(HoldScope::Creates).map(|at| at.max(next));
                    times.extend(tried.filter(|at| *at > now));
                }
            } else {
                times.extend(Some(next).filter(|at| *at > now));
            }
        }
        let reason = match missing.first() {
            Some((kind, _)) => WaitReason::Token(*kind),
            None if is_held => WaitReason::Hold,
            None => WaitReason::NothingDue,
        };
        Given::Wait(times.into_iter().min(), reason)
    }

    /// The lane of a lease that is its own still.
    pub(crate) fn own(&self, person: usize, fence: u64) -> Option<ModelLease> {
        self.leases.get(&person).copied().filter(|lease| lease.fence == fence)
    }

    pub(crate) fn renew(&mut self, person: usize, fence: u64, until: UnixMs) {
        self.leases.get_mut(&person).unwrap().until = until;
        for (with, out_until) in self.out.values_mut() {
            if *with == Some(fence) {
                *out_until = until;
            }
        }
    }

    /// Ends the lease of a lane; `end` says what becomes of its job.
    pub(crate) fn settle(&mut self, now: UnixMs, person: usize, end: impl FnOnce(&mut ModelJob)) {
        self.change(person, now, |model| {
            let lease = model.leases.remove(&person).unwrap();
            end(model.jobs.get_mut(&lease.seq).unwrap());
        });
        self.drop_surplus();
    }

    pub(crate) fn end_trial(&mut self, now: UnixMs, scope: HoldScope, fence: Option<u64>, result: Option<TrialResult>) {
        if self.out.get(&scope).is_none_or(|(with, _)| *with != fence) {
            return;
        }
        self.out.remove(&scope);
        if result == Some(TrialResult::Passed)
            && let Some(hold) = self.holds.remove(&scope)
        {
            self.lifted.insert(scope, (hold.code, hold.probes, now));
        }
    }

    pub(crate) fn set_hold(&mut self, now: UnixMs, scope: HoldScope, code: Code) {
        if self.holds.get(&scope).is_some_and(|hold| hold.code == code || is_lifted_by_hand(hold.code)) {
            return;
        }
        self.out.remove(&scope);
        let pauses = self.options.probe_pauses;
        let lifted = self.lifted.remove(&scope);
        let probes = lifted.filter(|(with, _, at)| *with == code && now.ms_since(*at) <= pauses.max_ms);
        let probes = probes.map_or(0, |(_, probes, _)| probes);
        let next_probe_at = (!is_lifted_by_hand(code)).then(|| now.plus_ms(pauses.after(probes)));
        self.holds.insert(scope, Hold { scope, code, since: now, next_probe_at, probes });
    }

    pub(crate) fn lift(&mut self, scope: HoldScope) {
        if self.holds.remove(&scope).is_some() {
            self.out.remove(&scope);
            self.lifted.remove(&scope);
        }
    }

    fn probe_at(&self, scope: HoldScope) -> Option<UnixMs> {
        let next = self.holds.get(&scope)?.next_probe_at?;
        Some(self.out.get(&scope).map_or(next, |(_, until)| next.max(*until)))
    }

    fn hand_out(&mut self, scope: HoldScope, now: UnixMs, fence: Option<u64>, until: UnixMs) {
        let hold = self.holds.get_mut(&scope).unwrap();
        hold.probes += 1;
        hold.next_probe_at = Some(now.plus_ms(self.options.probe_pauses.after(hold.probes)));
        self.out.insert(scope, (fence, until));
    }

    pub(crate) fn replay(&mut self, now: UnixMs, seq: u64) {
        let person = self.jobs[&seq].person;
        self.change(person, now, |model| {
            let job = model.jobs.get_mut(&seq).unwrap();
            (job.fate, job.due_at, job.attempts, job.take_overs) = (Fate::Live, now, 0, 0);
        });
    }

    pub(crate) fn discard(&mut self, now: UnixMs, seq: u64) {
        let person = self.jobs[&seq].person;
        self.change(person, now, |model| {
            model.jobs.remove(&seq);
        });
    }

    pub(crate) fn tidy(&mut self, now: UnixMs) {
        let oldest = now.minus_ms(self.options.retention.finished_ms);
        self.jobs.retain(|_, job| !matches!(job.fate, Fate::Done(at) if at < oldest));
        self.drop_surplus();
    }

    fn drop_surplus(&mut self) {
        let mut done: Vec<(UnixMs, u64)> = Vec::new();
        for (seq, job) in &self.jobs {
            if let Fate::Done(at) = job.fate {
                done.push((at, *seq));
            }
        }
        done.sort_unstable();
        let surplus = done.len().saturating_sub(usize::try_from(self.options.retention.finished_jobs_max).unwrap());
        for (_, seq) in done.into_iter().take(surplus) {
            self.jobs.remove(&seq);
        }
    }

    /// Everybody who has a job.
    pub(crate) fn people(&self) -> Vec<usize> {
        let mut people: Vec<usize> = self.jobs.values().map(|job| job.person).collect();
        people.sort_unstable();
        people.dedup();
        people
    }
}
