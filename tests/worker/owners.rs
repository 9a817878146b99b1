//! One member, one person.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use scim_bridge::core::code::Code;
use scim_bridge::core::person::job::Finished;
use scim_bridge::core::person::label::Label;
use scim_bridge::core::person::story::Note;
use scim_bridge::core::person::{Email, Event, Mark};
use scim_bridge::core::reconcile::groups::GroupRule;
use scim_bridge::core::reconcile::owner::{address_key, id_key};
use scim_bridge::core::time::UnixMs;
use scim_bridge::lifecycle::Lifecycle;
use scim_bridge::store::{LaneState, Own};
use scim_bridge::worker::Attempted::{Blocked, Folded, InLine, LeaseLost, Retry};
use scim_bridge::worker::Stepped;
use tokio::sync::Semaphore;

use crate::bench::{Bench, LEASE_MS, hire, leave, person, rename, until};
use crate::rough_store::Rough;

#[expect(clippy::unnecessary_wraps, reason = "as an event has it")]
fn at(ms: i64) -> Option<UnixMs> {
    Some(UnixMs(1_795_341_500_000 + ms))
}

/// A hire with somebody else's address.
pub(crate) fn hire_as(id: &str, address: &str, given: &str, family: &str, ms: i64) -> Event {
    let mut event = Event { at: at(ms), ..hire(id, given, family) };
    event.facts.email = Some(Email::parse(address).unwrap());
    event
}

#[tokio::test]
async fn a_second_employee_under_one_address_is_a_dead_letter_that_names_both() {
    let bench = Bench::new();
    bench.accept(hire_as("E-1", "ada@example.com", "Ada", "Lovelace", 0)).await;
    bench.attempt().await;
    bench.accept(hire_as("E-2", "ADA@example.com", "Adam", "Smith", 1)).await;
    assert_eq!(bench.attempt().await, Blocked(Code::ScimOwned));
    let detail = bench.document("E-2").await.trouble.unwrap().detail;
    assert!(detail.contains("hr/E-1") && detail.contains("hr/E-2"), "{detail}");
    assert_eq!(bench.calls(), ["create 201"], "nobody was looked up or changed");
}

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
            assert!(former.record.closed.unwrap().told().contains("hr/E-2, to whom HR has given another address"));
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
    bench.sim.order("set_user_name:invalid-syntax:1".parse().unwrap()).unwrap();
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
    assert!(former.record.closed.unwrap().told().contains("hr/E-2, who has left"));
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
async fn giving_up_an_address_heals_the_person_waiting_for_it() {
    let bench = Bench::new();
    bench.accept(hire_as("E-1", "js@example.com", "John", "Smith", 0)).await;
    bench.attempt().await;
    bench.accept(hire_as("E-2", "js@example.com", "Jane", "Stone", 1)).await;
    assert_eq!(bench.attempt().await, Blocked(Code::ScimOwned));
    let mut moves = Event { at: at(2), ..rename("E-1", "John", "Smith") };
    moves.facts.email = Some(Email::parse("john.smith@example.com").unwrap());
    bench.accept(moves).await;
    assert_eq!(bench.attempt().await, InLine(Finished::Updated));
    assert_eq!(bench.attempt().await, InLine(Finished::Created), "nobody had to replay anything");
    assert_eq!(bench.sim.members().len(), 2);
}

/// HR swaps the addresses of two people.
async fn swapped() -> Bench {
    let bench = Bench::new();
    bench.accept(hire_as("E-1", "one@example.com", "John", "Smith", 0)).await;
    bench.attempt().await;
    bench.accept(hire_as("E-2", "two@example.com", "Jane", "Stone", 1)).await;
    bench.attempt().await;
    bench.accept(moved("E-1", "two@example.com", "John", "Smith", 2)).await;
    bench.accept(moved("E-2", "one@example.com", "Jane", "Stone", 3)).await;
    // The first one is processed before the other's event is known.
    bench.attempt_until_settled().await;
    bench.attempt_until_settled().await;
    bench
}

