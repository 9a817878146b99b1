use super::*;
use crate::core::event::{Change, Email, Event, Names, Person, SourceName};
use crate::core::job::JobId;

const NOW: UnixMs = UnixMs(1_000_000_000);
const HOUR_MS: u64 = 3_600_000;

const RULES: RetryRules = RetryRules {
    first_ms: 1000,
    max_ms: 900_000,
    give_up_after_ms: 72 * HOUR_MS,
    not_found_tries: 5,
    username_tries: 3,
    take_overs_max: 3,
};

fn job() -> Job {
    let event = Event {
        person: Person::parse(SourceName::parse("hr").unwrap(), "E-1").unwrap(),
        change: Change::Hire {
            email: Email::parse("ada@example.com").unwrap(),
            names: Names::parse(Some("Ada"), None).unwrap(),
        },
        locale: None,
        occurred_at: Some(UnixMs(50)),
    };
    Job {
        id: JobId(1),
        seq: 7,
        event,
        accepted_at: NOW,
        attempts: 0,
        take_overs: 0,
        first_attempt_at: Some(NOW),
        progress: Progress::default(),
        history: Vec::new(),
    }
}

fn again(not_before: Option<UnixMs>) -> Conclusion {
    Conclusion::TryAgain { code: Code::ScimUnavailable, not_before, create_unknown: false }
}

fn retry(verdict: Verdict) -> (u64, bool, Progress) {
    match verdict {
        Verdict::Retry { at, counted, progress } => (at.ms_since(NOW), counted, progress),
        other => panic!("{other:?}"),
    }
}

#[test]
fn pauses_grow_exponentially_with_full_jitter_up_to_the_cap() {
    let caps: Vec<u64> = (0..12).map(|n| RULES.pause_ms(n, 1.0) / 1000).collect();
    assert_eq!(caps, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900]);
    assert_eq!(RULES.pause_ms(3, 0.25), 2000);
    assert_eq!(RULES.pause_ms(3, 0.0), 0);
    assert_eq!(RULES.pause_ms(u32::MAX, 1.0), 900_000);
}

#[test]
fn what_the_target_asks_for_is_a_floor_not_a_cap() {
    let (pause_ms, counted, _) = retry(decide(&RULES, &job(), &again(Some(NOW.plus_ms(30_000))), NOW, 0.5));
    assert_eq!((pause_ms, counted), (30_000, true));
    let late = Job { attempts: 9, ..job() };
    assert_eq!(retry(decide(&RULES, &late, &again(Some(NOW.plus_ms(30_000))), NOW, 1.0)).0, 512_000);
}

#[test]
fn an_unknown_create_is_remembered_until_the_job_ends() {
    let unknown = Conclusion::TryAgain { code: Code::ScimUnknownOutcome, not_before: None, create_unknown: true };
    let (_, _, progress) = retry(decide(&RULES, &job(), &unknown, NOW, 0.5));
    assert!(progress.create_unknown);
    let later = Job { progress, ..job() };
    assert!(retry(decide(&RULES, &later, &again(None), NOW, 0.5)).2.create_unknown);
}

#[test]
fn waiting_for_the_limit_or_a_hold_is_not_an_attempt() {
    let limited = Conclusion::RateLimited { until: NOW.plus_ms(60_000) };
    assert_eq!(retry(decide(&RULES, &job(), &limited, NOW, 0.5)), (60_000, false, Progress::default()));
    let held = Conclusion::Hold { scope: HoldScope::All, code: Code::HoldKey };
    let ancient = Job { attempts: 500, first_attempt_at: Some(UnixMs(0)), ..job() };
    assert!(matches!(decide(&RULES, &ancient, &held, NOW, 0.5), Verdict::Hold { .. }));
    assert!(matches!(decide(&RULES, &ancient, &limited, NOW, 0.5), Verdict::Retry { counted: false, .. }));
}

#[test]
fn a_job_is_at_its_wits_end_when_it_has_failed_for_long_and_often() {
    let first = Some(NOW.minus_ms(72 * HOUR_MS));
    let at_wits_end = |job: Job| RULES.care(&job, 20, NOW).at_wits_end;
    assert!(at_wits_end(Job { attempts: 9, first_attempt_at: first, ..job() }));
    assert!(!at_wits_end(Job { attempts: 8, first_attempt_at: first, ..job() }));
    assert!(!at_wits_end(Job { attempts: 500, ..job() }));
}

#[test]
fn nobody_found_has_a_grace_and_then_dies() {
    let mut job = job();
    let mut pauses = Vec::new();
    loop {
        match decide(&RULES, &job, &Conclusion::NobodyFound, NOW, 1.0) {
            Verdict::Retry { at, progress, counted } => {
                assert!(counted && !RULES.care(&job, 20, NOW).thorough);
                pauses.push(at.ms_since(NOW) / 1000);
                job.progress = progress;
            }
            Verdict::Dead { code, .. } => {
                assert_eq!(code, Code::ScimNotMember);
                break;
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(pauses, [2, 4, 8, 16]);
    assert!(RULES.care(&job, 20, NOW).thorough, "the last look pages");
}

#[test]
fn a_username_that_cannot_be_updated_is_tried_few_times() {
    let mut job = job();
    for _ in 0..2 {
        job.progress = retry(decide(&RULES, &job, &Conclusion::UsernameRefused, NOW, 0.5)).2;
    }
    let verdict = decide(&RULES, &job, &Conclusion::UsernameRefused, NOW, 0.5);
    assert!(matches!(verdict, Verdict::Dead { code: Code::ScimUsername, .. }));
}

#[test]
fn worker_after_worker_dying_is_poison() {
    assert!(!RULES.is_poison(&Job { take_overs: 3, ..job() }));
    assert!(RULES.is_poison(&Job { take_overs: 4, ..job() }));
}

#[test]
fn the_directory_never_goes_back_in_time() {
    let at = AtPostman { scim_id: Some("u1".into()), user_name: "ada@example.com".into() };
    let first = directory_after(None, &job(), &at, NOW);
    assert_eq!((first.seq, first.occurred_at, first.in_line_at), (7, Some(UnixMs(50)), NOW));
    let newer = DirectoryEntry { seq: 99, occurred_at: Some(UnixMs(80)), ..first };
    let after = directory_after(Some(&newer), &job(), &at, NOW.plus_ms(1));
    assert_eq!((after.seq, after.occurred_at, after.in_line_at), (99, Some(UnixMs(80)), NOW.plus_ms(1)));
}
