//! What happens when Postman, or the network, fails.

use scim_bridge::core::code::Code;
use scim_bridge::core::limiter::CallKind;
use scim_bridge::core::person::job::Finished;
use scim_bridge::core::person::story::Note;
use scim_bridge::core::person::{Email, EmploymentState, Event};
use scim_bridge::core::time::UnixMs;
use scim_bridge::postman_sim::Fault;
use scim_bridge::store::{LaneState, Token};
use scim_bridge::worker::{Attempted, Stepped};

use crate::bench::{Bench, email, hire, leave, rename, settle, until};

fn inject(bench: &Bench, fault: &str) {
    bench.sim.inject(fault.parse::<Fault>().unwrap()).unwrap();
}

#[tokio::test]
async fn a_create_of_unknown_outcome_never_makes_a_second_member() {
    for fault in ["create:create-failed:1", "create:reset:1", "create:close:1", "create:hang:1", "create:garbage:1"] {
        for after in ["", ":after"] {
            let bench = Bench::new();
            inject(&bench, &format!("{fault}{after}"));
            bench.hire("E-1", "Ada", "Lovelace").await;
            let first = bench.attempt().await;
            assert!(matches!(first, Attempted::Retry(_)), "{fault}{after}: {first:?}");
            assert_eq!(bench.attempt_until_settled().await, Attempted::InLine(Finished::Created), "{fault}{after}");
            let made = bench.sim.journal().iter().filter(|call| call.applied).count();
            assert_eq!((made, bench.names("E-1").len()), (1, 1), "{fault}{after}: {:?}", bench.calls());
            assert_eq!(bench.calls()[1], "find 200", "{fault}{after}: it looks before it repeats");
        }
    }
}

#[tokio::test]
async fn a_leaver_with_an_unknown_create_is_switched_off_once_a_read_shows_them() {
    for (fault, lagging) in [("create:create-failed:1:after", 1), ("create:empty:1", 2)] {
        let bench = Bench::new();
        inject(&bench, fault);
        for read in ["find", "page"] {
            inject(&bench, &format!("{read}:lag:{lagging}:by=600000"));
        }
        bench.hire("E-1", "Ada", "Lovelace").await;
        assert!(matches!(bench.attempt().await, Attempted::Retry(_)), "{fault}");
        bench.leave("E-1").await;
        // Longer than a failed create is waited for before the next one.
        bench.clock.advance_ms(20_000);
        let second = bench.attempt().await;
        assert!(matches!(second, Attempted::Retry(_)), "{fault}: {second:?} {:?}", bench.calls());
        bench.attempt_until_settled().await;
        let members = bench.sim.members();
        assert_eq!((members.len(), members[0].active), (1, false), "{fault}: {:?}", bench.calls());
    }
}

#[tokio::test]
async fn a_replace_of_unknown_outcome_is_read_before_it_is_repeated() {
    for (fault, writes) in [("replace:reset:1:after", 1), ("replace:reset:1", 2), ("replace:update-failed:1", 2)] {
        let bench = Bench::new();
        bench.hire("E-1", "Ada", "Lovelace").await;
        bench.attempt().await;
        inject(&bench, fault);
        bench.rename("E-1", "Ada", "King").await;
        assert!(matches!(bench.attempt().await, Attempted::Retry(_)), "{fault}");
        bench.attempt_until_settled().await;
        let calls = bench.calls();
        assert_eq!(calls.iter().filter(|call| call.starts_with("replace")).count(), writes, "{fault}: {calls:?}");
        assert_eq!(bench.names("E-1"), ["Ada King"]);
    }
}

#[tokio::test]
async fn senseless_replies_lose_nothing_and_blame_nobody() {
    for fault in ["half-body", "empty", "not-json", "html", "wrong-type", "garbage", "reset", "spike-503"] {
        let bench = Bench::new();
        bench.hire("E-1", "Ada", "Lovelace").await;
        bench.rename("E-1", "Ada", "King").await;
        inject(&bench, &format!("any:{fault}:6"));
        let settled = bench.attempt_until_settled().await;
        assert!(matches!(settled, Attempted::InLine(_)), "{fault}: {settled:?} {:?}", bench.calls());
        assert_eq!(bench.names("E-1"), ["Ada King"], "{fault}");
    }
}

