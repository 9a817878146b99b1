//! Whatever the order, the batches, the duplicates, the crashes and the replies: same record, same member.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::team_tests::{Fault, Team};
use super::verdict::NextState;
use super::world_tests::{World, ada, hire, leave, of_department, person, shown, update};
use crate::core::code::Code;
use crate::core::person::inbox::{Entry, Word};
use crate::core::person::{Email, EmploymentState, Event, EventKind, Scope};

/// The kind, and which of three addresses, given names, family names, departments (or none) and states of scope.
pub(super) type EventSeed = (u8, u8, u8, u8, u8, u8);

pub(super) fn any_event() -> impl Strategy<Value = EventSeed> {
    (0_u8..4, 0_u8..4, 0_u8..4, 0_u8..4, 0_u8..4, 0_u8..5)
}

pub(super) fn event_of(n: usize, (kind, email, given, family, department, scope): EventSeed) -> Event {
    let at = 100 + i64::try_from(n).unwrap();
    let email = ["-", "ada@example.com", "ada.king@example.com", "ada.byron@example.com"][usize::from(email)];
    let given = ["-", "Ada", "Augusta", ""][usize::from(given)];
    let family = ["-", "Lovelace", "King", "Byron"][usize::from(family)];
    let mut event = match kind {
        0 => leave(at),
        1 | 2 => hire(at, email, given, family),
        _ => update(at, email, given, family),
    };
    event.facts.scope = [None, None, None, Some((Scope::In, None)), Some((Scope::Out, None))][usize::from(scope)];
    of_department(event, ["-", "Engineering", "Sales", ""][usize::from(department)])
}

pub(super) fn any_fault() -> impl Strategy<Value = Fault> {
    prop_oneof![
        6 => Just(Fault::None),
        1 => Just(Fault::LostBefore),
        1 => Just(Fault::LostAfter),
        1 => Just(Fault::Error),
        1 => Just(Fault::ErrorAfter),
        1 => Just(Fault::Limited),
        1 => Just(Fault::Html),
        1 => Just(Fault::Refused),
    ]
}

fn any_world_without_groups() -> impl Strategy<Value = World> {
    let provider = |no_patch| World::of_a_provider(Team { no_patch, ..Team::default() });
    prop_oneof![2 => Just(World::new()), 1 => Just(provider(false)), 1 => Just(provider(true))]
}

/// What becomes of a write, when reads take no longer than a minute to show it.
fn any_loss() -> impl Strategy<Value = Fault> {
    prop_oneof![
        6 => Just(Fault::None),
        1 => Just(Fault::LostBefore),
        2 => Just(Fault::LostAfter),
        1 => Just(Fault::ErrorAfter),
        1 => Just(Fault::BareAfter),
        2 => (0_u64..30_000).prop_map(Fault::LandsLate),
    ]
}

/// Postman, providers that can do everything, and providers that do as little as the RFC allows.
fn any_world() -> impl Strategy<Value = World> {
    let provider =
        |no_patch, no_filter| World::of_a_provider(Team { no_patch, no_filter, ..Team::default() }).with_groups();
    prop_oneof![
        2 => Just(World::new()),
        2 => Just(World::new().with_groups()),
        1 => Just(provider(false, false)),
        1 => Just(provider(true, false)),
        1 => Just(provider(true, true)),
    ]
}

/// Address, names, employment and scope in the record; the members, each with address, names and whether active; and
/// the groups that have members.
pub(super) type End = (
    Option<String>,
    Option<String>,
    Option<String>,
    Option<EmploymentState>,
    bool,
    Vec<(String, String, String, bool)>,
    BTreeSet<String>,
);

