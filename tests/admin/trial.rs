//! What a payload would do, what the target has, and corrected records.

use scim_bridge::core::code::Code;

use crate::console::Visitor;
use crate::stage::{LOOKER, Stage, hire};

const HIRE: &str = r#"{"type":"hire","id":"E-1","email":"ada@example.com","given":"Ada","family":"King"}"#;

fn trial(payload: &str) -> String {
    serde_json::json!({ "source": "hr", "payload": payload }).to_string()
}

#[tokio::test]
async fn a_trial_explains_each_field_and_the_planned_calls_and_keeps_nothing() {
    let stage = Stage::set();
    let tried = stage.api_as(LOOKER, "POST", "/api/v1/explain", &trial(HIRE)).await.expect(200);
    assert_eq!(tried["mapping"]["records"][0]["result"]["result"], "event", "{tried}");
    assert!(tried["mapping"]["records"][0]["fields"][0].get("value").is_none(), "values only where they are asked for");
    let person = &tried["people"][0];
    assert_eq!((person["is_known"].as_bool(), person["calls"][0]["call"].as_str()), (Some(false), Some("POST /Users")));
    let body = person["calls"][0]["body"].as_str().unwrap();
    assert!(body.contains("ada@example.com") && body.contains("King"), "{body}");
    assert_eq!(stage.api("GET", "/api/v1/status", "").await.expect(200)["people"], 0);
}

#[tokio::test]
async fn a_trial_uses_the_stored_record_and_plans_no_needless_write() {
    let stage = Stage::set();
    stage.accept(vec![hire("E-1", "Ada", "King")]).await;
    stage.finish_next().await;
    let same = HIRE.replace("ada@example.com", "pE1@example.com");
    let tried = stage.api("POST", "/api/v1/explain", &trial(&same)).await.expect(200);
    let person = &tried["people"][0];
    assert_eq!(person["is_known"], true);
    let calls: Vec<_> = person["calls"].as_array().unwrap().iter().map(|call| call["call"].as_str().unwrap()).collect();
    assert!(calls.iter().all(|call| call.starts_with("GET")), "{calls:?}");
    let other =
        stage.api("POST", "/api/v1/explain", &trial(&same.replace("E-1", "E-2").replace("King", "Stone"))).await;
    assert!(other.expect(200)["people"][0]["blocked"].is_null(), "nobody in this store has claimed the address");
}

#[tokio::test]
async fn a_trial_reports_unmapped_records_and_malformed_requests() {
    let stage = Stage::set();
    let tried = stage.api("POST", "/api/v1/explain", &trial("{")).await.expect(200);
    assert_eq!(tried["mapping"]["problem"]["code"], "MAP-NOT-JSON");
    for wrong in ["", "{}", r#"{"source":"gone","payload":"{}"}"#, r#"{"source":"HR","payload":"{}"}"#] {
        stage.api("POST", "/api/v1/explain", wrong).await.expect(400);
    }
}

#[tokio::test]
async fn a_live_trial_without_the_key_says_so() {
    let stage = Stage::set();
    stage.accept(vec![hire("E-1", "Ada", "King")]).await;
    stage.finish_next().await;
    let asked = stage.api("GET", "/api/v1/person/live?who=E-1", "").await.expect(409);
    assert_eq!(asked["error"], "no_key");
    stage.api("GET", "/api/v1/person/live?who=nobody", "").await.expect(404);
}

#[tokio::test]
async fn correcting_a_field_is_audited_without_its_value() {
    let stage = Stage::set();
    // The stage's mapping only reads payloads that begin with `hire `; the added value makes this one readable.
    let id = stage.accept_unmapped("hr", r#"{"type":"x","email":"a#b"}"#).await;
    let path = format!("/api/v1/dead/{id}/replay");
    let refused = stage.api("POST", &path, r#"{"fields":{"email":"ada@example.com"}}"#).await.expect(422);
    assert_eq!(refused["error"], "still_unmapped");
    assert!(
        stage.api("POST", &path, r#"{"fields":{"shoe_size":"9"}}"#).await.expect(400)["detail"]
            .as_str()
            .unwrap()
            .contains("email")
    );
    assert_eq!(stage.problems().await, ["MAP-FIELD"], "it stays");
    let acts = stage.api("GET", "/api/v1/audit", "").await.expect(200);
    assert_eq!(acts["acts"].as_array().unwrap().len(), 0, "nothing was done: {acts}");
    stage.accept(vec![hire("E-1", "Ada", "King")]).await;
    let blocked = stage.add_dead_letter(Code::ScimElsewhere, "").await;
    let body = r#"{"fields":{"email":"ada@example.com"}}"#;
    stage.api("POST", &format!("/api/v1/dead/{blocked}/replay"), body).await.expect(400);
}

#[tokio::test]
async fn filtered_dead_letters_are_downloaded_as_csv() {
    let stage = Stage::set();
    let visitor = Visitor::log_in(&stage).await;
    stage.accept_unmapped("hr", "x").await;
    stage.accept(vec![hire("=E-1", "Ada", "King")]).await;
    stage.add_dead_letter(Code::ScimElsewhere, "").await;
    let answer = visitor.get("/dead.csv?code=SCIM-409-ELSEWHERE").await;
    assert_eq!(answer.header("content-type"), Some("text/csv; charset=utf-8"));
    assert!(answer.header("content-disposition").unwrap().starts_with("attachment"));
    let lines: Vec<_> = answer.body.lines().collect();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines[1].contains(",'=E-1,"), "not a formula: {}", lines[1]);
    assert!(visitor.page("/dead?older_than_s=3600").await.contains("There are none."));
    assert_eq!(visitor.get("/dead?older_than_s=old").await.status, 400);
}

#[tokio::test]
async fn viewers_can_try_a_payload_on_its_page() {
    let stage = Stage::set();
    let looker = Visitor::log_in_with(&stage, LOOKER).await;
    assert!(looker.page("/try?source=hr").await.contains("Payload"));
    let payload = percent_encoded(&HIRE.replace("King", "<b>"));
    let page = looker.submit("/try", &format!("&source=hr&payload={payload}")).await;
    assert_eq!(page.status, 200, "{}", page.body);
    assert!(page.body.contains("POST /Users") && page.body.contains("&lt;b&gt;"), "{}", page.body);
    assert!(!page.body.contains("<b>"));
}

fn percent_encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}
