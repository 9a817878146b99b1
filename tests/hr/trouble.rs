//! Failures of an HR system's API: each has a code and a bound, and nothing wrong is written.

use scim_bridge::core::code::Code;
use scim_bridge::hr_sim::{HrFault, HrPerson};
use scim_bridge::store::LaneState;
use scim_bridge::worker::{Attempted, Stepped};

use crate::rig::Rig;

const CHANGED: &str = r#"{"type":"employee.updated","data":{"employeeId":"E-1","changedFields":["status"]}}"#;

fn about(id: &str) -> String {
    CHANGED.replace("E-1", id)
}

#[tokio::test]
async fn a_refused_login_holds_the_source_and_dead_letters_nobody() {
    let rig = Rig::new("bamboohr");
    rig.put("E-1", "Ada", "Byron");
    rig.put("E-2", "Bob", "Byron");
    let key = rig.hr.login().token;
    rig.hr.set_login(|login| login.token = "another".to_owned());
    rig.deliver(&about("E-1")).await;
    rig.deliver(&about("E-2")).await;
    rig.work().await;
    assert!(rig.is_held().await);
    assert_eq!((rig.state("E-1").await, rig.state("E-2").await), (LaneState::Held, LaneState::Held));
    let reads = rig.hr.reads();
    assert_eq!(reads, 1, "nobody asks again after the refusal");
    // Days later, with a valid key again.
    for _ in 0..600 {
        rig.clock.advance_ms(300_000);
        rig.step().await;
    }
    assert!(rig.store.stats().await.unwrap().dead.is_empty());
    rig.hr.set_login(|login| login.token = key);
    rig.clock.advance_ms(300_000);
    rig.work_through().await;
    assert!(!rig.is_held().await);
    assert!(rig.member("E-1").is_some() && rig.member("E-2").is_some());
}

