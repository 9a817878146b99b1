//! The API: authorisation, responses, refusals.

use scim_bridge::admin::service::AdminState;
use scim_bridge::core::code::Code;
use scim_bridge::core::hold::HoldScope;
use scim_bridge::core::person::{EmploymentState, Event, EventKind, Facts};
use scim_bridge::core::problems::SourceFigures;
use scim_bridge::store::{LaneState, Store};

use crate::http::send;
use crate::stage::{LOOKER, Stage, TOKEN, hire, leave, rename, source};

/// Every route that needs a token, and whether a read-only token is enough.
const ROUTES: [(&str, &str, bool); 33] = [
    ("GET", "/api/v1/status", true),
    ("GET", "/api/v1/jobs", true),
    ("GET", "/api/v1/jobs/00000000000000000000000000000000", true),
    ("GET", "/api/v1/dead", true),
    ("GET", "/api/v1/dead/00000000000000000000000000000000", true),
    ("POST", "/api/v1/dead/replay", false),
    ("POST", "/api/v1/dead/discard", false),
    ("POST", "/api/v1/dead/00000000000000000000000000000000/replay", false),
    ("POST", "/api/v1/dead/00000000000000000000000000000000/discard", false),
    ("GET", "/api/v1/deliveries", true),
    ("GET", "/api/v1/person?who=x", true),
    ("GET", "/api/v1/person/live?who=x", true),
    ("POST", "/api/v1/explain", true),
    ("GET", "/api/v1/people", true),
    ("GET", "/api/v1/people/hr/1", true),
    ("POST", "/api/v1/people/hr/1", false),
    ("DELETE", "/api/v1/people/hr/1", false),
    ("GET", "/api/v1/hold", true),
    ("PUT", "/api/v1/hold", false),
    ("DELETE", "/api/v1/hold", false),
    ("POST", "/api/v1/hold/allow", false),
    ("POST", "/api/v1/roster", false),
    ("POST", "/api/v1/roster/fetch", false),
    ("GET", "/api/v1/roster/fetch?source=hr", true),
    ("GET", "/api/v1/roster/plan", true),
    ("POST", "/api/v1/roster/apply", false),
    ("GET", "/api/v1/drift", true),
    ("POST", "/api/v1/drift", false),
    ("GET", "/api/v1/captures", true),
    ("PUT", "/api/v1/captures", false),
    ("DELETE", "/api/v1/captures", false),
    // Whole bodies, and signatures that prove them.
    ("GET", "/api/v1/captures/00000000000000000000000000000000", false),
    ("GET", "/api/v1/audit", true),
];

#[tokio::test]
async fn nothing_under_v1_opens_without_a_token() {
    let stage = Stage::set();
    for (method, target, _) in ROUTES.into_iter().chain([("GET", "/api/v1/no-such-thing", true)]) {
        for header in ["", "Bearer", "Bearer wrong", "Bearer a-token-for-test", "Basic YTpi"] {
            let answer = send(stage.address, method, target, &[("Authorization", header)], "").await;
            let body = answer.expect(401);
            assert_eq!(body["error"], "unauthorized");
            assert!(answer.header("www-authenticate").unwrap().starts_with("Bearer"));
        }
    }
}

#[tokio::test]
async fn every_described_route_is_in_the_table() {
    let stage = Stage::set();
    let described = stage.get("/api/openapi.json").await.expect(200);
    let is_same = |path: &str, target: &str| {
        let (named, given) = (path.split('/'), target.split('?').next().unwrap().split('/'));
        named.clone().count() == given.clone().count() && named.zip(given).all(|(n, g)| n == g || n.starts_with('{'))
    };
    let mut routes = 0;
    for (path, methods) in described["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys().filter(|_| path.starts_with("/api/v1/")) {
            let method = method.to_uppercase();
            let is_named = ROUTES.iter().any(|(known, target, _)| *known == method && is_same(path, target));
            assert!(is_named, "{method} {path} is not in the table");
            routes += 1;
        }
    }
    assert_eq!(routes, ROUTES.len());
}

#[tokio::test]
async fn a_token_that_may_look_changes_nothing() {
    let stage = Stage::set();
    for (method, target, may_look) in ROUTES {
        let looked = stage.api_as(LOOKER, method, target, "{}").await;
        assert_eq!(looked.status == 403, !may_look, "{method} {target}: {}", looked.status);
        if !may_look {
            assert_eq!(looked.json()["error"], "read_only");
            let done = stage.api(method, target, "{}").await;
            assert!(![401, 403].contains(&done.status), "{method} {target}");
        }
    }
}

