//! What happens to a person when all goes well, and when the team was changed by others.

use scim_bridge::core::code::Code;
use scim_bridge::core::person::job::Finished;
use scim_bridge::core::person::{Email, EmploymentState, Event};
use scim_bridge::core::time::UnixMs;
use scim_bridge::postman_sim::{Person as SimPerson, Standing};
use scim_bridge::store::LaneState;
use scim_bridge::worker::Attempted::{Blocked, Folded, InLine, Incomplete};

use crate::bench::{Bench, email, hire, leave, rename};

#[expect(clippy::unnecessary_wraps, reason = "as an event has it")]
fn at(ms: i64) -> Option<UnixMs> {
    Some(UnixMs(1_795_341_500_000 + ms))
}

#[tokio::test]
async fn a_hire_and_a_rename_make_ada_king() {
    let bench = Bench::new();
    let first = bench.hire("E-1", "Ada", "Lovelace").await;
    assert_eq!(bench.attempt().await, InLine(Finished::Created));
    assert_eq!(bench.names("E-1"), ["Ada Lovelace"]);
    let second = bench.rename("E-1", "Ada", "King").await;
    assert_eq!(bench.attempt().await, InLine(Finished::Updated));
    assert_eq!(bench.names("E-1"), ["Ada King"]);
    assert_eq!(bench.calls(), ["create 201", "get 200", "replace 200"]);
    let member = bench.document("E-1").await.member.unwrap();
    assert_eq!(member.id.as_deref(), Some(bench.sim.members()[0].id.as_ref()));
    assert_eq!(member.user_name, email("E-1"));
    assert_eq!(bench.outcome(first, "E-1").await, Some(Finished::Created));
    assert_eq!(bench.outcome(second, "E-1").await, Some(Finished::Updated));
    assert_eq!(bench.state("E-1").await, LaneState::Idle);
}

#[tokio::test]
async fn updates_that_waited_together_cost_one_write() {
    let bench = Bench::new();
    bench.hire("E-1", "Ada", "Lovelace").await;
    bench.rename("E-1", "Ada", "King").await;
    assert_eq!(bench.attempt().await, InLine(Finished::Created));
    assert_eq!(bench.calls(), ["create 201"]);
    for n in 0..10 {
        bench.rename("E-1", "Ada", &format!("No{n}")).await;
    }
    assert_eq!(bench.attempt().await, InLine(Finished::Updated));
    assert_eq!(bench.names("E-1"), ["Ada No9"]);
    assert_eq!(bench.calls(), ["create 201", "get 200", "replace 200"]);
}

#[tokio::test]
async fn an_update_that_changes_nothing_writes_nothing() {
    let bench = Bench::new();
    bench.hire("E-1", "Ada", "Lovelace").await;
    bench.attempt().await;
    bench.rename("E-1", "Ada", "Lovelace").await;
    assert_eq!(bench.attempt().await, InLine(Finished::Unchanged));
    assert_eq!(bench.calls(), ["create 201", "get 200"]);
}

#[tokio::test]
async fn an_existing_member_is_adopted_whatever_the_case_of_letters() {
    let bench = Bench::new();
    bench.sim.add_member(SimPerson::member("E-1@Example.COM", "Ada", "Byron"));
    bench.hire("E-1", "Ada", "Lovelace").await;
    assert_eq!(bench.attempt().await, InLine(Finished::Adopted));
    assert_eq!(bench.calls(), ["create 409", "find 200", "page 200", "replace 200"]);
    let members = bench.sim.members();
    assert_eq!(members.len(), 1);
    assert_eq!(&*members[0].name.family_name, "Lovelace");
}

#[tokio::test]
async fn a_member_of_another_team_is_a_dead_letter_that_news_heals() {
    let bench = Bench::new();
    bench.sim.add_member(SimPerson::standing(&email("E-1"), Standing::OtherTeam));
    bench.hire("E-1", "Ada", "Lovelace").await;
    assert_eq!(bench.attempt().await, Blocked(Code::ScimElsewhere));
    assert_eq!(bench.state("E-1").await, LaneState::Blocked);
    bench.nothing().await;
    // Others go on.
    bench.hire("E-2", "Grace", "Hopper").await;
    assert_eq!(bench.attempt().await, InLine(Finished::Created));
    // HR sends another address, and nobody has to discard anything.
    let mut moved = Event { at: at(900_000_000), ..rename("E-1", "Ada", "King") };
    moved.facts.email = Some(Email::parse("ada@other.example").unwrap());
    bench.accept(moved).await;
    assert_eq!(bench.attempt().await, InLine(Finished::Created));
    assert_eq!(bench.document("E-1").await.trouble, None);
    assert_eq!(bench.store.stats().await.unwrap().dead.values().sum::<u64>(), 0);
}

#[tokio::test]
async fn an_update_of_a_non_member_counts_once_they_are_hired() {
    let bench = Bench::new();
    let job = bench.rename("E-1", "Ada", "King").await;
    assert_eq!(bench.attempt().await, InLine(Finished::NotAMember));
    assert_eq!(bench.outcome(job, "E-1").await, Some(Finished::NotAMember));
    bench.accept(Event { at: Some(UnixMs(1_000)), ..hire("E-1", "Ada", "Lovelace") }).await;
    assert_eq!(bench.attempt().await, InLine(Finished::Created));
    assert_eq!(bench.names("E-1"), ["Ada King"]);
}

