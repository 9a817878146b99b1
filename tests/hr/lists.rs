//! A system whose notices name nobody: a list says who changed.

use std::time::Duration;

use scim_bridge::core::code::Code;
use scim_bridge::core::hold::{HoldScope, ProbePauses};
use scim_bridge::hr_sim::{HrFault, HrPerson};
use scim_bridge::store::LaneState;
use scim_bridge::store::holds::SharedHolds;

use crate::rig::{Rig, email, source};

const CHANGED: &str =
    r#"{"id":"k1","type":"data-changed","data":{"integration_id":"i","changed_models":[{"name":"hris_employees"}]}}"#;

#[tokio::test]
async fn a_notice_about_nobody_brings_everybody_who_changed() {
    let rig = Rig::new("kombo");
    for n in 0..5 {
        rig.put(&format!("E-{n}"), "Ada", "Byron");
    }
    rig.hr.put(HrPerson::working("E-9", &email("E-9"), "Gone", "Already").gone("2026-11-20"));
    assert_eq!(rig.deliver(CHANGED).await, 1);
    rig.work_through().await;
    for n in 0..5 {
        assert_eq!(rig.member(&format!("E-{n}")), Some(("Ada Byron".to_owned(), true)));
    }
    assert_eq!(rig.member("E-9"), None, "people who left earlier are not invited");
    assert_eq!(rig.hr.reads(), 3, "three pages of two");
    assert!(!rig.hr.journal()[0].target.contains("updated_after"));
}

#[tokio::test]
async fn the_next_list_begins_where_the_last_one_did() {
    let rig = Rig::new("kombo");
    rig.put("E-1", "Ada", "Byron");
    let first = rig.clock.now();
    rig.deliver(CHANGED).await;
    rig.work_through().await;
    rig.clock.advance_ms(3_600_000);
    rig.put("E-1", "Ada", "Lovelace");
    rig.deliver(CHANGED).await;
    rig.deliver(CHANGED).await;
    rig.work_through().await;
    assert_eq!(rig.member("E-1"), Some(("Ada Lovelace".to_owned(), true)));
    let journal = rig.hr.journal();
    assert_eq!(journal.len(), 2, "one list for both notices");
    let since = first.minus_ms(300_000).to_string().replace(':', "%3A");
    assert!(journal[1].target.contains(&format!("updated_after={since}")), "{}", journal[1].target);
}

#[tokio::test]
async fn a_broken_list_starts_again_and_loses_nobody() {
    let rig = Rig::new("kombo");
    for n in 0..4 {
        rig.put(&format!("E-{n}"), "Ada", "Byron");
    }
    rig.deliver(CHANGED).await;
    rig.hr.inject(HrFault::Status(503, Vec::new()), 1);
    rig.work_through().await;
    for n in 0..4 {
        assert!(rig.member(&format!("E-{n}")).is_some());
    }
}

#[tokio::test]
async fn a_list_with_a_stalled_cursor_is_given_up() {
    let rig = Rig::new("kombo");
    let page = r#"{"status":"success","data":{"results":[],"next":"same"}}"#;
    rig.hr.inject(HrFault::Body("application/json", page.to_owned()), 100);
    rig.deliver(CHANGED).await;
    rig.work_through().await;
    let dead = rig
        .store
        .dead(&scim_bridge::store::DeadFilter::default(), &scim_bridge::store::Page { rows_max: 10, after: None })
        .await
        .unwrap();
    assert_eq!(dead.rows.len(), 1);
    assert_eq!(dead.rows[0].code, Code::FetchUnreadable.to_string());
    assert_eq!(rig.hr.reads(), 10, "five tries of two pages");
}

#[tokio::test]
async fn one_bad_record_is_kept_and_the_others_are_reconciled() {
    let rig = Rig::new("kombo");
    let page = r#"{"data":{"results":[{"first_name":"No","last_name":"Id"},{"id":"E-2","first_name":"Ada","last_name":"Byron","work_email":"e-2@example.com","employment_status":"ACTIVE"}],"next":null}}"#;
    rig.hr.inject(HrFault::Body("application/json", page.to_owned()), 1);
    rig.deliver(CHANGED).await;
    rig.work_through().await;
    assert_eq!(rig.member("E-2"), Some(("Ada Byron".to_owned(), true)));
    assert_eq!(rig.state("E-2").await, LaneState::Idle);
    assert_eq!(rig.store.stats().await.unwrap().dead["MAP-FIELD"], 1);
}

#[tokio::test]
async fn an_unlisted_status_is_kept_and_the_rest_takes_effect() {
    let rig = Rig::new("kombo");
    rig.put("E-1", "Ada", "Byron");
    rig.deliver(CHANGED).await;
    rig.work_through().await;
    rig.clock.advance_ms(60_000);
    let page = r#"{"data":{"results":[{"id":"E-1","last_name":"King","employment_status":"SABBATICAL"},{"id":"E-2","employment_status":"SABBATICAL"}],"next":null}}"#;
    rig.hr.inject(HrFault::Body("application/json", page.to_owned()), 1);
    rig.deliver(CHANGED).await;
    rig.work_through().await;
    assert_eq!(rig.member("E-1"), Some(("Ada King".to_owned(), true)), "nobody is switched off on a guess");
    let all = scim_bridge::store::Page { rows_max: 10, after: None };
    let dead = rig.store.dead(&scim_bridge::store::DeadFilter::default(), &all).await.unwrap().rows;
    let mut letters: Vec<_> =
        dead.iter().map(|row| (row.person.as_ref().unwrap().employee_id.clone(), &row.code)).collect();
    letters.sort();
    let code = Code::MapField.to_string();
    assert_eq!(letters, [("E-1".to_owned(), &code), ("E-2".to_owned(), &code)]);
    assert!(dead.iter().all(|row| row.detail.contains("status:") && !row.detail.contains("SABBATICAL")), "{dead:?}");
}

#[tokio::test]
async fn a_hold_set_during_a_list_is_seen_before_its_next_page() {
    let rig = Rig::new("kombo");
    for n in 0..4 {
        rig.put(&format!("E-{n}"), "Ada", "Byron");
    }
    let pauses = ProbePauses { first_ms: 30_000, max_ms: 300_000 };
    let holds = SharedHolds::new(rig.store.clone(), rig.clock.clone(), pauses);
    let scope = HoldScope::Fetch(source());
    rig.hr.inject(HrFault::Slow(200), 1);
    rig.deliver(CHANGED).await;
    let hold = async {
        while rig.hr.reads() == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        holds.set(&scope, Code::HoldOperator, None).await.unwrap();
    };
    tokio::join!(rig.work(), hold);
    assert_eq!(rig.hr.reads(), 1);
    assert_eq!(rig.member("E-0"), None);
    holds.lift(&scope).await.unwrap();
    rig.work_through().await;
    assert!((0..4).all(|n| rig.member(&format!("E-{n}")).is_some()));
}