#[tokio::test]
async fn a_changed_token_counts_at_once() {
    let stage = Stage::set();
    stage.api("GET", "/api/v1/status", "").await.expect(200);
    stage.token.replace("another".to_owned().into());
    stage.api("GET", "/api/v1/status", "").await.expect(401);
}

#[tokio::test]
async fn the_status_has_figures_and_what_needs_attention() {
    let stage = Stage::set();
    stage.accept(vec![hire("E-1", "Ada", "Lovelace"), hire("E-2", "Grace", "Hopper")]).await;
    stage.add_dead_letter(Code::ScimElsewhere, "").await;
    let status = stage.api("GET", "/api/v1/status", "").await.expect(200);
    assert_eq!(status["version"], "0.0.0-test");
    assert_eq!(status["phase"], "serving");
    assert_eq!(status["sources"], serde_json::json!(["hr"]));
    assert_eq!(status["jobs"]["waiting"], 1);
    assert_eq!(status["jobs"]["dead"], 1);
    assert_eq!(status["problems"][0]["code"], "SCIM-409-ELSEWHERE");
    for field in ["count", "since", "action", "what", "page"] {
        assert!(!status["problems"][0][field].is_null(), "{field}");
    }
}

#[tokio::test]
async fn all_dead_letters_are_counted_and_not_a_page_of_them() {
    let stage = Stage::set();
    let events = (0..250).map(|n| hire(&format!("E-{n}"), "Ada", "Lovelace")).collect();
    stage.accept(events).await;
    for _ in 0..250 {
        stage.add_dead_letter(Code::ScimElsewhere, "").await;
    }
    let status = stage.api("GET", "/api/v1/status", "").await.expect(200);
    assert_eq!(status["problems"][0]["count"], 250);
}

#[tokio::test]
async fn a_job_is_shown_in_every_state() {
    let stage = Stage::set();
    let ids = stage.accept(vec![hire("E-1", "Ada", "Lovelace"), hire("E-2", "Grace", "Hopper")]).await;
    let job = async |id: &str| stage.api("GET", &format!("/api/v1/jobs/{id}"), "").await.expect(200);
    let (first, second) = (ids[0].to_string(), ids[1].to_string());
    assert_eq!(job(&first).await["state"], "waiting");
    assert_eq!(job(&first).await["event"], "hire");
    let done = stage.finish_next().await;
    let (done, open) = if done.employee_id == "E-1" { (first, second) } else { (second, first) };
    let ended = job(&done).await;
    assert_eq!((ended["state"].as_str(), ended["outcome"].as_str()), (Some("done"), Some("created")));
    stage.add_dead_letter(Code::ScimElsewhere, "").await;
    assert_eq!(job(&open).await["state"], "dead");
    let unmapped = stage.accept_unmapped("hr", "what").await;
    assert_eq!(job(&unmapped.to_string()).await["state"], "dead");
}

#[tokio::test]
async fn open_jobs_are_listed_by_their_peoples_lanes() {
    let stage = Stage::set();
    stage.accept((0..5).map(|n| hire(&format!("E-{n}"), "Ada", "Lovelace")).collect()).await;
    let mut listed = Vec::new();
    let mut after = String::new();
    loop {
        let page = stage.api("GET", &format!("/api/v1/jobs?limit=2{after}"), "").await.expect(200);
        let ids = page["jobs"].as_array().unwrap().iter().map(|job| job["id"].as_str().unwrap().to_owned());
        listed.extend(ids);
        let Some(next) = page["next"].as_str() else { break };
        after = format!("&after={next}");
    }
    listed.sort();
    listed.dedup();
    assert_eq!(listed.len(), 5);
}

