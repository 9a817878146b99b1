//! A roster from an HR system's own list, through the commands: read, planned, applied; and lists that break.

use std::process::Output;

use scim_bridge::hr_sim::{HrFault, HrPerson, HrSim};
use scim_bridge::postman_sim::{Person, PostmanSim};
use serde_json::{Value, json};

use crate::process::{Bridge, Home, sim, until};

/// HR system, target, configuration and process for a source with a preset.
struct Stage {
    hr: HrSim,
    postman: PostmanSim,
    home: Home,
    bridge: Bridge,
}

impl Stage {
    fn new(preset: &str) -> Self {
        let hr = HrSim::start(([127, 0, 0, 1], 0).into()).unwrap();
        let login = hr.login();
        let parts = match preset {
            "hibob" => format!("username = '{}'\npassword = '{}'", login.username, login.password),
            "personio" | "paylocity" => {
                format!("client_id = '{}'\nclient_secret = '{}'", login.client_id, login.client_secret)
            }
            "gusto" => format!(
                "client_id = '{}'\nclient_secret = '{}'\nrefresh_token = '{}'",
                login.client_id, login.client_secret, login.refresh_token
            ),
            _ => format!("token = '{}'", login.token),
        };
        let values = "subdomain = 'acme', company_id = 'acme', integration_id = 'acme', member_id = 'acme', account_token = 'acme'";
        let signature = if preset == "paylocity" { "[source.signature]\nusername = 'paylocity'\n" } else { "" };
        let source = format!(
            "[[source]]\nname = 'hr'\npreset = '{preset}'\nsecrets = ['whsec_dGhlIHNlY3JldCBvZiB0aGUgdGVzdHM=']\n\
             [source.fetch]\nbase_url = '{}'\nvalues = {{ {values} }}\n{parts}\n{signature}",
            hr.base_url()
        );
        let postman = sim();
        let home = Home::new(&postman, &source);
        let bridge = home.serve();
        Self { hr, postman, home, bridge }
    }

    fn put(&self, ids: std::ops::Range<u32>) {
        for n in ids {
            self.hr.put(HrPerson::working(&format!("E-{n}"), &email(n), "Ada", &format!("No{n}")));
        }
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = self.home.command(arguments);
        command.env("SCIM_BRIDGE__SERVER__ADMIN_LISTEN", &self.bridge.admin).output().unwrap()
    }

    fn ran(&self, arguments: &[&str]) -> Value {
        let output = self.run(&[arguments, &["--json"]].concat());
        let texts = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{texts:?}\n{}", self.bridge.log());
        serde_json::from_str(&texts.0).unwrap()
    }

    fn fetch(&self) -> Value {
        self.ran(&["import", "--source", "hr", "--fetch"])
    }

    /// The error of a fetch that must fail.
    fn refused(&self, more: &[&str]) -> String {
        let output = self.run(&[&["import", "--source", "hr", "--fetch"], more].concat());
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    }

    fn problems(&self) -> Vec<String> {
        let status: Value = serde_json::from_slice(&self.run(&["status", "--json"]).stdout).unwrap();
        let problems = status["problems"].as_array().unwrap().iter();
        problems.map(|problem| problem["code"].as_str().unwrap().to_owned()).collect()
    }

    /// Address, family name and activity of every member of the team.
    fn team(&self) -> Vec<String> {
        let one = |member: &scim_bridge::postman_sim::Member| {
            format!("{} {} {}", member.user_name, member.name.family_name, member.active)
        };
        let mut team: Vec<_> = self.postman.members().iter().map(one).collect();
        team.sort();
        team
    }
}

