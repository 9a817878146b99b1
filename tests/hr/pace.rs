//! How often an HR system is called.

use scim_bridge::core::fetch::{Credential, ReadRate};

use crate::rig::Rig;

fn notice(id: usize) -> String {
    format!(r#"{{"type":"employee.updated","data":{{"employeeId":"E-{id}","changedFields":["lastName"]}}}}"#)
}

#[tokio::test]
async fn ten_thousand_notices_about_a_thousand_people_make_a_thousand_reads() {
    let rig = Rig::new("bamboohr");
    for id in 0..1_000 {
        rig.put(&format!("E-{id}"), "Ada", "Byron");
    }
    for _ in 0..10 {
        for id in 0..1_000 {
            rig.deliver(&notice(id)).await;
        }
    }
    rig.work_through().await;
    assert_eq!(rig.hr.reads(), 1_000);
    assert_eq!(rig.postman.members().len(), 1_000);
}

#[tokio::test]
async fn a_notice_after_a_read_causes_another_read() {
    let rig = Rig::new("bamboohr");
    rig.put("E-1", "Ada", "Byron");
    rig.deliver(&notice(1)).await;
    rig.deliver(&notice(1)).await;
    rig.work_through().await;
    assert_eq!(rig.hr.reads(), 1);
    rig.put("E-1", "Ada", "Lovelace");
    rig.deliver(&notice(1)).await;
    rig.work_through().await;
    assert_eq!(rig.hr.reads(), 2);
    assert_eq!(rig.member("E-1").unwrap().0, "Ada Lovelace");
}

#[tokio::test]
async fn the_systems_limit_is_never_exceeded() {
    let rate = ReadRate { calls: 50, per_s: 60 };
    let rig = Rig::with("bamboohr", &[Credential::Token], |fetch| fetch.rate = rate);
    for id in 0..200 {
        rig.put(&format!("E-{id}"), "Ada", "Byron");
        rig.deliver(&notice(id)).await;
    }
    let began = rig.clock.now();
    let mut at = Vec::new();
    while rig.hr.reads() < 200 {
        rig.work().await;
        at.resize(rig.hr.reads(), rig.clock.now());
        rig.clock.advance_ms(100);
    }
    for window in at.windows(51) {
        assert!(window[50].ms_since(window[0]) >= 60_000, "more than 50 in a minute");
    }
    assert!(rig.clock.now().ms_since(began) < 260_000, "and close to the limit");
}

#[tokio::test]
async fn a_lagging_system_is_read_at_once_and_again_when_it_shows_the_change() {
    let rig = Rig::new("hibob");
    rig.put("E-1", "Ada", "Byron");
    let notice = r#"{"type":"employee.updated","version":"v2","data":{"employeeId":"E-1"}}"#;
    rig.deliver(notice).await;
    rig.work().await;
    assert_eq!(rig.hr.reads(), 1);
    assert_eq!(rig.member("E-1").unwrap().0, "Ada Byron");
    rig.put("E-1", "Ada", "Lovelace");
    rig.clock.advance_ms(19_999);
    rig.work().await;
    assert_eq!(rig.hr.reads(), 1);
    rig.clock.advance_ms(1);
    rig.work().await;
    assert_eq!(rig.hr.reads(), 2);
    assert_eq!(rig.member("E-1").unwrap().0, "Ada Lovelace");
}

#[tokio::test]
async fn an_old_answer_of_a_lagging_system_revives_no_leaver() {
    let rig = Rig::new("hibob");
    let ada = rig.put("E-1", "Ada", "Byron");
    rig.deliver(r#"{"type":"employee.created","version":"v2","data":{"employeeId":"E-1"}}"#).await;
    rig.work_through().await;
    let reads = rig.hr.reads();
    rig.deliver(r#"{"type":"employee.left","version":"v2","data":{"employeeId":"E-1"}}"#).await;
    rig.deliver(r#"{"type":"employee.inactivated","version":"v2","data":{"employeeId":"E-1"}}"#).await;
    rig.work().await;
    assert_eq!((rig.hr.reads(), rig.member("E-1").unwrap().1), (reads, false));
    rig.hr.put(ada.gone("2026-11-20"));
    rig.work_through().await;
    assert_eq!((rig.hr.reads(), rig.member("E-1").unwrap().1), (reads + 1, false));
}

#[tokio::test]
async fn endless_notices_are_read_including_the_last() {
    let rig = Rig::new("hibob");
    rig.put("E-1", "Ada", "Byron");
    let notice = r#"{"type":"employee.updated","version":"v2","data":{"employeeId":"E-1"}}"#;
    for _ in 0..60 {
        rig.deliver(notice).await;
        rig.work().await;
        rig.clock.advance_ms(10_000);
    }
    let reads = rig.hr.reads();
    assert!((1..=9).contains(&reads), "{reads}");
    rig.put("E-1", "Ada", "Lovelace");
    rig.work_through().await;
    assert_eq!(rig.member("E-1").unwrap().0, "Ada Lovelace");
    assert!(rig.document("E-1").await.open.is_empty());
}
