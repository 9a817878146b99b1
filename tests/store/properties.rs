//! Whatever happens in whatever order: after each step the engine and the model agree on every answer,
//! every job and every figure, and every lane is in exactly one place.

use proptest::prelude::*;
use proptest::sample::{Index, select};
use scim_bridge::core::code::Code;
use scim_bridge::core::event::EventKind;
use scim_bridge::core::hold::{Hold, HoldScope};
use scim_bridge::core::job::{JobId, JobState, Progress};
use scim_bridge::core::limiter::{CallKind, Rate};
use scim_bridge::core::time::UnixMs;
use scim_bridge::store::{
    Accepted, Claim, ClaimRequest, DeadAction, Lease, NewDelivery, NewJob, Retention, Settled, Settlement,
    StoreOptions, Token, TrialResult, Verdict,
};

use crate::embedded::Folder;
use crate::harness::{Bench, Engine, LEASE_MS, Lanes, T0, delivery, done, hire, options, person, rename};
use crate::model::{Fate, Given, Model, Standing};
use crate::redis::Keyspace;
use crate::servers::{REDIS, VALKEY};

pub(crate) const PEOPLE: [&str; 3] = ["0", "1", "2"];

#[derive(Debug, Clone)]
pub(crate) enum Step {
    Accept {
        person: usize,
        kinds: Vec<EventKind>,
    },
    Claim {
        jobs_max: usize,
    },
    Renew(Index),
    Settle {
        lease: Index,
        end: End,
        trial: Option<TrialResult>,
    },
    /// The worker dies: nobody will ever use this lease again.
    Crash(Index),
    SettleProbe(TrialResult),
    TakeToken(CallKind),
    BackOff(u64),
    Pass(u64),
    SetHold(HoldScope, Code),
    Lift(Option<HoldScope>),
    Replay(Index),
    Discard(Index),
    Tidy,
    Reopen,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum End {
    Done,
    Retry { after_ms: u64, counted: bool },
    Hold(HoldScope, Code),
    Dead,
    GiveBack,
}

fn scope() -> impl Strategy<Value = HoldScope> {
    select(vec![HoldScope::All, HoldScope::Creates])
}

fn code() -> impl Strategy<Value = Code> {
    select(vec![Code::HoldKey, Code::HoldPlan, Code::HoldSeats, Code::HoldOperator, Code::HoldCopied])
}

fn refusal() -> impl Strategy<Value = Code> {
    select(vec![Code::HoldKey, Code::HoldPlan, Code::HoldSeats])
}

fn end() -> impl Strategy<Value = End> {
    prop_oneof![
        4 => Just(End::Done),
        3 => Just(End::Dead),
        1 => Just(End::GiveBack),
        1 => (scope(), refusal()).prop_map(|(scope, code)| End::Hold(scope, code)),
        3 => (select(vec![0, 700, 20_000, 200_000]), any::<bool>())
            .prop_map(|(after_ms, counted)| End::Retry { after_ms, counted }),
    ]
}

fn result() -> impl Strategy<Value = TrialResult> {
    select(vec![TrialResult::Passed, TrialResult::Failed])
}

fn step() -> impl Strategy<Value = Step> {
    let kinds = || prop::collection::vec(select(vec![EventKind::Hire, EventKind::Rename]), 1..4);
    prop_oneof![
        8 => (0..PEOPLE.len(), kinds()).prop_map(|(person, kinds)| Step::Accept { person, kinds }),
        12 => (1_usize..5).prop_map(|jobs_max| Step::Claim { jobs_max }),
        2 => any::<Index>().prop_map(Step::Renew),
        12 => (any::<Index>(), end(), prop::option::of(result()))
            .prop_map(|(lease, end, trial)| Step::Settle { lease, end, trial }),
        2 => any::<Index>().prop_map(Step::Crash),
        2 => result().prop_map(Step::SettleProbe),
        1 => select(vec![CallKind::Write, CallKind::Read]).prop_map(Step::TakeToken),
        1 => (0_u64..40_000).prop_map(Step::BackOff),
        9 => select(vec![1, 1_000, 6_000, 31_000, 61_000, 301_000]).prop_map(Step::Pass),
        1 => (scope(), code()).prop_map(|(scope, code)| Step::SetHold(scope, code)),
        2 => prop::option::of(scope()).prop_map(Step::Lift),
        4 => any::<Index>().prop_map(Step::Replay),
        2 => any::<Index>().prop_map(Step::Discard),
        1 => Just(Step::Tidy),
        1 => Just(Step::Reopen),
    ]
}

/// Narrow, so that every bound is met within a few steps.
pub(crate) fn narrow() -> StoreOptions {
    StoreOptions {
        writes: Rate { calls: 40, window_ms: 60_000 },
        reads: Rate { calls: 60, window_ms: 60_000 },
        high_water_jobs: 9,
        retention: Retention { finished_ms: 200_000, finished_jobs_max: 4 },
        ..options()
    }
}

/// Runs the steps on a fresh engine.
fn agree(steps: Vec<Step>, engine: impl Engine + 'static, lanes: impl Lanes + 'static) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut pair = Pair::new(engine, lanes).await;
        for step in steps {
            pair.take(step).await;
            pair.compare().await;
        }
    });
}

