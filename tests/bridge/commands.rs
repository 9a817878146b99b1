//! The commands, as people and scripts use them.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use scim_bridge::postman_sim::{Fault, Person, Standing};
use serde_json::Value;

use crate::process::{HOLD_HEARD, Home, SECRET, eventually, http, payload, post, sim, until};

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("no JSON: {}", text(output)))
}

#[test]
fn the_demo_succeeds_and_says_what_happened_to_everybody() {
    let output = Command::new(env!("CARGO_BIN_EXE_scim-bridge")).arg("demo").output().unwrap();
    let printed = text(&output);
    assert!(output.status.success(), "{printed}");
    for line in ["Ada King", "SCIM-409-ELSEWHERE", "duplicate", "401", "Katherine Johnson", "0 over Postman's limits"] {
        assert!(printed.contains(line), "{line} is missing:\n{printed}");
    }
    let output = Command::new(env!("CARGO_BIN_EXE_scim-bridge")).args(["demo", "--json"]).output().unwrap();
    let report = json(&output);
    assert_eq!(report["ok"], true);
    assert_eq!(report["people"].as_array().unwrap().len(), 7);
}

#[test]
fn the_stand_in_does_not_print_its_key() {
    let key = "a-key-that-stands-in-no-log";
    for format in [&[][..], &["--json"]] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_scim-bridge"));
        command.args(["postman-sim", "--listen", "127.0.0.1:0", "--key", key]).args(format);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut printed = String::new();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        // It prints everything when it is ready, and nothing more until it ends.
        assert_ne!(stdout.read_line(&mut printed).unwrap(), 0);
        kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
        stdout.read_to_string(&mut printed).unwrap();
        child.stderr.take().unwrap().read_to_string(&mut printed).unwrap();
        assert!(child.wait().unwrap().success());
        assert!(printed.contains("/scim/v2") && !printed.contains(key), "{printed}");
    }
}

#[test]
fn wrong_arguments_and_wrong_configuration_have_exit_codes_of_their_own() {
    let sim = sim();
    let home = Home::new(&sim, "");
    assert_eq!(home.command(&["serv"]).output().unwrap().status.code(), Some(2));
    let wrong = Home::new(&sim, "[server]\nlisten = \"nowhere\"\nlisten_port = 1\n[worker]\nconcurrency = 0");
    for command in [&["check"][..], &["serve"], &["status"]] {
        let output = wrong.command(command).output().unwrap();
        assert_eq!(output.status.code(), Some(64), "{}", text(&output));
        let printed = text(&output);
        for key in ["server.listen", "server.listen_port", "worker.concurrency"] {
            assert!(printed.contains(key), "{key} is missing:\n{printed}");
        }
    }
    let output = wrong.command(&["check", "--json"]).output().unwrap();
    assert_eq!(json(&output)["ok"], false);
}

#[test]
fn an_error_in_the_arguments_is_json_like_every_other_where_json_is_asked_for() {
    let sim = sim();
    let home = Home::new(&sim, "");
    for (arguments, what) in [
        (&["serv"][..], "unrecognized subcommand 'serv'"),
        (&["people", "list", "--state", "asleep"], "[possible values: idle, waiting,"),
        (&["send", "--source", "hr"], "--file <FILE>"),
        (&["people"], "something is missing"),
        (&["deliveries", "--csv"], "leave one of them out"),
        (&["dead", "list", "--csv"], "leave one of them out"),
    ] {
        let told = home.command(&[&["--json"], arguments].concat()).output().unwrap();
        let error = json(&told);
        assert_eq!((told.status.code(), &error["ok"]), (Some(2), &Value::Bool(false)), "{}", text(&told));
        assert!(error["error"].as_str().unwrap().contains(what), "{error}");
        assert!(error["action"].as_str().unwrap().ends_with("See --help."), "{error}");
        assert!(told.stderr.is_empty(), "{}", text(&told));
    }
    let tip = home.command(&["--json", "serv"]).output().unwrap();
    assert!(json(&tip)["action"].as_str().unwrap().contains("'serve'"), "{}", text(&tip));
    let text_of = |arguments: &[&str]| home.command(arguments).output().unwrap();
    let usage = text_of(&["people", "list", "--state", "asleep"]);
    assert!(usage.status.code() == Some(2) && usage.stdout.is_empty(), "{}", text(&usage));
    let help = text_of(&["people", "--help", "--json"]);
    assert!(help.status.success() && text(&help).contains("Usage:"), "{}", text(&help));
}

