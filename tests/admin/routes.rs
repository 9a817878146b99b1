//! Every page, requested without a session, with a read-only one, and with a full one. (`api.rs` does the same for the
//! API.)

use crate::console::Visitor;
use crate::http::send;
use crate::stage::{LOOKER, Stage, TOKEN};

/// Who may see a page.
#[derive(Clone, Copy, PartialEq, Eq)]
enum For {
    /// Everybody.
    All,
    /// Everybody who is logged in.
    Lookers,
    /// Everybody with full rights.
    Writers,
}

use For::{All, Lookers, Writers};

const NONE: &str = "00000000000000000000000000000000";

const PAGES: [(&str, &str, For); 31] = [
    ("GET", "/", Lookers),
    ("GET", "/login", All),
    ("POST", "/login", All),
    ("POST", "/logout", Lookers),
    ("GET", "/people", Lookers),
    ("GET", "/person", Lookers),
    ("POST", "/person/live", Lookers),
    ("GET", "/try", Lookers),
    ("POST", "/try", Lookers),
    ("POST", "/person/try", Writers),
    ("GET", "/dead", Lookers),
    ("POST", "/dead/act", Writers),
    ("GET", "/dead.csv", Lookers),
    ("GET", "/dead/{id}", Lookers),
    ("POST", "/dead/{id}/correct", Writers),
    ("POST", "/dead/{id}/replay", Writers),
    ("POST", "/dead/{id}/discard", Writers),
    ("GET", "/jobs/{id}", Lookers),
    ("GET", "/hold", Lookers),
    ("POST", "/hold", Writers),
    ("GET", "/roster", Lookers),
    ("POST", "/roster/apply", Writers),
    ("POST", "/roster/compare", Writers),
    ("GET", "/deliveries", Lookers),
    ("GET", "/settings", Lookers),
    ("GET", "/audit", Lookers),
    ("GET", "/events", Lookers),
    ("GET", "/style.css", All),
    ("GET", "/live.js", All),
    ("GET", "/icon.svg", All),
    ("GET", "/no-such-page", All),
];

/// All fields that any form or query requires.
const FIELDS: &str =
    "&token=&source=hr&employee_id=E-1&what=replay&scope=all&digest=x&only=names&field=%2Fx&value=x&payload=%7B%7D";

fn target(path: &str) -> String {
    let path = path.replace("{id}", NONE);
    if path == "/person" { format!("{path}?source=hr&employee_id=E-1") } else { path }
}

#[tokio::test]
async fn without_a_token_only_the_login_is_visible() {
    let stage = Stage::set();
    let form = ("Content-Type", "application/x-www-form-urlencoded");
    for (method, path, access) in PAGES {
        let answer = send(stage.address, method, &target(path), &[form], &FIELDS[1..]).await;
        let is_sent_to_log_in = (answer.status, answer.header("location")) == (303, Some("/login"));
        assert_eq!(is_sent_to_log_in, access != All, "{method} {path}: {}", answer.status);
    }
}

#[tokio::test]
async fn viewers_change_nothing_and_operators_may_do_everything() {
    let stage = Stage::set();
    for (token, may_write) in [(LOOKER, false), (TOKEN, true)] {
        for (method, path, access) in PAGES {
            // A stream never ends: `events.rs` tests it.
            if path == "/events" || path == "/login" {
                continue;
            }
            let visitor = Visitor::log_in_with(&stage, token).await;
            let answer = if method == "GET" {
                visitor.get(&target(path)).await
            } else {
                visitor.submit(&target(path), &FIELDS.replace("what=replay", what(path))).await
            };
            let is_kept_out = answer.status == 403 || answer.header("location") == Some("/login") && path != "/logout";
            assert_eq!(
                is_kept_out,
                access == Writers && !may_write,
                "{method} {path}: {} {}",
                answer.status,
                answer.body
            );
            assert_ne!(answer.status, 405, "{method} {path}");
        }
    }
}

fn what(path: &str) -> &'static str {
    match path {
        "/hold" => "what=set",
        _ => "what=replay-all",
    }
}

#[test]
fn every_served_page_is_in_the_table() {
    let served = include_str!("../../src/admin/console/mod.rs");
    let (_, served) = served.split_once("let pages").unwrap();
    let (served, _) = served.split_once("];").unwrap();
    let mut routes = 0;
    for page in served.split("(\"/").skip(1) {
        let (path, methods) = page.split_once('"').unwrap();
        for method in ["GET", "POST"] {
            if methods.contains(&format!("web::{}()", method.to_lowercase())) {
                routes += 1;
                let is_named = |(known, target, _): &(&str, &str, For)| *known == method && target[1..] == *path;
                assert!(PAGES.iter().any(is_named), "{method} /{path} is not in the table");
            }
        }
    }
    assert!(routes >= 30, "only {routes} routes were found");
}
