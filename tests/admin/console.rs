//! The console: log-in, pages, forms, and what hostile people and names can do to it (nothing).

use scim_bridge::core::code::Code;
use scim_bridge::core::hold::HoldScope;
use scim_bridge::store::LaneState;
use scim_bridge::store::holds::SharedHolds;

use crate::http::{Answer, send};
use crate::stage::{LOOKER, Stage, TOKEN, hire};

const OUR_SCRIPT: &str = "<script src=\"/live.js\" defer></script>";
const FORM: (&str, &str) = ("Content-Type", "application/x-www-form-urlencoded");

/// A user with a browser.
pub(crate) struct Visitor<'a> {
    stage: &'a Stage,
    cookie: String,
}

impl<'a> Visitor<'a> {
    pub(crate) async fn log_in(stage: &'a Stage) -> Self {
        Self::log_in_with(stage, TOKEN).await
    }

    pub(crate) async fn log_in_with(stage: &'a Stage, token: &str) -> Self {
        let answer = send(stage.address, "POST", "/login", &[FORM], &format!("token={token}")).await;
        assert_eq!((answer.status, answer.header("location")), (303, Some("/")));
        let cookie = answer.header("set-cookie").unwrap();
        for attribute in ["HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=28800"] {
            assert!(cookie.contains(attribute), "{cookie}");
        }
        assert!(!cookie.contains(token) && !cookie.contains("Secure"));
        Self { stage, cookie: cookie.split(';').next().unwrap().to_owned() }
    }

    pub(crate) fn cookie(&self) -> &str {
        &self.cookie
    }

    pub(crate) async fn get(&self, target: &str) -> Answer {
        send(self.stage.address, "GET", target, &[("Cookie", &self.cookie)], "").await
    }

    /// A page that must exist.
    pub(crate) async fn page(&self, target: &str) -> String {
        let answer = self.get(target).await;
        assert_eq!(answer.status, 200, "{target}: {}", answer.body);
        answer.body
    }

    pub(crate) async fn post(&self, target: &str, origin: &str, body: &str) -> Answer {
        let headers = [FORM, ("Cookie", self.cookie.as_str()), ("Origin", origin)];
        send(self.stage.address, "POST", target, &headers, body).await
    }

    /// The token in this session's forms.
    pub(crate) async fn form_token(&self) -> String {
        let page = self.page("/hold").await;
        let (_, rest) = page.split_once("name=\"form_token\" value=\"").unwrap();
        rest.split_once('"').unwrap().0.to_owned()
    }

    /// Submits a form as a browser does.
    pub(crate) async fn submit(&self, target: &str, fields: &str) -> Answer {
        let origin = format!("http://{}", self.stage.address);
        let body = format!("form_token={}{fields}", self.form_token().await);
        self.post(target, &origin, &body).await
    }
}

#[tokio::test]
async fn a_visitor_without_a_session_is_asked_to_log_in() {
    let stage = Stage::set();
    for page in [
        "/",
        "/dead",
        "/people",
        "/person?source=hr&employee_id=1",
        "/hold",
        "/deliveries",
        "/try",
        "/dead.csv",
        "/audit",
        "/settings",
        "/dead/00000000000000000000000000000000",
    ] {
        let answer = stage.get(page).await;
        assert_eq!((answer.status, answer.header("location")), (303, Some("/login")), "{page}");
        assert!(answer.body.is_empty());
    }
    let login = stage.get("/login").await;
    assert_eq!(login.status, 200);
    assert_eq!(stage.get("/style.css").await.header("content-type"), Some("text/css; charset=utf-8"));
}

#[tokio::test]
async fn a_wrong_token_does_not_log_in() {
    let stage = Stage::set();
    for body in ["token=wrong", "token="] {
        let answer = send(stage.address, "POST", "/login", &[FORM], body).await;
        assert_eq!(answer.status, 401);
        assert!(answer.header("set-cookie").is_none());
    }
    let foreign = [FORM, ("Origin", "https://evil.example")];
    assert_eq!(send(stage.address, "POST", "/login", &foreign, &format!("token={TOKEN}")).await.status, 403);
}

