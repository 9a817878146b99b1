//! People who wait for somebody who does not move: nobody waits for ever unnoticed.

use bytes::Bytes;
use scim_bridge::clock::new_job_id;
use scim_bridge::core::code::Code;
use scim_bridge::core::person::job::Finished;
use scim_bridge::core::person::{Email, Event};
use scim_bridge::core::reconcile::owner::{address_key, id_key, tag};
use scim_bridge::core::time::UnixMs;
use scim_bridge::store::{Accepted, LaneState, NewDelivery, NewEntry, Own};
use scim_bridge::worker::Attempted::{Blocked, InLine, Retry, Unreadable};
use scim_bridge::worker::Stepped;

use crate::bench::{Bench, hire, leave, person, rename};
use crate::engines::on_every_engine;

on_every_engine!(
    three_who_swap_addresses_are_blocked_and_go_on_through_another_address,
    a_person_waiting_for_three_swappers_is_blocked_on_the_next_one,
    a_member_claimed_by_two_others_is_checked_against_both,
    a_member_shared_by_two_leavers_is_taken_over_from_both,
    waiting_for_an_unreadable_record_is_reported_and_heals,
    wanting_a_key_of_an_unreadable_record_is_reported_once,
);

#[expect(clippy::unnecessary_wraps, reason = "as an event has it")]
fn at(ms: i64) -> Option<UnixMs> {
    Some(UnixMs(1_795_341_500_000 + ms))
}

fn to(mut event: Event, address: &str, ms: i64) -> Event {
    event.at = at(ms);
    event.facts.email = Some(Email::parse(address).unwrap());
    event
}

const NAMES: [(&str, &str); 4] = [("John", "Smith"), ("Jane", "Stone"), ("Jill", "Hill"), ("Joan", "Wood")];

/// Hires this many people, with the addresses `a0@example.com`, `a1@example.com` and so on.
async fn hired(bench: &Bench, people: usize) {
    for (n, (given, family)) in NAMES.iter().enumerate().take(people) {
        let event = to(hire(&format!("E-{n}"), given, family), &format!("a{n}@example.com"), 0);
        bench.accept(event).await;
        assert_eq!(bench.attempt().await, InLine(Finished::Created));
    }
    // Long enough that the last write no longer counts as recent.
    bench.clock.advance_ms(61_000);
}

async fn moves(bench: &Bench, n: usize, address: &str, ms: i64) {
    let (given, family) = NAMES[n];
    bench.accept(to(rename(&format!("E-{n}"), given, family), address, ms)).await;
}

async fn state_and_detail(bench: &Bench, n: usize) -> (LaneState, String) {
    let id = format!("E-{n}");
    (bench.state(&id).await, bench.document(&id).await.trouble.map(|trouble| trouble.detail).unwrap_or_default())
}

/// Steps until nobody is due for five minutes.
async fn until_still(bench: &Bench) {
    let mut still = 0;
    for _ in 0..400 {
        if let Stepped::Attempted(_) = bench.worker().step().await.unwrap() {
            still = 0;
            continue;
        }
        still += 1;
        bench.clock.advance_ms(5_000);
        if still > 60 {
            return;
        }
    }
    panic!("it never ends: {:?}", bench.calls());
}

async fn three_change_places(bench: &Bench) {
    moves(bench, 0, "a1@example.com", 1).await;
    moves(bench, 1, "a2@example.com", 2).await;
    moves(bench, 2, "a0@example.com", 3).await;
}

async fn three_who_swap_addresses_are_blocked_and_go_on_through_another_address(bench: Bench) {
    hired(&bench, 3).await;
    three_change_places(&bench).await;
    until_still(&bench).await;
    let mut named = 0;
    for n in 0..3 {
        let (state, detail) = state_and_detail(&bench, n).await;
        assert_eq!(state, LaneState::Blocked, "E-{n}");
        named += usize::from(["E-0", "E-1", "E-2", "swap addresses"].iter().all(|word| detail.contains(word)));
    }
    assert!(named >= 1, "all of them are named");
    let calls = bench.calls().len();
    until_still(&bench).await;
    assert_eq!(bench.calls().len(), calls, "nobody tries in vain");
    moves(&bench, 0, "for.now@example.com", 4).await;
    until_still(&bench).await;
    moves(&bench, 0, "a1@example.com", 5).await;
    until_still(&bench).await;
    for (n, address) in ["a1@example.com", "a2@example.com", "a0@example.com"].iter().enumerate() {
        assert_eq!(bench.state(&format!("E-{n}")).await, LaneState::Idle);
        let members = bench.sim.members();
        let member = members.iter().find(|member| &*member.name.family_name == NAMES[n].1).unwrap();
        assert_eq!(&*member.user_name, *address);
    }
}

async fn a_person_waiting_for_three_swappers_is_blocked_on_the_next_one(bench: Bench) {
    hired(&bench, 4).await;
    three_change_places(&bench).await;
    moves(&bench, 3, "a0@example.com", 4).await;
    until_still(&bench).await;
    for n in 0..4 {
        assert_eq!(bench.state(&format!("E-{n}")).await, LaneState::Blocked, "E-{n}");
    }
}

async fn has_left(bench: &Bench, n: usize) {
    bench.accept(Event { at: at(1), ..leave(&format!("E-{n}")) }).await;
    assert_eq!(bench.attempt().await, InLine(Finished::Deactivated));
    bench.clock.advance_ms(61_000);
}

