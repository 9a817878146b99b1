//! Accepting: remembered and queued in one step, known again, refused when full.

use scim_bridge::core::code::Code;
use scim_bridge::core::event::{Event, Person};
use scim_bridge::core::job::{DeadOrigin, JobState};
use scim_bridge::store::{Accepted, NewJob};

use crate::harness::{Bench, at, dead, delivery, hire, person, rename, source, unmapped};

pub(crate) async fn a_delivery_is_remembered_and_queued(b: &mut Bench) {
    let ids = b.accept(at(5), &[hire("1"), rename("1"), hire("2")]).await;
    for (id, event) in ids.iter().zip([hire("1"), rename("1"), hire("2")]) {
        let view = b.s().await.job(*id).await.unwrap().unwrap();
        assert_eq!(view.state, JobState::Waiting);
        assert_eq!(view.job.event, event);
        assert_eq!(view.job.accepted_at, at(5));
        assert_eq!((view.job.attempts, view.job.take_overs, view.job.first_attempt_at), (0, 0, None));
    }
    let seqs = [b.s().await.job(ids[0]).await.unwrap(), b.s().await.job(ids[2]).await.unwrap()];
    let seqs: Vec<u64> = seqs.into_iter().map(|view| view.unwrap().job.seq).collect();
    assert!(seqs[0] < seqs[1], "{seqs:?}");
    assert_eq!(b.count(JobState::Waiting).await, 3);
}

pub(crate) async fn a_known_delivery_gets_the_ids_of_the_first_time(b: &mut Bench) {
    let (job, record) = (b.id(), b.id());
    let mut first = delivery([1; 16], [2; 16], vec![NewJob { id: job, event: hire("1") }]);
    first.unmapped.push(unmapped(record, None));
    assert_eq!(b.s().await.accept(at(0), first).await.unwrap(), Accepted::Stored);
    let again = delivery([1; 16], [2; 16], vec![NewJob { id: b.id(), event: hire("1") }]);
    let answer = b.s().await.accept(at(1), again.clone()).await.unwrap();
    assert_eq!(answer, Accepted::Duplicate { jobs: vec![job, record] });
    // Also when it is long done.
    b.work_off(at(2), crate::harness::done()).await;
    b.s().await.discard(at(2), record).await.unwrap();
    let answer = b.s().await.accept(at(3), again).await.unwrap();
    assert_eq!(answer, Accepted::Duplicate { jobs: vec![job, record] });
    assert_eq!(b.count(JobState::Waiting).await, 0);
}

pub(crate) async fn a_known_id_with_another_body_is_a_conflict_and_stores_nothing(b: &mut Bench) {
    let first = delivery([1; 16], [2; 16], vec![NewJob { id: b.id(), event: hire("1") }]);
    b.s().await.accept(at(0), first).await.unwrap();
    let id = b.id();
    let other = delivery([1; 16], [3; 16], vec![NewJob { id, event: hire("2") }]);
    assert_eq!(b.s().await.accept(at(1), other).await.unwrap(), Accepted::Conflict);
    assert_eq!(b.state(id).await, None);
    assert!(b.s().await.person(&person("2")).await.unwrap().is_none());
    assert_eq!(b.count(JobState::Waiting).await, 1);
}

pub(crate) async fn a_delivery_is_forgotten_after_its_time(b: &mut Bench) {
    let first = delivery([1; 16], [2; 16], Vec::new());
    b.s().await.accept(at(0), first.clone()).await.unwrap();
    let duplicate = b.s().await.accept(at(86_399_999), first.clone()).await.unwrap();
    assert_eq!(duplicate, Accepted::Duplicate { jobs: Vec::new() });
    let other = delivery([1; 16], [9; 16], Vec::new());
    assert_eq!(b.s().await.accept(at(86_400_000), other.clone()).await.unwrap(), Accepted::Stored);
    assert_eq!(b.s().await.accept(at(86_400_001), first).await.unwrap(), Accepted::Conflict);
}

pub(crate) async fn deliveries_are_forgotten_each_in_its_time_however_they_came(b: &mut Bench) {
    let mut sent = Vec::new();
    for n in 0..40_u8 {
        // Some share the beginning of their keys; those that came first stay the longest.
        let mut one = delivery([n / 8, 7, n, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1], [n; 16], Vec::new());
        one.jobs.push(NewJob { id: b.id(), event: hire(&n.to_string()) });
        one.dedupe.remember_ms = 4_000 - 100 * u64::from(n);
        b.s().await.accept(at(0), one.clone()).await.unwrap();
        sent.push(one);
    }
    assert_eq!(b.s().await.tidy(at(99)).await.unwrap(), 0);
    for (n, delivery) in sent.iter().enumerate().rev() {
        let last = at(delivery.dedupe.remember_ms - 1);
        let known = b.s().await.accept(last, delivery.clone()).await.unwrap();
        assert_eq!(known, Accepted::Duplicate { jobs: vec![delivery.jobs[0].id] }, "{n}");
        assert_eq!(b.s().await.tidy(last).await.unwrap(), 0, "{n}");
        assert_eq!(b.s().await.tidy(at(delivery.dedupe.remember_ms)).await.unwrap(), 1, "{n}");
    }
    // Those that are forgotten come as new ones, whether or not it was tidied up.
    let mut again = sent.swap_remove(3);
    again.jobs[0].id = b.id();
    assert_eq!(b.s().await.accept(at(5_000), again.clone()).await.unwrap(), Accepted::Stored);
    let ends = at(5_000 + again.dedupe.remember_ms);
    again.jobs[0].id = b.id();
    assert_eq!(b.s().await.accept(ends, again.clone()).await.unwrap(), Accepted::Stored);
    let known = b.s().await.accept(ends, again.clone()).await.unwrap();
    assert_eq!(known, Accepted::Duplicate { jobs: vec![again.jobs[0].id] });
}

