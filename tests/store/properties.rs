//! Whatever happens in whatever order: after each step an engine and the model give the same answers and show the same
//! people, dead letters, owners, documents and statistics.

use bytes::Bytes;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use scim_bridge::core::limiter::{CallKind, Rate};
use scim_bridge::core::person::Person;
use scim_bridge::core::person::job::JobId;
use scim_bridge::core::time::UnixMs;
use scim_bridge::store::transfer::Transfer;
use scim_bridge::store::{
    Claim, ClaimRequest, Claimed, Commit, DeadChange, DeadFilter, Dedupe, Former, Lane, LaneState, NewDelivery,
    NewEntry, Own, Stats, StoreOptions,
};

use crate::embedded::Folder;
use crate::harness::{Bench, Engine, LEASE_MS, T0, commit, dead_row, first, person_of, request};
use crate::memory::Kept;
use crate::redis::Keyspace;
use crate::servers::{REDIS, VALKEY};

const SOURCES: [&str; 2] = ["hr", "eu"];
const PEOPLE: usize = 4;
const KEYS: [&str; 3] = ["id:1", "id:2", "address:a@x"];
const TAGS: [&str; 2] = ["all", "creates"];
const TERMS: [&str; 3] = ["ada", "adam", "bob"];

#[derive(Debug, Clone)]
pub(crate) enum Step {
    Accept {
        source: usize,
        key: Option<(u8, bool)>,
        people: Vec<usize>,
        unmapped: Vec<(Option<usize>, usize)>,
    },
    Claim {
        people_max: usize,
        entries_max: usize,
        parked: Option<usize>,
        lost: bool,
    },
    Renew(Index),
    Commit {
        which: Index,
        lane: usize,
        due_ms: u64,
        folds: bool,
        dies: bool,
        extra: usize,
    },
    Own {
        which: Index,
        keys: Vec<usize>,
        /// The person they may be taken from, whether that person is unchanged since the read, and whether they get an
        /// entry.
        from: Option<(usize, bool, bool)>,
    },
    /// The worker dies: nobody will ever use this lease again.
    Crash(Index),
    Release {
        tag: usize,
        people_max: u64,
    },
    Put(usize),
    Token(CallKind),
    BackOff(u64),
    Share {
        is_new: bool,
    },
    Replay {
        which: Index,
        people: Vec<usize>,
        still: bool,
    },
    Discard(Index),
    Erase(usize),
    EndLeases,
    Tidy,
    Pass(u64),
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    let people = || prop::collection::vec(0..PEOPLE, 0..4);
    let unmapped = || prop::collection::vec((prop::option::of(0..PEOPLE), 0_usize..30), 0..2);
    prop_oneof![
        12 => (0..SOURCES.len(), prop::option::of((0_u8..6, any::<bool>())), people(), unmapped())
            .prop_map(|(source, key, people, unmapped)| Step::Accept { source, key, people, unmapped }),
        12 => (0_usize..4, 1_usize..4, prop::option::weighted(0.2, 0..TAGS.len()), prop::bool::weighted(0.1))
            .prop_map(|(people_max, entries_max, parked, lost)| Step::Claim { people_max, entries_max, parked, lost }),
        2 => any::<Index>().prop_map(Step::Renew),
        14 => (any::<Index>(), 0_usize..7, select(vec![0, 1, 20_000, 200_000]), prop::bool::weighted(0.8),
                prop::bool::weighted(0.2), 0_usize..8)
            .prop_map(|(which, lane, due_ms, folds, dies, extra)| Step::Commit { which, lane, due_ms, folds, dies, extra }),
        5 => (any::<Index>(), prop::collection::vec(0..KEYS.len(), 1..3), prop::option::of((0..PEOPLE, prop::bool::weighted(0.8), prop::bool::weighted(0.7))))
            .prop_map(|(which, keys, from)| Step::Own { which, keys, from }),
        1 => any::<Index>().prop_map(Step::Crash),
        2 => (0..TAGS.len(), 0_u64..3).prop_map(|(tag, people_max)| Step::Release { tag, people_max }),
        2 => (0..PEOPLE + 1).prop_map(Step::Put),
        1 => select(vec![CallKind::Write, CallKind::Read]).prop_map(Step::Token),
        1 => (0_u64..40_000).prop_map(Step::BackOff),
        1 => any::<bool>().prop_map(|is_new| Step::Share { is_new }),
        2 => (any::<Index>(), people(), any::<bool>())
            .prop_map(|(which, people, still)| Step::Replay { which, people, still }),
        1 => any::<Index>().prop_map(Step::Discard),
        1 => (0..PEOPLE).prop_map(Step::Erase),
        1 => Just(Step::EndLeases),
        1 => Just(Step::Tidy),
        9 => select(vec![1, 1_000, 31_000, 61_000, 301_000]).prop_map(Step::Pass),
        1 => Just(Step::Reopen),
    ]
}

