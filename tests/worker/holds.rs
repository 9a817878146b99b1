//! Trouble with the target counts against nobody: people wait, without using up attempts, until a probe succeeds.
//! Trouble with one person affects only that person.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use scim_bridge::core::code::Code;
use scim_bridge::core::hold::HoldScope;
use scim_bridge::core::person::job::Finished;
use scim_bridge::core::person::{Email, Event};
use scim_bridge::postman_sim::Fault;
use scim_bridge::store::LaneState;
use scim_bridge::worker::{Attempted, Stepped};

use crate::bench::{Bench, rename};
use crate::rough_store::Rough;

fn inject(bench: &Bench, fault: &str) {
    bench.sim.inject(fault.parse::<Fault>().unwrap()).unwrap();
}

/// One step that must probe a hold; returns whether the hold was lifted.
async fn probed(bench: &Bench) -> bool {
    match bench.worker().step().await.unwrap() {
        Stepped::Probed { lifted } => lifted,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_target_that_refuses_everybody_sets_a_hold_and_makes_no_dead_letters() {
    for (fault, code) in [
        ("any:bad-key:1", Code::HoldKey),
        ("any:admin-left:1", Code::HoldAdminLeft),
        ("any:not-enterprise:1", Code::HoldPlan),
        ("any:team-gone:1", Code::HoldTeamGone),
    ] {
        let bench = Bench::new();
        inject(&bench, fault);
        bench.hire("E-1", "Ada", "Lovelace").await;
        bench.hire("E-2", "Grace", "Hopper").await;
        assert_eq!(bench.attempt().await, Attempted::Held(HoldScope::All), "{fault}");
        let holds = bench.holds_in_force().await.holds;
        assert_eq!((holds[0].code, holds[0].probes), (code, 0), "{fault}");
        bench.nothing().await;
        let lanes = bench.store.stats().await.unwrap().lanes;
        assert_eq!((lanes["held"], lanes["waiting"]), (1, 1), "{fault}");
        bench.clock.advance_ms(30_000);
        assert!(probed(&bench).await, "{fault}: the trial is served");
        assert!(bench.holds_in_force().await.holds.is_empty());
        assert_eq!(bench.attempt().await, Attempted::InLine(Finished::Created));
        assert_eq!(bench.sim.members().len(), 2);
    }
}

#[tokio::test]
async fn while_holds_are_unreadable_no_work_is_done() {
    let bench = Bench::new();
    assert!(
        bench.store.put_shared("holds", 0, "{\"holds\":[{\"scope\":\"all\",\"code\":\"NEW\"}]}".into()).await.unwrap()
    );
    bench.hire("E-1", "Ada", "Lovelace").await;
    for _ in 0..3 {
        bench.nothing().await;
        bench.clock.advance_ms(3_600_000);
    }
    assert!(bench.calls().is_empty(), "{:?}", bench.calls());
    assert!(bench.holds().lift(&HoldScope::All).await.unwrap());
    assert_eq!(bench.attempt_until_settled().await, Attempted::InLine(Finished::Created));
}

#[tokio::test]
async fn undocumented_refusals_count_against_the_target_when_two_people_get_them() {
    for fault in ["any:401", "any:403", "any:405", "any:415", "any:423", "any:redirect"] {
        let bench = Bench::new();
        // Two people, a harmless read before everything is held, and the same for the first trial.
        inject(&bench, &format!("{fault}:5"));
        bench.hire("E-1", "Ada", "Lovelace").await;
        bench.hire("E-2", "Grace", "Hopper").await;
        assert_eq!(bench.attempt().await, Attempted::Retry(Code::ScimRefused), "{fault}");
        assert_eq!(bench.attempt().await, Attempted::Held(HoldScope::All), "{fault}");
        bench.clock.advance_ms(30_000);
        assert!(!probed(&bench).await, "{fault}: still refused");
        bench.clock.advance_ms(60_000);
        assert!(probed(&bench).await, "{fault}");
        assert_eq!(bench.attempt_until_settled().await, Attempted::InLine(Finished::Created), "{fault}");
        assert_eq!(bench.sim.members().len(), 2, "{fault}");
    }
}

#[tokio::test]
async fn creates_that_are_answered_409_without_a_reason_are_held() {
    let bench = Bench::new();
    inject(&bench, "create:409:2");
    bench.hire("E-1", "Ada", "Lovelace").await;
    bench.hire("E-2", "Grace", "Hopper").await;
    assert_eq!(bench.attempt().await, Attempted::Retry(Code::ScimRefused));
    assert_eq!(bench.attempt().await, Attempted::Held(HoldScope::Writes));
    bench.clock.advance_ms(30_000);
    assert!(probed(&bench).await);
    assert_eq!(bench.attempt_until_settled().await, Attempted::InLine(Finished::Created));
    assert_eq!(bench.sim.members().len(), 2);
}

#[tokio::test]
async fn a_refusal_that_only_one_person_gets_blocks_them_after_five_tries() {
    let bench = Bench::new();
    inject(&bench, "create:403:forever:user=e-1@example.com");
    bench.hire("E-1", "Ada", "Lovelace").await;
    for n in 0..4 {
        assert_eq!(bench.attempt().await, Attempted::Retry(Code::ScimRefused), "try {n}");
        bench.hire(&format!("E-1{n}"), "Grace", "Hopper").await;
        assert_eq!(bench.attempt().await, Attempted::InLine(Finished::Created));
        bench.clock.advance_ms(901_000);
    }
    assert_eq!(bench.attempt().await, Attempted::Blocked(Code::ScimRejected));
    assert!(bench.holds_in_force().await.holds.is_empty());
}

#[tokio::test]
async fn refused_writes_hold_only_writes_while_reads_are_served() {
    let bench = Bench::new();
    for id in ["E-1", "E-2"] {
        bench.hire(id, "Ada", "Lovelace").await;
        bench.attempt().await;
    }
    bench.clock.advance_ms(3_000);
    inject(&bench, "replace:403:2");
    for id in ["E-1", "E-2"] {
        bench.rename(id, "Ada", "King").await;
    }
    assert_eq!(bench.attempt().await, Attempted::Retry(Code::ScimRefused));
    assert_eq!(bench.attempt().await, Attempted::Held(HoldScope::Writes));
    // People for whom reads suffice are still worked on.
    bench.rename("E-3", "Eve", "Other").await;
    assert_eq!(bench.attempt().await, Attempted::InLine(Finished::NotAMember));
    bench.clock.advance_ms(30_000);
    assert!(probed(&bench).await);
    assert_eq!(bench.attempt_until_settled().await, Attempted::InLine(Finished::Updated));
    assert_eq!((bench.names("E-1"), bench.names("E-2")), (vec!["Ada King".to_owned()], vec!["Ada King".to_owned()]));
}

#[tokio::test]
async fn probes_come_one_at_a_time_with_growing_pauses() {
    let bench = Bench::new();
    inject(&bench, "any:bad-key:forever");
    for n in 0..20 {
        bench.hire(&format!("E-{n}"), "Ada", "Lovelace").await;
    }
    assert_eq!(bench.attempt().await, Attempted::Held(HoldScope::All));
    let began = bench.clock.now();
    let mut trials = Vec::new();
    while trials.len() < 6 {
        match bench.worker().step().await.unwrap() {
            Stepped::Probed { lifted } => {
                assert!(!lifted);
                trials.push(bench.clock.now().ms_since(began) / 1000);
            }
            Stepped::Nothing { .. } => {}
            Stepped::Attempted(attempted) => panic!("{attempted:?}: nobody but the trial is worked on"),
        }
        bench.clock.advance_ms(5_000);
    }
    let pauses: Vec<_> = trials.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert_eq!((trials[0], pauses), (30, vec![60, 120, 240, 300, 300]));
    assert_eq!(bench.calls().len(), 7);
    assert_eq!(bench.store.stats().await.unwrap().dead.len(), 0);
}

#[tokio::test]
async fn without_free_seats_hires_wait_and_updates_go_on() {
    let bench = Bench::with(|options| options.seats = Some(1));
    bench.hire("E-1", "Ada", "Lovelace").await;
    bench.attempt().await;
    bench.hire("E-2", "Grace", "Hopper").await;
    assert_eq!(bench.attempt().await, Attempted::Held(HoldScope::Creates));
    bench.rename("E-1", "Ada", "King").await;
    assert_eq!(bench.attempt().await, Attempted::InLine(Finished::Updated));
    bench.nothing().await;
    bench.sim.change(|options| options.seats = Some(2));
    bench.clock.advance_ms(30_000);
    assert!(probed(&bench).await);
    assert_eq!(bench.sim.members().len(), 2);
    assert!(bench.holds_in_force().await.holds.is_empty());
}

#[tokio::test]
async fn a_hold_with_nobody_waiting_is_lifted_by_a_harmless_call() {
    let bench = Bench::new();
    bench.holds().set(&HoldScope::All, Code::HoldKey, None).await.unwrap();
    bench.clock.advance_ms(30_000);
    assert!(probed(&bench).await);
    assert!(bench.holds_in_force().await.holds.is_empty());
    assert_eq!(bench.calls(), ["page 200"]);
}

#[tokio::test]
async fn an_operators_hold_is_lifted_by_nobody_else() {
    let bench = Bench::new();
    bench.holds().set(&HoldScope::All, Code::HoldOperator, None).await.unwrap();
    bench.hire("E-1", "Ada", "Lovelace").await;
    bench.clock.advance_ms(100 * 3_600_000);
    bench.nothing().await;
    assert!(bench.calls().is_empty());
    bench.holds().lift(&HoldScope::All).await.unwrap();
    bench.clock.advance_ms(1_000);
    assert_eq!(bench.attempt().await, Attempted::InLine(Finished::Created));
}

/// An attempt that it keeps back must not bring it back, wherever in the attempt it is lifted.
#[tokio::test]
async fn an_attempt_does_not_restore_an_operators_hold_that_was_lifted_meanwhile() {
    for scope in [HoldScope::All, HoldScope::Writes, HoldScope::Deactivations] {
        let mut kept_back = 0;
        for reads in 1..8 {
            let bench = Bench::new();
            bench.hire("E-1", "Ada", "Lovelace").await;
            bench.attempt().await;
            bench.clock.advance_ms(10);
            bench.leave("E-1").await;
            bench.holds().set(&scope, Code::HoldOperator, None).await.unwrap();
            let rough = Arc::new(Rough::over(bench.store.clone()));
            rough.holds_end_after.store(reads, Ordering::SeqCst);
            let worker = bench.worker_on(rough.clone());
            for _ in 0..12 {
                worker.step().await.unwrap();
                let is_over = rough.holds_end_after.load(Ordering::SeqCst) == 0;
                let holds = bench.holds_in_force().await.holds;
                assert_eq!(holds.is_empty(), is_over, "{scope}, lifted after {reads} reads: {holds:?}");
                kept_back += u64::from(is_over && bench.state("E-1").await == LaneState::Held);
                bench.clock.advance_ms(1_000);
            }
            if rough.holds_end_after.load(Ordering::SeqCst) == 0 {
                assert!(!bench.sim.members()[0].active, "{scope}, lifted after {reads} reads: they go on");
            }
        }
        assert!(kept_back > 0 || scope == HoldScope::All, "{scope}: never lifted in the middle of an attempt");
    }
}

#[tokio::test]
async fn a_rename_refused_for_lack_of_seats_holds_nobody_and_does_not_loop() {
    let bench = Bench::new();
    bench.hire("E-1", "Ada", "Lovelace").await;
    bench.attempt().await;
    inject(&bench, "replace:no-slots:forever");
    bench.rename("E-1", "Ada", "King").await;
    assert_eq!(bench.attempt_until_settled().await, Attempted::Blocked(Code::ScimRejected));
    assert!(bench.holds_in_force().await.holds.is_empty());
}

/// Two members whose names must change, and a fault that strikes these calls.
async fn two_members_with_a_fault_each(fault: &str) -> Bench {
    let bench = Bench::new();
    for id in ["E-1", "E-2"] {
        bench.hire(id, "Ada", "Lovelace").await;
        bench.attempt().await;
        inject(&bench, &format!("{fault}:forever:user={}@example.com", id.to_lowercase()));
    }
    bench.clock.advance_ms(100_000);
    for id in ["E-1", "E-2"] {
        bench.rename(id, "Ada", "King").await;
    }
    assert_eq!(bench.attempt().await, Attempted::Retry(Code::ScimRefused));
    bench
}

#[tokio::test]
async fn two_people_with_redirects_keep_nobody_waiting_and_end_blocked() {
    let bench = two_members_with_a_fault_each("get:redirect").await;
    assert_eq!(bench.attempt().await, Attempted::Retry(Code::ScimRefused), "the list of the team is served");
    assert_eq!(bench.calls().iter().filter(|call| *call == "page 200").count(), 1, "{:?}", bench.calls());
    for n in 0..60 {
        let id = format!("E-1{n}");
        bench.hire(&id, "Grace", "Hopper").await;
        // The next person who is due.
        while bench.names(&id).is_empty() {
            bench.attempt().await;
        }
        assert!(bench.holds_in_force().await.holds.is_empty());
        bench.clock.advance_ms(5_000);
    }
    for id in ["E-1", "E-2"] {
        assert_eq!(bench.state(id).await, LaneState::Blocked, "{id}");
    }
}

#[tokio::test]
async fn two_people_with_refused_writes_delay_others_by_one_probe_at_most_and_end_blocked() {
    let bench = two_members_with_a_fault_each("replace:403").await;
    assert_eq!(bench.attempt().await, Attempted::Held(HoldScope::Writes), "this could affect everybody");
    bench.hire("E-3", "Grace", "Hopper").await;
    assert_eq!(bench.attempt().await, Attempted::Held(HoldScope::Writes));
    bench.clock.advance_ms(30_000);
    assert!(probed(&bench).await, "others are tried besides the one who was refused");
    assert_eq!(bench.names("E-3"), ["Grace Hopper"]);
    for n in 0..30 {
        let id = format!("E-1{n}");
        bench.hire(&id, "Grace", "Hopper").await;
        while bench.names(&id).is_empty() {
            bench.attempt().await;
        }
        assert!(bench.holds_in_force().await.holds.is_empty());
        bench.clock.advance_ms(20_000);
    }
    for id in ["E-1", "E-2"] {
        assert_eq!(bench.state(id).await, LaneState::Blocked, "{id}");
    }
}

#[tokio::test]
async fn a_single_person_is_held_and_not_given_up_while_everything_is_refused() {
    for fault in ["any:401", "any:403", "any:redirect", "any:404"] {
        let bench = Bench::new();
        inject(&bench, &format!("{fault}:forever"));
        bench.hire("E-1", "Ada", "Lovelace").await;
        for _ in 0..60 {
            bench.worker().step().await.unwrap();
            bench.clock.advance_ms(20_000);
        }
        assert_eq!(bench.state("E-1").await, LaneState::Held, "{fault}");
        assert_eq!(bench.store.stats().await.unwrap().dead.len(), 0, "{fault}");
        bench.sim.clear_faults();
        for _ in 0..20 {
            bench.clock.advance_ms(61_000);
            bench.worker().step().await.unwrap();
        }
        assert_eq!(bench.names("E-1"), ["Ada Lovelace"], "{fault}");
    }
}

/// A person whose address must change, and a fault that strikes this call.
async fn readdressed(fault: &str) -> Bench {
    let bench = Bench::new();
    bench.hire("E-1", "Ada", "Lovelace").await;
    bench.attempt().await;
    bench.clock.advance_ms(10);
    inject(&bench, fault);
    let mut moved = rename("E-1", "Ada", "Lovelace");
    moved.facts.email = Some(Email::parse("ada@example.com").unwrap());
    bench.accept(moved).await;
    bench
}

#[tokio::test]
async fn an_address_refused_with_all_other_writes_waits_with_them() {
    let bench = readdressed("set_user_name:not-allowed:1").await;
    inject(&bench, "create:403:4");
    assert_eq!(bench.attempt().await, Attempted::Retry(Code::ScimRefused), "it is not known yet whose trouble it is");
    for id in ["E-2", "E-3"] {
        bench.hire(id, "Grace", "Hopper").await;
    }
    bench.clock.advance_ms(3_000);
    for _ in 0..3 {
        bench.attempt().await;
    }
    assert_eq!(bench.state("E-1").await, LaneState::Held);
    assert!(bench.holds_in_force().await.get(&HoldScope::Writes).is_some());
    for _ in 0..20 {
        bench.clock.advance_ms(61_000);
        bench.worker().step().await.unwrap();
    }
    assert_eq!(bench.store.stats().await.unwrap().dead.len(), 0);
    assert_eq!(bench.sim.members_named("ada@example.com").len(), 1, "{:?}", bench.calls());
    assert_eq!(bench.sim.members().len(), 3);
}

#[tokio::test]
async fn an_address_refused_alone_is_blocked_once_another_write_is_served_or_after_four_tries() {
    let bench = readdressed("set_user_name:not-allowed:forever").await;
    assert_eq!(bench.attempt().await, Attempted::Retry(Code::ScimRefused));
    bench.hire("E-2", "Grace", "Hopper").await;
    assert_eq!(bench.attempt().await, Attempted::InLine(Finished::Created));
    bench.clock.advance_ms(1_000);
    assert_eq!(bench.attempt().await, Attempted::Blocked(Code::ScimAddress));

    let bench = readdressed("set_user_name:not-allowed:forever").await;
    for pause_ms in [1_000, 2_000, 4_000] {
        assert_eq!(bench.attempt().await, Attempted::Retry(Code::ScimRefused));
        bench.clock.advance_ms(pause_ms - 1);
        bench.nothing().await;
        bench.clock.advance_ms(1);
    }
    assert_eq!(bench.attempt().await, Attempted::Blocked(Code::ScimAddress));
    assert!(bench.holds_in_force().await.holds.is_empty());
}

#[tokio::test]
async fn a_pause_of_hours_for_one_person_keeps_nobody_else_waiting() {
    for status in ["429", "403", "503"] {
        let bench = Bench::new();
        bench.hire("E-1", "Ada", "Lovelace").await;
        bench.attempt().await;
        inject(&bench, &format!("replace:{status}:forever:user=e-1@example.com:hint=retry-after=7200"));
        bench.rename("E-1", "Ada", "King").await;
        assert!(matches!(bench.attempt().await, Attempted::Retry(_)), "{status}");
        for n in 2..6 {
            bench.hire(&format!("E-{n}"), "Grace", "Hopper").await;
            assert_eq!(bench.attempt().await, Attempted::InLine(Finished::Created), "{status}");
        }
        assert!(bench.holds_in_force().await.holds.is_empty(), "{status}");
        // Nor do they wait for hours because of a single reply.
        bench.clock.advance_ms(30_000);
        assert!(matches!(bench.attempt().await, Attempted::Retry(_)), "{status}");
    }
}

#[tokio::test]
async fn a_pause_of_hours_for_several_people_or_a_harmless_read_is_a_hold() {
    let bench = Bench::new();
    inject(&bench, "any:429:2:hint=retry-after=7200");
    bench.hire("E-1", "Ada", "Lovelace").await;
    assert_eq!(bench.attempt().await, Attempted::Held(HoldScope::All));
    let hold = bench.holds_in_force().await.holds.remove(0);
    assert_eq!((hold.code, hold.next_probe_at), (Code::HoldQuota, Some(bench.clock.now().plus_ms(7_200_000))));

    let bench = Bench::new();
    inject(&bench, "write:429:2:hint=retry-after=7200");
    bench.hire("E-1", "Ada", "Lovelace").await;
    assert_eq!(bench.attempt().await, Attempted::Retry(Code::ScimRateLimited));
    bench.hire("E-2", "Grace", "Hopper").await;
    assert_eq!(bench.attempt().await, Attempted::Held(HoldScope::Writes));
    let hold = bench.holds_in_force().await.holds.remove(0);
    assert_eq!((hold.code, hold.next_probe_at), (Code::HoldQuota, Some(bench.clock.now().plus_ms(7_200_000))));
    for _ in 0..4 {
        bench.clock.advance_ms(3_600_000);
        bench.worker().step().await.unwrap();
        bench.worker().step().await.unwrap();
    }
    assert_eq!(bench.sim.members().len(), 2, "{:?}", bench.calls());
}

#[tokio::test]
async fn an_address_that_the_guard_keeps_back_keeps_no_name_back() {
    let mut bench = Bench::new();
    bench.guard.address_changes_max = 1;
    for id in ["E-1", "E-2"] {
        bench.hire(id, "Ada", "Lovelace").await;
        bench.attempt().await;
    }
    for id in ["E-1", "E-2"] {
        let mut moved = Event { at: Some(bench.next_at()), ..rename(id, "Ada", "King") };
        moved.facts.email = Email::parse(&format!("{}.king@example.com", id.to_lowercase())).ok();
        bench.accept(moved).await;
    }
    assert_eq!(bench.attempt().await, Attempted::InLine(Finished::Updated));
    assert_eq!(bench.attempt().await, Attempted::Held(HoldScope::Addresses));
    let members = bench.sim.members();
    assert!(members.iter().all(|member| &*member.name.family_name == "King"), "{:?}", bench.calls());
    assert_eq!(members.iter().filter(|member| member.user_name.contains(".king@")).count(), 1);
}