pub(crate) async fn many_deliveries_are_known_each_by_its_own_id(b: &mut Bench) {
    // Spread as a hash would be; some with many jobs.
    let sent: Vec<_> = (0..120_u32)
        .map(|n| {
            let key = u128::from(n + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835).to_be_bytes();
            let jobs = (0..if n % 40 == 7 { 90 } else { 1 }).map(|_| NewJob { id: b.id(), event: rename("1") });
            delivery(key, [0; 16], jobs.collect())
        })
        .collect();
    for delivery in &sent {
        assert_eq!(b.s().await.accept(at(0), delivery.clone()).await.unwrap(), Accepted::Stored);
    }
    for delivery in &sent {
        let answer = b.s().await.accept(at(1), delivery.clone()).await.unwrap();
        assert_eq!(answer, Accepted::Duplicate { jobs: delivery.jobs.iter().map(|job| job.id).collect() });
    }
    let mut forgotten = 0;
    loop {
        match b.s().await.tidy(at(86_400_000)).await.unwrap() {
            0 => break,
            rows => forgotten += rows,
        }
    }
    assert_eq!(forgotten, 120);
    let again = delivery(sent[0].dedupe.key, [0; 16], vec![NewJob { id: b.id(), event: rename("1") }]);
    assert_eq!(b.s().await.accept(at(86_400_001), again).await.unwrap(), Accepted::Stored);
}

pub(crate) async fn above_the_high_water_mark_nothing_is_stored_or_remembered(b: &mut Bench) {
    b.with(|options| options.high_water_jobs = 2).await;
    b.accept(at(0), &[hire("1"), hire("2")]).await;
    let third = delivery([7; 16], [0; 16], vec![NewJob { id: b.id(), event: hire("3") }]);
    assert_eq!(b.s().await.accept(at(1), third.clone()).await.unwrap(), Accepted::Full);
    assert_eq!(b.count(JobState::Waiting).await, 2);
    b.work_off(at(2), crate::harness::done()).await;
    assert_eq!(b.s().await.accept(at(3), third.clone()).await.unwrap(), Accepted::Stored);
    // Full again, but what is known is known.
    assert!(matches!(b.s().await.accept(at(4), third).await.unwrap(), Accepted::Duplicate { .. }));
}

pub(crate) async fn parked_jobs_count_for_the_high_water_mark_and_running_ones_do_not(b: &mut Bench) {
    b.with(|options| options.high_water_jobs = 2).await;
    b.accept(at(0), &[hire("1"), rename("1"), rename("1")]).await;
    b.work_off(at(1), dead()).await;
    assert_eq!(b.count(JobState::Parked).await, 2);
    let full = delivery([7; 16], [0; 16], vec![NewJob { id: b.id(), event: hire("3") }]);
    assert_eq!(b.s().await.accept(at(2), full.clone()).await.unwrap(), Accepted::Full);
    let letter = b.s().await.dead_letters(&crate::harness::first(1)).await.unwrap().remove(0);
    b.s().await.discard(at(3), letter.id).await.unwrap();
    b.claim_one(at(4)).await;
    assert_eq!(b.s().await.accept(at(5), full).await.unwrap(), Accepted::Stored);
}

pub(crate) async fn unmapped_records_are_dead_letters_at_once(b: &mut Bench) {
    let id = b.accept_unmapped(at(3), Some(person("1"))).await;
    let letter = b.s().await.dead_letter(id).await.unwrap().unwrap();
    assert_eq!((letter.died_at, letter.code, letter.source.clone()), (at(3), Code::MapField, source()));
    assert_eq!(letter.detail, "email: missing or blank");
    assert!(!letter.parks_lane);
    assert_eq!(letter.person(), Some(&person("1")));
    let DeadOrigin::Unmapped { payload, .. } = letter.origin else { panic!("of another origin") };
    assert_eq!(payload, r#"{"x":1}"#);
    assert_eq!(b.count(JobState::Dead).await, 1);
    // It parks nothing: the person's next event runs.
    let job = b.accept_one(at(4), hire("1")).await;
    assert_eq!(b.claim_one(at(4)).await.job.id, job);
}

pub(crate) async fn an_event_of_a_person_with_slashes_and_quotes_reads_back(b: &mut Bench) {
    let person = Person::parse(source(), "a/b\"c'd;--\u{1F600}").unwrap();
    let event = Event { person: person.clone(), ..hire("x") };
    let id = b.accept_one(at(0), event.clone()).await;
    assert_eq!(b.claim_one(at(0)).await.job.event, event);
    let view = b.s().await.person(&person).await.unwrap().unwrap();
    assert_eq!((view.person, view.jobs[0].job.id), (person, id));
}
