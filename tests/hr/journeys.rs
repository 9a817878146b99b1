//! With each thin preset: somebody is hired, renamed, and leaves, in the system's own formats.

use scim_bridge::core::person::story::Note;
use scim_bridge::hr_sim::HrPerson;

use crate::rig::{Rig, email};

/// A system's notices about a person: hired, changed, left.
struct Notices {
    preset: &'static str,
    hired: &'static str,
    changed: &'static str,
    left: &'static str,
}

const ALL: &[Notices] = &[
    Notices {
        preset: "bamboohr",
        hired: r#"{"type":"employee.created","timestamp":"2026-11-22T09:59:00+0000","data":{"companyId":"1","employeeId":"E-1"}}"#,
        changed: r#"{"type":"employee.updated","timestamp":"2026-11-22T09:59:30+0000","data":{"employeeId":"E-1","changedFields":["lastName"]}}"#,
        left: r#"{"type":"employee.updated","timestamp":"2026-11-22T09:59:50+0000","data":{"employeeId":"E-1","changedFields":["status","terminationDate"]}}"#,
    },
    Notices {
        preset: "hibob",
        hired: r#"{"companyId":7,"type":"employee.created","version":"v2","triggeredAt":"2026-11-22T09:59:00.915906","triggeredBy":"system","data":{"employeeId":"E-1"}}"#,
        changed: r#"{"companyId":7,"type":"employee.updated","version":"v2","triggeredAt":"2026-11-22T09:59:30.1","data":{"employeeId":"E-1","fieldUpdates":[{"id":"root.surname"}]}}"#,
        left: r#"{"companyId":7,"type":"employee.inactivated","version":"v2","triggeredAt":"2026-11-22T09:59:50.1","data":{"employeeId":"E-1"}}"#,
    },
    Notices {
        preset: "personio",
        hired: r#"{"event_name":"person.created","occurred_at":"2026-11-22T09:59:00Z","company_id":"9","payload":{"person":{"id":"E-1"}}}"#,
        changed: r#"{"event_name":"person.updated","occurred_at":"2026-11-22T09:59:30Z","company_id":"9","payload":{"person":{"id":"E-1"}}}"#,
        left: r#"{"event_name":"employment.updated","occurred_at":"2026-11-22T09:59:50Z","payload":{"employment":{"id":"e-1"},"person":{"id":"E-1"}}}"#,
    },
    Notices {
        preset: "gusto",
        hired: r#"{"uuid":"u1","event_type":"employee.created","resource_uuid":"c1","entity_uuid":"E-1","entity_type":"Employee","timestamp":1795341540}"#,
        changed: r#"{"uuid":"u2","event_type":"employee.updated","resource_uuid":"c1","entity_uuid":"E-1","timestamp":1795341570}"#,
        left: r#"{"uuid":"u3","event_type":"employee.terminated","resource_uuid":"c1","entity_uuid":"E-1","timestamp":1795341590}"#,
    },
    Notices {
        preset: "rippling",
        hired: "event_name=employee.created&id=E-1&company_primary_email=boss%40example.com",
        changed: "event_name=employee.updated&id=E-1",
        left: "event_name=employee.deleted&id=E-1",
    },
    Notices {
        preset: "deel",
        hired: r#"{"data":{"meta":{"event_type":"worker.v2.created","tracking_id":"t1"},"resource":{"id":"E-1"}},"timestamp":"2026-11-22T09:59:00. 119Z"}"#,
        changed: r#"{"data":{"meta":{"event_type":"employee.updated.direct","tracking_id":"t2"},"resource":[{"id":"E-1"}]},"timestamp":"2026-11-22T09:59:30Z"}"#,
        left: r#"{"data":{"meta":{"event_type":"worker.v2.deleted","tracking_id":"t3"},"resource":{"id":"E-1"}},"timestamp":"2026-11-22T09:59:50Z"}"#,
    },
    Notices {
        preset: "remote",
        hired: r#"{"event_type":"employment.onboarding.completed","employment_id":"E-1"}"#,
        changed: r#"{"event_type":"employment.personal_information.updated","employment_id":"E-1"}"#,
        left: r#"{"event_type":"employment.user_status.deactivated","employment_id":"E-1"}"#,
    },
    Notices {
        preset: "finch",
        hired: r#"{"company_id":"c","account_id":"a","event_type":"individual.created","data":{"individual_id":"E-1"}}"#,
        changed: r#"{"company_id":"c","account_id":"a","event_type":"individual.updated","data":{"individual_id":"E-1"}}"#,
        left: r#"{"company_id":"c","account_id":"a","event_type":"employment.updated","data":{"individual_id":"E-1"}}"#,
    },
    Notices {
        preset: "workable",
        hired: r#"{"id":"w1","event_type":"employee_published","resource_type":"employee","fired_at":"2026-11-22T09:59:00Z","data":{"id":"E-1"}}"#,
        changed: r#"{"id":"w2","event_type":"employee_published","fired_at":"2026-11-22T09:59:30Z","data":{"id":"E-1"}}"#,
        left: r#"{"id":"w3","event_type":"employee_published","fired_at":"2026-11-22T09:59:50Z","data":{"id":"E-1"}}"#,
    },
    Notices {
        preset: "paylocity",
        hired: r#"{"companyId":"acme","employeeId":"E-1"}"#,
        changed: r#"{"companyId":"acme","employeeId":"E-1"}"#,
        left: r#"{"companyId":"acme","employeeId":"E-1"}"#,
    },
    Notices {
        preset: "humaans",
        hired: r#"{"type":"person.created","data":{"id":"E-1"}}"#,
        changed: r#"{"type":"person.updated","data":{"id":"E-1"}}"#,
        left: r#"{"type":"person.updated","data":{"id":"E-1"}}"#,
    },
];

