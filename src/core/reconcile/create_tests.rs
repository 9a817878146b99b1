//! Creates whose outcome is unknown, or whose reply shows nothing: nobody is created twice.

use super::attempt::AttemptState;
use super::conclusion::Conclusion;
use super::plan::{Step, plan};
use super::reply::Outcome;
use super::request::{Request, UserToCreate};
use super::target::TargetRules;
use super::team_tests::{Fault, Team};
use super::verdict::NextState;
use super::world_tests::{World, ada, hire, leave, person, rules, shown, update};
use crate::core::code::Code;
use crate::core::hold::HoldScope;
use crate::core::person::document::UnknownCreate;
use crate::core::person::inbox::{Entry, Word};
use crate::core::person::job::Finished;
use crate::core::person::{Document, Email};
use crate::core::time::UnixMs;

#[test]
fn a_person_found_to_be_no_member_was_not_created_by_the_killed_worker() {
    let mut world = World::new();
    world.tell(&[update(20, "ada@example.com", "Ada", "King")]);
    let cut_off = Entry { accepted_at: world.now, word: Word::CutOff, trace: None };
    let ending = world.work(&person("E-1"), &[(100, cut_off)]);
    assert_eq!((ending.next_state, ending.document.progress.create_unknown), (NextState::Idle, None));
    // It is known that no member has the address: the holder belongs to another team.
    world.team.calls.clear();
    world.faults = vec![Fault::Taken];
    let ending = world.tell(&[hire(30, "ada@example.com", "Ada", "King")]);
    assert_eq!(ending.document.trouble.unwrap().code, Code::ScimElsewhere);
    assert_eq!(world.calls()[0], "POST /Users");
}

#[test]
fn a_bare_409_is_no_proof_that_another_team_has_the_account() {
    let mut world = World::new();
    world.faults = vec![Fault::Wordless(409)];
    let ending = world.tell(&[hire(10, "ada@example.com", "Ada", "Lovelace")]);
    assert_eq!((ending.next_state, shown(&world.team.users[0])), (NextState::Idle, ada("Ada", "Lovelace", true)));
    assert_eq!(world.calls().iter().filter(|call| **call == "POST /Users").count(), 2);
}

#[test]
fn a_leave_does_not_forget_a_lost_create() {
    let mut world = World::new();
    world.faults = vec![Fault::LostBefore, Fault::LostBefore];
    let mut document = Document::new(person("E-1"));
    document.progress.create_unknown = Some(UnknownCreate::made(world.now, false));
    world.people.insert("hr/E-1".to_owned(), document);
    let mut leaves = leave(20);
    leaves.facts.email = Email::parse("ada@example.com").ok();
    let ending = world.tell(&[leaves]);
    assert_eq!(ending.ended[0].1, Finished::NotAMember);
    assert!(ending.document.progress.create_unknown.is_some(), "an invitation is found by no look-up");
}

#[test]
fn a_leave_does_not_forget_a_killed_workers_create() {
    let mut world = World::new();
    // An invitation, which no look-up finds; and the worker dies before it is recorded.
    world.faults = vec![Fault::Bare];
    world.crashes = vec![1];
    world.arriving = vec![leave(20)];
    let ending = world.tell(&[hire(10, "ada@example.com", "Ada", "Lovelace")]);
    assert_eq!(ending.ended.last().unwrap().1, Finished::NotAMember);
    assert!(ending.document.progress.create_unknown.is_some_and(|unknown| !unknown.is_guess));
    assert_eq!(ending.next_state, NextState::Idle);
    world.faults = vec![Fault::Taken];
    let ending = world.tell(&[hire(30, "ada@example.com", "Ada", "Lovelace")]);
    assert_eq!(ending.ended[0].1, Finished::Invited, "{:?} {:?}", ending.document.trouble, world.calls());
}

#[test]
fn a_leaver_with_a_create_of_unknown_outcome_is_searched_while_reads_lag() {
    for fault in [Fault::ErrorAfter, Fault::LostAfter, Fault::BareAfter] {
        let mut world = World::new();
        world.team.lag_ms = 25_000;
        world.faults = vec![fault];
        let ending = world.begin(&hire(10, "ada@example.com", "Ada", "Lovelace"));
        assert!(matches!(ending.next_state, NextState::Retry { .. }), "{fault:?} {:?}", ending.next_state);
        let ending = world.tell(&[leave(20)]);
        assert_eq!(ending.ended.last().unwrap().1, Finished::Created, "{fault:?}");
        assert_eq!(shown(&world.team.users[0]), ada("Ada", "Lovelace", false), "{fault:?} {:?}", world.calls());
        assert_eq!((world.team.users.len(), world.team.writes()), (1, 2), "{fault:?} {:?}", world.calls());
    }
}

