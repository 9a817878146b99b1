//! Tokens that are fetched, expire, and are replaced.

use scim_bridge::core::fetch::Credential::{ClientId, ClientSecret, RefreshToken, Token};

use crate::rig::Rig;

fn gusto(id: &str) -> String {
    format!(r#"{{"uuid":"u","event_type":"employee.updated","entity_uuid":"{id}"}}"#)
}

fn tokens(rig: &Rig) -> usize {
    rig.hr.journal().iter().filter(|read| read.is_for_token).count()
}

#[tokio::test]
async fn one_token_serves_many_reads_and_is_renewed_when_refused() {
    for preset in ["personio", "gusto"] {
        let rig = Rig::new(preset);
        let notice = |id: &str| match preset {
            "gusto" => gusto(id),
            _ => format!(r#"{{"event_name":"person.updated","payload":{{"person":{{"id":"{id}"}}}}}}"#),
        };
        for n in 0..5 {
            let id = format!("E-{n}");
            rig.put(&id, "Ada", "Byron");
            rig.deliver(&notice(&id)).await;
        }
        rig.work_through().await;
        assert_eq!(tokens(&rig), 1, "{preset}");
        rig.hr.expire_tokens();
        rig.put("E-0", "Ada", "Lovelace");
        rig.deliver(&notice("E-0")).await;
        rig.work_through().await;
        assert_eq!(tokens(&rig), 2, "{preset}");
        assert_eq!(rig.member("E-0").unwrap().0, "Ada Lovelace", "{preset}");
        assert!(!rig.is_held().await);
    }
}

#[tokio::test]
async fn each_refresh_token_is_used_once_and_the_next_one_is_used_by_other_processes_too() {
    let rig = Rig::new("gusto");
    rig.put("E-1", "Ada", "Byron");
    for _ in 0..4 {
        rig.deliver(&gusto("E-1")).await;
        rig.work_through().await;
        rig.clock.advance_ms(3_600_000);
    }
    assert_eq!(tokens(&rig), 4, "a new one each hour");
    assert_eq!(rig.hr.login().refresh_token, "refresh-4");
    let refused = rig.hr.journal().iter().filter(|read| !read.authorized).count();
    assert_eq!(refused, 0);
}

#[tokio::test]
async fn a_revoked_grant_holds_the_source() {
    let rig = Rig::new("gusto");
    rig.put("E-1", "Ada", "Byron");
    rig.hr.set_login(|login| login.refresh_token = "revoked".to_owned());
    rig.deliver(&gusto("E-1")).await;
    rig.work().await;
    assert!(rig.is_held().await);
    assert!(rig.store.stats().await.unwrap().dead.is_empty());
}

#[tokio::test]
async fn the_first_complete_kind_of_login_is_used() {
    for given in [&[Token][..], &[Token, ClientId, ClientSecret]] {
        let rig = Rig::with("remote", given, |_| {});
        rig.put("E-1", "Ada", "Byron");
        rig.deliver(r#"{"event_type":"employment.updated","employment_id":"E-1"}"#).await;
        rig.work_through().await;
        assert_eq!((rig.member("E-1").is_some(), tokens(&rig)), (true, 0));
    }
    let rig = Rig::with("remote", &[Token, ClientId, ClientSecret, RefreshToken], |_| {});
    rig.put("E-1", "Ada", "Byron");
    rig.deliver(r#"{"event_type":"employment.updated","employment_id":"E-1"}"#).await;
    rig.work_through().await;
    assert_eq!((rig.member("E-1").is_some(), tokens(&rig)), (true, 1));
}
