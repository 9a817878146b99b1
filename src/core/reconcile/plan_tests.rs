//! The plan against a team in memory: which calls are made, and what becomes of the member.

use serde_json::json;

use super::attempt::AttemptState;
use super::conclusion::Conclusion;
use super::plan::{Step, plan};
use super::request::Operation;
use super::target::TargetRules;
use super::team_tests::Fault;
use super::verdict::NextState;
use super::world_tests::{World, ada, hire, leave, person, rules, shown, update};
use crate::core::code::Code;
use crate::core::person::job::Finished;
use crate::core::person::{Event, EventKind};

#[test]
fn a_hire_is_one_post() {
    let mut world = World::new();
    let ending = world.tell(&[hire(10, "Ada@Example.com", "Ada", "Lovelace")]);
    assert_eq!(world.calls(), ["POST /Users"]);
    assert_eq!(ending.ended[0].1, Finished::Created);
    assert_eq!(shown(&world.team.users[0]), ada("Ada", "Lovelace", true));
}

#[test]
fn a_created_and_updated_pair_of_a_new_person_is_one_post() {
    let mut world = World::new();
    world.tell(&[hire(10, "ada@example.com", "Ada", "Lovelace"), update(11, "-", "-", "King")]);
    assert_eq!(world.calls(), ["POST /Users"]);
    assert_eq!(shown(&world.team.users[0]), ada("Ada", "King", true));
}

#[test]
fn ten_updates_that_waited_are_one_read_and_one_write() {
    let mut world = World::new();
    world.tell(&[hire(10, "ada@example.com", "Ada", "Lovelace")]);
    world.team.calls.clear();
    world.now = world.now.plus_ms(120_000);
    let updates: Vec<_> = (1..=10).map(|n| update(20 + n, "-", "-", &format!("No{n}"))).collect();
    let ending = world.tell(&updates);
    assert_eq!(world.calls(), ["GET /Users/{id}", "PUT /Users/{id}"]);
    assert_eq!(ending.ended.len(), 10);
    assert_eq!(shown(&world.team.users[0]), ada("Ada", "No10", true));
}

#[test]
fn a_leaver_is_switched_off_and_a_change_of_name_never_switches_them_on() {
    let mut world = World::new();
    world.tell(&[hire(10, "ada@example.com", "Ada", "Lovelace")]);
    let ending = world.tell(&[leave(20)]);
    assert_eq!(ending.ended[0].1, Finished::Deactivated);
    world.tell(&[update(30, "-", "-", "King")]);
    assert_eq!(shown(&world.team.users[0]), ada("Ada", "King", false));
    world.tell(&[hire(40, "ada@example.com", "Ada", "King")]);
    assert_eq!(shown(&world.team.users[0]), ada("Ada", "King", true));
}

#[test]
fn a_switch_off_refused_for_the_username_is_reported_after_the_last_try() {
    let mut world = World::new();
    world.tell(&[hire(10, "ada@example.com", "Ada", "Lovelace")]);
    world.team.calls.clear();
    world.faults = [Fault::None, Fault::Username].repeat(10);
    let ending = world.tell(&[leave(20)]);
    assert!(matches!(ending.next_state, NextState::Blocked { .. }), "{:?}", ending.next_state);
    assert_eq!(ending.document.trouble.unwrap().code, Code::ScimUsername);
    assert_eq!(world.calls(), ["GET /Users/{id}", "PATCH /Users/{id} active"].repeat(3));
    world.faults.clear();
    world.tell(&[update(30, "-", "-", "King")]);
    assert_eq!(shown(&world.team.users[0]), ada("Ada", "King", false));
}

#[test]
fn a_redelivered_old_hire_revives_no_leaver() {
    let mut world = World::new();
    let first = hire(10, "ada@example.com", "Ada", "Lovelace");
    world.tell(std::slice::from_ref(&first));
    world.tell(&[leave(20)]);
    world.team.calls.clear();
    let ending = world.tell(&[first]);
    assert_eq!(world.calls(), [""; 0]);
    assert_eq!(ending.next_state, NextState::Idle);
    assert_eq!(shown(&world.team.users[0]), ada("Ada", "Lovelace", false));
}

#[test]
fn somebody_switched_off_at_the_target_is_reported_and_not_undone_until_a_newer_hire() {
    let mut world = World::new();
    world.tell(&[hire(10, "ada@example.com", "Ada", "Lovelace")]);
    world.team.users[0]["active"] = json!(false);
    let ending = world.tell(&[update(20, "-", "-", "King")]);
    assert!(ending.document.switched_off_elsewhere);
    assert_eq!(shown(&world.team.users[0]), ada("Ada", "King", false));
    let ending = world.tell(&[hire(30, "ada@example.com", "Ada", "King")]);
    assert!(!ending.document.switched_off_elsewhere);
    assert_eq!(shown(&world.team.users[0]), ada("Ada", "King", true));
}