pub(crate) fn steps() -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec(step(), 1..120)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]
    #[test]
    fn the_embedded_engine_and_the_model_agree_after_every_step(steps in steps()) {
        let folder = Folder::new();
        let lanes = folder.lanes();
        agree(steps, folder, lanes);
    }
}

proptest! {
    // Fewer: every step is some 10 round trips.
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
    #[test]
    fn redis_and_the_model_agree_after_every_step(steps in steps()) {
        let keys = Keyspace::on(&REDIS);
        let lanes = keys.lanes();
        agree(steps, keys, lanes);
    }

    #[test]
    fn valkey_and_the_model_agree_after_every_step(steps in steps()) {
        let keys = Keyspace::on(&VALKEY);
        let lanes = keys.lanes();
        agree(steps, keys, lanes);
    }
}

/// The engine and the model, taking the same steps.
pub(crate) struct Pair {
    pub(crate) bench: Bench,
    model: Model,
    /// The engine's own records of lanes.
    lanes: Box<dyn Lanes>,
    pub(crate) now: UnixMs,
    /// What workers believe to have, lost leases among them.
    leases: Vec<Lease>,
    last_fence: u64,
    /// What was stored.
    pub(crate) accepted: Vec<NewDelivery>,
}

impl Pair {
    pub(crate) async fn new(engine: impl Engine + 'static, lanes: impl Lanes + 'static) -> Self {
        let mut bench = Bench::new(engine, false).await;
        bench.with(|options| *options = narrow()).await;
        let (model, lanes) = (Model::new(narrow()), Box::new(lanes));
        Self { bench, model, lanes, now: T0, leases: Vec::new(), last_fence: 0, accepted: Vec::new() }
    }

    pub(crate) async fn take(&mut self, step: Step) {
        let now = self.now;
        match step {
            Step::Accept { person, kinds } => self.accept(person, &kinds).await,
            Step::Claim { jobs_max } => self.claim(jobs_max).await,
            Step::Renew(which) => self.renew(which).await,
            Step::Settle { lease, end, trial } => self.settle(lease, end, trial).await,
            Step::Crash(which) => {
                if !self.leases.is_empty() {
                    self.leases.remove(which.index(self.leases.len()));
                }
            }
            Step::SettleProbe(result) => {
                self.bench.s().await.settle_probe(now, HoldScope::All, result).await.unwrap();
                self.model.end_trial(now, HoldScope::All, None, Some(result));
            }
            Step::TakeToken(kind) => {
                let told = self.bench.s().await.take_token(now, kind).await.unwrap();
                let expected = self.model.take_token(now, kind);
                assert_eq!(told, expected.map_or_else(Token::NotBefore, |()| Token::Granted));
            }
            Step::BackOff(ms) => {
                self.bench.s().await.back_off(now, now.plus_ms(ms)).await.unwrap();
                self.model.back_off(now.plus_ms(ms));
            }
            Step::Pass(ms) => self.now = now.plus_ms(ms),
            Step::SetHold(scope, code) => {
                self.model.set_hold(now, scope, code);
                let told = self.bench.s().await.set_hold(now, scope, code).await.unwrap();
                assert_eq!(told, self.model.holds[&scope]);
            }
            Step::Lift(which) => {
                self.bench.s().await.lift_hold(now, which).await.unwrap();
                for scope in [HoldScope::All, HoldScope::Creates] {
                    if which.is_none_or(|which| which == scope) {
                        self.model.lift(scope);
                    }
                }
            }
            Step::Replay(which) => {
                if let Some((seq, id)) = self.dead(which) {
                    assert_eq!(self.bench.s().await.replay(now, id).await.unwrap(), DeadAction::Done);
                    self.model.replay(now, seq);
                }
            }
            Step::Discard(which) => {
                if let Some((seq, id)) = self.dead(which) {
                    assert_eq!(self.bench.s().await.discard(now, id).await.unwrap(), DeadAction::Done);
                    self.model.discard(now, seq);
                }
            }
            Step::Tidy => {
                self.bench.s().await.tidy(now).await.unwrap();
                self.model.tidy(now);
            }
            Step::Reopen => self.bench.reopen().await,
        }
    }

