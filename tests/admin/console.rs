//! The console: log-in, pages, forms, and what hostile people and names can do to it (nothing).

use scim_bridge::core::code::Code;
use scim_bridge::core::hold::HoldScope;
use scim_bridge::store::Store;

use crate::http::{Answer, send};
use crate::stage::{Stage, TOKEN, hire, rename};

const FORM: (&str, &str) = ("Content-Type", "application/x-www-form-urlencoded");

/// Somebody at a browser.
struct Visitor<'a> {
    stage: &'a Stage,
    cookie: String,
}

impl<'a> Visitor<'a> {
    async fn log_in(stage: &'a Stage) -> Self {
        let answer = send(stage.address, "POST", "/login", &[FORM], &format!("token={TOKEN}")).await;
        assert_eq!((answer.status, answer.header("location")), (303, Some("/")));
        let cookie = answer.header("set-cookie").unwrap();
        for attribute in ["HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=28800"] {
            assert!(cookie.contains(attribute), "{cookie}");
        }
        assert!(!cookie.contains(TOKEN) && !cookie.contains("Secure"));
        Self { stage, cookie: cookie.split(';').next().unwrap().to_owned() }
    }

    async fn get(&self, target: &str) -> Answer {
        send(self.stage.address, "GET", target, &[("Cookie", &self.cookie)], "").await
    }

    /// A page that must be there.
    async fn page(&self, target: &str) -> String {
        let answer = self.get(target).await;
        assert_eq!(answer.status, 200, "{target}: {}", answer.body);
        answer.body
    }

    async fn post(&self, target: &str, origin: &str, body: &str) -> Answer {
        let headers = [FORM, ("Cookie", self.cookie.as_str()), ("Origin", origin)];
        send(self.stage.address, "POST", target, &headers, body).await
    }

    /// The token in the forms of this session.
    async fn form_token(&self) -> String {
        let page = self.page("/hold").await;
        let (_, rest) = page.split_once("name=\"form_token\" value=\"").unwrap();
        rest.split_once('"').unwrap().0.to_owned()
    }

    /// Sends a form as the browser does.
    async fn submit(&self, target: &str, fields: &str) -> Answer {
        let origin = format!("http://{}", self.stage.address);
        let body = format!("form_token={}{fields}", self.form_token().await);
        self.post(target, &origin, &body).await
    }
}