#[tokio::test]
async fn a_session_ends_with_its_time_with_the_token_and_by_logging_out() {
    let stage = Stage::set();
    let visitor = Visitor::log_in(&stage).await;
    assert_eq!(visitor.get("/").await.status, 200);
    assert_eq!(visitor.get("/login").await.header("location"), Some("/"));
    let out = visitor.submit("/logout", "").await;
    assert!(out.header("set-cookie").unwrap().contains("Max-Age=0"));
    assert_eq!(visitor.get("/").await.status, 303, "a copy of the cookie is no longer valid either");

    let visitor = Visitor::log_in(&stage).await;
    assert_eq!(visitor.get("/").await.status, 200);
    stage.clock.advance_ms(8 * 3_600_000);
    assert_eq!(visitor.get("/").await.status, 303);

    let visitor = Visitor::log_in(&stage).await;
    stage.token.replace("another".to_owned().into());
    assert_eq!(visitor.get("/").await.status, 303);
}

#[tokio::test]
async fn every_page_forbids_foreign_and_inline_scripts_frames_and_caches() {
    let stage = Stage::set();
    let visitor = Visitor::log_in(&stage).await;
    for page in [
        "/",
        "/dead",
        "/people",
        "/hold",
        "/roster",
        "/deliveries",
        "/try",
        "/audit",
        "/settings",
        "/login",
        "/no-such-page",
    ] {
        let answer = visitor.get(page).await;
        let policy = answer.header("content-security-policy").unwrap();
        assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{policy}");
        assert!(!policy.contains("unsafe") && policy.contains("script-src 'self';"), "{policy}");
        assert_eq!(answer.header("x-frame-options"), Some("DENY"));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        let body = answer.body.replace(OUR_SCRIPT, "");
        assert!(!body.contains("<script") && !body.contains("style=\""), "{page}");
    }
}

#[tokio::test]
async fn a_form_from_elsewhere_or_without_its_token_does_nothing() {
    let stage = Stage::set();
    let visitor = Visitor::log_in(&stage).await;
    let own = format!("http://{}", stage.address);
    let token = visitor.form_token().await;
    let good = format!("form_token={token}&what=set&scope=all");
    for (origin, body) in [
        ("https://evil.example", good.as_str()),
        ("null", good.as_str()),
        (own.as_str(), "form_token=guess&what=set&scope=all"),
        (own.as_str(), "form_token=&what=set&scope=all"),
    ] {
        assert_eq!(visitor.post("/hold", origin, body).await.status, 403, "{origin} {body}");
    }
    assert_eq!(visitor.post("/hold", &own, "what=set&scope=all").await.status, 400);
    assert!(stage.problems().await.is_empty());
    assert_eq!(visitor.post("/hold", &own, &good).await.status, 303);
    assert_eq!(stage.problems().await, ["HOLD-OPERATOR"]);
}

#[tokio::test]
async fn the_bearer_token_does_not_open_pages_and_the_cookie_not_the_api() {
    let stage = Stage::set();
    let visitor = Visitor::log_in(&stage).await;
    assert_eq!(visitor.get("/api/v1/status").await.status, 401);
    assert_eq!(stage.api("GET", "/", "").await.status, 303);
}

#[tokio::test]
async fn a_viewer_has_no_buttons_and_changes_nothing() {
    let stage = Stage::set();
    let looker = Visitor::log_in_with(&stage, LOOKER).await;
    stage.accept(vec![hire("E-1", "Ada", "Lovelace")]).await;
    let id = stage.add_dead_letter(Code::ScimElsewhere, "").await;
    for page in ["/", "/dead", "/hold", "/person?source=hr&employee_id=E-1", &format!("/dead/{id}")] {
        let page = looker.page(page).await;
        let forms: Vec<_> = page.match_indices("<form").map(|(at, _)| &page[at..page.len().min(at + 60)]).collect();
        let changing =
            |form: &&&str| form.contains("post") && !form.contains("/logout") && !form.contains("/person/live");
        assert_eq!(forms.iter().filter(changing).count(), 0, "{forms:?}");
    }
    let page = looker.page("/").await;
    let (_, rest) = page.split_once("name=\"form_token\" value=\"").unwrap();
    let body = format!("form_token={}&what=set&scope=all", rest.split_once('"').unwrap().0);
    let own = format!("http://{}", stage.address);
    assert_eq!(looker.post("/hold", &own, &body).await.status, 403);
    assert_eq!(looker.post(&format!("/dead/{id}/replay"), &own, &body).await.status, 403);
    assert_eq!(looker.post("/dead/act", &own, &format!("{body}&what=replay-all")).await.status, 403);
    assert_eq!(stage.problems().await, ["SCIM-409-ELSEWHERE"]);
}