#[test]
fn an_address_change_keeps_the_member_and_frees_the_old_address() {
    let mut world = World::new();
    world.tell(&[hire(10, "j.smith@example.com", "John", "Smith")]);
    let id = world.team.users[0]["id"].clone();
    world.tell(&[update(20, "john.sj@example.com", "-", "Smith-Jones")]);
    assert_eq!(world.team.users[0]["id"], id);
    assert_eq!(world.team.users[0]["userName"], "john.sj@example.com");
    let mut jane = hire(30, "j.smith@example.com", "Jane", "Smith");
    jane.person = person("E-2");
    let ending = world.tell(&[jane]);
    assert_eq!(ending.ended[0].1, Finished::Created);
    assert_eq!(world.team.users.len(), 2);
}

#[test]
fn an_unexplained_conflict_is_retried_and_becomes_a_dead_letter_only_if_it_lasts() {
    let changes: [(Event, Finished); 3] = [
        (update(20, "-", "-", "King"), Finished::Updated),
        (update(20, "ada.king@example.com", "-", "-"), Finished::Updated),
        (leave(20), Finished::Deactivated),
    ];
    for (change, finished) in changes {
        for status in [409, 412, 404] {
            // For an address, a 409 means only that another member has it.
            if status == 409 && change.facts.email.is_some() {
                continue;
            }
            for times in [1, 3] {
                let mut world = World::new();
                world.tell(&[hire(10, "ada@example.com", "Ada", "Lovelace")]);
                world.now = world.now.plus_ms(120_000);
                world.faults = [Fault::None, Fault::Wordless(status)].repeat(times);
                let ending = world.tell(std::slice::from_ref(&change));
                assert_eq!(
                    ending.next_state,
                    NextState::Idle,
                    "{status} {:?} {:?}",
                    ending.document.trouble,
                    world.calls()
                );
                assert_eq!((ending.ended[0].1, ending.document.progress.conflicts), (finished, 0), "{status}");
            }
            let mut world = World::new();
            world.tell(&[hire(10, "ada@example.com", "Ada", "Lovelace")]);
            world.now = world.now.plus_ms(120_000);
            world.faults = [Fault::None, Fault::Wordless(status)].repeat(40);
            let ending = world.tell(std::slice::from_ref(&change));
            assert!(matches!(ending.next_state, NextState::Blocked { .. }), "{status} {:?}", ending.next_state);
            assert!(world.calls().len() < 30, "{status} {:?}", world.calls());
        }
    }
}

#[test]
fn a_person_read_without_employment_waits_visibly() {
    let mut world = World::new();
    world.tell(&[update(20, "ada@example.com", "Ada", "King")]);
    world.people.values_mut().for_each(|document| document.read_without_employment = true);
    let ending = world.tell(&[update(30, "ada@example.com", "Ada", "Byron")]);
    assert_eq!(ending.document.missing, ["employment"]);
    assert!(matches!(ending.next_state, NextState::Incomplete { .. }), "{:?}", ending.next_state);
    assert_eq!(world.team.writes(), 0);
    let ending = world.tell(&[hire(40, "ada@example.com", "Ada", "Byron")]);
    assert_eq!((ending.next_state, world.team.users.len()), (NextState::Idle, 1));
    assert!(ending.document.missing.is_empty());
}

#[test]
fn updates_of_a_non_member_end_as_such_and_are_kept() {
    let mut world = World::new();
    let ending = world.tell(&[update(20, "ada@example.com", "Ada", "King")]);
    assert_eq!(ending.ended[0].1, Finished::NotAMember);
    assert_eq!(world.team.writes(), 0);
    world.tell(&[hire(10, "ada@example.com", "Ada", "Lovelace")]);
    assert_eq!(shown(&world.team.users[0]), ada("Ada", "King", true));
}

#[test]
fn unknown_attributes_survive_a_change_of_name() {
    let mut world = World::new();
    let more =
        json!({"title": "Analyst", "roles": [{"value": "admin"}], "urn:x:1.0:User": {"a": 1.5}, "locale": "de-DE"});
    world.team.add("ada@example.com", "Ada", "Byron", true, &more);
    world.tell(&[hire(10, "ada@example.com", "Ada", "King")]);
    let user = world.team.member("ada@example.com").unwrap();
    for (key, value) in more.as_object().unwrap() {
        assert_eq!(&user[key], value, "{key}");
    }
    assert_eq!(shown(user), ada("Ada", "King", true));
}