#[tokio::test]
async fn somebody_is_hired_renamed_and_leaves_through_each_thin_system() {
    for Notices { preset, hired, changed, left } in ALL {
        let rig = Rig::new(preset);
        let ada = rig.put("E-1", "Ada", "Byron");
        assert_eq!(rig.deliver(hired).await, 1, "{preset}");
        rig.work_through().await;
        assert_eq!(rig.member("E-1"), Some(("Ada Byron".to_owned(), true)), "{preset}: {:?}", rig.story("E-1").await);

        rig.hr.put(HrPerson { family_name: "Lovelace".to_owned(), ..ada.clone() });
        assert_eq!(rig.deliver(changed).await, 1, "{preset}");
        rig.work_through().await;
        assert_eq!(
            rig.member("E-1"),
            Some(("Ada Lovelace".to_owned(), true)),
            "{preset}: {:?}",
            rig.story("E-1").await
        );

        rig.hr.put(HrPerson { family_name: "Lovelace".to_owned(), ..ada }.gone("2026-11-20"));
        assert_eq!(rig.deliver(left).await, 1, "{preset}");
        rig.work_through().await;
        assert_eq!(
            rig.member("E-1"),
            Some(("Ada Lovelace".to_owned(), false)),
            "{preset}: {:?}",
            rig.story("E-1").await
        );
        assert!(rig.document("E-1").await.open.is_empty(), "{preset}");
        let private = "private-E-1@mail.example";
        assert!(rig.postman.members_named(private).is_empty(), "{preset}: a private address was used");
    }
}

