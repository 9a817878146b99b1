//! The API: who may, what it answers, what it refuses.

use scim_bridge::core::code::Code;
use scim_bridge::core::hold::HoldScope;
use scim_bridge::store::Store;

use crate::http::send;
use crate::stage::{Stage, TOKEN, hire, rename};

const MAPPABLE: &str = r#"{"type":"employee.hired","data":{"employee_id":"E-7","email":"jane@example.com","first_name":"Jane","last_name":"Doe"}}"#;
const UNMAPPABLE: &str = r#"{"type":"employee.hired","data":{"employee_id":"E-7","first_name":"Jane"}}"#;

#[tokio::test]
async fn nothing_under_v1_opens_without_the_token() {
    let stage = Stage::set();
    for (method, target) in [
        ("GET", "/api/v1/status"),
        ("GET", "/api/v1/jobs"),
        ("GET", "/api/v1/dead"),
        ("POST", "/api/v1/dead/00000000000000000000000000000000/discard"),
        ("GET", "/api/v1/people?source=hr&employee_id=1"),
        ("PUT", "/api/v1/hold"),
        ("DELETE", "/api/v1/hold"),
        ("GET", "/api/v1/no-such-thing"),
    ] {
        for header in ["", "Bearer", "Bearer wrong", "Bearer a-token-for-test", "Basic YTpi"] {
            let answer = send(stage.address, method, target, &[("Authorization", header)], "").await;
            let body = answer.expect(401);
            assert_eq!(body["error"], "unauthorized");
            assert!(answer.header("www-authenticate").unwrap().starts_with("Bearer"));
        }
    }
    assert!(stage.store.holds().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_changed_token_counts_at_once() {
    let stage = Stage::set();
    stage.api("GET", "/api/v1/status", "").await.expect(200);
    stage.token.replace("another".to_owned().into());
    stage.api("GET", "/api/v1/status", "").await.expect(401);
}

#[tokio::test]
async fn the_status_tells_figures_and_what_is_wrong() {
    let stage = Stage::set();
    stage.accept(vec![hire("E-1", "Ada", "Lovelace"), hire("E-2", "Grace", "Hopper")]).await;
    stage.bury_next(Code::ScimElsewhere).await;
    let status = stage.api("GET", "/api/v1/status", "").await.expect(200);
    assert_eq!(status["version"], "0.0.0-test");
    assert_eq!(status["uptime_s"], 90);
    assert_eq!(status["phase"], "serving");
    assert_eq!(status["sources"], serde_json::json!(["hr"]));
    assert_eq!(status["jobs"]["waiting"], 1);
    assert_eq!(status["jobs"]["dead"], 1);
    assert_eq!(status["oldest_due_at"], "2027-01-15T08:00:00Z");
    assert_eq!(status["problems"][0]["code"], "SCIM-409-ELSEWHERE");
}

#[tokio::test]
async fn jobs_are_listed_by_state_and_page_by_page() {
    let stage = Stage::set();
    let ids = stage.accept((0..5).map(|n| hire(&format!("E-{n}"), "Ada", "Lovelace")).collect()).await;
    let first = stage.api("GET", "/api/v1/jobs?limit=3", "").await.expect(200);
    let next = first["next"].as_str().unwrap();
    let second = stage.api("GET", &format!("/api/v1/jobs?limit=3&before={next}"), "").await.expect(200);
    let told: Vec<_> = [&first, &second]
        .into_iter()
        .flat_map(|page| page["jobs"].as_array().unwrap())
        .map(|job| job["id"].as_str().unwrap().to_owned())
        .collect();
    let expected: Vec<_> = ids.iter().rev().map(ToString::to_string).collect();
    assert_eq!(told, expected);
    assert!(second["next"].is_null());

    let done = stage.finish_next().await;
    let finished = stage.api("GET", "/api/v1/jobs?state=done", "").await.expect(200);
    assert_eq!(finished["jobs"][0]["outcome"], "created");
    let one = stage.api("GET", &format!("/api/v1/jobs/{done}"), "").await.expect(200);
    assert_eq!(one["state"], "done");
    assert_eq!(one["history"][0]["status"], 201);
    assert_eq!(one["event"]["email"], "ada@example.com");
}

#[tokio::test]
async fn what_cannot_be_understood_is_refused_in_one_shape() {
    let stage = Stage::set();
    let none = "0".repeat(32);
    for (method, target, body, status, word) in [
        ("GET", "/api/v1/jobs?limit=0".to_owned(), "", 400, "bad_request"),
        ("GET", "/api/v1/jobs?limit=many".to_owned(), "", 400, "bad_request"),
        ("GET", "/api/v1/jobs?state=lost".to_owned(), "", 400, "bad_request"),
        ("GET", "/api/v1/jobs?state=dead".to_owned(), "", 400, "bad_request"),
        ("GET", "/api/v1/jobs?stat=done".to_owned(), "", 400, "bad_request"),
        ("GET", "/api/v1/dead?before=xyz".to_owned(), "", 400, "bad_request"),
        ("GET", "/api/v1/jobs/xyz".to_owned(), "", 400, "bad_request"),
        ("GET", format!("/api/v1/jobs/{none}"), "", 404, "not_found"),
        ("GET", format!("/api/v1/dead/{none}"), "", 404, "not_found"),
        ("POST", format!("/api/v1/dead/{none}/replay"), "", 404, "not_found"),
        ("POST", format!("/api/v1/dead/{none}/discard"), "", 404, "not_found"),
        ("GET", "/api/v1/people/hr/nobody".to_owned(), "", 404, "not_found"),
        ("GET", "/api/v1/people/HR/nobody".to_owned(), "", 400, "bad_request"),
        ("GET", "/api/v1/people/hr/".to_owned(), "", 400, "bad_request"),
        ("GET", "/api/v1/people/hr/%00".to_owned(), "", 400, "bad_request"),
        ("GET", "/api/v1/people/hr/%ff".to_owned(), "", 400, "bad_request"),
        ("GET", "/api/v1/people".to_owned(), "", 400, "bad_request"),
        ("PUT", "/api/v1/hold".to_owned(), "", 400, "bad_request"),
        ("PUT", "/api/v1/hold".to_owned(), r#"{"scope":"some"}"#, 400, "bad_request"),
        ("PUT", "/api/v1/hold".to_owned(), r#"{"scope":"all","why":"x"}"#, 400, "bad_request"),
        ("DELETE", "/api/v1/hold?scope=some".to_owned(), "", 400, "bad_request"),
        ("GET", "/api/v1/no-such-thing".to_owned(), "", 404, "not_found"),
        ("DELETE", "/api/v1/status".to_owned(), "", 405, "method_not_allowed"),
    ] {
        let answer = stage.api(method, &target, body).await;
        let error = answer.expect(status);
        assert_eq!(error["error"], word, "{method} {target}");
        let fields: Vec<_> = error.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(fields, ["action", "error", "message"], "{method} {target}");
    }
    assert_eq!(stage.api("POST", "/api/v1/hold", "").await.header("allow"), Some("GET, PUT, DELETE"));
}

#[tokio::test]
async fn a_person_is_found_whatever_their_id_is_made_of() {
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
        let query = format!("/api/v1/people?source=hr&employee_id={encoded}");
        let by_query = stage.api("GET", &query, "").await.expect(200);
        assert_eq!(by_query["person"]["employee_id"], employee_id);
    }
}

#[tokio::test]
async fn a_person_comes_with_an_answer_in_one_sentence() {
    let stage = Stage::set();
    stage.accept(vec![hire("E-1", "Ada", "Lovelace"), rename("E-1", "King")]).await;
    stage.bury_next(Code::ScimElsewhere).await;
    let stuck = stage.api("GET", "/api/v1/people/hr/E-1", "").await.expect(200);
    assert_eq!(stuck["standing"], "stuck");
    assert!(stuck["answer"].as_str().unwrap().contains("one later change waits behind it"), "{stuck}");
    assert_eq!(stuck["action"], Code::ScimElsewhere.advice());

    stage.accept(vec![hire("E-2", "Grace", "Hopper")]).await;
    stage.finish_next().await;
    let well = stage.api("GET", "/api/v1/people/hr/E-2", "").await.expect(200);
    assert_eq!(well["standing"], "in_line");
    assert_eq!(well["directory"]["scim_id"], "405775");
    assert!(well["action"].is_null());
}

#[tokio::test]
async fn a_replayed_dead_letter_is_the_same_job_again() {
    let stage = Stage::set();
    stage.accept(vec![hire("E-1", "Ada", "Lovelace")]).await;
    let id = stage.bury_next(Code::ScimElsewhere).await;
    let list = stage.api("GET", "/api/v1/dead", "").await.expect(200);
    assert_eq!(list["dead"][0]["id"], id.to_string());
    let letter = stage.api("GET", &format!("/api/v1/dead/{id}"), "").await.expect(200);
    assert_eq!(letter["code"], "SCIM-409-ELSEWHERE");
    assert_eq!(letter["parks_lane"], true);
    assert_eq!(letter["job"]["event"]["family_name"], "Lovelace");

    let replayed = stage.api("POST", &format!("/api/v1/dead/{id}/replay"), "").await.expect(200);
    assert_eq!(replayed["jobs"], serde_json::json!([id.to_string()]));
    stage.api("GET", &format!("/api/v1/dead/{id}"), "").await.expect(404);
    stage.api("POST", &format!("/api/v1/dead/{id}/replay"), "").await.expect(404);
    assert_eq!(stage.claim().await.job.id, id);
}

#[tokio::test]
async fn a_discarded_dead_letter_is_gone_and_its_lane_goes_on() {
    let stage = Stage::set();
    let ids = stage.accept(vec![hire("E-1", "Ada", "Lovelace"), rename("E-1", "King")]).await;
    let id = stage.bury_next(Code::ScimElsewhere).await;
    stage.api("POST", &format!("/api/v1/dead/{id}/discard"), "").await.expect(200);
    stage.api("GET", &format!("/api/v1/dead/{id}"), "").await.expect(404);
    assert_eq!(stage.claim().await.job.id, ids[1]);
}

#[tokio::test]
async fn an_unmapped_record_is_replayed_only_once_the_mapping_reads_it() {
    let stage = Stage::set();
    let still = stage.accept_unmapped("hr", UNMAPPABLE).await;
    let refused = stage.api("POST", &format!("/api/v1/dead/{still}/replay"), "").await.expect(422);
    assert_eq!(refused["error"], "still_unmapped");
    assert!(refused["message"].as_str().unwrap().contains("MAP-FIELD"), "{refused}");
    stage.api("GET", &format!("/api/v1/dead/{still}"), "").await.expect(200);

    let ignored = stage.accept_unmapped("hr", r#"{"type":"employee.promoted"}"#).await;
    let refused = stage.api("POST", &format!("/api/v1/dead/{ignored}/replay"), "").await.expect(422);
    assert_eq!(refused["error"], "nothing_to_do");

    let orphan = stage.accept_unmapped("gone", MAPPABLE).await;
    let refused = stage.api("POST", &format!("/api/v1/dead/{orphan}/replay"), "").await.expect(422);
    assert_eq!(refused["error"], "source_gone");

    let mappable = stage.accept_unmapped("hr", MAPPABLE).await;
    let replayed = stage.api("POST", &format!("/api/v1/dead/{mappable}/replay"), "").await.expect(200);
    let job = stage.claim().await.job;
    assert_eq!(replayed["jobs"], serde_json::json!([job.id.to_string()]));
    assert_eq!(job.event.person.employee_id, "E-7");
    stage.api("GET", &format!("/api/v1/dead/{mappable}"), "").await.expect(404);
}

#[tokio::test]
async fn an_operator_sets_and_lifts_holds() {
    let stage = Stage::set();
    let hold = stage.api("PUT", "/api/v1/hold", r#"{"scope":"creates"}"#).await.expect(200);
    assert_eq!(hold["code"], "HOLD-OPERATOR");
    assert!(hold["next_probe_at"].is_null());
    stage.store.set_hold(stage.clock.now(), HoldScope::All, Code::HoldKey).await.unwrap();
    let holds = stage.api("GET", "/api/v1/hold", "").await.expect(200);
    assert_eq!(holds["holds"].as_array().unwrap().len(), 2);
    let lifted = stage.api("DELETE", "/api/v1/hold?scope=all", "").await.expect(200);
    assert_eq!(lifted["holds"][0]["code"], "HOLD-KEY");
    let lifted = stage.api("DELETE", "/api/v1/hold", "").await.expect(200);
    assert_eq!(lifted["holds"][0]["scope"], "creates");
    assert!(stage.store.holds().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_store_that_is_gone_is_503_with_a_time_to_come_back() {
    let stage = Stage::set();
    stage.store.close().await;
    let answer = stage.api("PUT", "/api/v1/hold", r#"{"scope":"all"}"#).await;
    assert_eq!(answer.expect(503)["error"], "store_unavailable");
    assert_eq!(answer.header("retry-after"), Some("5"));
}

#[tokio::test]
async fn the_description_is_public_and_names_the_token() {
    let stage = Stage::set();
    let description = stage.get("/api/openapi.json").await.expect(200);
    assert_eq!(description["openapi"].as_str().unwrap().split('.').next(), Some("3"));
    assert_eq!(description["components"]["securitySchemes"]["admin_token"]["scheme"], "bearer");
    assert!(!description.to_string().contains(TOKEN));
}