#[tokio::test]
async fn events_that_arrive_out_of_order_end_with_the_newest() {
    let bench = Bench::new();
    bench.accept(Event { at: at(0), ..hire("E-1", "Ada", "Lovelace") }).await;
    bench.attempt().await;
    bench.accept(Event { at: at(2000), ..rename("E-1", "Ada", "King") }).await;
    assert_eq!(bench.attempt().await, InLine(Finished::Updated));
    let older = bench.accept(Event { at: at(1000), ..rename("E-1", "Ada", "Byron") }).await;
    assert_eq!(bench.attempt().await, Folded);
    assert_eq!(bench.outcome(older, "E-1").await, Some(Finished::Superseded));
    bench.accept(Event { at: at(0), ..hire("E-1", "Ada", "Lovelace") }).await;
    assert_eq!(bench.attempt().await, Folded);
    assert_eq!(bench.names("E-1"), ["Ada King"]);
}

#[tokio::test]
async fn a_rename_keeps_a_deactivated_member_off_and_a_hire_switches_them_on() {
    let bench = Bench::new();
    let mut off = SimPerson::member(&email("E-1"), "Ada", "Lovelace");
    off.active = false;
    bench.sim.add_member(off);
    bench.rename("E-1", "Ada", "King").await;
    assert_eq!(bench.attempt().await, InLine(Finished::Adopted));
    assert!(!bench.sim.members()[0].active);
    bench.hire("E-1", "Ada", "King").await;
    assert_eq!(bench.attempt().await, InLine(Finished::Updated));
    assert!(bench.sim.members()[0].active);
}

#[tokio::test]
async fn a_leaver_is_switched_off_and_comes_back_by_a_newer_hire_only() {
    let bench = Bench::new();
    let hired = Event { at: at(0), ..hire("E-1", "Ada", "Lovelace") };
    bench.accept(hired.clone()).await;
    bench.attempt().await;
    bench.accept(Event { at: at(1000), ..leave("E-1") }).await;
    assert_eq!(bench.attempt().await, InLine(Finished::Deactivated));
    assert!(!bench.sim.members()[0].active);
    bench.accept(hired).await;
    assert_eq!(bench.attempt().await, Folded);
    assert!(!bench.sim.members()[0].active);
    bench.accept(Event { at: at(2000), ..hire("E-1", "Ada", "King") }).await;
    assert_eq!(bench.attempt().await, InLine(Finished::Updated));
    assert!(bench.sim.members()[0].active);
    assert_eq!(bench.names("E-1"), ["Ada King"]);
}

#[tokio::test]
async fn a_leave_ahead_of_time_is_in_effect_at_its_instant() {
    let bench = Bench::new();
    bench.hire("E-1", "Ada", "Lovelace").await;
    bench.attempt().await;
    let mut ahead = leave("E-1");
    let effective = bench.clock.now().plus_ms(86_400_000);
    ahead.facts.employment = Some((EmploymentState::Left, Some(effective)));
    let job = bench.accept(ahead).await;
    bench.attempt().await;
    assert_eq!(bench.state("E-1").await, LaneState::Scheduled);
    assert_eq!(bench.outcome(job, "E-1").await, None);
    bench.clock.advance_ms(86_399_000);
    bench.nothing().await;
    bench.clock.advance_ms(1_000);
    assert_eq!(bench.attempt().await, InLine(Finished::Deactivated));
    assert_eq!(bench.outcome(job, "E-1").await, Some(Finished::Deactivated));
    assert!(!bench.sim.members()[0].active);
}

#[tokio::test]
async fn a_hire_without_an_address_waits_and_the_update_completes_it() {
    let bench = Bench::new();
    let mut hired = hire("E-1", "Ada", "Lovelace");
    hired.facts.email = None;
    bench.accept(hired).await;
    assert_eq!(bench.attempt().await, Incomplete);
    assert_eq!(bench.state("E-1").await, LaneState::Incomplete);
    assert_eq!(bench.document("E-1").await.missing, ["email"]);
    bench.rename("E-1", "Ada", "Lovelace").await;
    assert_eq!(bench.attempt().await, InLine(Finished::Created));
    assert!(bench.document("E-1").await.missing.is_empty());
}

#[tokio::test]
async fn a_stale_id_is_looked_up_again() {
    let bench = Bench::new();
    bench.hire("E-1", "Ada", "Lovelace").await;
    bench.attempt().await;
    bench.clock.advance_ms(61_000);
    // Removed by hand and invited again: the same person with another id.
    let fresh = Bench::new();
    let mut other = SimPerson::member(&email("E-1"), "Ada", "Lovelace");
    other.id = Some("f".repeat(48));
    fresh.sim.add_member(other);
    let moved = Bench { sim: fresh.sim, ..bench };
    moved.rename("E-1", "Ada", "King").await;
    let worker = moved.worker_on(moved.store.clone());
    worker.step().await.unwrap();
    assert_eq!(moved.names("E-1"), ["Ada King"]);
    assert_eq!(moved.calls(), ["get 404", "find 200", "replace 200"]);
}

#[tokio::test]
async fn thirty_leaves_at_once_are_held_by_the_guard_and_let_through_by_number() {
    let mut bench = Bench::new();
    bench.guard.leaves_max = 5;
    for n in 0..30 {
        bench.hire(&format!("E-{n}"), "Ada", "Lovelace").await;
    }
    for _ in 0..30 {
        bench.attempt().await;
    }
    for n in 0..30 {
        bench.leave(&format!("E-{n}")).await;
    }
    for _ in 0..30 {
        bench.attempt().await;
    }
    let off = || bench.sim.members().iter().filter(|member| !member.active).count();
    assert_eq!(off(), 5);
    assert_eq!(bench.store.stats().await.unwrap().lanes["held"], 25);
    bench.nothing().await;
    // People whose leave HR withdraws in time are not switched off at all.
    bench.hire("E-29", "Ada", "Lovelace").await;
    bench.attempt().await;
    assert_eq!(bench.store.stats().await.unwrap().lanes["held"], 24);
}
