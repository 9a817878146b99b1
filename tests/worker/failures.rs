//! What happens when Postman, or the way to it, does not do as it should.

use scim_bridge::core::code::Code;
use scim_bridge::core::job::{Finished, JobState, Note};
use scim_bridge::core::limiter::CallKind;
use scim_bridge::postman_sim::Fault;
use scim_bridge::store::{Store, Token, WaitReason};
use scim_bridge::worker::{Attempted, Stepped};

use crate::bench::{Bench, email};

fn order(bench: &Bench, fault: &str) {
    bench.sim.order(fault.parse::<Fault>().unwrap()).unwrap();
}

#[tokio::test]
async fn a_create_whose_outcome_is_unknown_never_makes_a_second_member() {
    for fault in ["create:create-failed:1", "create:reset:1", "create:close:1", "create:hang:1", "create:garbage:1"] {
        for after in ["", ":after"] {
            let bench = Bench::new();
            order(&bench, &format!("{fault}{after}"));
            bench.hire("E-1", "Ada", "Lovelace").await;
            assert_eq!(bench.attempt().await, Attempted::Retry, "{fault}{after}");
            assert_eq!(bench.attempt_until_settled().await, Attempted::Done(Finished::Created), "{fault}{after}");
            let made = bench.sim.journal().iter().filter(|call| call.applied).count();
            assert_eq!((made, bench.names("E-1").len()), (1, 1), "{fault}{after}: {:?}", bench.calls());
            assert_eq!(bench.calls()[1], "find 200", "{fault}{after}: it looks before it repeats");
        }
    }
}

#[tokio::test]
async fn a_replace_whose_outcome_is_unknown_is_read_before_it_is_repeated() {
    for (fault, writes) in [("replace:reset:1:after", 1), ("replace:reset:1", 2), ("replace:update-failed:1", 2)] {
        let bench = Bench::new();
        bench.hire("E-1", "Ada", "Lovelace").await;
        bench.attempt().await;
        order(&bench, fault);
        bench.rename("E-1", "Ada", "King").await;
        assert_eq!(bench.attempt().await, Attempted::Retry, "{fault}");
        bench.attempt_until_settled().await;
        let calls = bench.calls();
        assert_eq!(calls.iter().filter(|call| call.starts_with("replace")).count(), writes, "{fault}: {calls:?}");
        assert_eq!(bench.names("E-1"), ["Ada King"]);
    }
}

#[tokio::test]
async fn replies_that_make_no_sense_lose_nothing_and_accuse_nobody() {
    for fault in ["half-body", "empty", "not-json", "html", "wrong-type", "garbage", "reset", "spike-503"] {
        let bench = Bench::new();
        bench.hire("E-1", "Ada", "Lovelace").await;
        bench.rename("E-1", "Ada", "King").await;
        order(&bench, &format!("any:{fault}:6"));
        for _ in 0..2 {
            let settled = bench.attempt_until_settled().await;
            assert!(matches!(settled, Attempted::Done(_)), "{fault}: {settled:?} {:?}", bench.calls());
        }
        assert_eq!(bench.names("E-1"), ["Ada King"], "{fault}");
    }
}

#[tokio::test]
async fn a_permanent_refusal_is_a_dead_letter_at_once() {
    for (fault, code) in [("create:invalid-syntax:1", Code::ScimSyntax), ("create:422:1", Code::ScimRejected)] {
        let bench = Bench::new();
        order(&bench, fault);
        let id = bench.hire("E-1", "Ada", "Lovelace").await;
        assert_eq!(bench.attempt().await, Attempted::Dead(code));
        let letter = bench.store.dead_letter(id).await.unwrap().unwrap();
        assert_eq!((letter.code, letter.parks_lane), (code, true));
        assert!(!letter.detail.contains(&email("E-1")));
        bench.store.replay(bench.clock.now(), id).await.unwrap();
        assert_eq!(bench.attempt().await, Attempted::Done(Finished::Created));
        assert_eq!(bench.state(id).await, JobState::Done);
    }
}

