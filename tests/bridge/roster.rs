//! A whole roster, by the commands: imported, planned, applied in parts, and truncated files.

use std::fs;
use std::process::Output;
use std::time::{Duration, Instant};

use scim_bridge::postman_sim::{Fault, On, Person, PostmanSim, Standing, What};
use serde_json::{Value, json};

use crate::process::{Bridge, Home, http, payload, post, sim};

const HEADER: &str = "employee_id,email,first_name,last_name\n";

fn member(sim: &PostmanSim, user_name: &str, family_name: &str) {
    let person = json!({"user_name": user_name, "given_name": "Ada", "family_name": family_name});
    sim.add_member(serde_json::from_value::<Person>(person).unwrap());
}

fn rows(people: std::ops::Range<u32>) -> String {
    people.map(|n| format!("E-{n},p{n}@example.com,Ada,No{n}\n")).collect()
}

fn run(home: &Home, bridge: &Bridge, arguments: &[&str]) -> Output {
    home.command(arguments).env("SCIM_BRIDGE__SERVER__ADMIN_LISTEN", &bridge.admin).output().unwrap()
}

fn ran(home: &Home, bridge: &Bridge, arguments: &[&str]) -> Value {
    let output = run(home, bridge, &[arguments, &["--json"]].concat());
    let texts = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{texts:?}");
    serde_json::from_str(&texts.0).unwrap()
}

fn import(home: &Home, bridge: &Bridge, file: &str) -> Value {
    fs::write(home.path().join("roster"), file).unwrap();
    ran(home, bridge, &["import", "--source", "hr", "--file", "roster"])
}

fn counts(plan: &Value, lists: &[&str]) -> Vec<usize> {
    lists.iter().map(|list| plan[list].as_array().unwrap().len()).collect()
}

fn named(sim: &PostmanSim) -> Vec<String> {
    let mut named: Vec<_> = sim
        .members()
        .iter()
        .map(|member| format!("{} {} {}", member.user_name, member.name.family_name, member.active))
        .collect();
    named.sort();
    named
}