/// A person to whom HR gave an address that another account has.
async fn moved_to_a_taken_address() -> Bench {
    let bench = Bench::new();
    bench.sim.add_member(scim_bridge::postman_sim::Person::member("taken@example.com", "Eve", "Other"));
    bench.accept(hire_as("E-1", "js@example.com", "John", "Smith", 0)).await;
    bench.attempt().await;
    bench.accept(moved("E-1", "taken@example.com", "John", "Smith", 1)).await;
    assert_eq!(bench.attempt().await, Blocked(Code::ScimAddress));
    bench
}

fn moved(id: &str, address: &str, given: &str, family: &str, ms: i64) -> Event {
    let mut event = Event { at: at(ms), ..rename(id, given, family) };
    event.facts.email = Some(Email::parse(address).unwrap());
    event
}

#[tokio::test]
async fn two_who_swap_addresses_are_blocked_and_go_on_through_a_third_address() {
    let bench = Box::pin(swapped()).await;
    let mut details = Vec::new();
    for id in ["E-1", "E-2"] {
        assert_eq!(bench.state(id).await, LaneState::Blocked, "{id}");
        details.push(bench.document(id).await.trouble.unwrap().detail);
    }
    assert!(details.iter().any(|detail| detail.contains("swap addresses")), "{details:?}");
    bench.accept(moved("E-1", "one.for.now@example.com", "John", "Smith", 4)).await;
    assert_eq!(bench.attempt().await, InLine(Finished::Updated));
    assert_eq!(bench.attempt().await, InLine(Finished::Updated), "nobody had to replay the other");
    bench.accept(moved("E-1", "two@example.com", "John", "Smith", 5)).await;
    assert_eq!(bench.attempt().await, InLine(Finished::Updated));
    let members = bench.sim.members();
    let has = |family: &str| members.iter().find(|member| &*member.name.family_name == family).unwrap();
    assert_eq!((&*has("Smith").user_name, &*has("Stone").user_name), ("two@example.com", "one@example.com"));
}

#[tokio::test]
async fn two_people_swapped_at_the_target_are_in_sync_after_a_read() {
    let bench = Box::pin(swapped()).await;
    bench.clock.advance_ms(61_000);
    let members = bench.sim.members();
    for (family, address) in
        [("Smith", "for.now@example.com"), ("Stone", "one@example.com"), ("Smith", "two@example.com")]
    {
        let mut member = scim_bridge::postman_sim::Person::member(address, "J", family);
        member.id = members.iter().find(|m| &*m.name.family_name == family).map(|m| m.id.to_string());
        bench.sim.add_member(member);
    }
    for id in ["E-1", "E-2"] {
        bench.try_again(id).await;
        bench.attempt_until_settled().await;
        assert_eq!(bench.state(id).await, LaneState::Idle, "{id} {:?}", bench.calls());
    }
}

#[tokio::test]
async fn a_leave_heals_the_person_waiting_for_the_member() {
    let bench = Bench::new();
    bench.accept(hire_as("E-1", "js@example.com", "John", "Smith", 0)).await;
    bench.attempt().await;
    bench.accept(hire_as("E-2", "js@example.com", "Jane", "Stone", 1)).await;
    assert_eq!(bench.attempt().await, Blocked(Code::ScimOwned));
    bench.accept(Event { at: at(2), ..leave("E-1") }).await;
    assert_eq!(bench.attempt().await, InLine(Finished::Deactivated));
    assert_eq!(bench.attempt().await, InLine(Finished::Adopted));
    let members = bench.sim.members();
    assert_eq!((members.len(), members[0].active), (1, true));
    assert_eq!(&*members[0].name.family_name, "Stone");
}