#[test]
fn another_address_soon_after_a_create_of_unknown_outcome_makes_no_second_member() {
    for fault in [Fault::ErrorAfter, Fault::LostAfter, Fault::BareAfter] {
        let unfiltered = World::of_a_provider(Team { no_filter: true, ..Team::default() });
        // A provider is first asked what it can do.
        for (mut world, faults) in [(World::new(), vec![fault]), (unfiltered, vec![Fault::None, fault])] {
            world.team.lag_ms = 25_000;
            world.faults = faults;
            world.begin(&hire(10, "ada@example.com", "Ada", "Lovelace"));
            let ending = world.tell(&[update(20, "ada.king@example.com", "-", "-")]);
            assert_eq!(ending.next_state, NextState::Idle, "{fault:?} {:?}", ending.document.trouble);
            let addresses: Vec<_> = world.team.users.iter().map(|user| &user["userName"]).collect();
            assert_eq!(addresses, ["ada.king@example.com"], "{fault:?} {:?}", world.calls());
        }
    }
}

#[test]
fn a_quota_refusal_created_nobody_and_a_quota_error_may_have() {
    let create = Request::Create(UserToCreate {
        user_name: "ada@example.com".to_owned(),
        given_name: None,
        family_name: None,
        external_id: "E-1".to_owned(),
        locale: None,
    });
    let now = UnixMs(1_000);
    let until = Some(now.plus_ms(7_200_000));
    for (outcome, may_be_made) in [
        (Outcome::Hold(HoldScope::All, Code::HoldQuota, until), false),
        (Outcome::Unknown { code: Code::HoldQuota, not_before: until }, true),
    ] {
        let rules = rules(TargetRules::default(), Vec::new());
        let mut state = AttemptState::new(Document::new(person("E-1")), false, now);
        state.learn(&rules, &create, outcome, now);
        let Step::Finish(Conclusion::Hold { code: Code::HoldQuota, not_before, .. }) = plan(&mut state, &rules, now)
        else {
            panic!("no hold");
        };
        assert_eq!((not_before, state.document.progress.create_unknown.is_some()), (until, may_be_made));
    }
}

#[test]
fn a_201_that_shows_nobody_is_followed_by_a_read() {
    let mut world = World::new();
    world.faults = vec![Fault::BareAfter];
    let ending = world.tell(&[hire(10, "ada@example.com", "Ada", "Lovelace")]);
    assert_eq!(world.calls(), ["POST /Users", "GET /Users?filter=userName"]);
    assert_eq!((ending.ended[0].1, ending.document.progress.made_unshown), (Finished::Created, false));
    for (change, end) in [
        (update(20, "-", "-", "King"), ("ada@example.com", "King")),
        (update(20, "ada.king@example.com", "-", "-"), ("ada.king@example.com", "Lovelace")),
    ] {
        let mut world = World::new();
        world.team.lag_ms = 25_000;
        world.faults = vec![Fault::BareAfter];
        world.begin(&hire(10, "ada@example.com", "Ada", "Lovelace"));
        let ending = world.tell(&[change]);
        assert_eq!(ending.next_state, NextState::Idle, "{:?} {:?}", ending.document.trouble, world.calls());
        let (address, family) = end;
        assert_eq!(shown(&world.team.users[0]), (address.to_owned(), "Ada".to_owned(), family.to_owned(), true));
        assert_eq!(world.team.users.len(), 1);
    }
}

#[test]
fn a_201_whose_member_never_appears_is_an_invitation_and_not_posted_again() {
    let mut world = World::new();
    world.faults = vec![Fault::Bare];
    let began = world.now;
    let ending = world.tell(&[hire(10, "ada@example.com", "Ada", "Lovelace")]);
    assert_eq!((ending.ended[0].1, world.team.writes()), (Finished::Invited, 1), "{:?}", world.calls());
    assert!(world.now.ms_since(began) >= 60_000);
    // If HR moves to another address in between, nothing confirms the create.
    let mut world = World::new();
    world.faults = vec![Fault::Bare];
    world.begin(&hire(10, "ada@example.com", "Ada", "Lovelace"));
    let ending = world.tell(&[update(20, "ada.king@example.com", "-", "-")]);
    assert_eq!(ending.document.trouble.unwrap().code, Code::ScimInvited);
    assert_eq!(world.team.writes(), 1, "{:?}", world.calls());
}