pub(crate) fn steps() -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec(step(), 1..100)
}

/// Narrow, so that every bound is reached within a few steps.
pub(crate) fn narrow(options: &mut StoreOptions) {
    options.writes = Rate { calls: 40, window_ms: 60_000 };
    options.reads = Rate { calls: 60, window_ms: 60_000 };
    options.bounds.entries_max = 14;
    options.bounds.dead_letters_max = 8;
    options.bounds.dead_bytes_max = 120;
    options.bounds.story_entries_max = 4;
    options.bounds.story_keep_ms = 200_000;
}

fn nth_person(who: usize) -> Person {
    person_of(SOURCES[who % SOURCES.len()], &format!("E-{who}"))
}

/// An engine and the model, taking the same steps.
pub(crate) struct Pair {
    pub(crate) engine: Bench,
    pub(crate) model: Bench,
    pub(crate) now: UnixMs,
    /// The leases that workers believe they have, including lost ones, each from the engine and from the model.
    held: Vec<(Claimed, Claimed)>,
    claims: u64,
    words: u32,
    last_fence: u64,
}

impl Pair {
    pub(crate) async fn new(engine: impl Engine + 'static) -> Self {
        let (mut engine, mut model) = (Bench::new(engine, false).await, Bench::new(Kept::new(), false).await);
        engine.with(narrow).await;
        model.with(narrow).await;
        Self { engine, model, now: T0, held: Vec::new(), claims: 0, words: 0, last_fence: 0 }
    }

    fn word(&mut self) -> Bytes {
        self.words += 1;
        Bytes::from(format!("word {}", self.words))
    }

    fn entry(&mut self, person: Person) -> NewEntry {
        NewEntry { job: self.engine.id(&person), person, bytes: self.word() }
    }

    /// Does the same to both, and compares the answers.
    async fn both<T, F>(&mut self, ask: F) -> T
    where
        T: PartialEq + std::fmt::Debug,
        F: AsyncFn(&dyn Transfer) -> T,
    {
        let actual = ask(self.engine.store().await).await;
        let expected = ask(self.model.store().await).await;
        assert_eq!(actual, expected);
        actual
    }