#[tokio::test]
async fn a_permanent_refusal_is_a_dead_letter_at_once_and_a_replay_heals_it() {
    let bench = Bench::new();
    inject(&bench, "create:invalid-syntax:1");
    let job = bench.hire("E-1", "Ada", "Lovelace").await;
    assert_eq!(bench.attempt().await, Attempted::Blocked(Code::ScimSyntax));
    let (letter, _) = bench.store.dead_letter(job).await.unwrap().unwrap();
    assert_eq!(letter.code, Code::ScimSyntax.as_str());
    assert!(!letter.detail.contains(&email("E-1")));
    bench.try_again("E-1").await;
    assert_eq!(bench.attempt().await, Attempted::InLine(Finished::Created));
    assert_eq!(bench.outcome(job, "E-1").await, Some(Finished::Created));
    assert!(bench.store.dead_letter(job).await.unwrap().is_none());
}

#[tokio::test]
async fn a_refusal_in_one_aspect_does_not_stop_the_others() {
    let bench = Bench::new();
    bench.hire("E-1", "Ada", "Lovelace").await;
    bench.attempt().await;
    inject(&bench, "replace:invalid-syntax:1");
    bench.rename("E-1", "Ada", "King").await;
    bench.leave("E-1").await;
    assert_eq!(bench.attempt().await, Attempted::Blocked(Code::ScimSyntax));
    assert!(!bench.sim.members()[0].active, "what removes access comes first");
}

#[tokio::test]
async fn a_429_moves_the_clock_for_everybody_and_counts_for_nobody() {
    let bench = Bench::new();
    inject(&bench, "create:rate-limited:1");
    bench.hire("E-1", "Ada", "Lovelace").await;
    assert_eq!(bench.attempt().await, Attempted::Retry(Code::ScimRateLimited));
    assert_eq!(bench.document("E-1").await.progress.failures, 0);
    for kind in [CallKind::Write, CallKind::Read] {
        let token = bench.store.take_token(bench.clock.now(), kind).await.unwrap();
        assert_eq!(token, Token::NotBefore(bench.clock.now().plus_ms(60_000)));
    }
    bench.clock.advance_ms(60_000);
    assert_eq!(bench.attempt().await, Attempted::InLine(Finished::Created));
}

#[tokio::test]
async fn a_429_with_a_time_is_obeyed() {
    for hint in ["retry-after=7", "x-ratelimit-retryafter=7", "retryafter=7", "ratelimit=7"] {
        let bench = Bench::new();
        inject(&bench, &format!("create:rate-limited:1:hint={hint}"));
        bench.hire("E-1", "Ada", "Lovelace").await;
        bench.attempt().await;
        let token = bench.store.take_token(bench.clock.now(), CallKind::Read).await.unwrap();
        assert_eq!(token, Token::NotBefore(bench.clock.now().plus_ms(7_000)), "{hint}");
    }
}

#[tokio::test]
async fn a_429_that_allows_an_immediate_retry_costs_no_minute() {
    let bench = Bench::new();
    inject(&bench, "create:rate-limited:3:hint=retry-after=0");
    bench.hire("E-1", "Ada", "Lovelace").await;
    for pause_ms in [1_000, 2_000, 4_000] {
        assert_eq!(bench.attempt().await, Attempted::Retry(Code::ScimRateLimited));
        let token = bench.store.take_token(bench.clock.now(), CallKind::Read).await.unwrap();
        assert_eq!(token, Token::NotBefore(bench.clock.now().plus_ms(pause_ms)));
        bench.clock.advance_ms(pause_ms);
    }
    assert_eq!(bench.attempt().await, Attempted::InLine(Finished::Created));
}

