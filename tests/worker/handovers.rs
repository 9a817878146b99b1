//! A member who is handed over to another employee, and what the former record is told of that.

use std::time::Duration;

use scim_bridge::core::code::Code;
use scim_bridge::core::person::job::Finished;
use scim_bridge::core::person::label::Label;
use scim_bridge::core::person::story::Note;
use scim_bridge::core::person::{EmploymentState, Event, Mark};
use scim_bridge::core::reconcile::groups::GroupRule;
use scim_bridge::core::reconcile::owner::id_key;
use scim_bridge::core::time::UnixMs;
use scim_bridge::lifecycle::Lifecycle;
use scim_bridge::store::LaneState;
use scim_bridge::worker::Attempted::{Blocked, Folded, InLine, LeaseLost, Retry};
use scim_bridge::worker::Stepped;

use crate::bench::{Bench, LEASE_MS, at, hire_as, leave, moved, person, rename, settle, until};

#[tokio::test]
async fn a_returner_with_a_new_address_is_created_again_if_the_old_one_is_taken() {
    for (name, comes_back) in [(("Adam", "Smith"), true), (("Ada", "Lovelace"), false)] {
        let bench = Bench::new();
        bench.accept(hire_as("E-1", "ada@example.com", "Ada", "Lovelace", 0)).await;
        bench.attempt().await;
        bench.accept(Event { at: at(1), ..leave("E-1") }).await;
        assert_eq!(bench.attempt().await, InLine(Finished::Deactivated));
        bench.accept(hire_as("E-2", "ada@example.com", name.0, name.1, 2)).await;
        assert_eq!(bench.attempt().await, InLine(Finished::Adopted));
        assert_eq!(bench.attempt().await, Folded, "the record is closed");
        assert_eq!(bench.attempt().await, Folded, "and asks to hear of the new owner");
        bench.clock.advance_ms(60_000);
        let again = hire_as("E-1", "ada.lovelace@example.com", "Ada", "Lovelace", 0);
        bench.accept(Event { at: Some(bench.clock.now()), ..again }).await;
        // With the same name it may be another record of the same human being.
        let expected = if comes_back { InLine(Finished::Created) } else { Folded };
        assert_eq!(bench.attempt().await, expected, "{name:?}");
        assert_eq!(bench.document("E-1").await.record.closed.is_none(), comes_back);
        let active = bench.sim.members().iter().filter(|member| member.active).count();
        assert_eq!(active, 1 + usize::from(comes_back));
    }
}

/// E-1's member was handed over to E-2, of the same name, although HR has not said that E-1 left.
async fn taken_for_one_human_being() -> Bench {
    let bench = Bench::new();
    bench.accept(hire_as("E-1", "js@example.com", "John", "Smith", 0)).await;
    bench.attempt().await;
    bench.accept(hire_as("E-2", "js@example.com", "John", "Smith", 1)).await;
    assert_eq!(bench.attempt().await, InLine(Finished::Adopted));
    assert_eq!(bench.attempt().await, Folded, "the record is closed");
    assert_eq!(bench.attempt().await, Folded, "and asks to hear of the new owner");
    assert_eq!(bench.document("E-1").await.marks(), []);
    bench.clock.advance_ms(60_000);
    bench
}

/// What HR says now.
fn said_now(bench: &Bench, event: Event) -> Event {
    Event { at: Some(bench.clock.now()), ..event }
}

#[tokio::test]
async fn two_people_of_one_name_with_different_addresses_stay_two_in_any_order() {
    let again = |bench: &Bench| said_now(bench, hire_as("E-1", "js@example.com", "John", "Smith", 0));
    for is_said_before in [true, false] {
        let bench = taken_for_one_human_being().await;
        if is_said_before {
            bench.accept(again(&bench)).await;
            assert_eq!(bench.attempt().await, Folded, "they may be one human being");
        }
        bench.clock.advance_ms(60_000);
        bench.accept(said_now(&bench, moved("E-2", "js2@example.com", "John", "Smith", 0))).await;
        assert_eq!(bench.attempt().await, InLine(Finished::Updated));
        if !is_said_before {
            assert_eq!(bench.attempt().await, Folded, "HR may have forgotten about the former record");
            let former = bench.document("E-1").await;
            assert_eq!(former.marks(), [Mark::AfterClose]);
            assert!(former.record.closed.unwrap().describe().contains("hr/E-2, to whom HR has given another address"));
            bench.clock.advance_ms(60_000);
            bench.accept(again(&bench)).await;
        }
        assert_eq!(bench.attempt().await, InLine(Finished::Created));
        let mut members: Vec<_> = bench.sim.members().iter().map(|member| member.user_name.to_string()).collect();
        members.sort();
        assert_eq!(members, ["js2@example.com", "js@example.com"]);
        assert_eq!(bench.document("E-1").await.marks(), []);
    }
}