    pub(crate) async fn take(&mut self, step: Step) {
        let now = self.now;
        match step {
            Step::Accept { source, key, people, unmapped } => self.accept(source, key, &people, &unmapped).await,
            Step::Claim { people_max, entries_max, parked, lost } => {
                self.claim(people_max, entries_max, parked, lost).await;
            }
            Step::Renew(which) => self.renew(which).await,
            Step::Commit { which, lane, due_ms, folds, dies, extra } => {
                let due = now.plus_ms(due_ms);
                self.commit(which, &some_lane(lane, due), folds, dies, extra).await;
            }
            Step::Own { which, keys, from } => self.own(which, &keys, from).await,
            Step::Crash(which) => {
                if !self.held.is_empty() {
                    self.held.remove(which.index(self.held.len()));
                }
            }
            Step::Release { tag, people_max } => {
                self.both(async |store| store.release(now, TAGS[tag], people_max).await.unwrap()).await;
            }
            Step::Put(who) => {
                let entry = self.entry(nth_person(who));
                self.both(async |store| store.put(now, entry.clone()).await.unwrap()).await;
            }
            Step::Token(kind) => {
                self.both(async |store| store.take_token(now, kind).await.unwrap()).await;
            }
            Step::BackOff(ms) => {
                self.both(async |store| store.back_off(now, now.plus_ms(ms)).await.unwrap()).await;
            }
            Step::Share { is_new } => {
                let bytes = self.word();
                self.both(async |store| {
                    let version = store.shared("audit").await.unwrap().version;
                    store.put_shared("audit", version + u64::from(!is_new), bytes.clone()).await.unwrap()
                })
                .await;
            }
            Step::Replay { which, people, still } => self.replay(which, &people, still).await,
            Step::Discard(which) => {
                if let Some(id) = self.dead(which).await {
                    self.both(async |store| store.discard_unmapped(id).await.unwrap()).await;
                }
            }
            Step::Erase(who) => {
                self.both(async |store| store.erase(now, &nth_person(who), &[TAGS[0].to_owned()]).await.unwrap()).await;
            }
            Step::EndLeases => {
                self.both(async |store| store.end_leases(now).await.unwrap()).await;
            }
            Step::Tidy => {
                self.both(async |store| while store.tidy(now).await.unwrap() > 0 {}).await;
            }
            Step::Pass(ms) => self.now = now.plus_ms(ms),
            Step::Reopen => self.engine.reopen().await,
        }
    }

    async fn accept(
        &mut self,
        source: usize,
        key: Option<(u8, bool)>,
        people: &[usize],
        unmapped: &[(Option<usize>, usize)],
    ) {
        let mut delivery = NewDelivery {
            source: person_of(SOURCES[source], "x").source,
            dedupe: key.map(|(key, only_while_newest)| Dedupe {
                key: [key + 10 * u8::from(only_while_newest); 16],
                only_while_newest,
                remember_ms: 100_000,
                says: 0,
            }),
            entries: Vec::new(),
            unmapped: Vec::new(),
        };
        for who in people {
            // A source only sends events about its own people.
            let who = who - who % SOURCES.len() + source;
            delivery.entries.push(self.entry(nth_person(who)));
        }
        for (who, bytes) in unmapped {
            let mut record = self.engine.unmapped(self.now, None, &"x".repeat(*bytes));
            record.row.person = who.map(nth_person);
            record.row.source = delivery.source.clone();
            delivery.unmapped.push(record);
        }
        let now = self.now;
        self.both(async |store| store.accept(now, delivery.clone()).await.unwrap()).await;
    }

    async fn claim(&mut self, people_max: usize, entries_max: usize, parked: Option<usize>, lost: bool) {
        self.claims += 1;
        let ask = ClaimRequest {
            number: self.claims,
            lost_from: lost.then_some(self.claims.saturating_sub(2)),
            entries_max,
            parked: parked.map(|tag| TAGS[tag].to_owned()),
            ..request(people_max)
        };
        let actual = self.engine.ask(self.now, &ask).await;
        let expected = self.model.ask(self.now, &ask).await;
        match (actual, expected) {
            (Claim::People(actual), Claim::People(expected)) => {
                assert_eq!(actual.len(), expected.len());
                for (actual, expected) in actual.into_iter().zip(expected) {
                    assert_eq!(seen(&actual), seen(&expected));
                    assert!(actual.lease.fence > self.last_fence, "fences grow");
                    self.last_fence = actual.lease.fence;
                    self.held.push((actual, expected));
                }
            }
            (Claim::Nobody { until: actual }, Claim::Nobody { until: expected }) => {
                // Anything overdue counts as due now.
                assert_eq!(actual.map(|at| at.max(self.now)), expected.map(|at| at.max(self.now)));
            }
            (actual, expected) => panic!("{actual:?} instead of {expected:?}"),
        }
    }

    async fn renew(&mut self, which: Index) {
        if self.held.is_empty() {
            return;
        }
        let (actual, expected) = &self.held[which.index(self.held.len())];
        let actual = self.engine.store().await.renew(self.now, &actual.lease, LEASE_MS).await.unwrap();
        let expected = self.model.store().await.renew(self.now, &expected.lease, LEASE_MS).await.unwrap();
        assert_eq!(actual.map(|lease| lease.until), expected.map(|lease| lease.until));
    }

