//! Groups at Postman, derived from HR data.

use scim_bridge::postman_sim::PostmanSim;
use serde_json::{Value, json};

use crate::process::{Bridge, Home, http, post, sim};

const GROUPS: &str = "
    [[source]]
    name = 'hr'
    secrets = ['whsec_dGhlIHNlY3JldCBvZiB0aGUgdGVzdHM=']
    [source.mapping.facts]
    department = '/data/department'
    [[group]]
    name = '{value}'
    fact = 'department'
";

async fn send(bridge: &Bridge, n: u32, kind: &str, employee: &str, department: Option<&str>) {
    let mut data = json!({
        "employee_id": employee,
        "email": format!("{}@example.com", employee.to_lowercase()),
        "first_name": "Ada",
        "last_name": format!("Of {employee}"),
    });
    if let Some(department) = department {
        data["department"] = json!(department);
    }
    let body = json!({ "type": kind, "data": data }).to_string();
    let (status, answer) = post(&http(), &bridge.listen, &format!("m{n}"), &body).await.unwrap();
    assert_eq!(status, 200, "{answer}");
}

/// The members of each group, by the local part of their address.
async fn groups(sim: &PostmanSim) -> Vec<(String, Vec<String>)> {
    let state = http().get(format!("{}/state", sim.control_url())).send().await.unwrap().bytes().await.unwrap();
    let state: Value = serde_json::from_slice(&state).unwrap();
    let name = |id: &Value| {
        let member = state["members"].as_array().unwrap().iter().find(|member| member["id"] == *id).unwrap();
        member["userName"].as_str().unwrap().split('@').next().unwrap().to_owned()
    };
    let mut groups: Vec<_> = state["groups"]
        .as_array()
        .unwrap()
        .iter()
        .map(|group| {
            let mut members: Vec<_> =
                group["members"].as_array().unwrap().iter().map(|row| name(&row["value"])).collect();
            members.sort();
            (group["displayName"].as_str().unwrap().to_owned(), members)
        })
        .collect();
    groups.sort();
    groups
}

fn group(name: &str, members: &[&str]) -> (String, Vec<String>) {
    (name.to_owned(), members.iter().map(|member| (*member).to_owned()).collect())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_group_is_reported_and_an_apply_puts_its_people_back() {
    let sim = sim();
    let home = Home::new(&sim, GROUPS);
    let bridge = home.serve();
    for (n, employee, department) in [(1, "E-1", "R&D"), (2, "E-2", "R&D"), (3, "E-3", "Sales")] {
        send(&bridge, n, "employee.hired", employee, Some(department)).await;
    }
    bridge.settled().await;
    let run = |arguments: &[&str]| {
        let mut command = home.command(arguments);
        let output = command.env("SCIM_BRIDGE__SERVER__ADMIN_LISTEN", &bridge.admin).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let text = run(&["drift", "--now"]);
    assert!(text.contains("HR and Postman agree."), "{text}");
    sim.delete_group("R&D");
    // The next one makes it anew.
    send(&bridge, 4, "employee.hired", "E-4", Some("R&D")).await;
    bridge.settled().await;
    assert_eq!(groups(&sim).await, [group("R&D", &["e-4"]), group("Sales", &["e-3"])]);
    let text = run(&["drift", "--now"]);
    assert!(text.contains("in other groups: 2\n") && text.contains("hr/E-1"), "{text}");
    bridge.problem("DRIFT-DIFFERENT").await;
    run(&["apply", "--yes"]);
    bridge.settled().await;
    assert_eq!(groups(&sim).await, [group("R&D", &["e-1", "e-2", "e-4"]), group("Sales", &["e-3"])]);
    let text = run(&["drift", "--now"]);
    assert!(text.contains("HR and Postman agree."), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn people_follow_their_department_even_many_at_once() {
    let sim = sim();
    let home = Home::new(&sim, GROUPS);
    let bridge = home.serve();
    let people: Vec<String> = (10..40).map(|n| format!("E-{n}")).collect();
    for (n, employee) in (0_u32..).zip(&people) {
        send(&bridge, n, "employee.hired", employee, Some("Engineering")).await;
    }
    bridge.settled().await;
    let all: Vec<String> = people.iter().map(|employee| employee.to_lowercase()).collect();
    assert_eq!(groups(&sim).await, [("Engineering".to_owned(), all.clone())], "one group, and everybody in it");
    send(&bridge, 100, "employee.updated", "E-10", Some("Sales")).await;
    send(&bridge, 101, "employee.updated", "E-11", None).await;
    send(&bridge, 102, "employee.left", "E-12", None).await;
    bridge.settled().await;
    let rest: Vec<&str> = all.iter().map(String::as_str).filter(|who| !matches!(*who, "e-10" | "e-12")).collect();
    assert_eq!(groups(&sim).await, [group("Engineering", &rest), group("Sales", &["e-10"])]);
    let person = bridge.api("/api/v1/people/hr/E-10").await;
    assert_eq!(
        (&person["groups"], &person["record"]["facts"]["department"]["values"]),
        (&json!(["Sales"]), &json!(["Sales"]))
    );
    let status = bridge.api("/api/v1/status").await;
    assert_eq!(status["problems"], json!([]), "{status}");
}