#[tokio::test]
async fn a_leave_heals_a_person_refused_an_account_and_touches_nobody() {
    let bench = Bench::new();
    bench.accept(hire_as("E-1", "js@example.com", "John", "Smith", 0)).await;
    bench.attempt().await;
    bench.accept(hire_as("E-2", "js@example.com", "Jane", "Stone", 1)).await;
    assert_eq!(bench.attempt().await, Blocked(Code::ScimOwned));
    bench.accept(Event { at: at(2), ..leave("E-2") }).await;
    assert_eq!(bench.attempt().await, InLine(Finished::NotAMember));
    assert_eq!(bench.document("E-2").await.trouble, None);
    bench.nothing().await;
    let members = bench.sim.members();
    assert_eq!((members.len(), members[0].active, &*members[0].name.family_name), (1, true, "Smith"));
    // The address still belongs to the other person.
    bench.accept(moved("E-1", "js@example.com", "John", "King", 3)).await;
    bench.accept(hire_as("E-2", "jane@example.com", "Jane", "Stone", 4)).await;
    bench.attempt_until_settled().await;
    bench.attempt_until_settled().await;
    assert_eq!(bench.sim.members().len(), 2);
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
async fn a_changed_address_is_given_up_however_the_attempt_ends() {
    let bench = Bench::new();
    bench.accept(hire_as("E-1", "js@example.com", "John", "Smith", 0)).await;
    bench.attempt().await;
    // The new address is written, the names are not.
    bench.sim.order("replace:500:1".parse().unwrap()).unwrap();
    bench.accept(moved("E-1", "john@example.com", "John", "Stone", 2)).await;
    assert_eq!(bench.attempt().await, Retry(Code::ScimUnavailable));
    bench.accept(hire_as("E-2", "js@example.com", "Jane", "Smith", 3)).await;
    assert_eq!(bench.attempt().await, InLine(Finished::Created));
    assert_eq!(bench.attempt_until_settled().await, InLine(Finished::Updated));
    assert_eq!(bench.sim.members().len(), 2);
}

#[tokio::test]
async fn a_refused_address_is_given_up_with_the_next_one() {
    let bench = moved_to_a_taken_address().await;
    // A blocked person gives nothing up: the person waiting for it is blocked, too.
    bench.accept(hire_as("E-2", "js@example.com", "Jane", "Stone", 2)).await;
    assert_eq!(bench.attempt().await, Blocked(Code::ScimOwned));
    bench.accept(moved("E-1", "john@example.com", "John", "Smith", 3)).await;
    assert_eq!(bench.attempt().await, InLine(Finished::Updated));
    assert_eq!(bench.attempt().await, InLine(Finished::Created), "nobody had to replay it");
    bench.accept(hire_as("E-3", "taken@example.com", "Eve", "Other", 4)).await;
    assert_eq!(bench.attempt().await, InLine(Finished::Adopted));
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

/// John Smith has an address that Jane Stone waits for.
async fn one_waits_for_the_other() -> Bench {
    let bench = Bench::new();
    bench.accept(hire_as("E-1", "js@example.com", "John", "Smith", 0)).await;
    bench.attempt().await;
    bench.clock.advance_ms(61_000);
    bench.accept(hire_as("E-2", "js@example.com", "Jane", "Stone", 1)).await;
    assert_eq!(bench.attempt().await, Blocked(Code::ScimOwned));
    bench
}

#[tokio::test]
async fn a_leave_of_an_inactive_person_heals_the_person_waiting() {
    let bench = one_waits_for_the_other().await;
    let mut off = scim_bridge::postman_sim::Person::member("js@example.com", "John", "Smith");
    (off.id, off.active) = (Some(bench.sim.members()[0].id.to_string()), false);
    bench.sim.add_member(off);
    bench.accept(Event { at: at(2), ..leave("E-1") }).await;
    assert_eq!(bench.attempt().await, InLine(Finished::Unchanged));
    assert_eq!(bench.attempt().await, InLine(Finished::Adopted));
    assert!(bench.sim.members()[0].active);
}

#[tokio::test]
async fn a_refused_leave_heals_the_person_waiting() {
    let bench = one_waits_for_the_other().await;
    bench.sim.order("deactivate:invalid-syntax:1".parse().unwrap()).unwrap();
    bench.accept(Event { at: at(2), ..leave("E-1") }).await;
    assert_eq!(bench.attempt().await, Blocked(Code::ScimSyntax));
    assert_eq!(bench.attempt().await, InLine(Finished::Adopted));
}

#[tokio::test]
async fn a_leaver_whose_address_is_taken_waits_and_does_not_wake_themselves() {
    let bench = Bench::new();
    bench.accept(hire_as("E-1", "ada@example.com", "Ada", "King", 0)).await;
    bench.attempt().await;
    // HR gives the other person another address, which is refused.
    bench.sim.order("set_user_name:invalid-syntax:1".parse().unwrap()).unwrap();
    bench.accept(moved("E-1", "king@example.com", "Ada", "King", 1)).await;
    assert_eq!(bench.attempt().await, Blocked(Code::ScimAddress));
    let mut left = Event { at: at(2), ..leave("E-0") };
    left.facts.email = Some(Email::parse("ada@example.com").unwrap());
    bench.accept(left).await;
    assert_eq!(bench.attempt().await, Blocked(Code::ScimOwned));
    assert_eq!(bench.state("E-0").await, LaneState::Blocked);
    bench.nothing().await;
    assert!(bench.sim.members()[0].active);
}

#[tokio::test]
async fn a_blocked_persons_replay_heals_the_person_waiting() {
    let bench = Bench::new();
    bench.accept(hire_as("E-1", "js@example.com", "John", "Smith", 0)).await;
    bench.attempt().await;
    bench.sim.order("set_user_name:invalid-syntax:1".parse().unwrap()).unwrap();
    bench.accept(moved("E-1", "john@example.com", "John", "Smith", 1)).await;
    assert_eq!(bench.attempt().await, Blocked(Code::ScimAddress));
    bench.accept(hire_as("E-2", "js@example.com", "Jane", "Stone", 2)).await;
    assert_eq!(bench.attempt().await, Blocked(Code::ScimOwned));
    bench.try_again("E-1").await;
    assert_eq!(bench.attempt().await, InLine(Finished::Updated));
    assert_eq!(bench.attempt().await, InLine(Finished::Created), "nobody had to replay it");
}

#[tokio::test]
async fn a_discarded_non_member_blocks_no_address() {
    let bench = Bench::new();
    bench.sim.order("create:invalid-syntax:1".parse().unwrap()).unwrap();
    bench.accept(hire_as("E-1", "js@example.com", "John", "Smith", 0)).await;
    assert_eq!(bench.attempt().await, Blocked(Code::ScimSyntax));
    bench.accept(hire_as("E-2", "js@example.com", "Jane", "Stone", 1)).await;
    assert_eq!(bench.attempt().await, Blocked(Code::ScimOwned));
    bench.discard("E-1").await;
    assert_eq!(bench.attempt().await, Folded);
    assert_eq!(bench.attempt().await, InLine(Finished::Created), "nobody had to replay it");
}

#[tokio::test]
async fn losing_a_member_gives_up_every_other_claim() {
    let bench = moved_to_a_taken_address().await;
    bench.accept(hire_as("E-3", "taken@example.com", "Eve", "Other", 2)).await;
    assert_eq!(bench.attempt().await, Blocked(Code::ScimOwned));
    // John Smith again, with another id.
    bench.accept(hire_as("E-2", "js@example.com", "John", "Smith", 3)).await;
    assert_eq!(bench.attempt().await, InLine(Finished::Adopted));
    settle(&bench).await;
    let document = bench.document("E-3").await;
    assert_eq!((document.trouble, document.member.is_some()), (None, true), "nobody had to replay it");
    // HR calls both John Smiths employed, under two addresses.
    assert_eq!(bench.document("E-1").await.marks(), [Mark::AfterClose]);
}

#[tokio::test]
async fn a_claim_given_up_before_the_wait_is_registered_still_heals() {
    let bench = Bench::new();
    bench.accept(hire_as("E-1", "js@example.com", "John", "Smith", 0)).await;
    bench.attempt().await;
    bench.accept(hire_as("E-2", "js@example.com", "Jane", "Stone", 1)).await;
    let gate = Arc::new((Semaphore::new(0), AtomicU64::new(0)));
    let mut rough = Rough::over(bench.store.clone());
    rough.gate = Some(gate.clone());
    let slow = bench.worker_on(Arc::new(rough));
    let waiting = tokio::spawn(async move { slow.step().await.unwrap() });
    while gate.1.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    bench.accept(moved("E-1", "john@example.com", "John", "Smith", 2)).await;
    assert_eq!(bench.attempt().await, InLine(Finished::Updated));
    gate.0.add_permits(1);
    assert_eq!(waiting.await.unwrap(), Stepped::Attempted(Blocked(Code::ScimOwned)));
    assert_eq!(bench.attempt().await, InLine(Finished::Created), "nobody had to replay it");
}

#[tokio::test]
async fn a_person_refused_under_many_addresses_claims_only_the_last() {
    let bench = Bench::new();
    bench.sim.order("create:reset:1".parse().unwrap()).unwrap();
    bench.accept(hire_as("E-1", "js0@example.com", "John", "Smith", 0)).await;
    assert!(matches!(bench.attempt().await, Retry(_)), "its outcome is unknown");
    bench.sim.order("create:invalid-syntax:forever".parse().unwrap()).unwrap();
    for n in 1..20 {
        bench.accept(moved("E-1", &format!("js{n}@example.com"), "John", "Smith", n)).await;
        assert_eq!(bench.attempt_until_settled().await, Blocked(Code::ScimSyntax));
        let owner = async |n: i64| bench.store.owner(&address_key(&format!("js{n}@example.com"))).await.unwrap();
        assert_eq!((owner(n - 1).await, owner(n).await), (None, Some(person("E-1").id())), "{n}");
        assert!(bench.document("E-1").await.addresses.is_empty(), "{n}");
    }
}

#[tokio::test]
async fn a_killed_workers_claim_blocks_the_address_for_nobody() {
    let bench = Bench::new();
    bench.accept(hire_as("E-1", "js@example.com", "John", "Smith", 0)).await;
    bench.attempt().await;
    bench.accept(Event { at: at(1), ..rename("E-1", "John", "Smith") }).await;
    let claimed = bench.claimed_by("killed").await;
    let own = Own { keys: vec!["address:jane@example.com".to_owned()], from: None };
    bench.store.own(bench.clock.now(), &claimed.lease, own).await.unwrap();
    bench.accept(hire_as("E-2", "jane@example.com", "Jane", "Stone", 2)).await;
    assert_eq!(bench.attempt().await, Retry(Code::ScimMoving), "a worker has claimed them, and may be using it");
    bench.store.end_leases(bench.clock.now()).await.unwrap();
    bench.attempt_until_settled().await;
    assert_eq!(bench.attempt_until_settled().await, InLine(Finished::Created));
    assert_eq!(bench.document("E-1").await.record.closed, None);
    assert_eq!(bench.sim.members().len(), 2);
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
    bench.sim.order("get:hang:1".parse().unwrap()).unwrap();
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
    bench.sim.order("get:hang:1".parse().unwrap()).unwrap();
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

/// Steps until nobody is due, and a few more later.
pub(crate) async fn settle(bench: &Bench) {
    for _ in 0..8 {
        if matches!(bench.worker().step().await.unwrap(), Stepped::Nothing { .. }) {
            bench.clock.advance_ms(61_000);
        }
    }
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
    bench.sim.order("deactivate:delay:1:delay=200".parse().unwrap()).unwrap();
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
    bench.sim.order("deactivate:500:1".parse().unwrap()).unwrap();
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

#[tokio::test]
async fn a_member_with_a_foreign_address_change_is_in_doubt_and_not_written() {
    let bench = Bench::new();
    bench.accept(hire_as("E-1", "ada@example.com", "Ada", "Lovelace", 0)).await;
    bench.attempt().await;
    bench.clock.advance_ms(61_000);
    let mut stranger = scim_bridge::postman_sim::Person::member("eve@example.com", "Eve", "Other");
    stranger.id = Some(bench.sim.members()[0].id.to_string());
    bench.sim.add_member(stranger);
    bench.accept(Event { at: at(5), ..rename("E-1", "Ada", "King") }).await;
    let ended = bench.attempt().await;
    assert!(!bench.calls().iter().any(|call| call.starts_with("replace")), "{ended:?} {:?}", bench.calls());
}