/// The leave needs another call than the one that fails.
#[tokio::test]
async fn news_ends_a_pause_and_the_same_words_do_not() {
    let bench = Bench::new();
    bench.hire("E-1", "Ada", "Lovelace").await;
    bench.attempt().await;
    inject(&bench, "replace:500:forever");
    let renamed = Event { at: Some(bench.next_at()), ..rename("E-1", "Ada", "King") };
    bench.accept(renamed.clone()).await;
    for _ in 0..5 {
        let tried = bench.attempt().await;
        assert!(matches!(tried, Attempted::Retry(_)), "{tried:?}");
        bench.clock.advance_ms(60_000);
    }
    assert!(matches!(bench.attempt().await, Attempted::Retry(_)));
    let calls = bench.calls().len();
    bench.accept(renamed).await;
    assert_eq!((bench.attempt().await, bench.calls().len()), (Attempted::Folded, calls));
    bench.nothing().await;
    bench.leave("E-1").await;
    bench.attempt().await;
    assert!(!bench.sim.members()[0].active, "{:?}", bench.calls());
    // A talkative HR system does not have a target in trouble called at every word.
    let calls = bench.calls().len();
    for family in ["Stone", "Moor", "Byron"] {
        bench.accept(Event { at: Some(bench.next_at()), ..rename("E-1", "Ada", family) }).await;
        bench.clock.advance_ms(100);
        assert_eq!((bench.attempt().await, bench.calls().len()), (Attempted::Folded, calls));
    }
    bench.clock.advance_ms(40_000);
    assert!(matches!(bench.attempt().await, Attempted::Retry(_)), "{:?}", bench.calls());
}

#[tokio::test]
async fn the_story_records_attempts_without_personal_data() {
    let bench = Bench::new();
    inject(&bench, "create:create-failed:1");
    bench.hire("E-1", "Ada", "Lovelace").await;
    bench.attempt().await;
    bench.attempt_until_settled().await;
    let story = bench.story("E-1").await;
    let notes: Vec<_> = story
        .iter()
        .map(|note| match note {
            Note::Called { operation, status, .. } => format!("{} {}", operation.as_str(), status.unwrap_or(0)),
            Note::RetryAt { code, .. } => format!("retry {code}"),
            Note::Ended { outcome, .. } => format!("ended {}", outcome.as_str()),
            Note::Received { kind, .. } => format!("received {kind}"),
            other => format!("{other:?}"),
        })
        .collect();
    let begins = ["received hire", "create 500", "retry SCIM-5XX", "find 200"];
    assert_eq!(notes[..4], begins, "{notes:?}");
    assert_eq!(notes.last().map(String::as_str), Some("ended created"));
    let text = serde_json::to_string(&story).unwrap();
    assert!(!text.contains("example.com") && !text.contains("Lovelace"), "{text}");
}

#[tokio::test]
async fn an_outage_of_the_target_dead_letters_nobody() {
    let bench = Bench::new();
    inject(&bench, "any:spike-503:forever");
    for n in 0..3 {
        bench.hire(&format!("E-{n}"), "Ada", "Lovelace").await;
    }
    for _ in 0..200 {
        match bench.worker().step().await.unwrap() {
            Stepped::Attempted(attempted) => assert!(matches!(attempted, Attempted::Retry(_)), "{attempted:?}"),
            _ => bench.clock.advance_ms(10_000_000),
        }
    }
    bench.sim.clear_faults();
    for _ in 0..3 {
        assert_eq!(bench.attempt_until_settled().await, Attempted::InLine(Finished::Created));
    }
}