#[test]
fn a_lost_post_is_searched_for_before_another() {
    let mut world = World::new();
    world.faults = vec![Fault::LostAfter];
    let ending = world.tell(&[hire(10, "ada@example.com", "Ada", "Lovelace")]);
    assert_eq!(world.calls(), ["POST /Users", "GET /Users?filter=userName"]);
    assert_eq!(ending.ended[0].1, Finished::Created);
    let mut world = World::new();
    world.faults = vec![Fault::LostBefore];
    let began = world.now;
    world.tell(&[hire(10, "ada@example.com", "Ada", "Lovelace")]);
    assert_eq!(world.team.writes(), 2);
    assert!(world.now.ms_since(began) >= 10_000, "nobody found soon after a create does not prove anything");
}

#[test]
fn an_open_invitation_counts_as_invited_whatever_id_the_201_had() {
    let mut world = World::new();
    world.tell(&[hire(10, "ada@example.com", "Ada", "Byron")]);
    let invited = world.team.users.pop().unwrap();
    world.now = world.now.plus_ms(3_600_000);
    for word in [update(20, "-", "Ada", "King"), hire(30, "ada@example.com", "Ada", "Lovelace")] {
        let ending = world.tell(&[word]);
        assert_eq!((ending.ended[0].1, ending.document.trouble), (Finished::Invited, None), "{:?}", world.calls());
    }
    let elsewhere = "ada.king@example.com";
    for (word, at) in
        [(update(40, elsewhere, "-", "-"), 41), (hire(50, elsewhere, "Ada", "Lovelace"), 51), (leave(60), 70)]
    {
        assert_eq!(world.tell(&[word]).document.trouble.unwrap().code, Code::ScimInvited);
        let ending = world.tell(&[hire(at, "ada@example.com", "Ada", "Lovelace")]);
        assert_eq!((ending.ended.last().unwrap().1, ending.document.trouble), (Finished::Invited, None));
    }
    assert_eq!(world.team.writes(), 1, "each invitation is a mail: {:?}", world.calls());
    world.team.users.push(invited);
    world.tell(&[update(80, "-", "Ada", "King")]);
    assert_eq!(shown(&world.team.users[0]), ada("Ada", "King", true));
    // From here on they are known as a member, so somebody removes them.
    world.team.users.clear();
    world.now = world.now.plus_ms(3_600_000);
    let ending = world.tell(&[update(90, "-", "Ada", "Lovelace")]);
    assert_eq!(ending.document.trouble.unwrap().code, Code::ScimNotMember);
}

#[test]
fn a_hire_long_after_an_unaccepted_invitation_makes_another() {
    let mut world = World::new();
    world.tell(&[hire(10, "ada@example.com", "Ada", "Byron")]);
    world.team.users.clear();
    world.now = world.now.plus_ms(2 * 86_400_000);
    world.tell(&[hire(20, "ada@example.com", "Ada", "Byron")]);
    assert_eq!(shown(&world.team.users[0]), ada("Ada", "Byron", true));
    // If the old invitation is still open after all, the 409 is about that one, not about another team.
    world.team.users.clear();
    world.now = world.now.plus_ms(2 * 86_400_000);
    world.faults = vec![Fault::Taken];
    let ending = world.tell(&[hire(30, "ada@example.com", "Ada", "Byron")]);
    assert_eq!((ending.ended[0].1, ending.document.trouble), (Finished::Invited, None), "{:?}", world.calls());
}

#[test]
fn after_a_withdrawn_invitation_is_discarded_the_next_hire_invites_again() {
    for word in [leave(20), update(20, "ada.king@example.com", "-", "-")] {
        let mut world = World::new();
        world.tell(&[hire(10, "ada@example.com", "Ada", "Byron")]);
        world.team.users.clear();
        world.now = world.now.plus_ms(3_600_000);
        assert_eq!(world.tell(&[word]).document.trouble.unwrap().code, Code::ScimInvited);
        let word = Word::Discard { by: "admin".to_owned(), reason: None };
        world.work(&person("E-1"), &[(1_000, Entry { accepted_at: world.now, word, trace: None })]);
        let ending = world.tell(&[hire(30, "ada.king@example.com", "Ada", "Byron")]);
        assert_eq!(ending.document.trouble, None);
        assert_eq!(world.team.users.len(), 1, "{:?}", world.calls());
        assert_eq!(world.team.users[0]["userName"], "ada.king@example.com");
    }
}