#[tokio::test]
async fn malformed_requests_are_refused_in_one_shape() {
    let stage = Stage::set();
    let none = "0".repeat(32);
    for (method, target, body, status, word) in [
        ("GET", "/api/v1/jobs?limit=0".to_owned(), "", 400, "bad_request"),
        ("GET", "/api/v1/jobs?limit=many".to_owned(), "", 400, "bad_request"),
        ("GET", "/api/v1/jobs?state=lost".to_owned(), "", 400, "bad_request"),
        ("GET", "/api/v1/jobs?stat=done".to_owned(), "", 400, "bad_request"),
        ("GET", "/api/v1/dead?event=party".to_owned(), "", 400, "bad_request"),
        ("GET", "/api/v1/dead?source=HR".to_owned(), "", 400, "bad_request"),
        ("GET", "/api/v1/people?state=held&search=x".to_owned(), "", 400, "bad_request"),
        ("GET", "/api/v1/people?mark=unknown".to_owned(), "", 400, "bad_request"),
        ("GET", "/api/v1/person".to_owned(), "", 400, "bad_request"),
        ("GET", "/api/v1/jobs/xyz".to_owned(), "", 400, "bad_request"),
        ("GET", format!("/api/v1/jobs/{none}"), "", 404, "not_found"),
        ("GET", format!("/api/v1/dead/{none}"), "", 404, "not_found"),
        ("POST", format!("/api/v1/dead/{none}/replay"), "", 404, "not_found"),
        ("POST", format!("/api/v1/dead/{none}/discard"), "", 404, "not_found"),
        ("POST", format!("/api/v1/dead/{none}/discard"), "{\"why\":1}", 400, "bad_request"),
        ("POST", "/api/v1/dead/replay".to_owned(), "{\"ids\":[\"x\"]}", 400, "bad_request"),
        ("GET", "/api/v1/people/hr/nobody".to_owned(), "", 404, "not_found"),
        ("GET", "/api/v1/people/HR/nobody".to_owned(), "", 400, "bad_request"),
        ("GET", "/api/v1/people/hr/".to_owned(), "", 400, "bad_request"),
        ("GET", "/api/v1/people/hr/%00".to_owned(), "", 400, "bad_request"),
        ("GET", "/api/v1/people/hr/%ff".to_owned(), "", 400, "bad_request"),
        ("PUT", "/api/v1/hold".to_owned(), "", 400, "bad_request"),
        ("PUT", "/api/v1/hold".to_owned(), r#"{"scope":"some"}"#, 400, "bad_request"),
        ("PUT", "/api/v1/hold".to_owned(), r#"{"scope":"all","why":"x"}"#, 400, "bad_request"),
        ("DELETE", "/api/v1/hold?scope=some".to_owned(), "", 400, "bad_request"),
        ("POST", "/api/v1/hold/allow".to_owned(), r#"{"scope":"all","count":1}"#, 400, "bad_request"),
        ("POST", "/api/v1/hold/allow".to_owned(), r#"{"scope":"addresses","count":0}"#, 400, "bad_request"),
        ("GET", "/api/v1/no-such-thing".to_owned(), "", 404, "not_found"),
        ("DELETE", "/api/v1/status".to_owned(), "", 405, "method_not_allowed"),
    ] {
        let answer = stage.api(method, &target, body).await;
        let error = answer.expect(status);
        assert_eq!(error["error"], word, "{method} {target}");
        assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{method} {target}");
        let fields: Vec<_> = error.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(fields, ["action", "detail", "error", "status", "title", "type"], "{method} {target}");
        assert_eq!(error["status"], status);
    }
    assert_eq!(stage.api("POST", "/api/v1/hold", "").await.header("allow"), Some("GET, PUT, DELETE"));
}

#[tokio::test]
async fn a_person_is_found_by_an_id_of_any_characters() {
    let stage = Stage::set();
    for (employee_id, encoded) in [
        ("a/b", "a%2Fb"),
        ("a/b", "a/b"),
        ("x\"y'z", "x%22y%27z"),
        ("50%25", "50%2525"),
        ("q?r#s", "q%3Fr%23s"),
        ("a+b c", "a%2Bb%20c"),
        ("..", "%2E%2E"),
        ("//", "%2F%2F"),
        ("Zoë-日本", "Zo%C3%AB-%E6%97%A5%E6%9C%AC"),
        ("<script>alert(1)</script>", "%3Cscript%3Ealert(1)%3C%2Fscript%3E"),
        ("'; DROP TABLE job; --", "%27%3B%20DROP%20TABLE%20job%3B%20--"),
    ] {
        stage.accept(vec![hire(employee_id, "Ada", "Lovelace")]).await;
        let by_path = stage.api("GET", &format!("/api/v1/people/hr/{encoded}"), "").await.expect(200);
        assert_eq!(by_path["person"]["employee_id"], employee_id);
        let query = format!("/api/v1/person?source=hr&employee_id={encoded}");
        let by_query = stage.api("GET", &query, "").await.expect(200);
        assert_eq!(by_query["person"]["employee_id"], employee_id);
    }
}

#[tokio::test]
async fn a_person_is_found_by_key_id_address_and_name() {
    let stage = Stage::set();
    stage.accept(vec![hire("E-1", "Ada", "Lovelace"), hire("E-2", "Adam", "Hopper")]).await;
    stage.finish_next().await;
    stage.finish_next().await;
    let who = async |text: &str| stage.api("GET", &format!("/api/v1/person?who={text}"), "").await;
    for text in
        ["hr/E-1", "E-1", "pe1@example.com", "PE1@EXAMPLE.COM", "Lovelace", "lovel", "ada%20love", "Ada%20Lovelace"]
    {
        let person = who(text).await.expect(200);
        assert_eq!(person["person"]["employee_id"], "E-1", "{text}");
    }
    assert_eq!(who("Ada").await.expect(409)["error"], "several");
    who("nobody").await.expect(404);
    who("%01").await.expect(404);
    let found = stage.api("GET", "/api/v1/people?search=ada", "").await.expect(200);
    assert_eq!(found["people"].as_array().unwrap().len(), 2);
    assert_eq!(stage.api("GET", "/api/v1/people", "").await.expect(200)["people"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_person_is_shown_with_record_member_story_and_lane() {
    let stage = Stage::set();
    stage.accept(vec![hire("E-1", "Ada", "Lovelace")]).await;
    let fresh = stage.api("GET", "/api/v1/people/hr/E-1", "").await.expect(200);
    assert_eq!((fresh["state"].as_str(), fresh["jobs"][0]["state"].as_str()), (Some("waiting"), Some("waiting")));

    stage.add_dead_letter(Code::ScimOwned, "the member belongs to hr/E-9").await;
    stage.accept(vec![rename("E-1", "King")]).await;
    let stuck = stage.api("GET", "/api/v1/people/hr/E-1", "").await.expect(200);
    assert!(stuck["answer"].as_str().unwrap().contains("hr/E-9"), "{stuck}");
    assert_eq!(stuck["waits_for"]["action"], Code::ScimOwned.advice());
    assert_eq!(stuck["record"]["family_name"]["value"], "Lovelace");
    assert_eq!(stuck["record"]["email"]["value"], "pE1@example.com");
    assert_eq!(stuck["record"]["employment"][0]["state"], "employed");
    assert_eq!(stuck["jobs"].as_array().unwrap().len(), 2, "events since then are shown, too");
    let notes: Vec<_> =
        stuck["story"].as_array().unwrap().iter().map(|entry| entry["note"].as_str().unwrap()).collect();
    assert_eq!(notes, ["received", "called"]);
    assert_eq!(stuck["story"][1]["detail"], "This person is already a member.");

    stage.accept(vec![hire("E-2", "Grace", "Hopper")]).await;
    let blocked = stage.claim().await;
    let other = stage.claim().await;
    for claimed in [blocked, other] {
        stage.leave(claimed, LaneState::Idle, |_| {}).await;
    }
    let well = stage.api("GET", "/api/v1/people/hr/E-2", "").await.expect(200);
    assert!(well["waits_for"].is_null() && well["member"].is_null(), "{well}");
}

#[tokio::test]
async fn replaying_a_dead_letter_tries_its_person_again() {
    let stage = Stage::set();
    stage.accept(vec![hire("E-1", "Ada", "Lovelace")]).await;
    let id = stage.add_dead_letter(Code::ScimElsewhere, "").await;
    assert!(stage.try_claim().await.is_none());
    let letter = stage.api("GET", &format!("/api/v1/dead/{id}"), "").await.expect(200);
    assert_eq!(letter["code"], "SCIM-409-ELSEWHERE");
    assert_eq!(letter["about"]["record"]["given_name"]["value"], "Ada");
    let replayed = stage.api("POST", &format!("/api/v1/dead/{id}/replay"), "").await.expect(200);
    assert_eq!((replayed["matched"].as_u64(), replayed["replayed"].as_u64()), (Some(1), Some(1)));
    stage.claim().await;
    let audit = stage.api("GET", "/api/v1/audit", "").await.expect(200);
    assert_eq!((audit["acts"][0]["by"].as_str(), audit["acts"][0]["act"].as_str()), (Some("admin"), Some("replayed")));
    assert_eq!(audit["acts"][0]["target"], id.to_string());
}

#[tokio::test]
async fn all_matches_are_counted_and_then_replayed() {
    let stage = Stage::set();
    for n in 0..30 {
        stage.accept_unmapped("hr", &format!("hire E-{n}")).await;
    }
    stage.accept_unmapped("hr", "nonsense").await;
    stage.accept(vec![hire("X-1", "Ada", "Lovelace")]).await;
    stage.add_dead_letter(Code::ScimElsewhere, "").await;
    let all = "/api/v1/dead/replay";
    let counted = stage.api("POST", all, r#"{"code":"MAP-FIELD","dry_run":true}"#).await.expect(200);
    assert_eq!((counted["matched"].as_u64(), counted["replayed"].as_u64()), (Some(31), Some(0)));
    assert_eq!(stage.problems().await.len(), 2);
    let replayed = stage.api("POST", all, r#"{"code":"MAP-FIELD"}"#).await.expect(200);
    assert_eq!((replayed["matched"].as_u64(), replayed["replayed"].as_u64()), (Some(31), Some(30)));
    assert_eq!(replayed["still_unmapped"], 1);
    let left = stage.api("GET", "/api/v1/dead?code=MAP-FIELD", "").await.expect(200);
    assert_eq!(left["dead"].as_array().unwrap().len(), 1);
    let old = stage.api("POST", all, r#"{"older_than_s":3600,"dry_run":true}"#).await.expect(200);
    assert_eq!(old["matched"], 0);
}

#[tokio::test]
async fn a_replayed_record_keeps_its_first_arrival_time() {
    let stage = Stage::set();
    let first_came = stage.clock.now();
    let id = stage.accept_unmapped("hr", "hire E-7").await;
    stage.clock.advance_ms(3_600_000);
    stage.api("POST", &format!("/api/v1/dead/{id}/replay"), "").await.expect(200);
    let person = stage.api("GET", "/api/v1/people/hr/E-7", "").await.expect(200);
    assert_eq!(person["jobs"][0]["accepted_at"], first_came.to_string());
    stage.api("GET", &format!("/api/v1/dead/{id}"), "").await.expect(404);
}

#[tokio::test]
async fn a_record_that_still_does_not_map_stays() {
    let stage = Stage::set();
    let still = stage.accept_unmapped("hr", "nonsense").await;
    let refused = stage.api("POST", &format!("/api/v1/dead/{still}/replay"), "").await.expect(422);
    assert_eq!(refused["error"], "still_unmapped");
    assert!(refused["detail"].as_str().unwrap().contains("MAP-FIELD"), "{refused}");
    stage.api("GET", &format!("/api/v1/dead/{still}"), "").await.expect(200);

    let orphan = stage.accept_unmapped("gone", "hire E-7").await;
    let refused = stage.api("POST", &format!("/api/v1/dead/{orphan}/replay"), "").await.expect(422);
    assert_eq!(refused["error"], "source_gone");

    let ignored = stage.accept_unmapped("hr", "ignored").await;
    stage.api("POST", &format!("/api/v1/dead/{ignored}/replay"), "").await.expect(200);
    stage.api("GET", &format!("/api/v1/dead/{ignored}"), "").await.expect(404);
}

#[tokio::test]
async fn a_corrected_mapping_replays_its_dead_letters_once() {
    let stage = Stage::set();
    stage.accept_unmapped("hr", "hire E-1").await;
    stage.accept_unmapped("hr", "nonsense").await;
    let mut corrected = stage.state.clone();
    corrected.mappings = "corrected".to_owned();
    assert_eq!(corrected.remap_all().await.unwrap(), 1);
    stage.accept_unmapped("hr", "hire E-2").await;
    assert_eq!(corrected.remap_all().await.unwrap(), 0, "these mappings were tried");
    corrected.mappings = "corrected again".to_owned();
    assert_eq!(corrected.remap_all().await.unwrap(), 1);
}

#[tokio::test]
async fn showing_a_payload_is_audited() {
    let stage = Stage::set();
    let id = stage.accept_unmapped("hr", "nonsense about Ada").await;
    let masked = stage.api("GET", &format!("/api/v1/dead/{id}"), "").await.expect(200);
    assert!(masked["payload"].is_null());
    assert_eq!(masked["payload_bytes"], 18);
    let shown = stage.api_as(LOOKER, "GET", &format!("/api/v1/dead/{id}?payload=true"), "").await.expect(200);
    assert_eq!(shown["payload"], "nonsense about Ada");
    let audit = stage.api("GET", "/api/v1/audit", "").await.expect(200);
    assert_eq!(audit["acts"][0]["by"], "looker");
    assert!(!audit.to_string().contains("Ada"));
}

#[tokio::test]
async fn a_discarded_dead_letter_is_given_up_with_a_reason() {
    let stage = Stage::set();
    stage.accept(vec![hire("E-1", "Ada", "Lovelace")]).await;
    let id = stage.add_dead_letter(Code::ScimElsewhere, "").await;
    let unmapped = stage.accept_unmapped("hr", "nonsense").await;
    let body = r#"{"reason":"a test account"}"#;
    for id in [id, unmapped] {
        stage.api("POST", &format!("/api/v1/dead/{id}/discard"), body).await.expect(200);
    }
    stage.api("GET", &format!("/api/v1/dead/{unmapped}"), "").await.expect(404);
    let claimed = stage.claim().await;
    assert!(String::from_utf8_lossy(&claimed.inbox[0].bytes).contains("a test account"));
    let audit = stage.api("GET", "/api/v1/audit", "").await.expect(200);
    assert_eq!(audit["acts"][0]["reason"], "a test account");
}

#[tokio::test]
async fn erasing_a_person_also_erases_operators_notes_about_them() {
    let stage = Stage::set();
    stage.accept(vec![hire("E-1", "Ada", "Lovelace")]).await;
    let id = stage.add_dead_letter(Code::ScimElsewhere, "").await;
    let body = r#"{"reason":"Ada asked for it"}"#;
    stage.api("POST", &format!("/api/v1/dead/{id}/discard"), body).await.expect(200);
    stage.api("DELETE", "/api/v1/people/hr/E-1", "").await.expect(200);
    stage.api("GET", "/api/v1/people/hr/E-1", "").await.expect(404);
    stage.api("DELETE", "/api/v1/people/hr/E-1", "").await.expect(404);
    let audit = stage.api("GET", "/api/v1/audit", "").await.expect(200).to_string();
    assert!(audit.contains("erased") && !audit.contains("Ada") && !audit.contains("E-1"), "{audit}");
}

#[tokio::test]
async fn a_person_waiting_for_an_erased_persons_member_is_tried_again() {
    let stage = Stage::set();
    stage.accept(vec![hire("E-1", "Ada", "Lovelace")]).await;
    let erased = stage.finish_next().await;
    stage.accept(vec![hire("E-2", "Adam", "Smith")]).await;
    let waits = stage.add_dead_letter(Code::ScimOwned, "").await.person();
    stage.api("DELETE", &format!("/api/v1/people/{erased}"), "").await.expect(200);
    assert_eq!(stage.store.person(waits).await.unwrap().unwrap().lane.state, LaneState::Waiting);
}

#[tokio::test]
async fn an_operator_sets_and_lifts_holds() {
    let stage = Stage::set();
    let hold = stage.api("PUT", "/api/v1/hold", r#"{"scope":"creates","reason":"a freeze"}"#).await.expect(200);
    assert_eq!(
        (&hold["code"], &hold["by"], &hold["reason"]),
        (&"HOLD-OPERATOR".into(), &"admin".into(), &"a freeze".into())
    );
    let shown = stage.api("GET", "/api/v1/hold", "").await.expect(200);
    assert_eq!(shown["holds"][0], hold);
    let status = stage.api("GET", "/api/v1/status", "").await.expect(200);
    let what = status["problems"][0]["what"].as_str().unwrap();
    assert!(what.ends_with("It was set by admin: a freeze."), "{what}");
    assert!(hold["next_probe_at"].is_null());
    stage.api("PUT", "/api/v1/hold", r#"{"scope":"all"}"#).await.expect(200);
    assert_eq!(stage.problems().await, ["HOLD-OPERATOR", "HOLD-OPERATOR"]);
    let lifted = stage.api("DELETE", "/api/v1/hold?scope=all", "").await.expect(200);
    assert_eq!(lifted["holds"][0]["scope"], "all");
    let lifted = stage.api("DELETE", "/api/v1/hold", "").await.expect(200);
    assert_eq!(lifted["holds"][0]["scope"], "creates");
    assert!(stage.problems().await.is_empty());
}

#[tokio::test]
async fn a_hold_that_cannot_be_read_is_reported_and_lifted_by_its_scope_only() {
    for (stored, scope) in [
        ("neither JSON nor anything else", "all"),
        (r#"{"holds":[{"scope":"deactivations","code":"HOLD-OF-TOMORROW","since":1}]}"#, "deactivations"),
    ] {
        let stage = Stage::set();
        assert!(stage.store.put_shared("holds", 0, stored.into()).await.unwrap());
        assert_eq!(stage.problems().await, ["HOLD-UNREADABLE"]);
        let lifted = stage.api("DELETE", "/api/v1/hold", "").await.expect(200);
        assert_eq!(lifted["holds"].as_array().unwrap().len(), 0);
        stage.state.beat().await;
        let holds = stage.api("GET", "/api/v1/hold", "").await.expect(200);
        assert_eq!(holds["holds"][0]["scope"], scope, "it stays although nobody waits behind it");
        assert!(holds["holds"][0]["action"].as_str().unwrap().contains("hold lift --scope"), "{holds}");
        stage.api("PUT", "/api/v1/hold", r#"{"scope":"creates"}"#).await.expect(200);
        assert_eq!(stage.problems().await, ["HOLD-UNREADABLE", "HOLD-OPERATOR"], "a change keeps it");
        stage.api("DELETE", &format!("/api/v1/hold?scope={scope}"), "").await.expect(200);
        assert_eq!(stage.problems().await, ["HOLD-OPERATOR"]);
    }
}

#[tokio::test]
async fn the_guards_hold_ends_only_when_all_are_let_through() {
    let stage = Stage::set();
    stage.accept((0..3).map(|n| hire(&format!("E-{n}"), "Ada", "Lovelace")).collect()).await;
    for _ in 0..3 {
        stage.leave_next(LaneState::Held, |_| {}).await;
    }
    let (now, scope) = (stage.clock.now(), HoldScope::Deactivations);
    let holds =
        scim_bridge::store::holds::SharedHolds::new(stage.store.clone(), stage.clock.clone(), crate::stage::PAUSES);
    holds.set(&scope, Code::HoldGuard, None).await.unwrap();
    assert!(now <= stage.clock.now());
    stage.api("DELETE", "/api/v1/hold", "").await.expect(200);
    assert_eq!(stage.problems().await, ["HOLD-GUARD"], "the guard's hold must be lifted by name");
    let allow = async |n: u64| {
        let body = format!(r#"{{"scope":"deactivations","count":{n}}}"#);
        stage.api("POST", "/api/v1/hold/allow", &body).await.expect(200)["released"].as_u64().unwrap()
    };
    assert_eq!(allow(2).await, 2);
    assert_eq!(stage.problems().await, ["HOLD-GUARD"]);
    assert_eq!(allow(5).await, 1);
    assert!(stage.problems().await.is_empty());
}

#[tokio::test]
async fn lifting_an_operators_hold_leaves_the_guards() {
    let stage = Stage::set();
    stage.accept(vec![hire("E-1", "Ada", "Lovelace")]).await;
    stage.leave_next(LaneState::Held, |_| {}).await;
    let holds =
        scim_bridge::store::holds::SharedHolds::new(stage.store.clone(), stage.clock.clone(), crate::stage::PAUSES);
    holds.set(&HoldScope::Deactivations, Code::HoldGuard, None).await.unwrap();
    let set = stage.api("PUT", "/api/v1/hold", r#"{"scope":"deactivations"}"#).await.expect(200);
    assert_eq!(set["code"], "HOLD-OPERATOR");
    assert_eq!(stage.problems().await, ["HOLD-GUARD", "HOLD-OPERATOR"]);
    let lift = async || stage.api("DELETE", "/api/v1/hold?scope=deactivations", "").await.expect(200)["holds"].clone();
    let lifted = lift().await;
    assert_eq!((lifted[0]["code"].as_str(), lifted.as_array().unwrap().len()), (Some("HOLD-OPERATOR"), 1));
    assert_eq!(stage.problems().await, ["HOLD-GUARD"]);
    assert_eq!(lift().await[0]["code"], "HOLD-GUARD");
}

/// `hold lift` lifts it, as its advice says, and nothing else does: not that nobody waits.
#[tokio::test]
async fn an_operators_hold_of_a_guarded_scope_is_not_the_guards() {
    let stage = Stage::set();
    for scope in ["deactivations", "addresses"] {
        stage.api("PUT", "/api/v1/hold", &format!(r#"{{"scope":"{scope}"}}"#)).await.expect(200);
        stage.state.beat().await;
        assert_eq!(stage.problems().await, ["HOLD-OPERATOR"], "{scope}");
        let lifted = stage.api("DELETE", "/api/v1/hold", "").await.expect(200);
        assert_eq!(lifted["holds"][0]["scope"], scope);
        assert!(stage.problems().await.is_empty());
    }
}

/// Counting reads everybody: two processes with other sources on one store must not do so in turns.
#[tokio::test]
async fn a_process_counts_the_people_of_removed_sources_once_in_ten_minutes() {
    let stage = Stage::set();
    stage.accept(vec![hire("E-1", "Ada", "Lovelace")]).await;
    stage.leave_next(LaneState::Idle, |_| {}).await;
    let other = AdminState { sources: vec![SourceFigures::new(source("payroll"))], ..stage.state.clone() };
    // Each count writes the document once.
    let counts = async |by: &AdminState| {
        by.count_gone().await.unwrap();
        stage.store.shared("gone").await.unwrap().version
    };
    assert_eq!(counts(&stage.state).await, 1);
    stage.clock.advance_ms(1_000);
    for _ in 0..3 {
        assert_eq!((counts(&other).await, counts(&stage.state).await), (2, 2), "each has counted");
        stage.clock.advance_ms(60_000);
    }
    let counted = stage.store.shared("gone").await.unwrap().bytes;
    assert!(String::from_utf8_lossy(&counted).contains(r#""hr":{"people":1"#), "{counted:?}");
    stage.clock.advance_ms(8 * 60_000);
    assert_eq!(counts(&stage.state).await, 3, "its own count is too old by now");
    assert_eq!(counts(&stage.state).await, 3);
    assert_eq!(counts(&other).await, 4, "so is the other's: that the names differ does not renew it");
    // Alone, the last count stands.
    stage.clock.advance_ms(60 * 60_000);
    assert_eq!(counts(&other).await, 4);
    // Until somebody of them does not count any more.
    stage.accept(vec![leave("E-1")]).await;
    stage.leave_next(LaneState::Idle, |_| {}).await;
    assert_eq!(counts(&other).await, 5);
}

#[tokio::test]
async fn a_404_gives_advice() {
    let stage = Stage::set();
    for (path, action) in [
        ("/api/v1/person?who=nobody@example.com", "people search"),
        ("/api/v1/dead/00000000000000000000000000000001", "replayed or discarded"),
        ("/api/v1/roster/fetch?source=hr", "import --source"),
    ] {
        let error = stage.api("GET", path, "").await.expect(404);
        assert!(error["action"].as_str().unwrap().contains(action), "{path}: {error}");
    }
}

/// Commands print them: whoever typed the mistake must not be sent to the description of the API.
#[tokio::test]
async fn errors_in_a_commands_arguments_say_what_to_type_instead() {
    let stage = Stage::set();
    let unmapped = stage.accept_unmapped("hr", "{\"type\":\"hire\"}").await;
    stage.accept(vec![hire("E-1", "Ada", "Lovelace")]).await;
    let blocked = stage.add_dead_letter(Code::ScimElsewhere, "").await;
    let replay = |id| format!("/api/v1/dead/{id}/replay");
    let set = r#"{"fields":{"nope":"1"}}"#;
    for (method, path, body, says) in [
        ("POST", "/api/v1/roster?source=nope".to_owned(), "[]", "`scim-bridge status` lists the sources"),
        ("POST", "/api/v1/roster?source=hr&as_of=yesterday".to_owned(), "[]", "2026-11-22"),
        ("POST", "/api/v1/roster?source=hr&as_of=2099-01-01".to_owned(), "[]", "or leave it out"),
        ("POST", "/api/v1/roster/fetch?source=hr".to_owned(), "", "`scim-bridge status` lists the sources"),
        ("GET", "/api/v1/dead/nope".to_owned(), "", "scim-bridge dead list"),
        ("POST", replay(unmapped), set, "Set one of these"),
        ("POST", replay(blocked), set, "Correct the person in the HR system"),
    ] {
        let told = stage.api(method, &path, body).await.expect(400);
        let action = told["action"].as_str().unwrap();
        assert!(action.contains(says) && !action.contains("openapi"), "{path}: {told}");
        assert_eq!(told["error"], "bad_request", "{path}");
    }
}

#[tokio::test]
async fn a_marked_person_is_shown_and_found() {
    let stage = Stage::set();
    stage.accept(vec![hire("E-1", "Ada", "Lovelace")]).await;
    stage.leave_next(LaneState::Idle, |document| document.switched_off_elsewhere = true).await;
    assert_eq!(stage.problems().await, ["PEOPLE-SWITCHED-OFF"]);
    let found = stage.api("GET", "/api/v1/people?mark=switched_off", "").await.expect(200);
    assert_eq!(found["people"][0]["person"]["employee_id"], "E-1");
    stage.accept(vec![rename("E-1", "King")]).await;
    stage
        .leave_next(LaneState::Incomplete, |document| {
            document.switched_off_elsewhere = false;
            document.missing = vec!["email".to_owned()];
        })
        .await;
    assert_eq!(stage.problems().await, ["PEOPLE-INCOMPLETE"]);
}

#[tokio::test]
async fn the_description_is_public_and_names_the_token() {
    let stage = Stage::set();
    let description = stage.get("/api/openapi.json").await.expect(200);
    assert_eq!(description["openapi"].as_str().unwrap().split('.').next(), Some("3"));
    assert_eq!(description["components"]["securitySchemes"]["admin_token"]["scheme"], "bearer");
    assert!(!description.to_string().contains(TOKEN));
}

#[tokio::test]
async fn who_left_lately_and_is_not_known_is_told_however_many_left_long_ago() {
    let stage = Stage::set();
    let left = async |id: String| {
        let facts = Facts { employment: Some((EmploymentState::Left, None)), ..Facts::default() };
        let leave = Event { kind: EventKind::Leave, facts, ..hire(&id, "Ada", "King") };
        stage.accept(vec![leave]).await;
        stage.leave_next(LaneState::Incomplete, |document| document.missing = vec!["email".to_owned()]).await;
    };
    for n in 0..1_100 {
        left(format!("old-{n}")).await;
    }
    stage.clock.advance_ms(8 * 86_400_000);
    for n in 0..2 {
        left(format!("new-{n}")).await;
    }
    let status = stage.api("GET", "/api/v1/status", "").await.expect(200);
    let problems = status["problems"].as_array().unwrap().iter();
    let told: Vec<_> = problems.map(|problem| problem["what"].as_str().unwrap()).collect();
    assert_eq!(told, ["2 people have left, and it is not known which members are theirs: nobody is switched off."]);
}