#[tokio::test]
async fn a_person_who_alone_keeps_failing_is_given_up_and_a_replay_reads_first() {
    let bench = Bench::new();
    inject(&bench, "create:create-failed:forever:user=e-1@example.com");
    bench.hire("E-1", "Ada", "Lovelace").await;
    let mut ended = bench.attempt().await;
    for n in 0..60 {
        if !matches!(ended, Attempted::Retry(_)) {
            break;
        }
        bench.clock.advance_ms(10_000_000);
        bench.hire(&format!("E-9{n}"), "Grace", "Hopper").await;
        let one = bench.attempt().await;
        let other = bench.attempt().await;
        ended = if matches!(one, Attempted::InLine(_)) { other } else { one };
    }
    assert_eq!(ended, Attempted::Blocked(Code::ScimGaveUp));
    bench.sim.clear_faults();
    let calls = bench.calls().len();
    bench.try_again("E-1").await;
    assert_eq!(bench.attempt_until_settled().await, Attempted::InLine(Finished::Created));
    assert_eq!(bench.calls()[calls], "find 200");
}

#[tokio::test]
async fn an_event_that_says_the_same_tries_a_blocked_person_again() {
    let bench = Bench::new();
    inject(&bench, "create:invalid-syntax:2");
    let hired = Event { at: Some(UnixMs(1_795_341_500_000)), ..hire("E-1", "Ada", "Lovelace") };
    bench.accept(hired.clone()).await;
    assert_eq!(bench.attempt().await, Attempted::Blocked(Code::ScimSyntax));
    bench.nothing().await;
    bench.clock.advance_ms(600_000);
    bench.accept(hired.clone()).await;
    assert_eq!(bench.attempt().await, Attempted::Blocked(Code::ScimSyntax));
    // Soon after a try, it is put off, and not forgotten.
    bench.clock.advance_ms(1_000);
    bench.accept(hired).await;
    assert_eq!(bench.attempt().await, Attempted::Folded);
    bench.nothing().await;
    assert!(bench.store.stats().await.unwrap().dead.contains_key("SCIM-400-SYNTAX"));
    bench.clock.advance_ms(600_000);
    assert_eq!(bench.attempt().await, Attempted::InLine(Finished::Created));
    assert_eq!(bench.calls(), ["create 400", "create 400", "create 201"]);
}

#[tokio::test]
async fn a_storm_of_repetitions_about_a_blocked_person_makes_few_calls() {
    let bench = Bench::new();
    inject(&bench, "create:invalid-syntax:forever");
    let hired = Event { at: Some(UnixMs(1_795_341_500_000)), ..hire("E-1", "Ada", "Lovelace") };
    // Two hundred a minute, for ten minutes.
    for _ in 0..2_000 {
        bench.accept(hired.clone()).await;
        bench.attempt().await;
        bench.clock.advance_ms(300);
    }
    let calls = bench.calls().len();
    assert!((3..=30).contains(&calls), "{calls}");
}

#[tokio::test]
async fn a_blocked_person_still_leaves_on_the_announced_day() {
    let bench = Bench::new();
    bench.hire("E-1", "Ada", "Lovelace").await;
    bench.attempt().await;
    let mut ahead = leave("E-1");
    ahead.facts.employment = Some((EmploymentState::Left, Some(bench.clock.now().plus_ms(86_400_000))));
    bench.accept(ahead).await;
    bench.attempt().await;
    inject(&bench, "replace:invalid-syntax:2");
    bench.rename("E-1", "Ada", "King").await;
    assert_eq!(bench.attempt().await, Attempted::Blocked(Code::ScimSyntax));
    bench.nothing().await;
    assert!(bench.sim.members()[0].active);
    bench.clock.advance_ms(86_400_000);
    assert_eq!(bench.attempt().await, Attempted::Blocked(Code::ScimSyntax), "the name is refused as before");
    assert!(!bench.sim.members()[0].active);
    bench.nothing().await;
}

/// The clock is set back by an hour: events from before count as of now, and nothing waits until the clock has caught
/// up.
#[tokio::test]
async fn a_clock_set_back_keeps_nobody_waiting() {
    let bench = crate::engines::embedded();
    bench.clock.advance_ms(10_000_000);
    inject(&bench, "create:create-failed:1");
    bench.hire("E-1", "Ada", "Lovelace").await;
    assert!(matches!(bench.attempt().await, Attempted::Retry(_)));
    bench.clock.set(bench.clock.now().minus_ms(3_600_000));
    let set_back_at = bench.clock.now();
    while bench.document("E-1").await.member.is_none() {
        bench.worker().step().await.unwrap();
        bench.clock.advance_ms(5_000);
        assert!(bench.clock.now().ms_since(set_back_at) < 300_000, "{:?}", bench.calls());
    }
    assert_eq!(bench.names("E-1").len(), 1);
}