fn email(n: u32) -> String {
    format!("p{n}@example.com")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_of_every_system_with_a_list_join_the_team() {
    for preset in [
        "bamboohr",
        "hibob",
        "personio",
        "gusto",
        "deel",
        "remote",
        "merge",
        "finch",
        "kombo",
        "factorial",
        "workable",
        "paylocity",
    ] {
        let stage = Stage::new(preset);
        stage.put(0..5);
        let gone = HrPerson::working("E-9", "p9@example.com", "Gone", "Already").gone("2026-11-20");
        stage.hr.put(gone);
        let imported = stage.fetch();
        assert_eq!((&imported["rows"], &imported["staged"]), (&json!(6), &json!(6)), "{preset}: {imported}");
        assert_eq!(stage.team(), Vec::<String>::new(), "{preset}: no calls before it is applied");
        let plan = stage.ran(&["plan"]);
        assert_eq!(plan["create"].as_array().unwrap().len(), 5, "{preset}: {plan}");
        stage.ran(&["apply", "--yes"]);
        stage.bridge.settled().await;
        let expected: Vec<_> = (0..5).map(|n| format!("{} No{n} true", email(n))).collect();
        assert_eq!(stage.team(), expected, "{preset}");
        assert!(stage.hr.journal().iter().all(|read| read.authorized), "{preset}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_stalled_or_empty_list_stages_nothing_and_makes_no_strangers() {
    let stage = Stage::new("deel");
    let stranger = json!({"user_name": "stranger@example.com", "given_name": "Ada", "family_name": "Moor"});
    stage.postman.add_member(serde_json::from_value::<Person>(stranger).unwrap());
    stage.put(0..6);
    stage.fetch();
    stage.ran(&["apply", "--yes"]);
    stage.bridge.settled().await;
    let team = stage.team();
    assert_eq!(team.len(), 7);

    let page = |ids: &[u32]| {
        let people = ids.iter().map(|n| json!({"id": format!("E-{n}"), "hiring_status": "inactive"}));
        HrFault::Body("application/json", json!({"data": people.collect::<Vec<_>>()}).to_string())
    };
    let broken = [
        ("FETCH-4XX: status 400", vec![HrFault::Served, HrFault::Status(400, Vec::new())]),
        // A list that may have changed while it was read is read up to three times.
        ("nobody new", vec![page(&[1, 2]); 6]),
        ("the list is empty", vec![page(&[])]),
        (
            "shows 0 (read 3 times)",
            vec![HrFault::Body("application/json", r#"{"data":[],"page":{"total_rows":6}}"#.to_owned()); 3],
        ),
        ("expected an array", vec![HrFault::Body("application/json", r#"{"error":"no"}"#.to_owned())]),
        ("HOLD-FETCH", vec![HrFault::Served, HrFault::Status(401, Vec::new())]),
        ("HOLD-FETCH: a redirect", vec![HrFault::Redirect]),
        ("HOLD-FETCH: an HTML page", vec![HrFault::Page]),
    ];
    for (expected, faults) in broken {
        for fault in faults {
            stage.hr.inject(fault, 1);
        }
        let error = stage.refused(&[]);
        assert!(error.contains(expected) && error.contains("nothing is staged"), "{expected}: {error}");
        stage.hr.clear_faults();
        assert_eq!(stage.problems(), ["ROSTER-UNLISTED"], "{expected}");
        let plan = stage.ran(&["plan", "--strangers", "deactivate"]);
        assert_eq!(plan["deactivate"], json!([]), "{expected}: {plan}");
        let applied = stage.run(&["apply", "--yes", "--strangers", "deactivate"]);
        assert_eq!(applied.status.code(), Some(1), "{expected}: {applied:?}");
    }
    assert_eq!(stage.team(), team);

    // Temporary failures and rate limits are waited for, and then the fetch succeeds.
    stage.hr.inject(HrFault::Served, 1);
    stage.hr.inject(HrFault::Status(503, Vec::new()), 1);
    stage.hr.inject(HrFault::Status(429, vec![("retry-after", "1".to_owned())]), 1);
    assert_eq!(stage.fetch()["staged"], 6);
    assert_eq!(stage.problems(), Vec::<String>::new());
    let plan = stage.ran(&["plan", "--strangers", "deactivate"]);
    assert_eq!(plan["deactivate"].as_array().unwrap().len(), 1, "{plan}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_that_changes_while_it_is_read_is_read_again_and_never_staged_with_somebody_missing() {
    let stage = Stage::new("deel");
    stage.put(0..4);
    let page = |ids: &[u32], total: u32| {
        let people = ids.iter().map(|n| json!({"id": format!("E-{n}"), "hiring_status": "active"}));
        let page = json!({"data": people.collect::<Vec<_>>(), "page": {"total_rows": total}});
        HrFault::Body("application/json", page.to_string())
    };
    // Somebody on the first page left in between, so the first person of the second page moved to the first.
    for fault in [page(&[0, 1], 4), page(&[3], 3)] {
        stage.hr.inject(fault, 1);
    }
    assert_eq!(stage.fetch()["staged"], 4);
    let again = [page(&[0, 1], 4), page(&[1, 2], 4)];
    for fault in again.iter().cycle().take(6) {
        stage.hr.inject(fault.clone(), 1);
    }
    let error = stage.refused(&[]);
    assert!(error.contains("FETCH-LIST: a page repeats somebody from an earlier page"), "{error}");
    assert_eq!(stage.problems(), ["ROSTER-UNLISTED"]);
    stage.ran(&["plan"]);
    let applied = stage.run(&["apply", "--yes", "--strangers", "deactivate"]);
    assert_eq!(applied.status.code(), Some(1), "{applied:?}");
    let told = String::from_utf8_lossy(&applied.stderr);
    assert!(told.contains("without `--strangers deactivate`"), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hold_in_the_middle_of_a_list_is_waited_for() {
    let stage = Stage::new("deel");
    stage.put(0..4);
    stage.ran(&["hold", "set", "--scope", "fetch:hr"]);
    assert!(stage.refused(&[]).contains("HOLD-FETCH"), "the command fails immediately");
    stage.ran(&["hold", "lift", "--scope", "fetch:hr"]);
    let reads = stage.hr.reads();
    // Slow enough that the hold is set before the page arrives.
    stage.hr.inject(HrFault::Slow(3_000), 1);
    let mut command = stage.home.command(&["import", "--source", "hr", "--fetch", "--json"]);
    command.env("SCIM_BRIDGE__SERVER__ADMIN_LISTEN", &stage.bridge.admin).stdout(std::process::Stdio::piped());
    let import = command.spawn().unwrap();
    until("a page is read", async || stage.hr.reads() > reads).await;
    stage.ran(&["hold", "set", "--scope", "fetch:hr"]);
    // A time in which nothing happens: the page arrives within it, and the next one would be requested at once.
    tokio::time::sleep(std::time::Duration::from_secs(4)).await;
    assert_eq!(stage.hr.reads(), reads + 1, "no requests while it is held");
    stage.ran(&["hold", "lift", "--scope", "fetch:hr"]);
    let output = import.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let imported: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(imported["staged"], 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_rows_are_named_and_only_changed_people_are_staged() {
    let stage = Stage::new("kombo");
    stage.put(0..3);
    assert_eq!(stage.fetch()["staged"], 3);
    stage.ran(&["apply", "--yes"]);
    stage.bridge.settled().await;

    let changed = json!({"data": {"results": [
        {"id": "E-1", "first_name": "Ada", "last_name": "King", "work_email": email(1), "employment_status": "ACTIVE"},
        {"id": "E-7", "first_name": "Bad", "last_name": "Status", "employment_status": "SOMETHING"},
        {"first_name": "No", "last_name": "Id"},
    ], "next": null}});
    stage.hr.inject(HrFault::Body("application/json", changed.to_string()), 1);
    let imported = stage.ran(&["import", "--source", "hr", "--fetch", "--since", "2026-11-01"]);
    assert_eq!((&imported["rows"], &imported["staged"]), (&json!(3), &json!(1)), "{imported}");
    let refused = imported["refused"].as_array().unwrap();
    assert_eq!((&refused[0]["row"], &refused[1]["row"]), (&json!(2), &json!(3)));
    assert!(refused[0]["reason"].as_str().unwrap().starts_with("status:"), "{refused:?}");
    assert!(refused[1]["reason"].as_str().unwrap().contains("employee_id"), "{refused:?}");
    assert!(stage.hr.journal().last().unwrap().target.contains("updated_after=2026-11-01T00%3A00%3A00Z"));
    stage.ran(&["apply", "--yes"]);
    stage.bridge.settled().await;
    assert_eq!(stage.team(), ["p0@example.com No0 true", "p1@example.com King true", "p2@example.com No2 true"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_system_without_a_list_gets_the_advice_to_export_a_file() {
    let stage = Stage::new("lever");
    let error = stage.refused(&[]);
    assert!(error.contains("cannot be listed") && error.contains("--file"), "{error}");
    let stage = Stage::new("deel");
    let error = stage.refused(&["--since", "2026-11-01"]);
    assert!(error.contains("leave `--since` away"), "{error}");
    let neither = stage.run(&["import", "--source", "hr"]);
    assert_eq!(neither.status.code(), Some(2), "{neither:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_listed_person_whose_record_shows_only_the_id_is_refused_and_nobody_is_a_stranger() {
    let stage = Stage::new("bamboohr");
    stage.put(1..4);
    for n in 1..5 {
        stage.postman.add_member(Person::member(&email(n), "Ada", "King"));
    }
    // The list has two pages; then each person is read.
    stage.hr.inject(HrFault::Served, 2);
    stage.hr.inject(HrFault::Body("application/json", r#"{"id":"E-1"}"#.to_owned()), 1);
    let imported = stage.fetch();
    assert_eq!((&imported["rows"], &imported["staged"]), (&json!(3), &json!(2)), "{imported}");
    assert!(imported["refused"][0]["reason"].as_str().unwrap().contains("shows nothing of them"), "{imported}");
    let plan = stage.ran(&["plan", "--strangers", "deactivate"]);
    assert_eq!(plan["deactivate"], json!([]), "{plan}");
}