#[tokio::test]
async fn an_undocumented_403_is_the_jobs_own_when_a_probe_is_served() {
    let bench = Bench::new();
    order(&bench, "create:403:1");
    bench.hire("E-1", "Ada", "Lovelace").await;
    assert_eq!(bench.attempt().await, Attempted::Dead(Code::ScimRejected));
    assert_eq!(bench.calls().len(), 2);
    assert!(bench.store.holds().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_429_moves_the_clock_for_everybody_and_counts_for_nobody() {
    let bench = Bench::new();
    order(&bench, "create:rate-limited:1");
    let id = bench.hire("E-1", "Ada", "Lovelace").await;
    bench.hire("E-2", "Grace", "Hopper").await;
    assert_eq!(bench.attempt().await, Attempted::Retry);
    assert_eq!(bench.store.job(id).await.unwrap().unwrap().job.attempts, 0);
    assert_eq!(bench.nothing().await, WaitReason::Token(CallKind::Write));
    for kind in [CallKind::Write, CallKind::Read] {
        let token = bench.store.take_token(bench.clock.now(), kind).await.unwrap();
        assert_eq!(token, Token::NotBefore(bench.clock.now().plus_ms(60_000)));
    }
    bench.clock.advance_ms(60_000);
    assert_eq!(bench.attempt().await, Attempted::Done(Finished::Created));
    assert_eq!(bench.attempt().await, Attempted::Done(Finished::Created));
}

#[tokio::test]
async fn a_429_that_says_when_is_taken_at_its_word() {
    for hint in ["retry-after=7", "x-ratelimit-retryafter=7", "retryafter=7", "ratelimit=7"] {
        let bench = Bench::new();
        order(&bench, &format!("create:rate-limited:1:hint={hint}"));
        bench.hire("E-1", "Ada", "Lovelace").await;
        bench.attempt().await;
        let token = bench.store.take_token(bench.clock.now(), CallKind::Read).await.unwrap();
        assert_eq!(token, Token::NotBefore(bench.clock.now().plus_ms(7_000)), "{hint}");
    }
}

#[tokio::test]
async fn what_was_tried_is_in_the_history_without_personal_data() {
    let bench = Bench::new();
    order(&bench, "create:create-failed:1");
    let id = bench.hire("E-1", "Ada", "Lovelace").await;
    bench.attempt().await;
    bench.attempt_until_settled().await;
    let job = bench.store.job(id).await.unwrap().unwrap().job;
    let notes: Vec<_> = job
        .history
        .iter()
        .map(|entry| match &entry.note {
            Note::Called { operation, status, .. } => format!("{} {}", operation.as_str(), status.unwrap_or(0)),
            Note::RetryAt { code, .. } => format!("retry {code}"),
            Note::Done { outcome } => format!("done {}", outcome.as_str()),
            other => format!("{other:?}"),
        })
        .collect();
    assert_eq!(notes, ["create 500", "retry SCIM-5XX", "find 200", "create 201", "done created"]);
    let text = serde_json::to_string(&job.history).unwrap();
    assert!(!text.contains("example.com") && !text.contains("Lovelace"));
    assert_eq!(job.attempts, 1);
}

#[tokio::test]
async fn an_outage_of_the_target_kills_nobody_however_long_it_lasts() {
    let bench = Bench::new();
    order(&bench, "any:spike-503:forever");
    for n in 0..3 {
        bench.hire(&format!("E-{n}"), "Ada", "Lovelace").await;
    }
    for _ in 0..200 {
        match bench.worker().step().await.unwrap() {
            Stepped::Attempted(attempted) => assert_eq!(attempted, Attempted::Retry),
            _ => bench.clock.advance_ms(10_000_000),
        }
    }
    bench.sim.clear_faults();
    for _ in 0..3 {
        assert_eq!(bench.attempt_until_settled().await, Attempted::Done(Finished::Created));
    }
}

#[tokio::test]
async fn a_job_that_alone_keeps_failing_is_given_up_and_its_replay_looks_first() {
    let bench = Bench::new();
    order(&bench, "create:create-failed:forever:user=e-1@example.com");
    let id = bench.hire("E-1", "Ada", "Lovelace").await;
    let mut ended = bench.attempt().await;
    while ended == Attempted::Retry {
        bench.clock.advance_ms(10_000_000);
        ended = bench.attempt().await;
    }
    assert_eq!(ended, Attempted::Dead(Code::ScimGaveUp));
    bench.sim.clear_faults();
    let calls = bench.calls().len();
    bench.store.replay(bench.clock.now(), id).await.unwrap();
    assert_eq!(bench.attempt().await, Attempted::Done(Finished::Created));
    assert_eq!(bench.calls()[calls..], ["find 200", "create 201"]);
}