#[test]
fn an_address_written_by_a_killed_worker_is_the_members() {
    for end in [hire(60, "-", "-", "-"), leave(60)] {
        let mut world = World::new();
        world.tell(&[hire(10, "ada@example.com", "Ada", "Lovelace")]);
        world.tell(&[leave(20)]);
        world.crashes = vec![world.team.calls.len() + 2];
        world.arriving = vec![update(50, "ada.byron@example.com", "-", "-"), end.clone()];
        // The read that should show it fails, but what was folded by then still counts.
        world.faults = vec![Fault::None, Fault::None, Fault::Error];
        world.tell(&[update(40, "ada.king@example.com", "-", "-")]);
        let ending = world.pass(120_000);
        assert!(matches!(ending.next_state, NextState::Idle), "{:?}", ending.next_state);
        let is_employed = end.kind == EventKind::Hire;
        let byron = ("ada.byron@example.com".to_owned(), "Ada".to_owned(), "Lovelace".to_owned(), is_employed);
        assert_eq!(world.team.users.iter().map(shown).collect::<Vec<_>>(), [byron], "{:?}", world.calls());
    }
}

#[test]
fn the_last_write_wins_over_a_lagging_read() {
    let mut world = World::new();
    world.team.lag_ms = 30_000;
    world.tell(&[hire(10, "ada@example.com", "Ada", "Lovelace")]);
    world.now = world.now.plus_ms(120_000);
    for (at, family) in [(20, "King"), (21, "Byron"), (22, "Lovelace")] {
        world.tell(&[update(at, "-", "-", family)]);
        assert_eq!(shown(&world.team.users[0]), ada("Ada", family, true));
    }
    for (at, email) in [(30, "ada2@example.com"), (31, "ada3@example.com"), (32, "ada@example.com")] {
        world.tell(&[update(at, email, "-", "-")]);
        assert_eq!(world.team.users[0]["userName"], email);
    }
    world.now = world.now.plus_ms(120_000);
    world.tell(&[leave(40)]);
    world.tell(&[update(41, "-", "-", "King")]);
    assert_eq!(shown(&world.team.users[0]), ada("Ada", "King", false), "the read shows them on");
    world.tell(&[hire(42, "ada@example.com", "Ada", "King")]);
    assert_eq!(shown(&world.team.users[0]), ada("Ada", "King", true));
    world.now = world.now.plus_ms(120_000);
    world.tell(&[leave(50)]);
    world.now = world.now.plus_ms(120_000);
    world.tell(&[hire(51, "ada@example.com", "Ada", "King")]);
    let ending = world.tell(&[update(52, "-", "-", "Byron")]);
    assert_eq!(shown(&world.team.users[0]), ada("Ada", "Byron", true), "the read shows them off");
    assert!(!ending.document.switched_off_elsewhere);
}

#[test]
fn a_reply_that_shows_another_member_harms_nobody_and_ends() {
    for operation in [Operation::Get, Operation::SetActive, Operation::Replace, Operation::SetUserName] {
        let mut world = World::new();
        world.team.add("bob@example.com", "Bob", "Byron", true, &json!({}));
        world.team.add("ada@example.com", "Ada", "Lovelace", false, &json!({}));
        world.tell(&[hire(10, "ada@example.com", "Ada", "Lovelace")]);
        world.now = world.now.plus_ms(120_000);
        world.tell(&[leave(20)]);
        world.now = world.now.plus_ms(120_000);
        world.team.shows_another = vec![operation];
        // With a new address, nothing would say whose the known id is.
        let address = if operation == Operation::Get { "ada@example.com" } else { "ada.king@example.com" };
        world.tell(&[hire(30, address, "Ada", "King")]);
        let mut members: Vec<_> = world.team.users.iter().map(shown).collect();
        members.sort();
        let expected = [(address, "Ada", "King"), ("bob@example.com", "Bob", "Byron")];
        let expected = expected.map(|(address, given, family)| (address.into(), given.into(), family.into(), true));
        assert_eq!(members, expected, "{operation:?} {:?}", world.calls());
        assert!(world.calls().len() < 40, "{operation:?} {:?}", world.calls());
    }
}

#[test]
fn an_endless_attempt_is_stopped() {
    let mut world = World::new();
    let ending = world.tell(&[hire(10, "ada@example.com", "Ada", "Lovelace")]);
    let mut state = AttemptState::new(ending.document, false, world.now);
    state.calls = 2_000;
    let rules = rules(TargetRules::default(), Vec::new());
    let Step::Finish(Conclusion::TryAgain { patient: false, .. }) = plan(&mut state, &rules, world.now) else {
        panic!("it goes on");
    };
}
