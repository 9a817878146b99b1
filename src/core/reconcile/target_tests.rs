//! The plan at providers other than Postman: the same results, with what each of them can do.

use serde_json::json;

use super::team_tests::Team;
use super::world_tests::{World, ada, hire, leave, shown, update};
use crate::core::person::Email;
use crate::core::person::job::Finished;

fn provider(no_patch: bool, no_filter: bool) -> World {
    World::of_a_provider(Team { no_patch, no_filter, ..Team::default() })
}

/// A person is hired, renamed, moved to another address, leaves, and comes back.
fn a_life(world: &mut World) {
    world.tell(&[hire(10, "ada@example.com", "Ada", "Lovelace")]);
    world.now = world.now.plus_ms(120_000);
    world.tell(&[update(20, "-", "-", "King")]);
    assert_eq!(shown(&world.team.users[0]), ada("Ada", "King", true));
    world.now = world.now.plus_ms(120_000);
    world.tell(&[update(30, "ada.king@example.com", "-", "-")]);
    assert_eq!(shown(&world.team.users[0]).0, "ada.king@example.com");
    world.now = world.now.plus_ms(120_000);
    let ending = world.tell(&[leave(40)]);
    assert_eq!(ending.ended[0].1, Finished::Deactivated);
    assert!(!shown(&world.team.users[0]).3);
    world.now = world.now.plus_ms(120_000);
    world.tell(&[hire(50, "ada@example.com", "Ada", "King")]);
    assert_eq!(shown(&world.team.users[0]), ada("Ada", "King", true));
    assert_eq!(world.team.users.len(), 1);
}

#[test]
fn a_provider_with_patch_is_never_sent_a_put() {
    let mut world = provider(false, false);
    a_life(&mut world);
    assert!(!world.calls().iter().any(|call| call.starts_with("PUT")), "{:?}", world.calls());
}

#[test]
fn a_provider_without_patch_is_sent_what_was_read_with_one_thing_changed() {
    for no_filter in [false, true] {
        let mut world = provider(true, no_filter);
        let more = json!({"title": "Analyst", "urn:x:1.0:User": {"a": 1.5}});
        world.team.add("ada@example.com", "Ada", "Byron", true, &more);
        a_life(&mut world);
        let user = &world.team.users[0];
        assert_eq!((&user["title"], &user["urn:x:1.0:User"]), (&more["title"], &more["urn:x:1.0:User"]));
    }
}

#[test]
fn a_provider_that_announces_patch_without_supporting_it_does_no_harm() {
    let mut world = provider(false, false);
    world.tell(&[hire(10, "ada@example.com", "Ada", "Lovelace")]);
    world.team.no_patch = true;
    world.team.lies = true;
    world.now = world.now.plus_ms(120_000);
    let ending = world.tell(&[leave(20)]);
    assert_eq!(ending.ended[0].1, Finished::Deactivated);
    assert!(!shown(&world.team.users[0]).3);
}

#[test]
fn an_employee_is_found_by_their_id_whatever_their_address_was() {
    let mut world = provider(false, false);
    world.team.add("ada.byron@example.com", "Ada", "Byron", true, &json!({"externalId": "E-1"}));
    world.team.add("bob@example.com", "Bob", "Stone", true, &json!({"externalId": "E-11"}));
    let ending = world.tell(&[hire(10, "ada@example.com", "Ada", "King")]);
    assert_eq!(ending.ended[0].1, Finished::Adopted);
    assert_eq!(world.team.users.len(), 2);
    assert_eq!(shown(&world.team.users[0]), ada("Ada", "King", true));
}

#[test]
fn a_member_whose_list_leaves_active_out_is_read_before_a_put() {
    for standing_is_told in [true, false] {
        let mut world = provider(true, false);
        world.team.lists_in_part = true;
        world.team.add("ada@example.com", "Ada", "Lovelace", false, &json!({}));
        let told = if standing_is_told { leave(10) } else { update(10, "ada@example.com", "Ada", "King") };
        let mut told = [told, update(20, "ada@example.com", "Ada", "King")];
        told[0].facts.email = Email::parse("ada@example.com").ok();
        let ending = world.tell(&told);
        assert!(ending.document.trouble.is_none(), "{:?} {:?}", ending.document.trouble, world.calls());
        assert_eq!(shown(&world.team.users[0]), ada("Ada", "King", false), "{:?}", world.calls());
    }
}