    fn dead(&self, which: Index) -> Option<(u64, JobId)> {
        let dead = self.model.jobs.iter().filter(|(_, job)| job.fate == Fate::Dead);
        let dead: Vec<_> = dead.map(|(seq, job)| (*seq, job.id)).collect();
        (!dead.is_empty()).then(|| dead[which.index(dead.len())])
    }

    async fn accept(&mut self, who: usize, kinds: &[EventKind]) {
        let make = |kind: &EventKind| if *kind == EventKind::Hire { hire(PEOPLE[who]) } else { rename(PEOPLE[who]) };
        let jobs: Vec<_> = kinds.iter().map(|kind| NewJob { id: self.bench.id(), event: make(kind) }).collect();
        let ids: Vec<JobId> = jobs.iter().map(|job| job.id).collect();
        let delivery = delivery(self.bench.id().0.to_be_bytes(), [0; 16], jobs);
        let told = self.bench.s().await.accept(self.now, delivery.clone()).await.unwrap();
        if self.model.is_full() {
            assert_eq!(told, Accepted::Full);
            return;
        }
        assert_eq!(told, Accepted::Stored);
        self.accepted.push(delivery);
        for (kind, id) in kinds.iter().zip(ids) {
            self.model.accept(self.now, who, *kind, id);
        }
    }

    async fn claim(&mut self, jobs_max: usize) {
        let request = ClaimRequest { worker: "w".into(), number: 1, lost_from: None, jobs_max, lease_ms: LEASE_MS };
        let told = self.bench.s().await.claim(self.now, &request).await.unwrap();
        let expected = self.model.claim(self.now, jobs_max, LEASE_MS);
        let told = match told {
            Claim::Wait { until, reason } => Given::Wait(until, reason),
            Claim::Probe(scope) => Given::Probe(scope),
            Claim::Jobs(jobs) => {
                let given = jobs.iter().map(|claimed| (claimed.job.seq, claimed.lease.trial_of)).collect();
                for claimed in jobs {
                    let (job, lease) = (claimed.job, claimed.lease);
                    assert!(lease.fence > self.last_fence, "fences grow");
                    self.last_fence = lease.fence;
                    assert_eq!(job.take_overs, self.model.jobs[&job.seq].take_overs);
                    self.model.fence(job.seq, lease.fence, lease.trial_of);
                    self.leases.push(lease);
                }
                Given::Jobs(given)
            }
        };
        assert_eq!(told, expected);
    }

    async fn renew(&mut self, which: Index) {
        if self.leases.is_empty() {
            return;
        }
        let which = which.index(self.leases.len());
        let (lease, until) = (self.leases[which].clone(), self.now.plus_ms(LEASE_MS));
        let who = Self::who(&lease);
        let told = self.bench.s().await.renew(self.now, &lease, LEASE_MS).await.unwrap();
        assert_eq!(told.is_some(), self.model.own(who, lease.fence).is_some());
        if let Some(renewed) = told {
            assert_eq!(renewed, Lease { until, ..lease });
            self.model.renew(who, renewed.fence, until);
            self.leases[which] = renewed;
        }
    }