#[tokio::test]
async fn an_owner_who_cannot_move_keeps_the_member_if_hr_has_told_the_two_apart() {
    let bench = taken_for_one_human_being().await;
    bench.sim.inject("set_user_name:invalid-syntax:1".parse().unwrap()).unwrap();
    bench.accept(said_now(&bench, moved("E-2", "js2@example.com", "John", "Smith", 0))).await;
    assert_eq!(bench.attempt().await, Blocked(Code::ScimAddress));
    assert_eq!(bench.attempt().await, Folded, "the former record hears of the other address");
    bench.accept(said_now(&bench, hire_as("E-1", "js@example.com", "John", "Smith", 0))).await;
    assert_eq!(bench.attempt().await, Blocked(Code::ScimOwned), "{:?}", bench.calls());
    let detail = bench.document("E-1").await.trouble.unwrap().detail;
    assert!(detail.contains("hr/E-1") && detail.contains("hr/E-2"), "{detail}");
    let owner = bench.document("E-2").await;
    assert_eq!((owner.record.closed, owner.trouble.map(|trouble| trouble.code)), (None, Some(Code::ScimAddress)));
    bench.try_again("E-2").await;
    assert_eq!(bench.attempt().await, InLine(Finished::Updated));
    assert_eq!(bench.attempt().await, InLine(Finished::Created), "nobody had to replay it");
}

#[tokio::test]
async fn a_leave_of_the_members_owner_is_reported_if_another_record_says_employed() {
    let bench = taken_for_one_human_being().await;
    bench.accept(said_now(&bench, leave("E-2"))).await;
    assert_eq!(bench.attempt().await, InLine(Finished::Deactivated));
    assert_eq!(bench.attempt().await, Folded, "HR's newest word is that they left");
    let former = bench.document("E-1").await;
    assert_eq!(former.marks(), [Mark::AfterClose]);
    assert!(former.record.closed.unwrap().describe().contains("hr/E-2, who has left"));
    bench.clock.advance_ms(60_000);
    bench.accept(said_now(&bench, hire_as("E-1", "js@example.com", "John", "Smith", 0))).await;
    assert_eq!(bench.attempt().await, InLine(Finished::Adopted), "{:?}", bench.calls());
    assert_eq!(bench.attempt().await, Folded, "the other record is closed");
    assert!(bench.sim.members()[0].active);
    for id in ["E-1", "E-2"] {
        assert_eq!(bench.document(id).await.marks(), [], "{id}");
    }
}

#[tokio::test]
async fn a_rehire_under_a_new_id_who_leaves_stays_off_despite_events_of_the_former_id() {
    for late_leave in [true, false] {
        let bench = taken_for_one_human_being().await;
        let touched = Event { at: at(2), ..rename("E-1", "John", "Smith") };
        let former = if late_leave { Event { at: at(2), ..leave("E-1") } } else { touched };
        bench.accept(former).await;
        assert_eq!(bench.attempt().await, Folded);
        bench.accept(said_now(&bench, leave("E-2"))).await;
        assert_eq!(bench.attempt().await, InLine(Finished::Deactivated));
        assert_eq!(bench.attempt().await, Folded);
        assert!(bench.document("E-1").await.record.closed.is_some());
        assert_eq!(bench.document("E-1").await.record.lacks_member(), !late_leave);
        assert!(!bench.sim.members()[0].active);
    }
}