#[tokio::test]
async fn the_first_page_shows_problems_and_what_to_do_first() {
    let stage = Stage::set();
    let visitor = Visitor::log_in(&stage).await;
    assert!(visitor.page("/").await.contains("All is well"));
    stage.accept(vec![hire("E-1", "Ada", "Lovelace"), hire("E-2", "Grace", "Hopper")]).await;
    stage.add_dead_letter(Code::ScimElsewhere, "").await;
    stage.finish_next().await;
    let holds = SharedHolds::new(stage.store.clone(), stage.clock.clone(), crate::stage::PAUSES);
    holds.set(&HoldScope::All, Code::HoldKey, None).await.unwrap();
    let page = visitor.page("/").await;
    let (hold, dead) = (page.find("HOLD-KEY").unwrap(), page.find("SCIM-409-ELSEWHERE").unwrap());
    assert!(hold < dead);
    assert!(page.contains("2 things need attention") && page.contains("work resumes automatically"), "{page}");
    assert!(page.contains("/dead?code=SCIM-409-ELSEWHERE"), "a link to exactly these dead letters");
}

#[tokio::test]
async fn the_console_sets_an_operators_hold_beside_the_guards_and_lifts_each_by_its_button() {
    let stage = Stage::set();
    let visitor = Visitor::log_in(&stage).await;
    let holds = SharedHolds::new(stage.store.clone(), stage.clock.clone(), crate::stage::PAUSES);
    // The guard's hold goes as soon as nobody waits behind it.
    stage.accept(vec![hire("E-1", "Ada", "Lovelace")]).await;
    stage.leave_next(LaneState::Held, |_| {}).await;
    holds.set(&HoldScope::Deactivations, Code::HoldGuard, None).await.unwrap();
    let page = visitor.page("/hold").await;
    let set = |page: &str, scope: &str| page.contains(&format!("id=\"reason-{scope}\""));
    for scope in ["all", "creates", "writes", "deactivations", "addresses"] {
        assert!(set(&page, scope), "{scope}: {page}");
    }
    assert!(page.contains("Leaves: held") && page.contains("Leaves: not held by an operator"), "{page}");
    let held = visitor.submit("/hold", "&what=set&scope=deactivations&reason=a+freeze").await;
    assert_eq!(held.header("location"), Some("/hold?done=held"));
    let page = visitor.page("/hold").await;
    assert!(!set(&page, "deactivations") && set(&page, "addresses"), "{page}");
    // The guard's own is lifted although the operator's stands beside it, and would be lifted first.
    assert!(page.contains(r#"name="code" value="HOLD-GUARD""#) && page.contains(r#"value="HOLD-OPERATOR""#), "{page}");
    for (code, left) in [("HOLD-GUARD", vec!["HOLD-OPERATOR"]), ("HOLD-OPERATOR", vec![])] {
        visitor.submit("/hold", &format!("&what=lift&scope=deactivations&code={code}")).await;
        assert_eq!(stage.problems().await, left);
    }
    for id in page.split(" id=\"").skip(1).map(|rest| rest.split_once('"').unwrap().0) {
        assert_eq!(page.matches(&format!(" id=\"{id}\"")).count(), 1, "{id}");
    }
}

#[tokio::test]
async fn a_person_found_by_name_first_shows_why_they_are_not_in_postman() {
    let stage = Stage::set();
    let visitor = Visitor::log_in(&stage).await;
    stage.accept(vec![hire("E-1", "Ada", "Lovelace")]).await;
    stage.add_dead_letter(Code::ScimElsewhere, "").await;
    let found = visitor.get("/people?search=lovelace").await;
    let page = visitor.page(found.header("location").unwrap()).await;
    let (answer, record) = (page.find("A dead letter blocks them").unwrap(), page.find("What HR says, and").unwrap());
    assert!(answer < record, "{page}");
    for shown in ["Ada", "Lovelace", "pE1@example.com", "This person is already a member."] {
        assert!(page.contains(shown), "{shown}");
    }
    assert!(visitor.page("/people?search=nobody").await.contains("knows nobody called"));
    assert!(visitor.page("/person?source=hr&employee_id=E-9").await.contains("knows nobody called"));
    assert_eq!(visitor.get("/person?source=HR&employee_id=E-9").await.status, 400);
    assert!(visitor.page("/people?state=blocked").await.contains("employee_id=E-1\""));
    assert!(!visitor.page("/people?state=held").await.contains("employee_id=E-1\""));
}

#[tokio::test]
async fn dead_letters_are_replayed_and_discarded_by_their_buttons() {
    let stage = Stage::set();
    let visitor = Visitor::log_in(&stage).await;
    stage.accept(vec![hire("E-1", "Ada", "Lovelace"), hire("E-2", "Grace", "Hopper")]).await;
    let first = stage.add_dead_letter(Code::ScimElsewhere, "").await;
    let second = stage.add_dead_letter(Code::ScimSyntax, "").await;
    assert!(visitor.page("/dead").await.contains(&second.to_string()));
    let letter = visitor.page(&format!("/dead/{first}")).await;
    assert!(letter.contains("Remove") || letter.contains("removed there"), "{letter}");

    let answer = visitor.submit(&format!("/dead/{first}/replay"), "").await;
    assert_eq!((answer.status, answer.header("location")), (303, Some("/dead?done=replayed")));
    let answer = visitor.submit(&format!("/dead/{second}/discard"), "&reason=a+test").await;
    assert_eq!(answer.header("location"), Some("/dead?done=discarded"));
    let words: Vec<_> = [stage.claim().await, stage.claim().await]
        .iter()
        .map(|claimed| String::from_utf8_lossy(&claimed.inbox[0].bytes).into_owned())
        .collect();
    assert!(words.iter().any(|word| word.contains("try_again")), "{words:?}");
    assert!(words.iter().any(|word| word.contains("discard") && word.contains("a test")), "{words:?}");
    let gone = visitor.get(&format!("/dead/{}", "0".repeat(32))).await;
    assert_eq!(gone.status, 404);
    assert!(gone.body.contains("There is no such dead letter"), "{}", gone.body);
    let audit = visitor.page("/audit").await;
    assert!(audit.contains("discarded") && audit.contains("a test") && audit.contains("logged in"), "{audit}");
}

#[tokio::test]
async fn all_matches_of_a_filter_are_counted_and_handled_together() {
    let stage = Stage::set();
    let visitor = Visitor::log_in(&stage).await;
    for n in 0..60 {
        stage.accept_unmapped("hr", &format!("hire E-{n}")).await;
    }
    stage.accept(vec![hire("X-1", "Grace", "Hopper")]).await;
    stage.add_dead_letter(Code::ScimElsewhere, "").await;
    let page = visitor.page("/dead?code=MAP-FIELD").await;
    assert!(page.contains("Replay all 60"), "all of them, not only those on the page: {page}");
    let ticked = page.match_indices("name=\"id-").take(2).map(|(at, _)| &page[at + 9..at + 41]).collect::<Vec<_>>();
    let fields = format!("&what=replay&id-{}=on&id-{}=on", ticked[0], ticked[1]);
    let answer = visitor.submit("/dead/act", &fields).await;
    assert_eq!(answer.header("location"), Some("/dead?done=replayed&count=2"));
    let answer = visitor.submit("/dead/act", "&what=replay-all&code=MAP-FIELD&source=&event=").await;
    assert_eq!(answer.header("location"), Some("/dead?done=replayed&count=58"));
    assert_eq!(stage.problems().await, ["SCIM-409-ELSEWHERE"]);
}

#[tokio::test]
async fn the_number_of_matches_is_exact_or_a_bound() {
    let stage = Stage::set();
    let visitor = Visitor::log_in(&stage).await;
    // One more than are counted one by one.
    for n in 0..2_001 {
        stage.accept_unmapped("hr", &format!("hire E-{n}")).await;
    }
    stage.accept(vec![hire("X-1", "Grace", "Hopper")]).await;
    stage.add_dead_letter(Code::ScimElsewhere, "").await;
    for (query, count) in [
        ("", "2002 match"),
        ("code=MAP-FIELD", "2001 match"),
        ("source=hr", "2002 match"),
        ("code=SCIM-409-ELSEWHERE&source=hr", "1 matches"),
        ("code=MAP-FIELD&source=hr", "2000 or more match"),
        ("code=NONE", "There are none"),
    ] {
        assert!(visitor.page(&format!("/dead?{query}")).await.contains(count), "{query}: {count}");
    }
}

#[tokio::test]
async fn a_record_that_still_does_not_map_says_why_and_stays() {
    let stage = Stage::set();
    let visitor = Visitor::log_in(&stage).await;
    let id = stage.accept_unmapped("hr", "<b>not json</b>").await;
    assert!(!visitor.page(&format!("/dead/{id}")).await.contains("not json"), "masked until asked for");
    let letter = visitor.page(&format!("/dead/{id}?payload=true")).await;
    assert!(letter.contains("&lt;b&gt;not json&lt;/b&gt;"), "{letter}");
    let answer = visitor.submit(&format!("/dead/{id}/replay"), "").await;
    assert_eq!(answer.status, 422);
    assert!(answer.body.contains("MAP-FIELD"), "{}", answer.body);
    assert_eq!(visitor.get(&format!("/dead/{id}")).await.status, 200);
}

#[tokio::test]
async fn an_unknown_path_is_a_page_in_a_browser_and_problem_details_elsewhere() {
    let stage = Stage::set();
    let browser = send(stage.address, "GET", "/nowhere", &[("Accept", "text/html,*/*")], "").await;
    assert_eq!((browser.status, browser.header("content-type")), (404, Some("text/html; charset=utf-8")));
    assert!(browser.body.contains("href=\"/\""), "a link back: {}", browser.body);
    let program = stage.get("/nowhere").await;
    assert_eq!(program.header("content-type"), Some("application/problem+json"));
}

#[tokio::test]
async fn hostile_names_and_ids_are_text_on_every_page() {
    let stage = Stage::set();
    let visitor = Visitor::log_in(&stage).await;
    let (id, name) = ("\"><script>x</script>&'/..%2e", "<img src=x onerror=alert(1)>");
    stage.accept(vec![hire(id, name, "</dl><script>y</script>")]).await;
    let dead = stage.add_dead_letter(Code::ScimElsewhere, "<script>z</script>").await;
    stage.accept(vec![hire("E-2", name, name)]).await;
    stage.finish_next().await;
    let person = "/person?source=hr&employee_id=%22%3E%3Cscript%3Ex%3C%2Fscript%3E%26%27%2F..%252e";
    let search = "/people?search=%3Cscript%3E";
    let pages = ["/", "/dead", person, search, "/people", "/audit", "/deliveries", &format!("/dead/{dead}")];
    for target in pages {
        let page = visitor.page(target).await.replace(OUR_SCRIPT, "");
        for raw in ["<script", "<img src=x"] {
            assert!(!page.contains(raw), "{target}: {raw}");
        }
    }
    // Links lead only to the person.
    let list = visitor.page("/dead").await;
    let (_, rest) = list.split_once("href=\"/person?").unwrap();
    let link = format!("/person?{}", rest.split_once('"').unwrap().0.replace("&amp;", "&"));
    assert!(visitor.page(&link).await.contains("SCIM-409-ELSEWHERE"));
}