#[tokio::test]
async fn a_hired_candidate_is_invited_only_under_a_company_address() {
    let rig = Rig::new("lever");
    rig.put("E-1", "Ada", "Byron");
    rig.deliver(r#"{"event":"candidateHired","token":"t","triggeredAt":1795341590000,"signature":"x","data":{"opportunityId":"E-1"}}"#).await;
    rig.work_through().await;
    assert_eq!(rig.member("E-1"), None, "the address is the candidate's private one, and `address_domains` is empty");
    assert_eq!(rig.document("E-1").await.missing, ["email"]);
}

#[tokio::test]
async fn a_preferred_name_counts_and_an_end_ahead_waits_for_its_day() {
    let rig = Rig::new("bamboohr");
    let ada = rig.put("E-1", "Augusta", "Byron");
    let last_day = Some("2026-11-24".to_owned());
    rig.hr.put(HrPerson { preferred_name: Some("Ada".to_owned()), last_day, ..ada });
    rig.deliver(ALL[0].hired).await;
    rig.work().await;
    assert_eq!(rig.member("E-1"), Some(("Ada Byron".to_owned(), true)));
    rig.clock.advance_ms(3 * 86_400_000 - 10 * 3_600_000 - 1);
    rig.work().await;
    assert_eq!(rig.member("E-1"), Some(("Ada Byron".to_owned(), true)), "the last day is not over");
    rig.clock.advance_ms(1);
    // It is read once more before that.
    for _ in 0..20 {
        rig.work().await;
        rig.clock.advance_ms(15_000);
    }
    assert_eq!(rig.member("E-1"), Some(("Ada Byron".to_owned(), false)));
}

#[tokio::test]
async fn a_hire_without_an_address_waits_for_the_update_that_brings_it() {
    let rig = Rig::new("bamboohr");
    let ada = rig.put("E-1", "Ada", "Byron");
    rig.hr.put(HrPerson { email: None, ..ada.clone() });
    rig.deliver(ALL[0].hired).await;
    rig.work_through().await;
    assert_eq!(rig.document("E-1").await.missing, ["email"]);
    rig.hr.put(HrPerson { email: Some(email("E-1")), ..ada });
    rig.deliver(r#"{"type":"employee.updated","data":{"employeeId":"E-1","changedFields":["workEmail"]}}"#).await;
    rig.work_through().await;
    assert_eq!(rig.member("E-1"), Some(("Ada Byron".to_owned(), true)));
}

#[tokio::test]
async fn a_person_who_returns_after_a_past_end_is_switched_on_again() {
    let rig = Rig::new("bamboohr");
    let ada = rig.put("E-1", "Ada", "Byron").gone("2026-11-20");
    rig.deliver(ALL[0].hired).await;
    rig.hr.put(HrPerson::working("E-1", &email("E-1"), "Ada", "Byron"));
    rig.work_through().await;
    rig.hr.put(ada.clone());
    rig.deliver(ALL[0].left).await;
    rig.work_through().await;
    assert!(!rig.member("E-1").unwrap().1);
    // The former last day is still there.
    rig.hr.put(HrPerson { status: scim_bridge::hr_sim::HrStatus::Working, ..ada });
    rig.deliver(ALL[0].left).await;
    rig.work_through().await;
    assert!(rig.member("E-1").unwrap().1);
}

#[tokio::test]
async fn an_unchanged_read_does_not_undo_a_manual_switch_off() {
    let rig = Rig::new("bamboohr");
    let ada = rig.put("E-1", "Ada", "Byron");
    rig.deliver(ALL[0].hired).await;
    rig.work_through().await;
    rig.switch_off("E-1").await;
    rig.hr.put(HrPerson { family_name: "Lovelace".to_owned(), ..ada });
    rig.clock.advance_ms(3_600_000);
    rig.deliver(ALL[0].changed).await;
    rig.work_through().await;
    assert_eq!(rig.member("E-1"), Some(("Ada Lovelace".to_owned(), false)));
    assert!(rig.document("E-1").await.switched_off_elsewhere);
}

#[tokio::test]
async fn a_story_mentions_the_read_without_what_was_read() {
    let rig = Rig::new("bamboohr");
    rig.put("E-1", "Ada", "Byron");
    rig.deliver(ALL[0].hired).await;
    rig.work_through().await;
    let story = rig.story("E-1").await;
    let read = story.iter().find(|note| matches!(note, Note::Read { .. }));
    let Some(Note::Read { status: Some(200), meaning, facts, .. }) = read else { panic!("{story:?}") };
    assert_eq!((meaning.as_str(), facts.len()), ("read", 5), "{facts:?}");
    let text = format!("{story:?}");
    assert!(!text.contains("Ada") && !text.contains('@'), "{text}");
}

/// Thin leaves that only contain an id.
const LEAVES: &[(&str, &str)] = &[
    ("personio", r#"{"event_name":"employment.terminated","payload":{"employment":{"id":"e"},"person":{"id":"E-1"}}}"#),
    ("hibob", r#"{"type":"employee.left","version":"v2","data":{"employeeId":"E-1"}}"#),
    (
        "gusto",
        r#"{"uuid":"u","event_type":"employee.terminated_effective","entity_type":"Employee","entity_uuid":"E-1"}"#,
    ),
    ("remote", r#"{"event_type":"offboarding.completed","employment_id":"E-1"}"#),
    ("rippling", "event_name=employee.terminated&id=E-1"),
];

#[tokio::test]
async fn a_leaver_from_before_the_bridge_is_found_by_the_address_in_the_read() {
    for (preset, leave) in LEAVES {
        let rig = Rig::new(preset);
        let ada = rig.put("E-1", "Ada", "Byron");
        rig.hr.put(ada.gone("2026-11-20"));
        rig.already_in_the_team("E-1", "Ada", "Byron");
        rig.deliver(leave).await;
        rig.work_through().await;
        assert_eq!(rig.member("E-1"), Some(("Ada Byron".to_owned(), false)), "{preset}: {:?}", rig.story("E-1").await);
        assert!(rig.document("E-1").await.open.is_empty(), "{preset}");
    }
}

#[tokio::test]
async fn a_leaver_deleted_at_the_hr_system_is_not_waited_for() {
    let rig = Rig::new("gusto");
    rig.deliver(LEAVES[2].1).await;
    rig.work_through().await;
    assert_eq!(rig.member("E-1"), None);
    assert!(rig.document("E-1").await.open.is_empty() && rig.document("E-1").await.trouble.is_none());
}

#[tokio::test]
async fn a_leave_older_than_the_last_read_is_read_and_kept() {
    let rig = Rig::new("gusto");
    let ada = rig.put("E-1", "Ada", "Byron");
    let event = |uuid: &str, kind: &str| {
        format!(
            r#"{{"uuid":"{uuid}","event_type":"{kind}","entity_type":"Employee","entity_uuid":"E-1","timestamp":1671058841}}"#
        )
    };
    rig.deliver(&event("u1", "employee.created")).await;
    rig.work_through().await;
    // Sent long ago, although the person works there now.
    rig.deliver(&event("u2", "employee.terminated_effective")).await;
    rig.work_through().await;
    assert_eq!(rig.member("E-1"), Some(("Ada Byron".to_owned(), true)));
    rig.hr.put(ada.gone("2026-11-20"));
    rig.deliver(&event("u3", "employee.terminated_effective")).await;
    rig.work_through().await;
    assert_eq!(rig.member("E-1"), Some(("Ada Byron".to_owned(), false)));
    assert!(rig.document("E-1").await.open.is_empty());
}

/// The system's queue of undeliverable webhooks is sent again by hand.
#[tokio::test]
async fn an_untimed_hire_that_is_sent_again_undoes_nothing() {
    let rig = Rig::new("paylocity");
    let ada = rig.put("E-1", "Ada", "Byron");
    let hire = r#"{"companyId":"acme","employeeId":"E-1","employeeFirstName":"Ada","employeeLastName":"Byron","employeeWorkEMailAddress":"e-1@example.com","employeeHireDate":"2026-11-01T00:00:00"}"#;
    rig.deliver(hire).await;
    rig.work_through().await;
    assert_eq!(rig.member("E-1"), Some(("Ada Byron".to_owned(), true)));
    let ada = HrPerson { family_name: "King".to_owned(), ..ada };
    for (person, is_on) in [(ada.clone(), true), (ada.gone("2026-11-21"), false)] {
        rig.hr.put(person);
        rig.deliver(r#"{"companyId":"acme","employeeId":"E-1"}"#).await;
        rig.work_through().await;
        rig.deliver(hire).await;
        rig.work_through().await;
        assert_eq!(rig.member("E-1"), Some(("Ada King".to_owned(), is_on)), "{:?}", rig.story("E-1").await);
    }
}
