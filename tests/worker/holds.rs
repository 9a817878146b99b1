//! Trouble with the target is nobody's fault: jobs wait, uncounted, until a trial is served.

use scim_bridge::core::code::Code;
use scim_bridge::core::hold::HoldScope;
use scim_bridge::core::job::Finished;
use scim_bridge::postman_sim::Fault;
use scim_bridge::store::{Store, WaitReason};
use scim_bridge::worker::{Attempted, Stepped};

use crate::bench::Bench;

fn order(bench: &Bench, fault: &str) {
    bench.sim.order(fault.parse::<Fault>().unwrap()).unwrap();
}

#[tokio::test]
async fn what_refuses_everything_holds_everything_and_kills_nothing() {
    for (fault, code) in [
        ("any:bad-key:1", Code::HoldKey),
        ("any:admin-left:1", Code::HoldAdminLeft),
        ("any:not-enterprise:1", Code::HoldPlan),
        ("any:team-gone:1", Code::HoldTeamGone),
        ("any:redirect:1", Code::HoldRedirect),
        ("any:401:2", Code::HoldRefused),
    ] {
        let bench = Bench::new();
        order(&bench, fault);
        let first = bench.hire("E-1", "Ada", "Lovelace").await;
        bench.hire("E-2", "Grace", "Hopper").await;
        assert_eq!(bench.attempt().await, Attempted::Held(HoldScope::All), "{fault}");
        let holds = bench.store.holds().await.unwrap();
        assert_eq!((holds[0].code, holds[0].probes), (code, 0), "{fault}");
        assert_eq!(bench.nothing().await, WaitReason::Hold);
        assert_eq!(bench.store.job(first).await.unwrap().unwrap().job.attempts, 0);
        bench.clock.advance_ms(30_000);
        assert_eq!(bench.attempt().await, Attempted::Done(Finished::Created), "the trial is served");
        assert!(bench.store.holds().await.unwrap().is_empty());
        assert_eq!(bench.attempt().await, Attempted::Done(Finished::Created));
    }
}

#[tokio::test]
async fn trials_come_one_at_a_time_with_growing_pauses() {
    let bench = Bench::new();
    order(&bench, "any:bad-key:forever");
    for n in 0..20 {
        bench.hire(&format!("E-{n}"), "Ada", "Lovelace").await;
    }
    assert_eq!(bench.attempt().await, Attempted::Held(HoldScope::All));
    let began = bench.clock.now();
    let mut trials = Vec::new();
    while trials.len() < 6 {
        match bench.worker().step().await.unwrap() {
            Stepped::Attempted(attempted) => {
                assert_eq!(attempted, Attempted::Held(HoldScope::All));
                trials.push(bench.clock.now().ms_since(began) / 1000);
            }
            Stepped::Nothing(reason) => assert_eq!(reason, WaitReason::Hold),
            Stepped::Probed => panic!("a job is there to be the trial"),
        }
        bench.clock.advance_ms(5_000);
    }
    let pauses: Vec<_> = trials.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert_eq!((trials[0], pauses), (30, vec![60, 120, 240, 300, 300]));
    assert_eq!(bench.calls().len(), 7);
    let dead = bench.store.dead_letters(&scim_bridge::store::Page { rows_max: 10, before: None }).await.unwrap();
    assert!(dead.is_empty());
}

#[tokio::test]
async fn without_free_seats_hires_wait_and_renames_go_on() {
    let bench = Bench::with(|options| options.seats = Some(1));
    bench.hire("E-1", "Ada", "Lovelace").await;
    bench.attempt().await;
    bench.hire("E-2", "Grace", "Hopper").await;
    assert_eq!(bench.attempt().await, Attempted::Held(HoldScope::Creates));
    bench.rename("E-1", "Ada", "King").await;
    assert_eq!(bench.attempt().await, Attempted::Done(Finished::Updated));
    assert_eq!(bench.nothing().await, WaitReason::Hold);
    bench.sim.change(|options| options.seats = Some(2));
    bench.clock.advance_ms(30_000);
    assert_eq!(bench.attempt().await, Attempted::Done(Finished::Created));
    assert!(bench.store.holds().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_hold_with_nothing_waiting_is_lifted_by_a_probe() {
    let bench = Bench::new();
    order(&bench, "any:bad-key:2");
    let id = bench.hire("E-1", "Ada", "Lovelace").await;
    bench.attempt().await;
    // The only job dies of old age elsewhere: here it is made a dead letter by hand of the operator.
    bench.store.lift_hold(bench.clock.now(), None).await.unwrap();
    bench.sim.clear_faults();
    bench.attempt().await;
    assert_eq!(bench.state(id).await, scim_bridge::core::job::JobState::Done);
    bench.store.set_hold(bench.clock.now(), HoldScope::All, Code::HoldKey).await.unwrap();
    bench.clock.advance_ms(30_000);
    assert!(matches!(bench.worker().step().await.unwrap(), Stepped::Probed));
    assert!(bench.store.holds().await.unwrap().is_empty());
    assert_eq!(bench.calls().last().map(String::as_str), Some("page 200"));
}

#[tokio::test]
async fn an_operators_hold_is_lifted_by_nobody_else() {
    let bench = Bench::new();
    bench.store.set_hold(bench.clock.now(), HoldScope::All, Code::HoldOperator).await.unwrap();
    bench.hire("E-1", "Ada", "Lovelace").await;
    bench.clock.advance_ms(100 * 3_600_000);
    assert_eq!(bench.nothing().await, WaitReason::Hold);
    assert!(bench.calls().is_empty());
    bench.store.lift_hold(bench.clock.now(), Some(HoldScope::All)).await.unwrap();
    assert_eq!(bench.attempt().await, Attempted::Done(Finished::Created));
}

#[tokio::test]
async fn a_trial_that_needed_no_call_lifts_nothing() {
    let bench = Bench::new();
    bench.rename("E-1", "Ada", "Byron").await;
    bench.attempt_until_settled().await;
    bench.hire("E-1", "Ada", "Lovelace").await;
    bench.attempt().await;
    let dead = bench.store.dead_letters(&scim_bridge::store::Page { rows_max: 1, before: None }).await.unwrap();
    bench.store.replay(bench.clock.now(), dead[0].id).await.unwrap();
    bench.store.set_hold(bench.clock.now(), HoldScope::All, Code::HoldKey).await.unwrap();
    bench.clock.advance_ms(30_000);
    assert_eq!(bench.attempt().await, Attempted::Done(Finished::Stale));
    assert_eq!(bench.store.holds().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_lack_of_seats_that_is_told_to_a_rename_holds_nothing_and_does_not_loop() {
    let bench = Bench::new();
    bench.hire("E-1", "Ada", "Lovelace").await;
    bench.attempt().await;
    order(&bench, "replace:no-slots:forever");
    bench.rename("E-1", "Ada", "King").await;
    assert_eq!(bench.attempt().await, Attempted::Dead(Code::ScimRejected), "a probe is served: it is the job's own");
    assert!(bench.store.holds().await.unwrap().is_empty());
    assert!(bench.calls().len() < 6, "{:?}", bench.calls());
}