/// The result of a story: the record's facts, and the member.
pub(super) fn end_of(world: &World) -> End {
    let record = &world.people["hr/E-1"].record;
    let text = |text: Option<&str>| text.map(str::to_owned);
    // Somebody who left before a member was created counts as switched off.
    let mut team: Vec<_> = world.team.users.iter().map(shown).filter(|(.., active)| *active).collect();
    team.sort();
    (
        record.email().map(|email| email.key().to_owned()),
        text(record.given_name()),
        text(record.family_name()),
        record.employment.at(world.now).map(|word| word.state),
        record.is_out_of_scope(world.now),
        team,
        world.team.groups.iter().filter(|(_, members)| !members.is_empty()).map(|(name, _)| name.clone()).collect(),
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// Promise 3, with reads that are half a minute behind, and entries that do not wait for them.
    #[test]
    fn however_far_reads_lag_the_member_ends_as_the_record_says(
        mut events in prop::collection::vec(any_event(), 1..=6),
        gaps in prop::collection::vec(0_u64..40_000, 6),
        lag_ms in 0_u64..40_000,
    ) {
        events[0] = (1, 1, 1, 1, 1, 0);
        let events: Vec<Event> = events.into_iter().enumerate().map(|(n, event)| event_of(n, event)).collect();
        let (mut plain, mut lagging) = (World::new(), World::new());
        lagging.team.lag_ms = lag_ms;
        for (event, gap_ms) in events.iter().zip(gaps) {
            plain.tell(std::slice::from_ref(event));
            plain.now = plain.now.plus_ms(120_000);
            lagging.tell(std::slice::from_ref(event));
            lagging.now = lagging.now.plus_ms(gap_ms);
        }
        prop_assert!(lagging.team.users.len() <= 1, "no duplicate member");
        prop_assert_eq!(end_of(&plain), end_of(&lagging));
    }

    /// Promise 3, with reads that lag behind, entries that do not wait for them, and writes whose answers are lost, some
    /// of which take effect late.
    #[test]
    fn whatever_becomes_of_an_unanswered_write_the_member_ends_as_the_record_says(
        mut events in prop::collection::vec(any_event(), 2..=6),
        gaps in prop::collection::vec(0_u64..20_000, 6),
        lag_ms in 0_u64..30_000,
        faults in prop::collection::vec(any_loss(), 0..10),
        world in any_world_without_groups(),
    ) {
        events[0] = (1, 1, 1, 1, 1, 0);
        let events: Vec<Event> = events.into_iter().enumerate().map(|(n, event)| event_of(n, event)).collect();
        let (mut plain, mut rough) = (world.clone(), world);
        for event in &events {
            plain.tell(std::slice::from_ref(event));
            plain.now = plain.now.plus_ms(120_000);
        }
        // A create has rules of its own.
        rough.tell(&events[..1]);
        rough.now = rough.now.plus_ms(120_000);
        (rough.team.lag_ms, rough.faults) = (lag_ms, faults);
        for (event, gap_ms) in events.iter().zip(gaps).skip(1) {
            rough.tell(std::slice::from_ref(event));
            rough.now = rough.now.plus_ms(gap_ms);
        }
        rough.faults.clear();
        rough.pass(120_000);
        prop_assert!(rough.team.late.is_empty());
        prop_assert_eq!(end_of(&plain), end_of(&rough), "{:?}", rough.team.calls);
    }

    /// Promise 3, with hires whose addresses cannot be used, except for the last one's.
    #[test]
    fn in_any_order_the_next_address_completes_a_hire_under_an_unusable_one(
        mut events in prop::collection::vec(any_event(), 1..=4),
        unusable in prop::collection::vec(any::<bool>(), 4),
        order in Just((0..5_usize).collect::<Vec<_>>()).prop_shuffle(),
        batches in prop::collection::vec(1_usize..4, 5),
        again in prop::collection::vec(0_usize..5, 0..4),
    ) {
        events[0] = (1, 1, 1, 1, 1, 0);
        let mut events: Vec<Event> = events.into_iter().enumerate().map(|(n, event)| event_of(n, event)).collect();
        for (event, is_unusable) in events.iter_mut().zip(unusable) {
            if event.kind == EventKind::Hire && is_unusable {
                (event.facts.email, event.facts.unusable_email) = (None, true);
            }
        }
        events.push(update(200, "ada.king@example.com", "Ada", "King"));
        let mut plain = World::new();
        for event in &events {
            plain.tell(std::slice::from_ref(event));
            plain.now = plain.now.plus_ms(120_000);
        }
        let mut other = World::new();
        let mut turned: Vec<Event> = order.iter().filter_map(|&n| events.get(n).cloned()).collect();
        turned.extend(again.iter().filter_map(|&n| events.get(n).cloned()));
        for size in batches.iter().cycle() {
            if turned.is_empty() { break; }
            let rest = turned.split_off((*size).min(turned.len()));
            other.tell(&turned);
            other.now = other.now.plus_ms(120_000);
            turned = rest;
        }
        prop_assert!(other.team.users.len() <= 1, "no duplicate member: {:?}", other.team.calls);
        prop_assert!(!other.people["hr/E-1"].record.waits_for_email());
        prop_assert_eq!(end_of(&plain), end_of(&other));
    }

    /// Promise 3.
    #[test]
    fn in_any_order_the_record_and_the_member_end_the_same(
        mut events in prop::collection::vec(any_event(), 1..=5),
        order in Just((0..5_usize).collect::<Vec<_>>()).prop_shuffle(),
        batches in prop::collection::vec(1_usize..4, 5),
        again in prop::collection::vec(0_usize..5, 0..4),
        faults in prop::collection::vec(any_fault(), 0..12),
        crashes in prop::collection::vec(1_usize..25, 0..3),
        come_meanwhile in any::<bool>(),
        is_there in any::<bool>(),
        mut world in any_world(),
    ) {
        // Somebody whose address HR never sent cannot be found by anybody.
        events[0] = (1, 1, 1, 1, 1, 0);
        if is_there {
            // A member from before the bridge, under the address that HR named first. No other hire: it might come
            // first, and make somebody whom nothing connects with that address yet.
            world.team.add("ada@example.com", "Ada", "Byron", true, &serde_json::json!({}));
            // And no name that is entirely another one, as of another human being.
            for told in events.iter_mut().skip(1) {
                told.0 = if matches!(told.0, 1 | 2) { 3 } else { told.0 };
                told.2 = if told.2 == 2 { 1 } else { told.2 };
            }
        }
        let events: Vec<Event> = events.into_iter().enumerate().map(|(n, event)| event_of(n, event)).collect();
        let mut plain = world.clone();
        for event in &events {
            plain.tell(std::slice::from_ref(event));
            plain.now = plain.now.plus_ms(120_000);
        }
        let mut other = world;
        let mut crashes = crashes;
        crashes.sort_unstable();
        (other.faults, other.crashes) = (faults, crashes);
        let mut turned: Vec<Event> = order.iter().filter_map(|&n| events.get(n).cloned()).collect();
        turned.extend(again.iter().filter_map(|&n| events.get(n).cloned()));
        for size in batches.iter().cycle() {
            if turned.is_empty() { break; }
            let rest = turned.split_off((*size).min(turned.len()));
            other.arriving = if come_meanwhile { rest.clone() } else { Vec::new() };
            other.tell(&turned);
            other.now = other.now.plus_ms(120_000);
            turned = if come_meanwhile { std::mem::take(&mut other.arriving) } else { rest };
        }
        other.faults.clear();
        other.crashes.clear();
        // Whatever was blocked or refused in between is tried once more, as an operator would.
        let retry = Entry { accepted_at: other.now, word: Word::TryAgain { by: "test".to_owned() }, trace: None };
        other.work(&person("E-1"), &[(u64::MAX, retry)]);
        prop_assert!(other.team.users.len() <= 1, "no duplicate member: {:?}", other.team.calls);
        prop_assert_eq!(end_of(&plain), end_of(&other));
    }
}

#[test]
fn an_address_whose_write_was_not_answered_is_not_forgotten_before_the_member_is_read() {
    let mut world = World::new();
    world.tell(&[hire(100, "ada@example.com", "Ada", "Lovelace")]);
    world.now = world.now.plus_ms(120_000);
    // The write takes effect, the next reads fail, and HR returns to the former address meanwhile.
    world.faults = vec![Fault::None, Fault::ErrorAfter, Fault::LostBefore, Fault::LostBefore];
    world.arriving = vec![update(102, "-", "-", "King"), update(103, "ada@example.com", "-", "-")];
    world.tell(&[update(101, "ada.king@example.com", "-", "-")]);
    let ending = world.pass(120_000);
    assert!(matches!(ending.next_state, NextState::Idle), "{:?} {:?}", ending.next_state, world.calls());
    assert_eq!(world.team.users.iter().map(shown).collect::<Vec<_>>(), [ada("Ada", "King", true)]);
}

#[test]
fn a_write_that_was_answered_but_never_done_does_not_stop_a_newer_statement() {
    for word in [leave(30), update(30, "-", "Ada", "King"), update(30, "ada.king@example.com", "-", "-")] {
        let mut world = World::new();
        world.tell(&[hire(10, "ada@example.com", "Ada", "Byron")]);
        world.team.ignores_writes = true;
        let ending = world.tell(&[update(20, "-", "Ada", "Lovelace")]);
        assert_eq!(ending.document.trouble.unwrap().code, Code::ScimNotApplied);
        world.team.ignores_writes = false;
        let ending = world.tell(std::slice::from_ref(&word));
        assert_eq!(ending.document.trouble, None, "{word:?}: {:?}", world.calls());
        let email = word.facts.email.as_ref().map_or("ada@example.com", Email::lower);
        let family = if word.facts.family_name.is_some() { "King" } else { "Lovelace" };
        let is_left = word.kind == EventKind::Leave;
        let member = &world.team.users[0];
        assert_eq!((member["userName"].as_str(), member["active"].as_bool()), (Some(email), Some(!is_left)));
        assert!(is_left || member["name"]["familyName"] == family, "{member}");
    }
}

#[test]
fn a_write_that_is_answered_and_not_made_keeps_the_others_from_nothing() {
    for ignored in ["userName", "active"] {
        let mut world = World::new();
        world.tell(&[hire(10, "ada@example.com", "Ada", "Byron")]);
        world.team.ignores = Some(ignored);
        if ignored == "active" {
            world.team.users[0]["active"] = serde_json::json!(false);
            world.tell(&[leave(15)]);
        }
        let back = Event { kind: EventKind::Hire, ..hire(20, "ada.king@example.com", "Ada", "King") };
        let ending = world.tell(&[back]);
        assert_eq!(ending.document.trouble.unwrap().code, Code::ScimNotApplied, "{ignored}");
        let member = &world.team.users[0];
        assert_eq!(member["name"]["familyName"], "King", "{ignored}: {:?}", world.calls());
        let is_applied = |attribute: &str| attribute != ignored;
        assert_eq!(member["userName"] == "ada.king@example.com", is_applied("userName"), "{ignored}");
        assert_eq!(member["active"] == true, is_applied("active"), "{ignored}");
        world.team.ignores = None;
        let ending = world.tell(&[update(30, "-", "Ada", "Stone")]);
        assert_eq!(ending.document.trouble, None, "{ignored}");
        let member = &world.team.users[0];
        assert_eq!(
            (member["userName"].as_str(), member["active"].as_bool()),
            (Some("ada.king@example.com"), Some(true))
        );
        assert_eq!(member["name"]["familyName"], "Stone");
    }
}

/// The reply and the reads come from a replica that lags behind.
#[test]
fn a_change_of_name_undoes_no_switch_that_is_not_shown_yet() {
    let mut world = World::new();
    world.tell(&[hire(10, "ada@example.com", "Ada", "Byron")]);
    world.now = world.now.plus_ms(600_000);
    world.team.now = world.now;
    (world.team.replies_late, world.team.lag_ms) = (true, 10_000);
    world.tell(&[update(20, "-", "Ada", "King"), leave(30)]);
    world.team.lag_ms = 0;
    let states = world.team.past.iter().map(|(_, users)| users).chain([&world.team.users]);
    let states = states.filter_map(|users| users.first());
    let states: Vec<_> = states.map(|user| (user["active"] == true, user["name"]["familyName"].clone())).collect();
    let mut switched = states.iter().map(|(active, _)| *active).collect::<Vec<_>>();
    switched.dedup();
    assert_eq!(switched, [true, false], "{:?}", world.calls());
    assert_eq!(states.last().unwrap().1, "King");
}