    async fn commit(&mut self, which: Index, lane: &Lane, folds: bool, dies: bool, extra: usize) {
        if self.held.is_empty() {
            return;
        }
        // Sometimes the lease is kept, to be used a second time.
        let index = which.index(self.held.len());
        let held = if index % 4 == 3 { self.held[index].clone() } else { self.held.remove(index) };
        let who = (0..PEOPLE + SOURCES.len()).find(|who| nth_person(*who).id() == held.0.lease.person).unwrap();
        let person = nth_person(who);
        let word = self.word();
        let row = scim_bridge::store::DeadRow {
            source: person.source.clone(),
            person: Some(person.clone()),
            ..dead_row(self.engine.id(&person), "x", self.now, ["SCIM-4XX", "JOB-POISON"][extra % 2])
        };
        let outgoing =
            (0..usize::from(extra == 4 || extra == 7) * 2).map(|n| self.entry(nth_person(index + n))).collect();
        let words =
            |from: &[&str], take: usize| from.iter().take(take).map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let plain = Commit {
            document: extra.is_multiple_of(3).then_some(word.clone()),
            person,
            story: vec![word; extra % 4],
            terms_added: words(&TERMS, extra % 3),
            terms_removed: words(&TERMS[1..], extra % 2),
            disowned: words(&KEYS, usize::from(extra == 5) * 2),
            released: words(&TAGS, usize::from(extra >= 6) * 2),
            outgoing,
            dead: if dies { DeadChange::Is(Box::new(row)) } else { DeadChange::None },
            ..commit("x", lane.clone())
        };
        let folded = |claimed: &Claimed| Commit {
            consumed_to: claimed.inbox.last().filter(|_| folds).map(|entry| entry.seq),
            ..plain.clone()
        };
        let actual = self.engine.commit(self.now, &held.0.lease, folded(&held.0)).await;
        let expected = self.model.commit(self.now, &held.1.lease, folded(&held.1)).await;
        assert_eq!(actual, expected);
    }

    async fn own(&mut self, which: Index, keys: &[usize], from: Option<(usize, bool, bool)>) {
        if self.held.is_empty() {
            return;
        }
        let mut former = None;
        if let Some((who, is_as_read, is_notified)) = from {
            let person = nth_person(who).id();
            let row = self.model.store().await.person(person).await.unwrap();
            former = row.map(|row| Former {
                person,
                entry: is_notified.then(|| self.entry(nth_person(who))),
                document: row.document.filter(|_| is_as_read).unwrap_or_default(),
                state: row.lane.state,
            });
        }
        let (actual, expected) = self.held[which.index(self.held.len())].clone();
        let own = Own { keys: keys.iter().map(|key| KEYS[*key].to_owned()).collect(), from: former };
        let actual = self.engine.store().await.own(self.now, &actual.lease, own.clone()).await.unwrap();
        let expected = self.model.store().await.own(self.now, &expected.lease, own).await.unwrap();
        assert_eq!(actual, expected);
    }

    /// Some dead letter, blocked people's included.
    async fn dead(&mut self, which: Index) -> Option<JobId> {
        let ids = self.model.dead(&DeadFilter::default()).await;
        (!ids.is_empty()).then(|| ids[which.index(ids.len())])
    }

    async fn replay(&mut self, which: Index, people: &[usize], still: bool) {
        let Some(id) = self.dead(which).await else { return };
        let entries: Vec<_> = people.iter().map(|who| self.entry(nth_person(*who))).collect();
        let mut rest = self.engine.unmapped(self.now, None, "still");
        rest.row.id = id;
        let rest: Vec<_> = still.then_some(rest).into_iter().collect();
        let now = self.now;
        self.both(async |store| store.replay_unmapped(now, id, entries.clone(), rest.clone()).await.unwrap()).await;
    }

    pub(crate) async fn compare(&mut self) {
        let actual = views(&mut self.engine).await;
        assert_eq!(actual, views(&mut self.model).await);
    }
}

