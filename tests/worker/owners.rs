//! One member, one person: who may claim an address or a member, who waits for it, and when they get it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use scim_bridge::core::code::Code;
use scim_bridge::core::person::job::Finished;
use scim_bridge::core::person::{Email, Event, Mark};
use scim_bridge::core::reconcile::owner::address_key;
use scim_bridge::store::{LaneState, Own};
use scim_bridge::worker::Attempted::{Blocked, Folded, InLine, Retry};
use scim_bridge::worker::Stepped;
use tokio::sync::Semaphore;

use crate::bench::{Bench, at, hire_as, leave, moved, person, rename, settle};
use crate::rough_store::Rough;

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

/// Ada was in the team before the bridge; HR changes her address before the bridge has met her.
async fn ada_moves(words: &[Event]) -> Bench {
    let bench = Bench::new();
    bench.sim.add_member(scim_bridge::postman_sim::Person::member("ada@example.com", "Ada", "Lovelace"));
    for word in words {
        bench.accept(word.clone()).await;
    }
    bench
}

#[tokio::test]
async fn a_member_from_before_the_bridge_is_found_under_the_address_that_hr_named_first() {
    let hired = hire_as("E-1", "ada@example.com", "Ada", "Lovelace", 0);
    let moved = moved("E-1", "ada2@example.com", "Ada", "Lovelace", 1);
    let left = Event { at: at(2), ..leave("E-1") };
    for words in [[&hired, &moved, &left], [&moved, &left, &hired], [&left, &hired, &moved]] {
        let words = words.map(Clone::clone);
        let bench = ada_moves(&words).await;
        assert_eq!(bench.attempt().await, InLine(Finished::Adopted));
        assert_eq!(bench.calls(), ["find 200", "deactivate 200", "set_user_name 200"]);
        // One by one.
        let bench = ada_moves(&words[..1]).await;
        bench.attempt_until_settled().await;
        for word in &words[1..] {
            bench.accept(word.clone()).await;
            bench.attempt_until_settled().await;
        }
        let members = bench.sim.members();
        assert_eq!((members.len(), members[0].active), (1, false), "{words:?} {:?}", bench.calls());
        assert_eq!(&*members[0].user_name, "ada2@example.com");
    }
}

#[tokio::test]
async fn an_account_stays_with_whoever_hr_named_first_with_its_address() {
    let words = [
        hire_as("E-1", "ada@example.com", "Ada", "Lovelace", 0),
        moved("E-1", "ada2@example.com", "Ada", "Lovelace", 1),
        hire_as("E-2", "ada@example.com", "Bob", "Stone", 2),
    ];
    // Accepted at one instant: either may be worked on first.
    let bench = ada_moves(&words).await;
    assert_eq!(bench.attempt_until_settled().await, InLine(Finished::Adopted), "{:?}", bench.calls());
    assert_eq!(bench.attempt_until_settled().await, InLine(Finished::Created), "{:?}", bench.calls());
    let members = bench.sim.members();
    let has = |family: &str| members.iter().find(|member| &*member.name.family_name == family).unwrap();
    assert_eq!((&*has("Lovelace").user_name, &*has("Stone").user_name), ("ada2@example.com", "ada@example.com"));
    // Nobody could know that the account is Ada's, so Bob has it: that is reported.
    let bench = ada_moves(&words[1..]).await;
    bench.attempt_until_settled().await;
    bench.attempt_until_settled().await;
    bench.accept(words[0].clone()).await;
    assert_eq!(bench.attempt_until_settled().await, Blocked(Code::ScimOwned), "{:?}", bench.calls());
    let detail = bench.document("E-1").await.trouble.unwrap().detail;
    assert!(detail.contains("hr/E-1") && detail.contains("hr/E-2"), "{detail}");
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
async fn a_changed_address_is_given_up_however_the_attempt_ends() {
    let bench = Bench::new();
    bench.accept(hire_as("E-1", "js@example.com", "John", "Smith", 0)).await;
    bench.attempt().await;
    // The new address is written, the names are not.
    bench.sim.inject("replace:500:1".parse().unwrap()).unwrap();
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
    bench.sim.inject("deactivate:invalid-syntax:1".parse().unwrap()).unwrap();
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
    bench.sim.inject("set_user_name:invalid-syntax:1".parse().unwrap()).unwrap();
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
    bench.sim.inject("set_user_name:invalid-syntax:1".parse().unwrap()).unwrap();
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
    bench.sim.inject("create:invalid-syntax:1".parse().unwrap()).unwrap();
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
    bench.sim.inject("create:reset:1".parse().unwrap()).unwrap();
    bench.accept(hire_as("E-1", "js0@example.com", "John", "Smith", 0)).await;
    assert!(matches!(bench.attempt().await, Retry(_)), "its outcome is unknown");
    bench.sim.inject("create:invalid-syntax:forever".parse().unwrap()).unwrap();
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
