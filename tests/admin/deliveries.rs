//! The latest deliveries, in the API and the console.

use bytes::Bytes;
use scim_bridge::core::code::Code;
use scim_bridge::core::deliveries::{Answered, Delivered, Deliveries, document};
use scim_bridge::core::person::job::JobId;
use scim_bridge::core::time::UnixMs;
use scim_bridge::store::Store;

use crate::console::Visitor;
use crate::stage::{NOW, Stage, hire};

fn delivered(n: u32, answered: Answered, jobs: Vec<JobId>) -> Delivered {
    Delivered {
        at: UnixMs(NOW.0 + i64::from(n)),
        request: format!("{n:016x}"),
        answered,
        reason: (answered == Answered::Refused).then(|| "mismatch".to_owned()),
        peer: "192.0.2.7".to_owned(),
        event_id: Some("<b>evt</b>".to_owned()),
        types: vec!["hire".to_owned()],
        jobs_all: u64::try_from(jobs.len()).unwrap(),
        jobs,
    }
}

impl Stage {
    async fn delivered(&self, source: &str, all: Vec<Delivered>) {
        let mut deliveries = Deliveries::default();
        for one in all {
            deliveries.push(one);
        }
        let bytes = Bytes::from(serde_json::to_vec(&deliveries).unwrap());
        assert!(self.store.put_shared(&document(source), 0, bytes).await.unwrap());
    }

    async fn listed(&self, query: &str) -> Vec<String> {
        let body = self.api("GET", &format!("/api/v1/deliveries?{query}"), "").await.expect(200);
        let all = body["deliveries"].as_array().unwrap().iter();
        all.map(|one| one["request_id"].as_str().unwrap().trim_start_matches('0').to_owned()).collect()
    }
}

#[tokio::test]
async fn deliveries_are_listed_newest_first_filtered_and_page_by_page() {
    let stage = Stage::set();
    let each = [Answered::Accepted, Answered::Refused, Answered::Duplicate, Answered::Refused];
    let all = each.into_iter().zip(1..).map(|(answered, n)| delivered(n, answered, Vec::new())).collect();
    stage.delivered("hr", all).await;
    stage.delivered("", vec![delivered(9, Answered::Refused, Vec::new())]).await;
    assert_eq!(stage.listed("").await, ["9", "4", "3", "2", "1"]);
    assert_eq!(stage.listed("source=hr&result=refused").await, ["4", "2"]);
    assert_eq!(stage.listed("request_id=0000000000000003").await, ["3"]);
    let first = stage.api("GET", "/api/v1/deliveries?limit=2", "").await.expect(200);
    let rest = stage.listed(&format!("limit=5&after={}", first["next"].as_str().unwrap())).await;
    assert_eq!(rest, ["3", "2", "1"]);
    let refused = &stage.api("GET", "/api/v1/deliveries?result=refused", "").await.expect(200)["deliveries"][0];
    assert_eq!((&refused["source"], refused["reason"].as_str()), (&serde_json::Value::Null, Some("mismatch")));
    for wrong in ["result=late", "source=HR", "after=x", "limit=0", "colour=red"] {
        stage.api("GET", &format!("/api/v1/deliveries?{wrong}"), "").await.expect(400);
    }
}