#[tokio::test]
async fn a_rehire_under_a_new_id_takes_the_member_over_and_closes_the_former_record() {
    let bench = Bench::new();
    bench.accept(hire_as("E-1", "ada@example.com", "Ada", "Lovelace", 0)).await;
    bench.attempt().await;
    bench.accept(hire_as("E-2", "ada@example.com", "ada", "LOVELACE", 1)).await;
    assert_eq!(bench.attempt().await, InLine(Finished::Adopted));
    // The former record gets an entry, and its events are no longer applied.
    bench.attempt().await;
    bench.attempt().await;
    bench.accept(Event { at: at(5), ..leave("E-1") }).await;
    bench.attempt().await;
    assert!(bench.sim.members()[0].active);
    let former = bench.document("E-1").await;
    assert_eq!(former.record.closed.unwrap().to.to_string(), "hr/E-2");
    assert_eq!(former.words_after_close, 1);
    assert_eq!(bench.state("E-1").await, LaneState::Idle);
}

#[tokio::test]
async fn nobody_is_taken_over_during_a_possible_switch_off() {
    let bench = Bench::new();
    bench.accept(hire_as("E-1", "ada@example.com", "Ada", "Lovelace", 0)).await;
    bench.attempt().await;
    // The former id's leave and the new id's hire arrive at the same moment; another worker has the leave.
    bench.accept(Event { at: at(1), ..leave("E-1") }).await;
    bench.claimed_by("another").await;
    bench.accept(hire_as("E-2", "ada@example.com", "Ada", "Lovelace", 2)).await;
    assert_eq!(bench.attempt().await, Retry(Code::ScimMoving));
    bench.store.end_leases(bench.clock.now()).await.unwrap();
    assert_eq!(bench.attempt().await, InLine(Finished::Deactivated));
    bench.attempt_until_settled().await;
    let members = bench.sim.members();
    assert_eq!((members.len(), members[0].active), (1, true), "{:?}", bench.calls());
    assert_eq!(bench.document("E-2").await.member.unwrap().active, Some(true));
}

#[tokio::test]
async fn an_interrupted_takeover_is_reported_and_leaves_no_part_of_the_member_behind() {
    let bench = Bench::new();
    bench.accept(hire_as("E-1", "ada@example.com", "Ada", "Lovelace", 0)).await;
    bench.attempt().await;
    bench.accept(Event { at: at(1), ..leave("E-1") }).await;
    assert_eq!(bench.attempt().await, InLine(Finished::Deactivated));
    bench.clock.advance_ms(61_000);
    let calls = bench.calls().len();
    bench.sim.inject("get:hang:1".parse().unwrap()).unwrap();
    bench.accept(hire_as("E-2", "ada@example.com", "Ada", "King", 2)).await;
    let life = Lifecycle::new();
    let pool = tokio::spawn(bench.worker().run(life.clone(), Duration::from_millis(50)));
    until("Postman is called", || bench.sim.journal().len() > calls).await;
    life.stop();
    pool.await.unwrap();
    assert_eq!(bench.state("E-2").await, LaneState::Waiting);
    let story = bench.story("E-2").await;
    assert!(story.contains(&Note::TakenFrom { person: person("E-1") }), "{story:?}");
    let id = bench.sim.members()[0].id.to_string();
    assert_eq!(bench.store.owner(&id_key(&id)).await.unwrap(), Some(person("E-2").id()));
}

/// A worker takes the member over that somebody else has, and dies before it commits.
async fn taken_over_by_a_worker_that_dies(bench: &Bench, event: Event) {
    let (id, calls) = (event.person.employee_id.clone(), bench.calls().len());
    bench.sim.inject("get:hang:1".parse().unwrap()).unwrap();
    bench.accept(event).await;
    let worker = bench.worker_on(bench.store.clone());
    let killed = tokio::spawn(async move { worker.step().await });
    until("Postman is called", || bench.sim.journal().len() > calls).await;
    // The claims are taken over, and the document does not mention the member.
    killed.abort();
    let _ = killed.await;
    assert!(bench.document_if_any(&id).await.is_none());
    bench.store.end_leases(bench.clock.now()).await.unwrap();
}