#[tokio::test]
async fn who_is_not_logged_in_is_asked_to_log_in() {
    let stage = Stage::set();
    for page in ["/", "/dead", "/jobs", "/people", "/hold", "/dead/00000000000000000000000000000000"] {
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
    assert_eq!(visitor.get("/").await.status, 303, "the cookie itself has ended, too");
    let visitor = Visitor::log_in(&stage).await;

    stage.clock.advance_ms(8 * 3_600_000);
    assert_eq!(visitor.get("/").await.status, 303);

    let visitor = Visitor::log_in(&stage).await;
    stage.token.replace("another".to_owned().into());
    assert_eq!(visitor.get("/").await.status, 303);
}

#[tokio::test]
async fn every_page_forbids_scripts_frames_and_caches() {
    let stage = Stage::set();
    let visitor = Visitor::log_in(&stage).await;
    for page in ["/", "/dead", "/jobs", "/people", "/hold", "/login", "/no-such-page"] {
        let answer = visitor.get(page).await;
        let policy = answer.header("content-security-policy").unwrap();
        assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{policy}");
        assert!(!policy.contains("unsafe") && !policy.contains("script-src"), "{policy}");
        assert_eq!(answer.header("x-frame-options"), Some("DENY"));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert!(!answer.body.contains("<script") && !answer.body.contains("style=\""), "{page}");
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
    assert!(stage.store.holds().await.unwrap().is_empty());
    assert_eq!(visitor.post("/hold", &own, &good).await.status, 303);
    assert_eq!(stage.store.holds().await.unwrap().len(), 1);
}

#[tokio::test]
async fn the_bearer_token_does_not_open_pages_and_the_cookie_not_the_api() {
    let stage = Stage::set();
    let visitor = Visitor::log_in(&stage).await;
    assert_eq!(visitor.get("/api/v1/status").await.status, 401);
    assert_eq!(stage.api("GET", "/", "").await.status, 303);
}

#[tokio::test]
async fn the_overview_says_what_is_wrong_and_what_to_do_first() {
    let stage = Stage::set();
    let visitor = Visitor::log_in(&stage).await;
    assert!(visitor.page("/").await.contains("All is well"));
    stage.accept(vec![hire("E-1", "Ada", "Lovelace"), hire("E-2", "Grace", "Hopper")]).await;
    stage.bury_next(Code::ScimElsewhere).await;
    stage.finish_next().await;
    stage.store.set_hold(stage.clock.now(), HoldScope::All, Code::HoldKey).await.unwrap();
    let page = visitor.page("/").await;
    let (hold, dead) = (page.find("HOLD-KEY").unwrap(), page.find("SCIM-409-ELSEWHERE").unwrap());
    assert!(hold < dead);
    assert!(page.contains("2 things need attention") && page.contains("work resumes by itself"), "{page}");
}

#[tokio::test]
async fn why_somebody_is_not_in_postman_is_the_first_line_of_their_page() {
    let stage = Stage::set();
    let visitor = Visitor::log_in(&stage).await;
    stage.accept(vec![hire("E-1", "Ada", "Lovelace"), rename("E-1", "King")]).await;
    stage.bury_next(Code::ScimElsewhere).await;
    let page = visitor.page("/people?source=hr&employee_id=E-1").await;
    assert!(page.contains("Their hire is a dead letter (SCIM-409-ELSEWHERE)"), "{page}");
    assert!(visitor.page("/people?source=hr&employee_id=E-9").await.contains("has never heard of"));
    assert!(visitor.page("/people?source=HR&employee_id=E-9").await.contains("a source name is"));
}

#[tokio::test]
async fn dead_letters_are_replayed_and_discarded_by_their_buttons() {
    let stage = Stage::set();
    let visitor = Visitor::log_in(&stage).await;
    stage.accept(vec![hire("E-1", "Ada", "Lovelace"), hire("E-2", "Grace", "Hopper")]).await;
    let first = stage.bury_next(Code::ScimElsewhere).await;
    let second = stage.bury_next(Code::ScimSyntax).await;
    assert!(visitor.page("/dead").await.contains(&second.to_string()));
    let letter = visitor.page(&format!("/dead/{first}")).await;
    assert!(letter.contains(Code::ScimElsewhere.advice()) && letter.contains("Discard for good"), "{letter}");

    let answer = visitor.submit(&format!("/dead/{first}/replay"), "").await;
    assert_eq!((answer.status, answer.header("location")), (303, Some("/dead?done=replayed")));
    assert_eq!(stage.claim().await.job.id, first);
    let answer = visitor.submit(&format!("/dead/{second}/discard"), "").await;
    assert_eq!(answer.header("location"), Some("/dead?done=discarded"));
    let gone = visitor.get(&format!("/dead/{second}")).await;
    assert_eq!(gone.status, 404);
    assert!(gone.body.contains("There is no such dead letter"), "{}", gone.body);
    assert!(visitor.page("/jobs?state=running").await.contains(&first.to_string()));
    assert!(visitor.page(&format!("/jobs/{first}")).await.contains("ada@example.com"));
}

#[tokio::test]
async fn a_record_that_still_does_not_map_says_why_and_stays() {
    let stage = Stage::set();
    let visitor = Visitor::log_in(&stage).await;
    let id = stage.accept_unmapped("hr", "<b>not json</b>").await;
    let letter = visitor.page(&format!("/dead/{id}")).await;
    assert!(letter.contains("&lt;b&gt;not json&lt;/b&gt;"), "{letter}");
    let answer = visitor.submit(&format!("/dead/{id}/replay"), "").await;
    assert_eq!(answer.status, 422);
    assert!(answer.body.contains("MAP-NOT-JSON"), "{}", answer.body);
    assert_eq!(visitor.get(&format!("/dead/{id}")).await.status, 200);
}

#[tokio::test]
async fn hostile_names_and_ids_are_text_on_every_page() {
    let stage = Stage::set();
    let visitor = Visitor::log_in(&stage).await;
    let (id, name) = ("\"><script>x</script>&'/..%2e", "<img src=x onerror=alert(1)>");
    stage.accept(vec![hire(id, name, "</dl><script>y</script>"), hire("E-2", name, name)]).await;
    stage.bury_next(Code::ScimElsewhere).await;
    let done = stage.finish_next().await;
    let dead = stage.store.dead_letters(&page()).await.unwrap()[0].id;
    let person = "/people?source=hr&employee_id=%22%3E%3Cscript%3Ex%3C%2Fscript%3E%26%27%2F..%252e";
    let pages = ["/", "/dead", person, "/jobs?state=done", &format!("/dead/{dead}"), &format!("/jobs/{done}")];
    for target in pages {
        let page = visitor.page(target).await;
        for raw in ["<script", "<img src=x"] {
            assert!(!page.contains(raw), "{target}: {raw}");
        }
    }
    // Links lead to the person, and nowhere else.
    let list = visitor.page("/dead").await;
    let (_, rest) = list.split_once("href=\"/people?").unwrap();
    let link = format!("/people?{}", rest.split_once('"').unwrap().0.replace("&amp;", "&"));
    assert!(visitor.page(&link).await.contains("SCIM-409-ELSEWHERE"));
}

fn page() -> scim_bridge::store::Page {
    scim_bridge::store::Page { rows_max: 10, before: None }
}