/// "Why is Jane not in Postman?", if what HR sent has made no record.
#[tokio::test]
async fn the_api_and_the_console_give_likely_reasons_if_nobody_is_found() {
    let stage = Stage::set();
    let visitor = Visitor::log_in(&stage).await;
    let ask = async |who: &str| {
        let told = stage.api("GET", &format!("/api/v1/person?who={who}"), "").await.expect(404);
        assert_eq!(told["error"], "not_found");
        let text = |key: &str| told[key].as_str().unwrap().to_owned();
        (text("detail"), text("action"))
    };
    let (detail, action) = ask("Jane%20Doe").await;
    assert_eq!(detail, "there is no such person");
    assert!(action.contains("people search") && action.contains("scim-bridge deliveries"), "{action}");

    // What the mapping leaves out is nobody's problem, and never in `status`.
    let out_of_scope =
        |n| Delivered { reason: Some("out_of_scope".to_owned()), ..delivered(n, Answered::Ignored, vec![]) };
    stage.delivered("hr", vec![out_of_scope(1), out_of_scope(2), delivered(3, Answered::Refused, vec![])]).await;
    let (detail, action) = ask("Jane%20Doe").await;
    assert!(detail.contains("2 deliveries were left out by `in_scope_if`"), "{detail}");
    assert!(
        action.contains("deliveries --source hr") && action.contains("1 delivery was refused (mismatch)"),
        "{action}"
    );

    // A problem of the source comes before that, and a record that has their name before all others.
    let other = stage.accept_unmapped("hr", r#"{"name":"Janet Doe"}"#).await;
    let (detail, _) = ask("Jane%20Doe").await;
    assert!(detail.contains("MAP-FIELD") && !detail.contains(&other.to_string()), "{detail}");
    let theirs = stage.accept_unmapped("hr", r#"{"id":"E-7","name":"Jane Doe","mail":"jane@example.com"}"#).await;
    for who in ["jane%20doe", "jane@example.com", "E-7", "hr/E-7"] {
        let (detail, action) = ask(who).await;
        assert!(detail.contains(&theirs.to_string()) && detail.contains("MAP-FIELD"), "{who}: {detail}");
        assert!(action.contains(&format!("dead show {theirs}")), "{who}: {action}");
    }
    for page in ["/people?search=Jane+Doe", "/person?source=hr&employee_id=E-7"] {
        let page = visitor.page(page).await;
        assert!(page.contains("knows nobody called") && page.contains(&format!("/dead/{theirs}")), "{page}");
    }
    let path = stage.api("GET", "/api/v1/people/hr/E-7", "").await.expect(404);
    assert!(path["detail"].as_str().unwrap().contains(&theirs.to_string()), "{path}");

    // A search has a bound: what is too long for it is only mentioned, and an open page does not repeat it.
    let long = format!(r#"{{"note":"{}","name":"Jane Doe"}}"#, "x ".repeat(34_000));
    for _ in 0..3 {
        stage.accept_unmapped("hr", &long).await;
    }
    let (detail, action) = ask("Jane%20Doe").await;
    assert!(detail.contains(&theirs.to_string()), "{detail}");
    assert!(format!("{detail} {action}").contains("3 records that could not be mapped are too long"), "{action}");
    let page = visitor.page("/people?search=Jane+Doe").await;
    assert!(page.contains("knows nobody called") && page.contains("data-live"), "{page}");
    assert!(visitor.page("/people").await.contains("data-live"));
}

#[tokio::test]
async fn the_page_links_a_delivery_to_its_outcome() {
    let stage = Stage::set();
    let visitor = Visitor::log_in(&stage).await;
    let jobs = stage.accept(vec![hire("E-1", "Ada", "Lovelace"), hire("E-2", "Grace", "Hopper")]).await;
    let dead = stage.add_dead_letter(Code::ScimElsewhere, "").await;
    stage.finish_next().await;
    stage.delivered("hr", vec![delivered(1, Answered::Accepted, jobs.clone())]).await;
    let page = visitor.page("/deliveries?source=hr").await;
    assert!(page.contains("&lt;b&gt;evt&lt;/b&gt;") && page.contains("192.0.2.7"), "{page}");
    for job in &jobs {
        assert!(page.contains(&format!("href=\"/jobs/{job}\"")));
        let there = visitor.get(&format!("/jobs/{job}")).await.header("location").unwrap().to_owned();
        if *job == dead {
            assert_eq!(there, format!("/dead/{job}"));
        } else {
            assert!(there.starts_with("/person?source=hr&employee_id=E-"), "{there}");
        }
    }
    assert_eq!(visitor.get(&format!("/jobs/{}", "0".repeat(32))).await.status, 404);
    assert!(visitor.page("/deliveries?result=refused").await.contains("There are none."));
}

#[tokio::test]
async fn nothing_links_to_an_erased_person() {
    let stage = Stage::set();
    let jobs = stage.accept(vec![hire("E-1", "Ada", "Lovelace")]).await;
    stage.finish_next().await;
    stage.delivered("hr", vec![delivered(1, Answered::Accepted, jobs)]).await;
    stage.api("DELETE", "/api/v1/people/hr/E-1", "").await.expect(200);
    let left = &stage.api("GET", "/api/v1/deliveries", "").await.expect(200)["deliveries"][0];
    assert_eq!((left["jobs"].as_array().unwrap().len(), left["jobs_all"].as_u64()), (0, Some(1)));
    assert!(left["event_id"].is_null());
}