#[tokio::test]
async fn a_former_record_hears_of_the_new_owner_although_the_worker_died_that_took_the_member_over() {
    let bench = Bench::new();
    bench.accept(hire_as("E-1", "js@example.com", "John", "Smith", 0)).await;
    bench.attempt().await;
    bench.clock.advance_ms(61_000);
    taken_over_by_a_worker_that_dies(&bench, hire_as("E-2", "js@example.com", "John", "Smith", 1)).await;
    settle(&bench).await;
    assert_eq!(bench.document("E-1").await.marks(), []);
    bench.accept(said_now(&bench, leave("E-2"))).await;
    settle(&bench).await;
    assert!(!bench.sim.members()[0].active);
    assert_eq!(bench.document("E-1").await.marks(), [Mark::AfterClose]);
}

#[tokio::test]
async fn a_worker_that_lost_its_lease_tells_the_former_record_nothing() {
    let bench = taken_for_one_human_being().await;
    bench.sim.inject("deactivate:delay:1:delay=200".parse().unwrap()).unwrap();
    bench.accept(said_now(&bench, leave("E-2"))).await;
    let (worker, calls) = (bench.worker(), bench.calls().len());
    let slow = tokio::spawn(async move { worker.step().await.unwrap() });
    until("Postman is called", || bench.sim.journal().len() > calls).await;
    bench.clock.advance_ms(LEASE_MS + 1);
    bench.claimed_by("doomed").await;
    assert_eq!(slow.await.unwrap(), Stepped::Attempted(LeaseLost));
    // HR takes the leave back before anybody has committed it.
    bench.accept(said_now(&bench, hire_as("E-2", "js@example.com", "John", "Smith", 0))).await;
    bench.store.end_leases(bench.clock.now()).await.unwrap();
    settle(&bench).await;
    assert!(bench.sim.members()[0].active, "{:?}", bench.calls());
    assert_eq!(bench.document("E-1").await.marks(), [], "the new owner works there");
}

#[tokio::test]
async fn all_records_whose_member_was_handed_on_hear_of_whoever_has_the_member_now() {
    let bench = taken_for_one_human_being().await;
    bench.accept(said_now(&bench, hire_as("E-3", "js@example.com", "John", "Smith", 0))).await;
    settle(&bench).await;
    assert_eq!(bench.document("E-2").await.record.closed.unwrap().to, person("E-3"));
    bench.accept(said_now(&bench, leave("E-3"))).await;
    settle(&bench).await;
    for id in ["E-1", "E-2"] {
        assert_eq!(bench.document(id).await.marks(), [Mark::AfterClose], "{id}");
    }
    // The leave is taken back.
    bench.accept(said_now(&bench, hire_as("E-3", "js@example.com", "John", "Smith", 0))).await;
    settle(&bench).await;
    for id in ["E-1", "E-2"] {
        assert_eq!(bench.document(id).await.marks(), [], "{id}");
    }
}

#[tokio::test]
async fn the_former_owners_name_does_not_stay_in_the_new_owners_document() {
    let bench = Bench::new();
    bench.accept(hire_as("E-1", "ada@example.com", "Zyxwvut", "Qponmlk", 0)).await;
    bench.attempt().await;
    bench.accept(Event { at: at(1), ..leave("E-1") }).await;
    assert_eq!(bench.attempt().await, InLine(Finished::Deactivated));
    bench.accept(hire_as("E-2", "ada@example.com", "Adam", "Smith", 2)).await;
    assert_eq!(bench.attempt().await, InLine(Finished::Adopted));
    let document = String::from_utf8(bench.row("E-2").await.document.unwrap().to_vec()).unwrap();
    assert!(document.contains("Smith") && !document.contains("Zyxwvut") && !document.contains("Qponmlk"), "{document}");
}

/// A hire into a department.
fn into(department: &str, mut event: Event) -> Event {
    event.facts.further.insert("department".to_owned(), Label::parse(department).into_iter().collect());
    event
}