#[test]
fn check_reports_successes_and_gives_advice_for_failures() {
    let sim = sim();
    let home = Home::new(&sim, "");
    let output = home.command(&["check"]).output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    assert!(text(&output).contains("the key is accepted"));
    sim.set_key("another");
    let output = home.command(&["check", "--json"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let report = json(&output);
    let key = report["checks"].as_array().unwrap().iter().find(|check| check["what"] == "postman key").unwrap();
    assert_eq!(key["ok"], false);
    assert!(key["found"].as_str().unwrap().contains("HOLD-KEY"), "{key}");
    sim.stop();
    let output = home.command(&["check"]).output().unwrap();
    assert!(text(&output).contains("SCIM-UNREACHABLE"), "{}", text(&output));
}

#[test]
fn check_fails_if_all_secrets_have_expired_or_one_is_a_variables_name() {
    let sim = sim();
    let with = |secrets: &str| {
        let home = Home::new(&sim, "");
        let config = fs::read_to_string(home.config()).unwrap();
        let changed = config.replace(&format!("secrets = [\"{SECRET}\"]"), &format!("secrets = [{secrets}]"));
        assert_ne!(changed, config);
        fs::write(home.config(), changed).unwrap();
        let output = home.command(&["check"]).output().unwrap();
        (output.status.code(), text(&output))
    };
    let expired = format!("{{ value = '{SECRET}', not_after = '2020-01-01T00:00:00Z' }}");
    let (code, printed) = with(&expired);
    assert_eq!(code, Some(1), "{printed}");
    assert!(
        printed.contains("FAIL") && printed.contains("source `hr`: the last one expired at 2020-01-01"),
        "{printed}"
    );
    let (code, printed) = with(&format!("{expired}, '{SECRET}'"));
    assert_eq!(code, Some(0), "one of them is valid: {printed}");
    let (code, printed) = with("'${HR_SECRET_OF_MINE}'");
    assert_eq!(code, Some(64), "{printed}");
    assert!(printed.contains("source[0].secrets[0]") && printed.contains("env = \"HR_SECRET_OF_MINE\""), "{printed}");
}

/// `serve` does not start with these, so `check` must not pass them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn check_fails_for_a_store_of_another_target_and_for_an_empty_file() {
    let (sim, other) = (sim(), sim());
    let home = Home::new(&sim, "");
    let bridge = home.serve();
    bridge.signal(Signal::TERM);
    bridge.ended();
    let check = |base_url: &str| {
        let output = home.command(&["check"]).env("SCIM_BRIDGE__POSTMAN__BASE_URL", base_url).output().unwrap();
        (output.status.code(), text(&output))
    };
    assert_eq!(check(&sim.base_url()).0, Some(0), "{}", check(&sim.base_url()).1);
    let (code, said) = check(&other.base_url());
    assert!(code == Some(1) && said.contains("FAIL store "), "{said}");
    assert!(said.contains(&sim.base_url()) && said.contains("`[postman] base_url`"), "{said}");
    fs::write(home.path().join("data/store.db"), "").unwrap();
    let (code, said) = check(&sim.base_url());
    assert!(code == Some(1) && said.contains("its file is empty"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn explain_send_person_and_status_show_one_hire() {
    let sim = sim();
    let home = Home::new(&sim, "");
    let file = home.path().join("hire.json");
    fs::write(&file, payload("employee.hired", "E-1", "Ada", "Lovelace")).unwrap();
    let explain = ["explain", "--source", "hr", "--file", "hire.json"];
    let output = home.command(&explain).output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    assert!(text(&output).contains("call: POST /Users"), "{}", text(&output));
    assert!(text(&output).contains("no running bridge could be asked"), "{}", text(&output));

    let bridge = home.serve();
    // The commands find the bridge by its configuration, with the ports that it picked.
    let admin = ("SCIM_BRIDGE__SERVER__ADMIN_LISTEN", bridge.admin.clone());
    let listen = ("SCIM_BRIDGE__SERVER__LISTEN", bridge.listen.clone());
    let run = |arguments: &[&str]| {
        home.command(arguments).envs([(admin.0, &admin.1), (listen.0, &listen.1)]).output().unwrap()
    };
    let sent = run(&["send", "--source", "hr", "--file", "hire.json", "--id", "m1", "--json"]);
    assert!(sent.status.success(), "{}", text(&sent));
    assert_eq!(json(&sent)["answer"]["status"], "accepted");
    let again = run(&["send", "--source", "hr", "--file", "hire.json", "--id", "m1", "--json"]);
    assert_eq!(json(&again)["answer"]["status"], "duplicate");
    bridge.settled().await;
    for who in ["hr/E-1", "E-1", "e-1@example.com", "Lovelace"] {
        let person = run(&["person", who]);
        assert!(text(&person).contains("e-1@example.com"), "{who}: {}", text(&person));
    }
    let explained = run(&explain);
    assert!(text(&explained).contains("is known as e-1@example.com"), "{}", text(&explained));
    assert!(text(&explained).contains("GET /Users/"), "{}", text(&explained));
    let status = run(&["status", "--json"]);
    assert_eq!((json(&status)["people"].as_u64(), json(&status)["jobs"]["waiting"].as_u64()), (Some(1), Some(0)));
    assert_eq!((status.status.code(), json(&status)["problems"].as_array().map(Vec::len)), (Some(0), Some(0)));
    assert_eq!(sim.stats().calls, 1, "explaining makes no calls");
    let forged = http().post(format!("http://{}/webhooks/hr", bridge.listen)).body("{}").send().await.unwrap();
    let request = forged.headers()["x-request-id"].to_str().unwrap().to_owned();
    // The log line is written concurrently with the answer.
    until("the log line has the id of the answer", async || bridge.log().contains(&request)).await;
    // They are shared with all processes every few seconds.
    let deliveries = eventually(async || {
        let deliveries = json(&run(&["deliveries", "--json"]));
        if deliveries["deliveries"].as_array().unwrap().len() == 3 { Ok(deliveries) } else { Err(deliveries) }
    })
    .await;
    let results: Vec<_> = deliveries["deliveries"].as_array().unwrap().iter().map(|one| &one["result"]).collect();
    assert_eq!(results, ["refused", "duplicate", "accepted"], "{deliveries}");
    assert_eq!(deliveries["deliveries"][0]["request_id"], request.as_str());
    let one = text(&run(&["deliveries", "--request-id", &request]));
    assert!(one.contains("missing_header") && one.contains("127.0.0.1"), "{one}");
    let nobody = run(&["person", "hr/E-404"]);
    assert_eq!(nobody.status.code(), Some(1), "{}", text(&nobody));
    let stranger = home
        .command(&["status"])
        .env("SCIM_BRIDGE__SERVER__ADMIN_LISTEN", &bridge.admin)
        .env("SCIM_BRIDGE__SERVER__ADMIN_TOKEN", "another-token-than-that-of-the-process")
        .output()
        .unwrap();
    let told = text(&stranger);
    assert!(stranger.status.code() == Some(1) && told.contains("does not accept this admin token"), "{told}");
    assert!(told.contains("configuration of that process") && !told.contains("Bearer"), "{told}");
    let after = ["--after", "junk"];
    for list in
        [&["people", "list"][..], &["people", "list", "--state", "idle"], &["jobs"], &["dead", "list"], &["deliveries"]]
    {
        let refused = run(&[list, &after].concat());
        assert!(refused.status.code() == Some(1) && text(&refused).contains("`next`"), "{list:?}: {}", text(&refused));
    }
}

#[test]
fn a_delivery_is_explained_from_every_form_in_which_it_may_be_captured() {
    let sim = sim();
    let home = Home::new(&sim, "");
    let source =
        "[[source]]\nname = \"hr\"\npreset = \"generic-hmac-hex\"\nsecrets = [\"a secret of 16 bytes or more\"]\n";
    fs::write(home.path().join("hr.toml"), source).unwrap();
    // printf '%s' "$body" | openssl dgst -sha256 -hmac 'a secret of 16 bytes or more'
    let body = r#"{"type":"employee.left","data":{"employee_id":"E-7","team":"a"}}"#;
    let signature = "893d11d4f2afad726fe89b9b60f7a79549a598ed23ebd4b85a5e10cb0f2c2b2c";
    let raw = format!("POST /webhooks/hr HTTP/1.1\nX-Signature: {signature}\nContent-Type: application/json\n\n{body}");
    let sent = raw.lines().take(3).map(|line| format!("> {line}\n")).collect::<String>();
    let curl = format!(
        "$ curl -v localhost:8080/webhooks/hr -d '{body}'\n* Connected\n{sent}>\n* done\n< HTTP/1.1 401\n<\n{{}}\n"
    );
    let entry = |body: &str| {
        serde_json::json!({ "request": { "method": "POST", "url": "https://h.example/webhooks/hr", "headers": [
            { "name": "X-Signature", "value": signature }, { "name": "Content-Type", "value": "application/json" },
        ], "postData": { "mimeType": "application/json", "text": body } } })
    };
    let har = serde_json::json!({ "log": { "entries": [entry(body), entry("{}")] } }).to_string();
    let explain = |name: &str, text: &str, more: &[&str]| {
        fs::write(home.path().join(name), text).unwrap();
        let arguments = [&["--config", "hr.toml", "explain", "--source", "hr", "--request", name][..], more].concat();
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_scim-bridge"));
        command.env_clear().current_dir(home.path()).args(arguments).output().unwrap()
    };
    for (name, text, more) in [("a.http", &raw, &[][..]), ("a.txt", &curl, &[]), ("a.har", &har, &["--entry", "1"])] {
        let output = explain(name, text, more);
        assert!(output.status.success(), "{name}: {}", self::text(&output));
        assert!(self::text(&output).contains("=> leave of hr/E-7"), "{name}: {}", self::text(&output));
        assert!(self::text(&output).contains("also has: /data/team"), "{name}: {}", self::text(&output));
    }
    let both = explain("a.har", &har, &["--json"]);
    assert_eq!(both.status.code(), Some(1), "the second one is not signed like that");
    assert_eq!(
        (json(&both)[0]["proof"]["refused"].is_null(), &json(&both)[1]["proof"]["refused"]),
        (true, &"mismatch".into())
    );
    let values = explain("a.http", &raw, &["--values"]);
    assert!(text(&values).contains("= \"E-7\"") && !text(&explain("a.http", &raw, &[])).contains("= \"E-7\""));
    let form = explain("f.http", &raw.replace("application/json", "text/csv"), &[]);
    assert!(form.status.code() == Some(1) && text(&form).contains("415"), "{}", text(&form));
    let nothing = explain("n.http", "nothing", &[]);
    assert!(nothing.status.code() == Some(1) && text(&nothing).contains("`curl -v`"), "{}", text(&nothing));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dead_letters_are_listed_shown_replayed_and_discarded() {
    let sim = sim();
    sim.add_member(Person::standing("e-1@example.com", Standing::OtherTeam));
    sim.inject("create:invalid-syntax:1:user=e-2@example.com".parse::<Fault>().unwrap()).unwrap();
    let home = Home::new(&sim, "");
    let bridge = home.serve();
    let client = http();
    for (n, given) in [(1, "Ada"), (2, "Grace")] {
        let body = payload("employee.hired", &format!("E-{n}"), given, "L");
        post(&client, &bridge.listen, &format!("m{n}"), &body).await.unwrap();
    }
    bridge.settled().await;
    let run = |arguments: &[&str]| {
        home.command(arguments).env("SCIM_BRIDGE__SERVER__ADMIN_LISTEN", &bridge.admin).output().unwrap()
    };
    let list = json(&run(&["dead", "list", "--json"]));
    let dead = list["dead"].as_array().unwrap();
    let id_of = |code: &str| dead.iter().find(|dead| dead["code"] == code).unwrap()["id"].as_str().unwrap();
    let (elsewhere, syntax) = (id_of("SCIM-409-ELSEWHERE"), id_of("SCIM-400-SYNTAX"));
    let shown = text(&run(&["dead", "show", elsewhere]));
    assert!(shown.contains("what to do:") && shown.contains("E-1"), "{shown}");
    assert!(run(&["dead", "replay", syntax]).status.success());
    assert!(run(&["dead", "discard", elsewhere]).status.success());
    bridge.settled().await;
    assert_eq!(run(&["dead", "discard", elsewhere]).status.code(), Some(1), "it no longer exists");
    assert_eq!(json(&run(&["dead", "list", "--json"]))["dead"].as_array().unwrap().len(), 0);
    assert_eq!(sim.members_named("e-2@example.com").len(), 1);
    // Sent again by the HR system, it is HR's next word about somebody whom nobody follows; about anybody else, a duplicate.
    for (n, given, status) in [(1, "Ada", "accepted"), (2, "Grace", "duplicate")] {
        let body = payload("employee.hired", &format!("E-{n}"), given, "L");
        let (_, answer) = post(&client, &bridge.listen, &format!("m{n}"), &body).await.unwrap();
        assert_eq!(answer["status"], status);
    }
    bridge.settled().await;
    let list = json(&run(&["dead", "list", "--json"]));
    assert_eq!(list["dead"][0]["code"], "SCIM-409-ELSEWHERE", "{list}");
    for text in ["e-2", "E-", "grac", "e-2@example.com"] {
        let found = json(&run(&["people", "search", text, "--json"]));
        let ids =
            found["people"].as_array().unwrap().iter().map(|found| found["person"]["employee_id"].as_str().unwrap());
        assert!(ids.into_iter().any(|id| id == "E-2"), "{text}: {found}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unmapped_record_heals_by_a_corrected_mapping() {
    let sim = sim();
    let home = Home::new(&sim, "");
    let bridge = home.serve();
    let body = payload("employee.hired", "E-1", "Ada", "Lovelace").replace("\"employee_id\"", "\"number\"");
    let (status, answer) = post(&http(), &bridge.listen, "m1", &body).await.unwrap();
    assert_eq!((status, answer["status"].as_str()), (200, Some("unmapped")));
    let id = answer["jobs"][0].as_str().unwrap().to_owned();
    let run = |bridge: &crate::process::Bridge, arguments: &[&str]| {
        home.command(arguments).env("SCIM_BRIDGE__SERVER__ADMIN_LISTEN", &bridge.admin).output().unwrap()
    };
    let hires = json(&run(&bridge, &["dead", "list", "--event", "hire", "--json"]));
    assert_eq!(
        (&hires["dead"][0]["id"], &hires["dead"][0]["event"]),
        (&Value::from(id.as_str()), &Value::from("hire"))
    );
    let still = run(&bridge, &["dead", "replay", &id]);
    assert_eq!(still.status.code(), Some(1), "{}", text(&still));
    assert_eq!(bridge.jobs(&["dead"]).await, 1);
    bridge.signal(rustix::process::Signal::TERM);
    bridge.ended();
    let config = fs::read_to_string(home.config()).unwrap();
    fs::write(home.config(), format!("{config}\n[source.mapping]\nemployee_id = [\"/data/number\"]\n")).unwrap();
    let bridge = home.serve();
    bridge.until("dead", 0).await;
    bridge.settled().await;
    assert_eq!(sim.members_named("e-1@example.com").len(), 1);
    assert_eq!(run(&bridge, &["dead", "replay", &id]).status.code(), Some(1), "it no longer exists");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hold_is_set_shown_and_lifted_and_a_new_key_lifts_the_old_keys_hold() {
    let sim = sim();
    let home = Home::new(&sim, "[postman]\nkey = { file = \"key\" }");
    fs::write(home.path().join("key"), "expired\n").unwrap();
    let bridge = home.serve();
    let run = |arguments: &[&str]| {
        home.command(arguments).env("SCIM_BRIDGE__SERVER__ADMIN_LISTEN", &bridge.admin).output().unwrap()
    };
    let body = payload("employee.hired", "E-1", "Ada", "Lovelace");
    post(&http(), &bridge.listen, "m1", &body).await.unwrap();
    let is_held = async || !json(&run(&["hold", "show", "--json"]))["holds"].as_array().unwrap().is_empty();
    until("all is held", is_held).await;
    let shown = text(&run(&["hold", "show"]));
    assert!(shown.contains("HOLD-KEY") && shown.contains("what to do"), "{shown}");
    let status = run(&["status"]);
    assert_eq!(status.status.code(), Some(3), "{status:?}");
    assert!(text(&status).contains("HOLD-KEY"), "{status:?}");
    fs::write(home.path().join("key"), crate::process::KEY).unwrap();
    bridge.settled().await;
    assert_eq!(sim.members().len(), 1);
    assert!(text(&run(&["hold", "show"])).contains("No hold"));

    assert!(run(&["hold", "set", "--scope", "creates", "--reason", "a move of offices"]).status.success());
    for shown in [run(&["hold", "show"]), run(&["status"])] {
        assert!(text(&shown).contains("set by admin: a move of offices"), "{}", text(&shown));
    }
    tokio::time::sleep(HOLD_HEARD).await;
    post(&http(), &bridge.listen, "m2", &payload("employee.hired", "E-2", "Grace", "Hopper")).await.unwrap();
    bridge.until("held", 1).await;
    assert!(text(&run(&["hold", "lift"])).contains("lifted: creates"));
    bridge.settled().await;
    assert_eq!(sim.members().len(), 2);
}

#[test]
fn the_environment_alone_is_configuration_enough() {
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_scim-bridge"))
        .env_clear()
        .env("HR_SECRET", SECRET)
        .env("POSTMAN_SCIM_KEY", "k")
        .env("SCIM_BRIDGE__POSTMAN__BASE_URL", "http://127.0.0.1:9/scim/v2")
        .current_dir(folder.path())
        .arg("check")
        .output()
        .unwrap();
    let printed = text(&output);
    assert!(printed.contains("ok   configuration  sources: hr"), "{printed}");
    assert!(printed.contains("FAIL postman"), "{printed}");
    assert!(!printed.contains(SECRET));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_that_ask_the_bridge_need_none_of_its_secrets() {
    let sim = sim();
    let home = Home::new(&sim, "[postman]\nkey = { env = \"THE_KEY\" }");
    let bridge = home.serve_with(&[("THE_KEY", crate::process::KEY)]);
    for command in [&["status"][..], &["dead", "list"], &["hold", "show"]] {
        let mut asking = home.command(command);
        let output = asking.env("SCIM_BRIDGE__SERVER__ADMIN_LISTEN", &bridge.admin).output().unwrap();
        assert!(output.status.success(), "{}", text(&output));
    }
    assert_eq!(home.command(&["check"]).output().unwrap().status.code(), Some(64));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn matching_dead_letters_are_counted_and_then_replayed() {
    let sim = sim();
    for n in 1..=3 {
        sim.add_member(Person::standing(&format!("e-{n}@example.com"), Standing::OtherTeam));
    }
    sim.inject("create:invalid-syntax:forever:user=e-4@example.com".parse::<Fault>().unwrap()).unwrap();
    let home = Home::new(&sim, "");
    let bridge = home.serve();
    for n in 1..=4 {
        let body = payload("employee.hired", &format!("E-{n}"), "Ada", "L");
        post(&http(), &bridge.listen, &format!("m{n}"), &body).await.unwrap();
    }
    bridge.settled().await;
    let run = |arguments: &[&str]| {
        home.command(arguments).env("SCIM_BRIDGE__SERVER__ADMIN_LISTEN", &bridge.admin).output().unwrap()
    };
    let elsewhere = ["dead", "replay", "--json", "--code", "SCIM-409-ELSEWHERE", "--event", "hire", "--source", "hr"];
    let calls = sim.stats().calls;
    let counted = json(&run(&[&elsewhere[..], &["--dry-run"]].concat()));
    assert_eq!((counted["matched"].as_u64(), counted["replayed"].as_u64()), (Some(3), Some(0)));
    let young = json(&run(&[&elsewhere[..], &["--older-than", "1h"]].concat()));
    assert_eq!((young["matched"].as_u64(), young["replayed"].as_u64()), (Some(0), Some(0)));
    bridge.settled().await;
    assert_eq!(sim.stats().calls, calls, "counting alone tries nobody");
    let replayed = json(&run(&elsewhere));
    assert_eq!((replayed["matched"].as_u64(), replayed["replayed"].as_u64()), (Some(3), Some(3)));
    bridge.settled().await;
    let tried = sim.journal_since(calls);
    assert!(tried.iter().any(|call| call.user_name.as_deref() == Some("e-3@example.com")));
    assert!(tried.iter().all(|call| call.user_name.as_deref() != Some("e-4@example.com")), "it has another code");
    assert_eq!(run(&["dead", "replay"]).status.code(), Some(2), "replaying all must be asked for");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_are_listed_found_and_erased() {
    let sim = sim();
    let home = Home::new(&sim, "");
    let bridge = home.serve();
    for (n, family) in [(1, "Lovelace"), (2, "Hopper"), (3, "Lovelock")] {
        let body = payload("employee.hired", &format!("E-{n}"), "Ada", family);
        post(&http(), &bridge.listen, &format!("m{n}"), &body).await.unwrap();
    }
    bridge.settled().await;
    let run = |arguments: &[&str]| {
        home.command(arguments).env("SCIM_BRIDGE__SERVER__ADMIN_LISTEN", &bridge.admin).output().unwrap()
    };
    let count = |output: &Output| json(output)["people"].as_array().unwrap().len();
    assert_eq!(count(&run(&["people", "list", "--json"])), 3);
    assert_eq!(count(&run(&["people", "list", "--json", "--state", "blocked"])), 0);
    assert_eq!(count(&run(&["people", "search", "--json", "lovel"])), 2);
    let several = run(&["person", "lovel"]);
    assert_eq!(several.status.code(), Some(1));
    assert!(text(&several).contains("hr/E-1") && text(&several).contains("hr/E-3"), "{several:?}");
    let person = json(&run(&["person", "hr/E-2", "--json"]));
    assert_eq!((&person["member"]["active"], &person["waits_for"]), (&Value::Bool(true), &Value::Null));
    assert_eq!(person["record"]["family_name"]["value"], "Hopper");
    assert!(!person["story"].as_array().unwrap().is_empty());

    assert_eq!(run(&["person", "erase", "hr/E-2"]).status.code(), Some(1), "only with a confirmation");
    assert!(run(&["person", "erase", "hr/E-2", "--yes"]).status.success());
    assert_eq!(run(&["person", "hr/E-2"]).status.code(), Some(1));
    assert_eq!(count(&run(&["people", "search", "--json", "hopper"])), 0);
    assert_eq!(sim.members().len(), 3, "the member stays");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leaves_beyond_the_guard_wait_until_an_operator_allows_them() {
    let sim = sim();
    let home = Home::new(&sim, "[guard]\nleaves_max = 1\nleaves_percent = 0");
    let bridge = home.serve();
    for n in 1..=4 {
        let body = payload("employee.hired", &format!("E-{n}"), "Ada", "L");
        post(&http(), &bridge.listen, &format!("h{n}"), &body).await.unwrap();
    }
    bridge.settled().await;
    for n in 1..=4 {
        let body = format!(r#"{{"type":"employee.left","data":{{"employee_id":"E-{n}"}}}}"#);
        post(&http(), &bridge.listen, &format!("l{n}"), &body).await.unwrap();
    }
    bridge.until("held", 3).await;
    let off = || sim.members().iter().filter(|member| !member.active).count();
    assert_eq!(off(), 1);
    let run = |arguments: &[&str]| {
        home.command(arguments).env("SCIM_BRIDGE__SERVER__ADMIN_LISTEN", &bridge.admin).output().unwrap()
    };
    assert!(text(&run(&["hold", "show"])).contains("HOLD-GUARD"));
    assert_eq!(run(&["status"]).status.code(), Some(3));
    let lifted = run(&["hold", "lift"]);
    assert!(text(&lifted).contains("No hold was lifted"), "the guard's holds must be lifted by name: {lifted:?}");
    assert!(run(&["hold", "allow", "deactivations", "2"]).status.success());
    bridge.until("held", 1).await;
    // People who were let through are no longer held, and are switched off soon.
    until("three are switched off", async || off() >= 3).await;
    assert_eq!(off(), 3);
    assert!(run(&["hold", "allow", "deactivations", "1"]).status.success());
    bridge.settled().await;
    assert_eq!(off(), 4);
}