/// A row with `active` = false there would be invited without a warning.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn import_and_plan_name_unused_columns() {
    let sim = sim();
    let home = Home::new(&sim, "");
    let bridge = home.serve();
    let file = "Employee_ID,email,first_name,last_name,active,Department\nE-1,p1@example.com,Ada,King,false,\"Sales\"\n\
                \"E-2\",p2@example.com,Bob,\"King\",no,\n";
    let imported = import(&home, &bridge, file);
    assert_eq!((&imported["staged"], &imported["not_followed"]), (&json!(2), &json!(["Department", "active"])));
    let plan = ran(&home, &bridge, &["plan"]);
    assert!(plan["warnings"][0].as_str().unwrap().contains("these columns are not used: Department, active"), "{plan}");
    let imported = import(&home, &bridge, &format!("{HEADER}{}", rows(0..1)));
    assert_eq!(imported["not_followed"], json!([]));
    let close = import(&home, &bridge, "sep=;\nemployee_id;E-Mail;First Name;surname\nE-1;p1@example.com;Ada;King\n");
    assert_eq!(close["missing_columns"], json!(["email", "first_name", "last_name"]));
    assert_eq!(close["close_columns"], json!({"email": "E-Mail", "first_name": "First Name"}));
    let file = "Employee ID,email\nE-1,p1@example.com\n";
    fs::write(home.path().join("roster"), file).unwrap();
    let refused = run(&home, &bridge, &["import", "--source", "hr", "--file", "roster"]);
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(refused.status.code() == Some(1) && told.contains("(`Employee ID` comes close)"), "{told}");
    let twice = import(&home, &bridge, r#"[{"employee_id":"E-1","email":"p1@example.com","email":"p2@example.com"}]"#);
    assert_eq!(
        twice["refused"][0],
        json!({"row": 1, "reason": "email: expected text or a whole number, found two fields of that name"})
    );
    import(&home, &bridge, &format!("{HEADER}{}", rows(0..1)));
    assert_eq!(ran(&home, &bridge, &["plan"])["warnings"], json!([]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plan_refused_by_the_target_shows_the_answer_and_advice() {
    let sim = sim();
    let home = Home::new(&sim, "");
    let bridge = home.serve();
    import(&home, &bridge, &format!("{HEADER}{}", rows(0..1)));
    sim.set_key("another");
    for command in [&["plan"][..], &["apply", "--yes"]] {
        let refused = run(&home, &bridge, command);
        let error = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(1), "{error}");
        for word in ["answered 401", "HOLD-KEY", "Put a valid SCIM key where `[postman] key` points"] {
            assert!(error.contains(word), "{word}: {error}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_roster_is_applied_in_parts_and_strangers_only_on_request() {
    let sim = sim();
    let home = Home::new(&sim, "");
    let bridge = home.serve();
    member(&sim, "p0@example.com", "Another");
    member(&sim, "stranger@example.com", "Moor");
    assert_eq!(import(&home, &bridge, &format!("{HEADER}{}", rows(0..3)))["staged"], 3);
    let lists = ["create", "rename", "strangers", "deactivate", "blocked"];
    assert_eq!(counts(&ran(&home, &bridge, &["plan"]), &lists), [2, 1, 1, 0, 0]);

    assert_eq!(ran(&home, &bridge, &["apply", "--yes", "--only", "names"])["applied"], 1);
    bridge.settled().await;
    assert_eq!(named(&sim), ["p0@example.com No0 true", "stranger@example.com Moor true"]);

    fs::write(home.path().join("people"), "p1@example.com\nE-9\n").unwrap();
    let applied = ran(&home, &bridge, &["apply", "--yes", "--people", "people"]);
    assert_eq!((&applied["applied"], &applied["not_found"]), (&json!(1), &json!(["E-9"])));
    bridge.settled().await;
    assert_eq!(counts(&ran(&home, &bridge, &["plan"]), &lists), [1, 0, 1, 0, 0]);

    fs::write(home.path().join("plan"), ran(&home, &bridge, &["plan"]).to_string()).unwrap();
    let moved = json!({"type": "employee.updated", "data": {"employee_id": "E-2", "last_name": "Newer"}}).to_string();
    post(&http(), &bridge.listen, "m1", &moved).await.unwrap();
    bridge.settled().await;
    let stale = run(&home, &bridge, &["apply", "--yes", "--plan", "plan"]);
    assert_eq!(stale.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&stale.stderr).contains("out of date"), "{stale:?}");
    assert_eq!(named(&sim).len(), 3);
    fs::write(home.path().join("plan"), ran(&home, &bridge, &["plan"]).to_string()).unwrap();
    assert_eq!(ran(&home, &bridge, &["apply", "--yes", "--plan", "plan"])["applied"], 1);
    bridge.settled().await;
    assert!(named(&sim).contains(&"p2@example.com Newer true".to_owned()), "{:?}", named(&sim));

    assert_eq!(counts(&ran(&home, &bridge, &["plan", "--strangers", "deactivate"]), &lists), [0, 0, 1, 1, 0]);
    assert_eq!(ran(&home, &bridge, &["apply", "--yes", "--strangers", "deactivate"])["strangers"], 1);
    bridge.settled().await;
    assert!(named(&sim).contains(&"stranger@example.com Moor false".to_owned()), "{:?}", named(&sim));
    assert_eq!(counts(&ran(&home, &bridge, &["plan"]), &lists), [0, 0, 1, 0, 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_import_replaces_the_first_and_a_truncated_file_changes_nobody() {
    let sim = sim();
    let home = Home::new(&sim, "");
    let bridge = home.serve();
    import(&home, &bridge, &format!("{HEADER}{}", rows(0..9)));
    import(&home, &bridge, &format!("{HEADER}{}", rows(0..4)));
    fs::write(home.path().join("more"), format!("{HEADER}{}", rows(4..6))).unwrap();
    ran(&home, &bridge, &["import", "--source", "hr", "--file", "more", "--add"]);
    assert_eq!(counts(&ran(&home, &bridge, &["plan"]), &["create", "blocked"]), [6, 0]);
    ran(&home, &bridge, &["apply", "--yes"]);
    bridge.settled().await;
    let team = named(&sim);
    assert_eq!(team.len(), 6);

    let cut = import(&home, &bridge, &format!("{HEADER}{}E-3,p3@example.com,Ada,\"No", rows(0..3)));
    assert_eq!((&cut["staged"], &cut["refused"][0]["row"]), (&json!(3), &json!(4)));
    ran(&home, &bridge, &["apply", "--yes"]);
    bridge.settled().await;
    assert_eq!(named(&sim), team);
    let status: Value = serde_json::from_slice(&run(&home, &bridge, &["status", "--json"]).stdout).unwrap();
    assert_eq!(status["problems"][0]["code"], "ROSTER-REFUSED", "{status}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_roster_withdraws_no_announced_leave() {
    let sim = sim();
    let home = Home::new(&sim, "");
    let bridge = home.serve();
    import(&home, &bridge, &format!("{HEADER}{}", rows(0..1)));
    ran(&home, &bridge, &["apply", "--yes"]);
    bridge.settled().await;
    let far = json!({"employee_id": "E-0", "effective_at": "2999-01-01T00:00:00Z"});
    let leave = json!({"type": "employee.left", "data": far}).to_string();
    post(&http(), &bridge.listen, "m1", &leave).await.unwrap();
    bridge.settled().await;
    import(&home, &bridge, &format!("{HEADER}{}", rows(0..1)));
    ran(&home, &bridge, &["apply", "--yes"]);
    bridge.settled().await;
    let person = ran(&home, &bridge, &["person", "hr/E-0"]);
    assert_eq!(bridge.jobs(&["scheduled"]).await, 1, "{person}");
    assert_eq!(named(&sim), ["p0@example.com No0 true"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn drift_is_reported_and_repaired_as_configured_and_removals_stay() {
    let sim = sim();
    let home = Home::new(&sim, "[drift]\nevery_h = 24\nrepair = [\"names\"]");
    let bridge = home.serve();
    import(&home, &bridge, &format!("{HEADER}{}", rows(0..3)));
    ran(&home, &bridge, &["apply", "--yes"]);
    bridge.settled().await;
    member(&sim, "stranger@example.com", "Moor");
    let agreed = ran(&home, &bridge, &["drift", "--now"]);
    let report = &agreed["report"];
    assert_eq!((&report["different"], &report["strangers"], &agreed["every_h"]), (&json!(0), &json!(1), &json!(24)));

    let ids: Vec<String> = (0..2).map(|n| sim.members_named(&format!("p{n}@example.com"))[0].id.to_string()).collect();
    let patched = |id: &str, path: &str, value: Value| {
        let operation = json!({"op": "replace", "path": path, "value": value});
        let schema = "urn:ietf:params:scim:api:messages:2.0:PatchOp";
        let body = json!({"schemas": [schema], "Operations": [operation]}).to_string();
        http()
            .patch(format!("{}/Users/{id}", sim.base_url()))
            .bearer_auth(crate::process::KEY)
            .header("content-type", "application/scim+json")
            .body(body)
            .send()
    };
    let put = json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
        "userName": "p0@example.com",
        "name": {"givenName": "Ada", "familyName": "Elsewhere"},
        "active": true,
    });
    let renamed = http()
        .put(format!("{}/Users/{}", sim.base_url(), ids[0]))
        .bearer_auth(crate::process::KEY)
        .header("content-type", "application/scim+json")
        .body(put.to_string())
        .send();
    assert!(renamed.await.unwrap().status().is_success());
    assert!(patched(&ids[1], "active", json!(false)).await.unwrap().status().is_success());
    // Reads may be a second behind the bridge's writes.
    tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;

    let report = ran(&home, &bridge, &["drift", "--now"])["report"].clone();
    assert_eq!((&report["different"], &report["repaired"]), (&json!(2), &json!(1)), "{report}");
    assert_eq!((&report["rename"]["count"], &report["switched_off"]["count"]), (&json!(1), &json!(1)), "{report}");
    bridge.settled().await;
    let team = named(&sim);
    assert!(team.contains(&"p0@example.com No0 true".to_owned()), "{team:?}");
    assert!(team.contains(&"p1@example.com No1 false".to_owned()), "{team:?}");
    let status: Value = serde_json::from_slice(&run(&home, &bridge, &["status", "--json"]).stdout).unwrap();
    let problem = status["problems"].as_array().unwrap().iter().find(|problem| problem["code"] == "DRIFT-DIFFERENT");
    assert_eq!(problem.unwrap()["count"], 1, "{status}");
    assert_eq!(ran(&home, &bridge, &["drift"])["report"], report);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn drift_now_fails_if_the_members_cannot_be_read_and_counts_people_who_are_only_invited() {
    let sim = sim();
    sim.add_member(Person::standing("p0@example.com", Standing::Invitable));
    let home = Home::new(&sim, "");
    let bridge = home.serve();
    import(&home, &bridge, &format!("{HEADER}{}", rows(0..2)));
    ran(&home, &bridge, &["apply", "--yes"]);
    bridge.settled().await;
    // Reads may be a second behind.
    tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
    let plan = ran(&home, &bridge, &["plan"]);
    assert_eq!(plan["invited"][0]["person"], "hr/E-0", "{plan}");
    let output = run(&home, &bridge, &["drift", "--now"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && text.contains("1 person was invited"), "{text}");
    assert!(text.contains("Of all others, HR and Postman agree."), "{text}");

    sim.inject("any:401:forever".parse::<Fault>().unwrap()).unwrap();
    let output = run(&home, &bridge, &["drift", "--now"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("The comparison failed") && text.contains("scim-bridge check"), "{text}");
    assert!(!text.contains("0 people in HR"), "{text}");
}

/// A double-spaced file, and one that ends in blank lines: its body looks like many requests to a naive count.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn blank_lines_in_a_roster_do_not_slow_its_import() {
    let sim = sim();
    let home = Home::new(&sim, "");
    let bridge = home.serve();
    let began = Instant::now();
    let double = format!("{HEADER}\n{}{}", rows(0..300).replace('\n', "\r\n\r\n"), "\n".repeat(20_000));
    assert_eq!(import(&home, &bridge, &double)["staged"], 300);
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn apply_waits_for_nobody_outside_it() {
    let sim = sim();
    let home = Home::new(&sim, "");
    let bridge = home.serve();
    let fault = Fault { times: None, ..Fault::next(1, On::Any, What::Html) };
    sim.inject(fault.about("e-99@example.com")).unwrap();
    post(&http(), &bridge.listen, "m1", &payload("employee.hired", "E-99", "Ada", "Lovelace")).await.unwrap();
    import(&home, &bridge, &format!("{HEADER}{}", rows(0..1)));
    let began = Instant::now();
    let applied = ran(&home, &bridge, &["apply", "--yes"]);
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    assert_eq!((&applied["applied"], &applied["people"]), (&json!(1), &Value::Null));
    assert_eq!(named(&sim), ["p0@example.com No0 true"], "the people in it are not waited for");
    assert!(bridge.jobs(&["waiting", "running"]).await > 0, "the other one is not tried any more");
}

/// A spreadsheet took the ids for numbers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_roster_whose_ids_lost_their_zeros_takes_over_nobody_unseen() {
    let sim = sim();
    let home = Home::new(&sim, "");
    let bridge = home.serve();
    let address = |id: &str| sim.members().iter().any(|member| *member.user_name == format!("{id}@example.com"));
    for n in 1..=4 {
        let (id, hire) = (format!("m{n}"), payload("employee.hired", &format!("0000{n}"), "Ada", "Lovelace"));
        post(&http(), &bridge.listen, &id, &hire).await.unwrap();
    }
    bridge.settled().await;
    assert!(address("00004"), "{:?}", named(&sim));
    let roster = |id: &dyn Fn(u32) -> String| {
        let rows: String = (1..=4).map(|n| format!("{},0000{n}@example.com,Ada,Lovelace\n", id(n))).collect();
        format!("{HEADER}{rows}")
    };
    let spoilt = import(&home, &bridge, &roster(&|n| format!("{n}.0")));
    let reason = spoilt["refused"][0]["reason"].as_str().unwrap();
    assert_eq!((&spoilt["staged"], &spoilt["refused_rows"]), (&json!(0), &json!(4)));
    assert!(reason.starts_with("employee_id: ") && reason.contains("export the column as text"), "{reason}");

    assert_eq!(import(&home, &bridge, &roster(&|n| n.to_string()))["staged"], 4);
    let refused = run(&home, &bridge, &["apply", "--yes"]);
    let error = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(1), "{error}");
    for word in ["4 of 4 people", "hr/1 from hr/00001", "leading zeros", "apply --plan"] {
        assert!(error.contains(word), "{word}: {error}");
    }
    let plan = ran(&home, &bridge, &["plan"]);
    assert_eq!((counts(&plan, &["take_over"]), plan["warnings"].as_array().unwrap().len()), (vec![4], 1), "{plan}");
    // As they should be, however the file marks them as text.
    assert_eq!(import(&home, &bridge, &roster(&|n| format!("=\"0000{n}\"")))["staged"], 4);
    assert_eq!(counts(&ran(&home, &bridge, &["plan"]), &["take_over"]), [0]);

    import(&home, &bridge, &roster(&|n| n.to_string()));
    fs::write(home.path().join("plan"), ran(&home, &bridge, &["plan"]).to_string()).unwrap();
    assert_eq!(ran(&home, &bridge, &["apply", "--yes", "--plan", "plan"])["applied"], 4);
    bridge.settled().await;
    let person = ran(&home, &bridge, &["person", "hr/00001"]);
    assert!(person.to_string().contains("hr/1"), "{person}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_incomplete_apply_is_refused_with_advice() {
    let sim = sim();
    let home = Home::new(&sim, "");
    let bridge = home.serve();
    import(&home, &bridge, &format!("{HEADER}{}", rows(0..1)));
    fs::write(home.path().join("other"), r#"{"ok":true}"#).unwrap();
    fs::write(home.path().join("nobody"), "# nobody\n\n").unwrap();
    for (arguments, code, advice) in [
        (&["apply", "--yes", "--plan", "other"][..], 1, "plan --json"),
        (&["apply", "--yes", "--people", "nobody"], 1, "names nobody"),
        (&["apply", "--json"], 2, "--yes"),
        (&["import", "--source", "hr", "--file", "roster", "--since", "2026-01-01"], 2, "--since"),
        (&["people", "list", "--state", "nope"], 2, "incomplete"),
        (&["people", "list", "--mark", "nope"], 2, "after_close"),
        (&["jobs", "--state", "nope"], 2, "scheduled"),
        (&["deliveries", "--result", "nope"], 2, "put_off"),
        (&["dead", "replay", "--event", "nope"], 2, "notice"),
        (&["hold", "set", "--scope", "fetch:nope"], 1, "lists the sources"),
        (&["capture", "off", "--source", "nope"], 1, "lists the sources"),
    ] {
        let refused = run(&home, &bridge, arguments);
        let texts = [&refused.stdout[..], &refused.stderr].concat();
        let texts = String::from_utf8_lossy(&texts);
        assert_eq!(refused.status.code(), Some(code), "{arguments:?}: {texts}");
        assert!(texts.contains(advice), "{arguments:?}: {texts}");
    }
    assert_eq!(sim.members().len(), 0);
    assert_eq!(run(&home, &bridge, &["capture", "off", "--source", "hr"]).status.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_removed_source_is_reported_until_it_is_back() {
    let sim = sim();
    let home = Home::new(&sim, "");
    let bridge = home.serve();
    for n in 1..4 {
        let hired = payload("employee.hired", &format!("E-{n}"), "Ada", "Lovelace");
        post(&http(), &bridge.listen, &format!("m{n}"), &hired).await.unwrap();
    }
    post(&http(), &bridge.listen, "m4", r#"{"type":"employee.hired","data":{"email":"x@example.com"}}"#).await.unwrap();
    bridge.settled().await;
    assert_eq!(sim.members().len(), 3);
    drop(bridge);
    let bridge = home.serve_with(&[("SCIM_BRIDGE__SOURCE__0__NAME", "hris")]);
    bridge.answers("/api/v1/status", |_, body| body.contains("3 people and 1 dead letter belong to source `hr`")).await;
    assert_eq!(bridge.problem("SOURCE-GONE").await["count"], 3);
    let replayed = run(&home, &bridge, &["dead", "replay", "--source", "hr"]);
    let texts = String::from_utf8_lossy(&replayed.stdout);
    assert!(texts.contains("source `hr` is not configured"), "{texts}");
    // An erased person does not count any more.
    assert!(run(&home, &bridge, &["person", "erase", "hr/E-1", "--yes"]).status.success());
    bridge.answers("/api/v1/status", |_, body| body.contains("2 people and 1 dead letter belong to source `hr`")).await;
    drop(bridge);
    let bridge = home.serve();
    bridge.answers("/api/v1/status", |status, body| status == 200 && !body.contains("SOURCE-GONE")).await;
}

/// Exports of several jobs or assignments have a row for each.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_of_one_person_that_contradict_each_other_count_for_nothing() {
    let sim = sim();
    let mapping = "[[source]]\nname = 'hr'\npreset = 'standard-webhooks'\nsecrets = ['whsec_dGhlIHNlY3JldCBvZiB0aGUgdGVzdHM=']\n\
                   [source.mapping]\nstatus = '/data/status'\nactive_values = ['Active']\nleft_values = ['Terminated']\n\
                   only_if = [{ path = '/data/kind', equals = 'employee' }]\n";
    let home = Home::new(&sim, mapping);
    let bridge = home.serve();
    for n in 1..5 {
        sim.add_member(Person::member(&format!("p{n}@example.com"), "Ada", "King"));
    }
    let file = "employee_id,email,first_name,last_name,status,kind\n\
                1,p1@example.com,A,King,Terminated,employee\n1,p1@example.com,A,King,Active,employee\n\
                2,p2@example.com,B,King,Active,employee\n2,p2@example.com,B,King,Active,employee\n\
                3,p3@example.com,C,King,Active,contractor\n";
    let imported = import(&home, &bridge, file);
    assert_eq!((&imported["staged"], &imported["left_out"]), (&json!(1), &json!(1)), "{imported}");
    let reasons: Vec<_> =
        imported["refused"].as_array().unwrap().iter().map(|row| row["reason"].as_str().unwrap()).collect();
    let id = "employee_id: the same as in";
    let expected = [format!("{id} a later row, which says otherwise"), format!("{id} row 1, which says otherwise")];
    assert_eq!((&reasons[..], &imported["repeated"]), (&expected.each_ref().map(String::as_str)[..], &json!(1)));
    assert_eq!(ran(&home, &bridge, &["plan"])["deactivate"], json!([]));

    // Whom the mapping leaves out is not somebody whom HR does not name.
    let whole = "employee_id,email,first_name,last_name,status,kind\n1,p1@example.com,A,King,Active,employee\n\
                 2,p2@example.com,B,King,Active,employee\n3,p3@example.com,C,King,Active,contractor\n";
    import(&home, &bridge, whole);
    let plan = ran(&home, &bridge, &["plan", "--strangers", "deactivate"]);
    assert_eq!(plan["deactivate"][0]["email"], "p4@example.com", "{plan}");
    assert_eq!(plan["deactivate"].as_array().unwrap().len(), 1, "{plan}");
    assert!(plan["warnings"].to_string().contains("leave out: 1; they are left alone"), "{plan}");
}