#[tokio::test]
async fn a_killed_takeover_does_not_lose_the_members_groups() {
    let rule = GroupRule { name: "{value}".to_owned(), fact: "department".to_owned(), values: None };
    let bench = Bench { groups: vec![rule], ..Bench::new() };
    bench.accept(into("Sales", hire_as("E-1", "ada@example.com", "Ada", "Lovelace", 0))).await;
    assert_eq!(bench.attempt().await, InLine(Finished::Created));
    bench.clock.advance_ms(61_000);
    taken_over_by_a_worker_that_dies(
        &bench,
        into("Engineering", hire_as("E-2", "ada@example.com", "ada", "LOVELACE", 1)),
    )
    .await;
    settle(&bench).await;
    let document = bench.document("E-2").await;
    let names: Vec<_> = document.groups.iter().map(|group| group.name.as_str()).collect();
    assert_eq!((names, document.groups_taken_from), (vec!["Engineering"], None));
    // Into the first, into the second, and out of the first.
    let written = bench.calls().into_iter().filter(|call| call == "patch_group 200").count();
    assert_eq!(written, 3, "{:?}", bench.calls());
    assert!(bench.document("E-1").await.groups.is_empty());
    assert_eq!((bench.state("E-1").await, bench.state("E-2").await), (LaneState::Idle, LaneState::Idle));
}

#[tokio::test]
async fn an_earlier_block_does_not_allow_a_takeover_during_a_new_try() {
    let bench = Bench::new();
    bench.sim.add_member(scim_bridge::postman_sim::Person::member("taken@example.com", "Eve", "Other"));
    bench.accept(hire_as("E-1", "ada@example.com", "Ada", "Lovelace", 0)).await;
    bench.attempt().await;
    bench.accept(moved("E-1", "taken@example.com", "Ada", "Lovelace", 1)).await;
    assert_eq!(bench.attempt().await, Blocked(Code::ScimAddress));
    bench.sim.inject("deactivate:500:1".parse().unwrap()).unwrap();
    bench.accept(Event { at: at(2), ..leave("E-1") }).await;
    assert_eq!(bench.attempt().await, Retry(Code::ScimUnavailable));
    assert!(bench.document("E-1").await.trouble.is_some(), "the dead letter stays until they are in sync");
    bench.accept(hire_as("E-2", "ada@example.com", "Augusta", "King", 3)).await;
    assert_eq!(
        bench.attempt().await,
        Retry(Code::ScimMoving),
        "they are about to be switched off: {:?}",
        bench.calls()
    );
    assert_eq!(bench.document("E-1").await.record.closed, None);
}

/// As for a transfer to another company of the group, or a conversion: the next employment has an id of its own.
#[tokio::test]
async fn who_has_not_begun_yet_takes_no_member_from_who_works_there() {
    let day: i64 = 86_400_000;
    for is_cancelled in [false, true] {
        let bench = Bench::new();
        let begun = bench.clock.now();
        bench.accept(hire_as("E-1", "js@example.com", "John", "Smith", 0)).await;
        bench.attempt().await;
        let mut ends = Event { at: at(1), ..leave("E-1") };
        let last_day = if is_cancelled { 20 } else { 2 };
        ends.facts.employment = Some((EmploymentState::Left, Some(begun.plus_ms(last_day * 86_400_000))));
        bench.accept(ends).await;
        bench.attempt().await;
        let mut next = hire_as("E-2", "js@example.com", "John", "Smith", 2);
        let starts = UnixMs(begun.0 + 7 * day);
        next.facts.employment = Some((EmploymentState::Employed, Some(starts)));
        bench.accept(next).await;
        bench.attempt().await;
        assert!(bench.document("E-1").await.record.closed.is_none(), "nobody takes it before the day");
        assert!(bench.document("E-2").await.trouble.is_none());
        let is_on = || bench.sim.members()[0].active;
        if is_cancelled {
            let mut cancelled = Event { at: at(3), ..leave("E-2") };
            cancelled.facts.employment = Some((EmploymentState::Left, Some(starts)));
            bench.accept(cancelled).await;
        }
        let mut days = Vec::new();
        for _ in 0..9 {
            settle(&bench).await;
            days.push(is_on());
            let gone = bench.clock.now().ms_since(begun);
            bench.clock.advance_ms(86_400_000 - gone % 86_400_000 + 1_000);
        }
        settle(&bench).await;
        if is_cancelled {
            assert_eq!(days, [true; 9]);
            assert!(is_on() && bench.document("E-1").await.record.closed.is_none());
        } else {
            assert_eq!(days, [true, true, false, false, false, false, false, true, true]);
            assert!(bench.document("E-1").await.record.closed.is_some());
        }
        assert_eq!(bench.sim.members().len(), 1);
    }
}