/// Words of HR, the second of which takes back the first, for somebody who works there or has left.
async fn contradict(bench: &Bench, what: &str, fault: &str) {
    bench.hire("E-1", "Ada", "Lovelace").await;
    bench.attempt().await;
    if what == "activate" {
        bench.leave("E-1").await;
        bench.attempt().await;
    }
    bench.clock.advance_ms(600_000);
    // The reads below show the team as it was before the write.
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    let at = |event: Event| Event { at: Some(bench.next_at()), ..event };
    let address = |address: &str| {
        let mut event = rename("E-1", "Ada", "Lovelace");
        event.facts.email = Some(Email::parse(address).unwrap());
        event
    };
    let (first, second) = match what {
        "deactivate" => (leave("E-1"), hire("E-1", "Ada", "Lovelace")),
        "activate" => (hire("E-1", "Ada", "Lovelace"), leave("E-1")),
        "replace" => (rename("E-1", "Ada", "King"), rename("E-1", "Ada", "Lovelace")),
        _ => (address("ada.king@example.com"), address(&email("E-1"))),
    };
    inject(bench, &format!("{what}:{fault}"));
    bench.accept(at(first)).await;
    if fault == "empty:1" {
        inject(bench, "get:lag:1:by=0");
        inject(bench, "get:lag:2:by=1500");
    } else {
        inject(bench, "get:lag:1:by=0");
        inject(bench, "get:lag:1:by=1500");
    }
    assert!(matches!(bench.attempt().await, Attempted::Retry(_)), "{what} {fault}: {:?}", bench.calls());
    bench.accept(at(second)).await;
    bench.clock.advance_ms(5_000);
}

#[tokio::test]
async fn an_unanswered_write_does_not_stand_against_what_hr_says_next() {
    for what in ["deactivate", "activate", "replace", "set_user_name"] {
        for fault in ["reset:1:after", "503:1:after", "empty:1"] {
            let bench = Bench::new();
            contradict(&bench, what, fault).await;
            bench.attempt_until_settled().await;
            settle(&bench).await;
            let member = &bench.sim.members()[0];
            let name = format!("{} {}", member.name.given_name, member.name.family_name);
            let shown = (member.user_name.to_string(), name, member.active);
            let expected = (email("E-1"), "Ada Lovelace".to_owned(), what != "activate");
            assert_eq!(shown, expected, "{what} {fault}: {:?}", bench.calls());
            assert_eq!(bench.state("E-1").await, LaneState::Idle, "{what} {fault}");
        }
    }
}

/// A slow target: the write is in effect only after the bridge has given up on its answer.
#[tokio::test]
async fn a_write_that_takes_effect_late_is_undone_by_a_second_look() {
    for (what, is_active) in [("deactivate", true), ("activate", false)] {
        let bench = Bench::new();
        contradict(&bench, what, "delay:1:delay=1500").await;
        assert!(matches!(bench.attempt().await, Attempted::InLine(_)), "{what}: {:?}", bench.calls());
        assert_eq!(bench.state("E-1").await, LaneState::Scheduled);
        assert!(bench.story("E-1").await.iter().any(|note| matches!(note, Note::LooksAgain { .. })));
        let late = |member: &scim_bridge::postman_sim::Member| member.active != is_active;
        until("the write takes effect", || late(&bench.sim.members()[0])).await;
        settle(&bench).await;
        assert_eq!(bench.sim.members()[0].active, is_active, "{what}: {:?}", bench.calls());
        assert_eq!(bench.state("E-1").await, LaneState::Idle);
    }
}