    async fn settle(&mut self, which: Index, end: End, trial: Option<TrialResult>) {
        if self.leases.is_empty() {
            return;
        }
        // Kept sometimes, to be used a second time.
        let index = which.index(self.leases.len());
        let lease = if index % 4 == 3 { self.leases[index].clone() } else { self.leases.remove(index) };
        let (now, who) = (self.now, Self::who(&lease));
        let progress = Progress::default();
        let verdict = match end {
            End::Done => done(),
            End::Retry { after_ms, counted } => Verdict::Retry { at: now.plus_ms(after_ms), counted, progress },
            End::Hold(scope, code) => Verdict::Hold { scope, code, progress },
            End::Dead => crate::harness::dead(),
            End::GiveBack => Verdict::GiveBack { progress },
        };
        let settlement = Settlement { verdict, history: Vec::new(), trial, directory: None };
        let told = self.bench.s().await.settle(now, &lease, settlement).await.unwrap();
        if self.model.own(who, lease.fence).is_none() {
            assert_eq!(told, Settled::Stale);
            return;
        }
        assert_eq!(told, Settled::Settled);
        if let Some(scope) = lease.trial_of {
            self.model.end_trial(now, scope, Some(lease.fence), trial);
        }
        if let End::Hold(scope, code) = end {
            self.model.set_hold(now, scope, code);
        }
        self.model.settle(now, who, |job| match end {
            End::Done => job.fate = Fate::Done(now),
            End::Dead => job.fate = Fate::Dead,
            End::Hold(..) | End::GiveBack => job.due_at = now,
            End::Retry { after_ms, counted } => {
                job.due_at = now.plus_ms(after_ms);
                job.attempts += u32::from(counted);
            }
        });
    }

    fn who(lease: &Lease) -> usize {
        PEOPLE.iter().position(|id| *id == lease.person.employee_id).unwrap()
    }

    async fn compare(&mut self) {
        for (who, employee_id) in PEOPLE.iter().enumerate() {
            let told = self.bench.s().await.person(&person(employee_id)).await.unwrap();
            let told: Vec<_> = told.map(|view| view.jobs).unwrap_or_default();
            let told = told.into_iter().map(|v| (v.job.seq, v.state, v.due_at, v.job.attempts, v.job.take_overs));
            let mine = self.model.jobs.iter().filter(|(_, job)| job.person == who);
            let expected = mine.map(|(seq, job)| {
                let due_at = match self.model.standing(who) {
                    Standing::Due { head, at } if head == *seq => Some(at),
                    _ => None,
                };
                (*seq, self.model.state(*seq), due_at, job.attempts, job.take_overs)
            });
            assert_eq!(told.collect::<Vec<_>>(), expected.collect::<Vec<_>>(), "person {employee_id}");
            self.compare_lane(who);
        }
        let stats = self.bench.s().await.stats(self.now).await.unwrap();
        for state in [JobState::Waiting, JobState::Running, JobState::Parked, JobState::Dead, JobState::Done] {
            let expected = self.model.jobs.keys().filter(|seq| self.model.state(**seq) == state).count();
            assert_eq!(stats.jobs[state.as_str()], expected as u64, "{state:?}");
        }
        let due = self.model.people().into_iter().filter_map(|who| match self.model.standing(who) {
            Standing::Due { at, .. } if at <= self.now => Some(at),
            _ => None,
        });
        assert_eq!(stats.oldest_due_at, due.min());
        let holds: Vec<Hold> = self.model.holds.values().cloned().collect();
        assert_eq!(self.bench.s().await.holds().await.unwrap(), holds);
    }

    /// A lane with anything in it, or with a dead Hire before it, is in exactly one place.
    fn compare_lane(&mut self, who: usize) {
        let seen = self.lanes.look(&person(PEOPLE[who]).to_string());
        let expected: &[&str] = match self.model.standing(who) {
            Standing::Idle => &[],
            Standing::Due { .. } => &["due"],
            Standing::Leased { .. } => &["leased"],
            Standing::Parked => &["parked"],
        };
        assert_eq!(seen.places, expected);
        assert_eq!(seen.counted, seen.live);
    }
}
