//! People who leave the scope of a source's rules, and return.

use scim_bridge::postman_sim::PostmanSim;
use serde_json::json;

use crate::process::{Bridge, Home, http, post, sim};

const RULES: &str = "
    [[source]]
    name = 'hr'
    secrets = ['whsec_dGhlIHNlY3JldCBvZiB0aGUgdGVzdHM=']
    [source.mapping]
    in_scope_if = [{ path = '/data/department', in = ['Sales'] }]
    out_of_scope = 'leave'
";

/// Whether they are active after each of: hired in Sales, moved to another department, renamed there, moved back.
async fn story(bridge: &Bridge, sim: &PostmanSim) -> Vec<bool> {
    let hire = json!({"employee_id": "E-1", "email": "e-1@example.com", "first_name": "Ada", "last_name": "Lovelace"});
    let events = [
        ("employee.hired", hire, Some("Sales")),
        ("employee.updated", json!({"employee_id": "E-1"}), Some("Engineering")),
        ("employee.updated", json!({"employee_id": "E-1", "last_name": "King"}), None),
        ("employee.updated", json!({"employee_id": "E-1"}), Some("Sales")),
    ];
    let mut active = Vec::new();
    for (n, (kind, mut data, department)) in events.into_iter().enumerate() {
        if let Some(department) = department {
            data["department"] = json!(department);
        }
        let body = json!({"type": kind, "data": data}).to_string();
        let (status, answer) = post(&http(), &bridge.listen, &format!("m{n}"), &body).await.unwrap();
        assert_eq!(status, 200, "{answer}");
        bridge.settled().await;
        assert_eq!(bridge.jobs(&["dead"]).await, 0);
        active.push(sim.members()[0].active);
    }
    active
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_out_of_scope_is_off_until_any_update_shows_them_in_scope() {
    let sim = sim();
    let home = Home::new(&sim, RULES);
    let bridge = home.serve();
    assert_eq!(story(&bridge, &sim).await, [true, false, false, true]);
    let person = bridge.api("/api/v1/people/hr/E-1").await;
    assert_eq!(person["record"]["scope"]["value"], "in", "{person}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_scope_rules_the_same_records_switch_nobody_off() {
    let sim = sim();
    let home = Home::new(&sim, "");
    let bridge = home.serve();
    assert_eq!(story(&bridge, &sim).await, [true; 4]);
    let person = bridge.api("/api/v1/people/hr/E-1").await;
    assert!(person["record"]["scope"].is_null(), "{person}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_out_of_scope_records_ignored_only_people_formerly_in_scope_leave() {
    let sim = sim();
    let home = Home::new(&sim, &RULES.replace("out_of_scope = 'leave'", "out_of_scope = 'ignore'"));
    let bridge = home.serve();
    let of = |id: &str, department: &str| {
        let email = format!("{}@example.com", id.to_lowercase());
        json!({"employee_id": id, "email": email, "first_name": "Ada", "last_name": "King", "department": department})
    };
    let records = [
        ("employee.hired", of("E-1", "Sales"), "accepted"),
        ("employee.updated", of("E-1", "Engineering"), "ignored"),
        ("employee.left", of("E-1", "Engineering"), "accepted"),
        ("employee.left", of("E-2", "Engineering"), "accepted"),
    ];
    for (n, (kind, data, answered)) in records.into_iter().enumerate() {
        let body = json!({"type": kind, "data": data}).to_string();
        let (status, answer) = post(&http(), &bridge.listen, &format!("m{n}"), &body).await.unwrap();
        assert_eq!((status, &answer["status"]), (200, &json!(answered)), "{answer}");
        bridge.settled().await;
    }
    let members: Vec<_> =
        sim.members().into_iter().map(|member| (member.user_name.to_string(), member.active)).collect();
    assert_eq!(members, [("e-1@example.com".to_owned(), false)]);
    for state in ["dead", "incomplete"] {
        assert_eq!(bridge.jobs(&[state]).await, 0, "{state}");
    }
}