#[tokio::test]
async fn a_leave_without_a_read_goes_on_while_the_source_is_held() {
    let rig = Rig::new("bamboohr");
    rig.put("E-1", "Ada", "Byron");
    rig.deliver(&about("E-1")).await;
    rig.work_through().await;
    rig.hr.set_login(|login| login.token = "another".to_owned());
    rig.deliver(&about("E-1")).await;
    rig.work().await;
    assert_eq!(rig.state("E-1").await, LaneState::Held);
    rig.deliver(r#"{"type":"employee.deleted","data":{"employeeId":"E-1"}}"#).await;
    rig.work().await;
    assert_eq!(rig.member("E-1"), Some(("Ada Byron".to_owned(), false)));
    assert_eq!(rig.state("E-1").await, LaneState::Held, "the read is still pending");
}

#[tokio::test]
async fn an_html_page_and_a_redirect_hold_the_source() {
    for fault in [HrFault::Page, HrFault::Redirect] {
        let rig = Rig::new("bamboohr");
        rig.put("E-1", "Ada", "Byron");
        rig.hr.inject(fault, 1);
        rig.deliver(&about("E-1")).await;
        rig.work().await;
        assert!(rig.is_held().await);
        assert_eq!(rig.member("E-1"), None);
        rig.work_through().await;
        assert!(rig.member("E-1").is_some());
    }
}

#[tokio::test]
async fn a_person_not_found_yet_is_read_again_and_then_a_dead_letter_that_heals() {
    let rig = Rig::new("bamboohr");
    rig.deliver(&about("E-1")).await;
    assert_eq!(rig.work().await, [Attempted::Retry(Code::FetchNotFound)]);
    let began = rig.clock.now();
    rig.work_through().await;
    assert_eq!(rig.state("E-1").await, LaneState::Blocked);
    assert_eq!(rig.document("E-1").await.trouble.unwrap().code, Code::FetchNotFound);
    assert_eq!(rig.hr.reads(), 10);
    assert!(rig.clock.now().ms_since(began) > 120_000, "a new record may take a while to appear");
    rig.put("E-1", "Ada", "Byron");
    rig.deliver(&about("E-1")).await;
    rig.work_through().await;
    assert!(rig.member("E-1").is_some());
    assert_eq!(rig.document("E-1").await.trouble, None);
}

#[tokio::test]
async fn an_unknown_id_confirms_the_leave_of_a_deleted_record() {
    let rig = Rig::new("bamboohr");
    rig.put("E-1", "Ada", "Byron");
    rig.deliver(&about("E-1")).await;
    rig.work_through().await;
    rig.hr.remove("E-1");
    rig.deliver(&about("E-1")).await;
    rig.deliver(r#"{"type":"employee.deleted","data":{"employeeId":"E-1"}}"#).await;
    rig.work_through().await;
    assert_eq!(rig.member("E-1"), Some(("Ada Byron".to_owned(), false)));
    assert_eq!(rig.state("E-1").await, LaneState::Idle);
}

#[tokio::test]
async fn all_workers_respect_a_rate_limit_for_its_duration() {
    let rig = Rig::new("bamboohr");
    rig.put("E-1", "Ada", "Byron");
    rig.put("E-2", "Bob", "Byron");
    rig.hr.inject(HrFault::Status(429, vec![("Retry-After", "60".to_owned())]), 1);
    rig.deliver(&about("E-1")).await;
    rig.deliver(&about("E-2")).await;
    rig.work().await;
    assert_eq!(rig.hr.reads(), 1);
    rig.clock.advance_ms(59_000);
    rig.work().await;
    assert_eq!(rig.hr.reads(), 1);
    rig.work_through().await;
    assert!(rig.member("E-1").is_some() && rig.member("E-2").is_some());
}

#[tokio::test]
async fn a_reset_in_unix_seconds_is_a_time_too() {
    let rig = Rig::new("workable");
    rig.put("E-1", "Ada", "Byron");
    let reset = (rig.clock.now().0 / 1_000 + 90).to_string();
    rig.hr.inject(HrFault::Status(429, vec![("X-Rate-Limit-Reset", reset)]), 1);
    rig.deliver(r#"{"event_type":"employee_published","data":{"id":"E-1"}}"#).await;
    rig.work().await;
    rig.clock.advance_ms(89_000);
    rig.work().await;
    assert_eq!(rig.hr.reads(), 1);
    rig.work_through().await;
    assert!(rig.member("E-1").is_some());
}

#[tokio::test]
async fn another_persons_record_is_refused_and_nothing_of_it_is_written() {
    let rig = Rig::new("bamboohr");
    rig.put("E-1", "Ada", "Byron");
    rig.hr.inject(HrFault::AnotherPerson, 5);
    rig.deliver(&about("E-1")).await;
    rig.work_through().await;
    assert_eq!(rig.document("E-1").await.trouble.unwrap().code, Code::FetchOtherPerson);
    assert_eq!(rig.postman.members_named("else@example.com").len(), 0);
    assert_eq!(rig.hr.reads(), 5);
    rig.deliver(&about("E-1")).await;
    rig.work_through().await;
    assert_eq!(rig.member("E-1"), Some(("Ada Byron".to_owned(), true)));
}

#[tokio::test]
async fn endless_and_invalid_answers_are_bounded_and_have_codes() {
    for fault in [
        HrFault::Endless,
        HrFault::Long(10 * 1024 * 1024),
        HrFault::Body("application/json", "{\"id\":".to_owned()),
        HrFault::Body("application/json", String::new()),
    ] {
        let rig = Rig::new("bamboohr");
        rig.put("E-1", "Ada", "Byron");
        rig.hr.inject(fault.clone(), 5);
        rig.deliver(&about("E-1")).await;
        rig.work_through().await;
        assert_eq!(rig.document("E-1").await.trouble.unwrap().code, Code::FetchUnreadable, "{fault:?}");
        assert_eq!(rig.member("E-1"), None);
        assert!(!rig.is_held().await, "{fault:?}: as far as is known, only this person is affected");
    }
}

#[tokio::test]
async fn a_down_or_silent_system_dead_letters_nobody() {
    for fault in [HrFault::Status(503, Vec::new()), HrFault::Hang] {
        let rig = Rig::new("bamboohr");
        rig.put("E-1", "Ada", "Byron");
        rig.hr.inject(fault, 3);
        rig.deliver(&about("E-1")).await;
        rig.work_through().await;
        assert!(rig.member("E-1").is_some());
        assert!(rig.store.stats().await.unwrap().dead.is_empty());
    }
}

#[tokio::test]
async fn a_refusal_of_one_person_is_theirs_while_others_are_served() {
    for fault in [HrFault::Status(401, Vec::new()), HrFault::Status(403, Vec::new()), HrFault::Page, HrFault::Redirect]
    {
        let rig = Rig::new("bamboohr");
        rig.put("E-1", "Ada", "Byron");
        rig.put("E-2", "Bob", "Byron");
        rig.deliver(&about("E-2")).await;
        rig.work_through().await;
        rig.clock.advance_ms(1);
        rig.hr.inject(fault.clone(), 1);
        rig.deliver(&about("E-1")).await;
        assert_eq!(rig.work().await, [Attempted::Retry(Code::FetchRefused)], "{fault:?}");
        assert!(!rig.is_held().await, "{fault:?}");
        // Refused again, and nobody was served in between: it is the source's.
        rig.hr.inject(fault.clone(), 1);
        rig.clock.advance_ms(60_000);
        rig.work().await;
        assert!(rig.is_held().await, "{fault:?}");
    }
}

#[tokio::test]
async fn a_refusal_of_everybody_is_the_sources() {
    let rig = Rig::new("bamboohr");
    rig.put("E-1", "Ada", "Byron");
    rig.hr.inject(HrFault::Status(403, Vec::new()), 2);
    rig.deliver(&about("E-1")).await;
    rig.work().await;
    assert!(rig.is_held().await);
    rig.work_through().await;
    assert!(!rig.is_held().await && rig.member("E-1").is_some());
}

#[tokio::test]
async fn a_success_that_contains_an_error_is_a_failure() {
    let rig = Rig::new("finch");
    rig.put("E-1", "Ada", "Byron");
    let refused = r#"{"responses":[{"individual_id":"E-1","code":503,"body":{"message":"provider is down"}}]}"#;
    rig.hr.inject(HrFault::Body("application/json", refused.to_owned()), 1);
    rig.deliver(r#"{"event_type":"individual.updated","data":{"individual_id":"E-1"}}"#).await;
    assert_eq!(rig.work().await, [Attempted::Retry(Code::FetchUnavailable)]);
    rig.work_through().await;
    assert!(rig.member("E-1").is_some());
}

#[tokio::test]
async fn a_field_that_is_absent_says_nothing() {
    let rig = Rig::new("bamboohr");
    rig.put("E-1", "Ada", "Byron");
    rig.deliver(&about("E-1")).await;
    rig.work_through().await;
    let narrow = r#"{"id":"E-1","status":"Active","workEmail":null}"#;
    rig.hr.inject(HrFault::Body("application/json", narrow.to_owned()), 1);
    rig.deliver(&about("E-1")).await;
    rig.work_through().await;
    assert_eq!(rig.member("E-1"), Some(("Ada Byron".to_owned(), true)));
    assert_eq!(rig.document("E-1").await.record.given_name(), Some("Ada"));
}

#[tokio::test]
async fn an_id_that_could_change_the_path_is_escaped_or_refused() {
    let rig = Rig::new("bamboohr");
    let odd = "../v2/x?a=b#c";
    rig.hr.put(HrPerson::working(odd, "odd@example.com", "Odd", "Id"));
    rig.deliver(&about(odd)).await;
    rig.work_through().await;
    assert_eq!(rig.hr.journal()[0].target.split('?').next().unwrap(), "/api/v1/employees/..%2Fv2%2Fx%3Fa%3Db%23c");
    assert_eq!(rig.postman.members_named("odd@example.com").len(), 1);
    rig.deliver(&about("..")).await;
    rig.work_through().await;
    assert_eq!(rig.document("..").await.trouble.unwrap().code, Code::FetchRefused);
    assert_eq!(rig.hr.reads(), 1);
}

#[tokio::test]
async fn a_waiting_read_takes_no_workers_slot() {
    let rig = Rig::new("bamboohr");
    for n in 0..100 {
        rig.deliver(&about(&format!("N-{n}"))).await;
    }
    rig.work().await;
    let waiting = rig.store.stats().await.unwrap().lanes["waiting"];
    assert_eq!(waiting, 100);
    assert!(matches!(rig.step().await, Stepped::Nothing { until: Some(_) }));
}

#[tokio::test]
async fn an_unknown_id_is_a_leave_only_after_a_removal_or_a_leave_in_effect() {
    const CHANGED: &str = "worker.v2.updated";
    const REMOVED: &str = "worker.v2.deleted";
    // What is announced, which notice comes, after how many days; whether the person has left after it, and by the end
    // of the 24th.
    for (last_day, notice, days, has_left, leaves) in [
        (None, REMOVED, 0, true, true),
        (None, CHANGED, 0, false, false),
        (Some("2026-11-24"), REMOVED, 0, true, true),
        (Some("2026-11-24"), CHANGED, 0, false, true),
        (Some("2026-11-24"), CHANGED, 4, true, true),
    ] {
        let what = format!("{last_day:?} {notice} {days}");
        let about = |kind: &str, n: u32| {
            format!(r#"{{"data":{{"meta":{{"event_type":"{kind}","tracking_id":"t{n}"}},"resource":{{"id":"E-1"}}}}}}"#)
        };
        let rig = Rig::new("deel");
        let ada = rig.put("E-1", "Ada", "Byron");
        rig.hr.put(HrPerson { last_day: last_day.map(str::to_owned), ..ada });
        rig.deliver(&about(CHANGED, 1)).await;
        rig.work().await;
        assert_eq!(rig.member("E-1").map(|(_, active)| active), Some(true), "{what}");
        rig.clock.advance_ms(days * 86_400_000);
        rig.hr.remove("E-1");
        rig.deliver(&about(notice, 2)).await;
        // Ten reads take up to nine minutes.
        for _ in 0..600 {
            rig.work().await;
            rig.clock.advance_ms(1_000);
        }
        assert_eq!(rig.member("E-1").map(|(_, active)| !active), Some(has_left), "{what}");
        let trouble = rig.document("E-1").await.trouble.map(|trouble| trouble.code);
        assert_eq!(trouble, (!has_left).then_some(Code::FetchNotFound), "{what}");
        rig.clock.advance_ms(3 * 86_400_000);
        rig.work().await;
        assert_eq!(rig.member("E-1").map(|(_, active)| !active), Some(leaves), "{what}: when the day comes");
        let trouble = rig.document("E-1").await.trouble.map(|trouble| trouble.code);
        assert_eq!(trouble, (!leaves).then_some(Code::FetchNotFound), "{what}: the expected state was found");
    }
}

#[tokio::test]
async fn a_single_404_switches_nobody_off_on_a_doubtful_removal() {
    let about = |kind: &str, n: u32| {
        format!(r#"{{"data":{{"meta":{{"event_type":"{kind}","tracking_id":"t{n}"}},"resource":{{"id":"E-1"}}}}}}"#)
    };
    let not_found = HrFault::Status(404, Vec::new());
    let rig = Rig::new("deel");
    rig.put("E-1", "Ada", "Byron");
    rig.deliver(&about("worker.v2.updated", 1)).await;
    rig.work_through().await;
    // The record that was reported as removed exists, though it cannot be used; later it is read too early.
    let unusable = r#"{"data":{"id":"E-1","hiring_status":"odd"}}"#;
    rig.hr.inject(HrFault::Body("application/json", unusable.to_owned()), 1);
    rig.deliver(&about("worker.v2.deleted", 2)).await;
    rig.work_through().await;
    rig.hr.inject(not_found.clone(), 1);
    rig.deliver(&about("worker.v2.updated", 3)).await;
    assert_eq!(rig.work().await, [Attempted::Retry(Code::FetchNotFound)]);
    assert_eq!(rig.member("E-1"), Some(("Ada Byron".to_owned(), true)));
    rig.work_through().await;
    assert_eq!(rig.member("E-1"), Some(("Ada Byron".to_owned(), true)));
    assert!(rig.document("E-1").await.trouble.is_none());

    // A leave that may be older than the last read.
    let rig = Rig::new("hibob");
    rig.put("E-1", "Ada", "Byron");
    let notice = |kind: &str| {
        format!(
            r#"{{"type":"{kind}","version":"v2","triggeredAt":"2026-11-22T09:59:00.1","data":{{"employeeId":"E-1"}}}}"#
        )
    };
    rig.deliver(&notice("employee.updated")).await;
    rig.work_through().await;
    rig.hr.inject(not_found, 1);
    rig.deliver(&notice("employee.left")).await;
    rig.work_through().await;
    assert_eq!(rig.member("E-1"), Some(("Ada Byron".to_owned(), true)));
    assert!(rig.document("E-1").await.trouble.is_none());
}

#[tokio::test]
async fn an_announced_leave_takes_effect_on_its_day_while_the_source_is_held() {
    let rig = Rig::new("bamboohr");
    let ada = rig.put("E-1", "Ada", "Byron");
    rig.hr.put(HrPerson { last_day: Some("2026-11-24".to_owned()), ..ada });
    rig.deliver(&about("E-1")).await;
    rig.work().await;
    rig.hr.set_login(|login| login.token = "another".to_owned());
    rig.deliver(&about("E-1")).await;
    rig.work().await;
    let lane = rig.row("E-1").await.lane;
    assert_eq!((lane.state, lane.due.unwrap().to_string()), (LaneState::Held, "2026-11-25T00:00:00Z".to_owned()));
    rig.clock.advance_ms(3 * 86_400_000);
    rig.work().await;
    assert_eq!(rig.member("E-1"), Some(("Ada Byron".to_owned(), true)), "the end waits for a read");
    rig.clock.advance_ms(3_600_000);
    rig.work().await;
    assert_eq!(rig.member("E-1"), Some(("Ada Byron".to_owned(), false)));
    assert_eq!(rig.state("E-1").await, LaneState::Held, "the read is still pending");
}

#[tokio::test]
async fn a_refusal_at_a_steps_alternative_path_is_harmless_if_the_first_serves() {
    const CREATED: &str = "event_name=employee.created&id=";
    for refused in [401, 403] {
        let refuse = |rig: &Rig| {
            rig.hr.inject(HrFault::Status(404, Vec::new()), 1);
            rig.hr.inject(HrFault::Status(refused, Vec::new()), 1);
        };
        let rig = Rig::new("rippling");
        rig.put("E-1", "Ada", "Byron");
        rig.deliver(&format!("{CREATED}E-1")).await;
        rig.work_through().await;
        rig.put("E-2", "Bob", "Byron");
        refuse(&rig);
        rig.deliver(&format!("{CREATED}E-2")).await;
        assert_eq!(rig.work().await, [Attempted::Retry(Code::FetchNotFound)], "{refused}");
        assert!(!rig.is_held().await);
        rig.work_through().await;
        assert!(rig.member("E-2").is_some());

        // Nobody has been found at this path yet: the login may be wrong.
        let rig = Rig::new("rippling");
        rig.put("E-1", "Ada", "Byron");
        refuse(&rig);
        rig.deliver(&format!("{CREATED}E-1")).await;
        rig.work().await;
        assert!(rig.is_held().await, "{refused}");
        rig.work_through().await;
        assert!(!rig.is_held().await && rig.member("E-1").is_some());
    }
}

#[tokio::test]
async fn a_notice_is_read_during_a_pause_of_the_target_and_ends_it_only_with_news() {
    let rig = Rig::new("bamboohr");
    rig.put("E-1", "Ada", "Byron");
    rig.deliver(&about("E-1")).await;
    rig.work_through().await;
    rig.postman.inject("replace:500:forever".parse().unwrap()).unwrap();
    rig.put("E-1", "Ada", "King");
    rig.deliver(&about("E-1")).await;
    for _ in 0..6 {
        rig.work().await;
        rig.clock.advance_ms(60_000);
    }
    rig.work().await;
    // A pause is up to a minute by now.
    while rig.document("E-1").await.progress.again_at.is_none_or(|at| at.ms_since(rig.clock.now()) < 2_000) {
        rig.clock.advance_ms(60_000);
        rig.work().await;
    }
    let (calls, reads) = (rig.postman.journal().len(), rig.hr.reads());
    for _ in 0..10 {
        rig.deliver(&about("E-1")).await;
        rig.clock.advance_ms(100);
        rig.work().await;
    }
    assert_eq!(rig.postman.journal().len(), calls, "nothing new was said");
    assert!(rig.hr.reads() > reads);
    rig.hr.remove("E-1");
    rig.deliver(r#"{"type":"employee.deleted","data":{"employeeId":"E-1"}}"#).await;
    rig.work().await;
    assert_eq!(rig.member("E-1"), Some(("Ada Byron".to_owned(), false)));
}

/// As for a transfer to another contract, if the webhook about it is lost.
#[tokio::test]
async fn an_announced_end_is_read_before_it_is_carried_out() {
    let last_day = Some("2026-11-22".to_owned());
    // The bridge may be off when the end comes due.
    for (withdrawn, is_away, late_h, has_left) in
        [(true, false, 0, false), (true, false, 10, false), (false, false, 0, true), (false, true, 10, true)]
    {
        let rig = Rig::new("bamboohr");
        let ada = rig.put("E-1", "Ada", "Byron");
        rig.hr.put(HrPerson { last_day: last_day.clone(), ..ada.clone() });
        rig.deliver(&about("E-1")).await;
        rig.work().await;
        assert_eq!(rig.member("E-1").map(|(_, active)| active), Some(true));
        let reads = rig.hr.reads();
        if withdrawn {
            rig.hr.put(ada);
        }
        if is_away {
            rig.hr.inject(HrFault::Status(503, Vec::new()), 1_000);
        }
        // Past the end of the day.
        rig.clock.advance_ms((14 + late_h) * 3_600_000 + 60_000);
        for _ in 0..20 {
            rig.work().await;
            rig.clock.advance_ms(15_000);
        }
        assert!(rig.hr.reads() > reads, "it is read first");
        if is_away {
            assert_eq!(rig.member("E-1").map(|(_, active)| active), Some(true), "for an hour");
            for _ in 0..40 {
                rig.clock.advance_ms(120_000);
                rig.work().await;
            }
        }
        assert_eq!(rig.member("E-1").map(|(_, active)| active), Some(!has_left), "{withdrawn} {is_away}");
        // The status is changed later, and a webhook about something else comes before that.
        rig.hr.clear_faults();
        rig.deliver(&about("E-1")).await;
        for _ in 0..20 {
            rig.work().await;
            rig.clock.advance_ms(15_000);
        }
        assert_eq!(rig.member("E-1").map(|(_, active)| active), Some(!has_left), "{withdrawn} {is_away}");
    }
}

#[tokio::test]
async fn a_status_that_stays_active_for_a_week_after_the_end_is_believed() {
    let rig = Rig::new("bamboohr");
    let ada = rig.put("E-1", "Ada", "Byron");
    rig.hr.put(HrPerson { last_day: Some("2026-11-22".to_owned()), ..ada });
    rig.deliver(&about("E-1")).await;
    rig.work().await;
    let is_on = || rig.member("E-1").map(|(_, active)| active);
    rig.clock.advance_ms(15 * 3_600_000);
    rig.work().await;
    assert_eq!(is_on(), Some(false));
    for _ in 0..6 {
        rig.clock.advance_ms(86_400_000);
        rig.deliver(&about("E-1")).await;
        rig.work().await;
        assert_eq!(is_on(), Some(false), "the status may still be late");
    }
    // No webhook comes any more.
    let reads = rig.hr.reads();
    rig.work_through().await;
    assert_eq!((is_on(), rig.hr.reads()), (Some(true), reads + 1), "they were hired again");
}

#[tokio::test]
async fn further_notices_do_not_put_off_an_announced_leave_while_the_api_is_away() {
    let rig = Rig::new("bamboohr");
    let ada = rig.put("E-1", "Ada", "Byron");
    rig.hr.put(HrPerson { last_day: Some("2026-11-22".to_owned()), ..ada });
    rig.deliver(&about("E-1")).await;
    rig.work().await;
    rig.clock.advance_ms(13 * 3_600_000);
    rig.hr.inject(HrFault::Status(503, Vec::new()), 10_000);
    // A read is owed already when the end comes due.
    for _ in 0..15 {
        rig.deliver(&about("E-1")).await;
        for _ in 0..10 {
            rig.clock.advance_ms(60_000);
            rig.work().await;
        }
    }
    assert_eq!(rig.member("E-1").map(|(_, active)| active), Some(false));
}