/// A worker that has claimed E-1 takes the id of E-0's member for them, and stops; from now on E-1 has that member.
async fn shares_a_member(bench: &Bench) {
    let id = bench.sim.members().iter().find(|member| &*member.user_name == "a0@example.com").unwrap().id.to_string();
    let mut document = bench.document("E-1").await;
    document.member.as_mut().unwrap().id = Some(id.clone());
    moves(bench, 1, "a1@example.com", 2).await;
    let claimed = bench.claimed_by("another").await;
    let first = bench.row("E-0").await;
    let former = scim_bridge::store::Former {
        person: person("E-0").id(),
        entry: None,
        document: first.document.unwrap(),
        state: first.lane.state,
    };
    let own = Own { keys: vec![id_key(&id)], from: Some(former) };
    let owned = bench.store.own(bench.clock.now(), &claimed.lease, own).await.unwrap();
    assert_eq!(owned, scim_bridge::store::Owned::Yes);
    let commit = scim_bridge::store::Commit {
        document: Some(document.to_bytes().into()),
        person: person("E-1"),
        consumed_to: claimed.inbox.last().map(|entry| entry.seq),
        lane: scim_bridge::store::Lane::new(),
        story: Vec::new(),
        terms_added: Vec::new(),
        terms_removed: Vec::new(),
        disowned: Vec::new(),
        dead: scim_bridge::store::DeadChange::None,
        released: Vec::new(),
        outgoing: Vec::new(),
    };
    bench.store.commit(bench.clock.now(), &claimed.lease, commit).await.unwrap();
}

async fn a_member_claimed_by_two_others_is_checked_against_both(bench: Bench) {
    hired(&bench, 2).await;
    // The address can be taken over, the id cannot.
    has_left(&bench, 0).await;
    shares_a_member(&bench).await;
    // A hire without a name creates nobody: it searches, with claims on both id and address.
    bench.accept(to(hire("E-3", "", ""), "a0@example.com", 3)).await;
    until_still(&bench).await;
    let (state, detail) = state_and_detail(&bench, 3).await;
    assert_eq!(state, LaneState::Blocked);
    assert!(detail.contains("E-1"), "{detail}");
    assert_eq!(bench.document("E-0").await.record.closed, None, "nothing was taken in vain");
}

async fn a_member_shared_by_two_leavers_is_taken_over_from_both(bench: Bench) {
    hired(&bench, 2).await;
    has_left(&bench, 0).await;
    has_left(&bench, 1).await;
    shares_a_member(&bench).await;
    bench.accept(to(hire("E-3", "", ""), "a0@example.com", 3)).await;
    until_still(&bench).await;
    let (state, detail) = state_and_detail(&bench, 3).await;
    assert_eq!((state, detail.as_str()), (LaneState::Idle, ""), "{:?}", bench.calls());
    let members = bench.sim.members();
    let member = members.iter().find(|member| &*member.user_name == "a0@example.com").unwrap();
    assert!(member.active);
    for id in ["E-0", "E-1"] {
        assert!(bench.document(id).await.record.closed.is_some(), "{id}");
    }
}

/// E-0 gets an entry that this version cannot read.
async fn unreadable_word(bench: &Bench) {
    let whose = person("E-0");
    let entry = NewEntry { job: new_job_id(whose.id()), person: whose.clone(), bytes: Bytes::from_static(b"{\"") };
    let source = whose.source;
    let delivery = NewDelivery { source, dedupe: None, entries: vec![entry], unmapped: Vec::new() };
    assert_eq!(bench.store.accept(bench.clock.now(), delivery).await.unwrap(), Accepted::Stored);
    assert_eq!(bench.attempt().await, Unreadable);
}

async fn waiting_for_an_unreadable_record_is_reported_and_heals(bench: Bench) {
    hired(&bench, 1).await;
    bench.accept(Event { at: at(1), ..leave("E-0") }).await;
    assert_eq!(bench.attempt().await, InLine(Finished::Deactivated));
    unreadable_word(&bench).await;
    bench.accept(to(hire("E-3", "Joan", "Wood"), "a0@example.com", 3)).await;
    assert_eq!(bench.attempt().await, Retry(Code::ScimMoving), "this may be temporary");
    let mut ends = Vec::new();
    for _ in 0..200 {
        if let Stepped::Attempted(attempted) = bench.worker().step().await.unwrap() {
            ends.push(attempted);
        }
        bench.clock.advance_ms(2_000);
    }
    let (state, detail) = state_and_detail(&bench, 3).await;
    assert_eq!(state, LaneState::Blocked);
    assert!(detail.contains("hr/E-3 waits for hr/E-0"), "{detail}");
    assert_eq!(ends.iter().filter(|end| **end == Blocked(Code::ScimOwned)).count(), 1, "{ends:?}");
    // The person who cannot be read is erased, and with them all their claims.
    assert_eq!(bench.row("E-0").await.inbox_entries, 1);
    let waits = tag(&address_key("a0@example.com"));
    bench.store.erase(bench.clock.now(), &person("E-0"), &[waits]).await.unwrap();
    assert_eq!(bench.attempt_until_settled().await, InLine(Finished::Adopted), "{:?}", bench.calls());
}

async fn wanting_a_key_of_an_unreadable_record_is_reported_once(bench: Bench) {
    hired(&bench, 1).await;
    unreadable_word(&bench).await;
    bench.accept(to(hire("E-3", "Joan", "Wood"), "a0@example.com", 3)).await;
    assert_eq!(bench.attempt().await, Blocked(Code::ScimOwned), "they work there");
    assert_eq!(bench.state("E-3").await, LaneState::Blocked);
    bench.nothing().await;
}