/// What a claim shows, except for sequence numbers and fences, which differ between engines.
fn seen(claimed: &Claimed) -> impl PartialEq + std::fmt::Debug {
    let lease = &claimed.lease;
    (lease.person, lease.until, claimed.document.clone(), crate::harness::contents(claimed), claimed.taken_over)
}

fn some_lane(which: usize, due: UnixMs) -> Lane {
    let parked = |state, tag: usize| Lane { state, due: None, wakes: false, tag: Some(TAGS[tag].to_owned()) };
    match which {
        0 | 1 => Lane::new(),
        2 => Lane { state: LaneState::Waiting, due: Some(due), wakes: true, tag: None },
        3 => Lane { state: LaneState::Scheduled, due: Some(due), wakes: true, tag: None },
        4 => parked(LaneState::Held, 0),
        5 => Lane { due: Some(due), ..parked(LaneState::Held, 1) },
        _ => Lane { state: LaneState::Blocked, due: None, wakes: true, tag: None },
    }
}

/// Everything visible in a store.
async fn views(b: &mut Bench) -> (Vec<String>, Stats) {
    let mut seen = Vec::new();
    let people = b.store().await.people(&first(100)).await.unwrap().rows;
    for row in &people {
        let story = b.store().await.story(row.id).await.unwrap();
        let words: Vec<_> = row.inbox.iter().map(|entry| &entry.bytes).collect();
        let lane = (row.lane.state != LaneState::Running).then_some(&row.lane);
        assert_eq!(row.inbox_entries, row.inbox.len() as u64);
        seen.push(format!("{} {:?} {lane:?} {:?} {words:?} {story:?}", row.id, row.document, row.since));
        let alone = b.store().await.person(row.id).await.unwrap();
        assert_eq!(format!("{alone:?}"), format!("{:?}", Some(row)));
    }
    for state in LaneState::ALL {
        let rows = b.store().await.lanes(state, &first(100)).await.unwrap().rows;
        seen.push(format!("{state:?}: {:?}", rows.iter().map(|row| row.id).collect::<Vec<_>>()));
    }
    for prefix in ["a", "adam", "b"] {
        let rows = b.store().await.search(prefix, &first(100)).await.unwrap().rows;
        let mut ids: Vec<_> = rows.iter().map(|row| row.id).collect();
        ids.sort_unstable();
        seen.push(format!("{prefix}: {ids:?}"));
    }
    for row in b.store().await.dead(&DeadFilter::default(), &first(100)).await.unwrap().rows {
        let whole = b.store().await.dead_letter(row.id).await.unwrap().unwrap();
        assert_eq!(whole.0, row);
        seen.push(format!("{whole:?}"));
    }
    let some = DeadFilter { code: Some("SCIM-4XX".to_owned()), ..DeadFilter::default() };
    seen.push(format!("{:?}", b.dead(&some).await));
    for key in KEYS {
        seen.push(format!("{key}: {:?}", b.store().await.owner(key).await.unwrap()));
    }
    seen.push(format!("{:?}", b.store().await.shared("audit").await.unwrap().bytes));
    let mut stats = b.store().await.stats().await.unwrap();
    for numbers in [&mut stats.entries, &mut stats.dead, &mut stats.dead_by_source] {
        numbers.retain(|_, number| *number > 0);
    }
    (seen, stats)
}

/// Runs the steps on a fresh engine and on the model.
pub(crate) fn agree(steps: Vec<Step>, engine: impl Engine + 'static) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut pair = Pair::new(engine).await;
        for step in steps {
            pair.take(step).await;
            pair.compare().await;
        }
    });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
    #[test]
    fn the_embedded_engine_and_the_model_agree_after_every_step(steps in steps()) {
        agree(steps, Folder::new());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, ..ProptestConfig::default() })]
    #[test]
    fn redis_and_the_model_agree_after_every_step(steps in steps()) {
        agree(steps, Keyspace::on(&REDIS));
    }

    #[test]
    fn valkey_and_the_model_agree_after_every_step(steps in steps()) {
        agree(steps, Keyspace::on(&VALKEY));
    }
}
