//! Alerts reach a receiver written by others, whatever goes wrong on the way.

use std::collections::BTreeMap;
use std::fmt::from_fn;
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use rustix::process::Signal;
use serde_json::Value;

use crate::process::{Bridge, Home, KEY, eventually, payload, post, sim, until};
use crate::redis_server::RedisServer;

/// The secret that alerts are signed with.
pub(crate) const ALERT_SECRET: &str = "whsec_YSBzZWNyZXQgdGhhdCB0aGUgcmVjZWl2ZXIga25vd3M=";

/// One POST as received.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    path: String,
    pub(crate) id: String,
    body: String,
    /// Whether the `standardwebhooks` crate accepts the signature.
    pub(crate) is_genuine: bool,
    answered: u16,
}

impl Received {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    /// `opened HOLD-KEY`, …
    pub(crate) fn changes(&self) -> Vec<String> {
        let message = self.json();
        let problems = message["data"]["problems"].as_array().unwrap().clone();
        let of =
            |problem: &Value| format!("{} {}", problem["change"].as_str().unwrap(), problem["code"].as_str().unwrap());
        problems.iter().map(of).collect()
    }
}

/// A receiver: what it received, and its next answers; 200 where none is set.
#[derive(Clone, Default)]
pub(crate) struct Receiver {
    received: Arc<Mutex<Vec<Received>>>,
    orders: Arc<Mutex<Vec<u16>>>,
}

impl Receiver {
    /// Starts it, and returns its address.
    pub(crate) fn start(orders: &[u16]) -> (Self, String) {
        let receiver = Self { orders: Arc::new(Mutex::new(orders.to_vec())), ..Self::default() };
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let data = web::Data::new(receiver.clone());
        let app = move || App::new().app_data(data.clone()).default_service(web::to(take));
        tokio::spawn(HttpServer::new(app).workers(1).disable_signals().listen(listener).unwrap().run());
        (receiver, url)
    }

    fn all(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }

    /// Waits until what it received meets the condition.
    pub(crate) async fn until(&self, bridge: &Bridge, is_so: impl Fn(&[Received]) -> bool) -> Vec<Received> {
        eventually(async || {
            let all = self.all();
            if is_so(&all) {
                return Ok(all);
            }
            Err(from_fn(move |f| write!(f, "{all:#?}\n{}", bridge.log())))
        })
        .await
    }
}

async fn take(request: HttpRequest, body: web::Bytes, receiver: web::Data<Receiver>) -> HttpResponse {
    let mut headers = http::HeaderMap::new();
    for (name, value) in request.headers() {
        let name = http::HeaderName::from_bytes(name.as_str().as_bytes()).unwrap();
        headers.insert(name, http::HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    let verifier = standardwebhooks::Webhook::new(ALERT_SECRET).unwrap();
    let status = {
        let mut orders = receiver.orders.lock().unwrap();
        if orders.is_empty() { 200 } else { orders.remove(0) }
    };
    receiver.received.lock().unwrap().push(Received {
        path: request.path().to_owned(),
        id: headers.get("webhook-id").map(|id| id.to_str().unwrap().to_owned()).unwrap_or_default(),
        body: String::from_utf8(body.to_vec()).unwrap(),
        is_genuine: verifier.verify(&body, &headers).is_ok(),
        answered: status,
    });
    let mut answer = HttpResponse::build(actix_web::http::StatusCode::from_u16(status).unwrap());
    answer.insert_header(("location", "/elsewhere")).finish()
}

fn with_alerts(alerts: &str) -> String {
    format!(
        "[hold]\nprobe_first_s = 1\nprobe_max_s = 1\n[server]\nadmin_url = \"https://bridge.example.com/\"\n{alerts}"
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn alerts_are_signed_and_sent_once_despite_a_crash_and_a_receiver_that_fails_first() {
    let (receiver, url) = Receiver::start(&[500, 503]);
    let (slack, slack_url) = Receiver::start(&[]);
    let sim = sim();
    let home = Home::new(
        &sim,
        &with_alerts(&format!(
            "[[alert]]\nurl = \"{url}/bridge\"\nsecret = \"{ALERT_SECRET}\"\n[[alert]]\nurl = \"{slack_url}/services/T0/B0\"\nformat = \"slack\"\n"
        )),
    );
    sim.set_key("another");
    let bridge = home.serve();
    let hire = payload("employee.hired", "E-1", "Ada", "Lovelace");
    assert_eq!(post(&crate::process::http(), &bridge.listen, "m-1", &hire).await.unwrap().0, 200);
    receiver.until(&bridge, |all| !all.is_empty()).await;
    bridge.signal(Signal::KILL);
    bridge.ended();
    // The key works again: alerts in flight still arrive, then the all-clear.
    sim.set_key(KEY);
    let bridge = home.serve();
    let all = receiver
        .until(&bridge, |all| {
            let closed = |received: &&Received| received.changes().contains(&"closed HOLD-KEY".to_owned());
            all.iter().any(|received| closed(&received) && received.answered == 200)
        })
        .await;
    assert!(all.iter().all(|received| received.is_genuine && received.path == "/bridge"), "{all:#?}");
    let first = &all[0];
    assert_eq!(first.changes()[0], "opened HOLD-KEY", "{first:#?}");
    let problem = &first.json()["data"]["problems"][0];
    assert_eq!(
        (problem["link"].as_str(), problem["count"].as_u64()),
        (Some("https://bridge.example.com/hold"), Some(1))
    );
    assert!(problem["action"].as_str().unwrap().len() > 10, "{problem}");
    // The same message until it is accepted, and not once more.
    let same: Vec<_> = all.iter().filter(|received| received.id == first.id).collect();
    assert_eq!(same.iter().map(|received| received.answered).collect::<Vec<_>>(), [500, 503, 200], "{all:#?}");
    assert!(same.iter().all(|received| received.body == first.body), "{all:#?}");
    let texts: Vec<_> = slack.until(&bridge, |all| all.iter().any(|one| one.body.contains("closed"))).await;
    assert!(texts.iter().any(|one| one.json()["text"].as_str().unwrap().contains("*opened* `HOLD-KEY`")), "{texts:#?}");
    for received in all.iter().chain(&texts) {
        for word in ["Ada", "Lovelace", "e-1@", "E-1"] {
            assert!(!received.body.contains(word), "{received:?}");
        }
    }
    let metrics = crate::process::http().get(format!("http://{}/metrics", bridge.admin)).send().await.unwrap();
    let metrics = metrics.text().await.unwrap();
    assert!(metrics.contains("scim_bridge_alerts_total{outcome=\"delivered\"}"), "{metrics}");
    let log = bridge.log();
    assert!(log.contains("alert delivered") && !log.contains("/services/T0/B0"), "{log}");
}

/// Waits for two more heartbeats of each process: after the first, it judges and reports what is new.
async fn each_has_judged_again(bridge: &Bridge) {
    let beats = async || -> BTreeMap<String, String> {
        let status = bridge.api("/api/v1/status").await;
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let processes = status["processes"].as_array().unwrap();
        processes.iter().map(|process| (text(&process["since"]), text(&process["heard_at"]))).collect()
    };
    for _ in 0..2 {
        let before = beats().await;
        let is_new = |(since, heard_at): (&String, &String)| before.get(since) != Some(heard_at);
        until("each process has another heartbeat", async || beats().await.iter().all(is_new)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_worker_is_reported_by_the_processes_left_and_by_one_at_a_time() {
    let (receiver, url) = Receiver::start(&[]);
    let sim = sim();
    let redis = RedisServer::start();
    let more = format!(
        "[server]\nadmin_token = \"a-token-that-nobody-guesses\"\n[store]\nurl = \"{}\"\n[[alert]]\nurl = \"{url}/a\"\nsecret = \"{ALERT_SECRET}\"\n",
        redis.url()
    );
    let home = Home::new(&sim, &more);
    let intake = home.serve_as("intake");
    let workers = [home.serve_as("worker"), home.serve_as("worker")];
    let broken = payload("employee.hired", "E-1", "Ada", "Lovelace").replace("@example.com", "#example.com");
    post(&crate::process::http(), &intake.listen, "m-1", &broken).await.unwrap();
    let has = |change: &str| {
        let change = change.to_owned();
        move |all: &[Received]| all.iter().any(|one| one.changes().contains(&change))
    };
    receiver.until(&intake, has("opened MAP-FIELD")).await;
    // All three processes see the problem; one of them reports it, once.
    each_has_judged_again(&intake).await;
    let times =
        |all: &[Received], change: &str| all.iter().filter(|one| one.changes().contains(&change.to_owned())).count();
    assert_eq!(times(&receiver.all(), "opened MAP-FIELD"), 1, "{:#?}", receiver.all());
    for worker in workers {
        worker.signal(Signal::KILL);
        worker.ended();
    }
    let killed_at = Instant::now();
    let all = receiver.until(&intake, has("opened WORK-NOBODY")).await;
    // Missed after 20 s, reported 30 s later.
    assert!(killed_at.elapsed() < std::time::Duration::from_secs(50), "{:?}", killed_at.elapsed());
    assert_eq!((times(&all, "opened WORK-NOBODY"), times(&all, "opened MAP-FIELD")), (1, 1), "{all:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_is_not_reached_is_a_problem_itself_and_no_redirect_is_followed() {
    let (receiver, url) = Receiver::start(&[302; 100]);
    let sim = sim();
    let home =
        Home::new(&sim, &with_alerts(&format!("[[alert]]\nurl = \"{url}/moved\"\nsecret = \"{ALERT_SECRET}\"\n")));
    sim.set_key("another");
    let bridge = home.serve();
    let hire = payload("employee.hired", "E-1", "Ada", "Lovelace");
    post(&crate::process::http(), &bridge.listen, "m-1", &hire).await.unwrap();
    receiver.until(&bridge, |all| all.len() >= 2).await;
    let problem = bridge.problem("ALERT-FAILING").await;
    let what = problem["what"].as_str().unwrap();
    assert!(what.contains("answered 302") && !what.contains("/moved"), "{problem}");
    assert!(receiver.all().iter().all(|received| received.path == "/moved"), "{:#?}", receiver.all());
}

#[test]
fn alerts_that_cannot_be_sent_are_refused_with_the_wrong_key_named() {
    let sim = sim();
    for (alert, key, word) in [
        (
            "url = \"ftp://hooks.example.com\"\nsecret = \"whsec_YSBzZWNyZXQgdGhhdCB0aGUgcmVjZWl2ZXIga25vd3M=\"",
            "alert[0].url",
            "http",
        ),
        ("url = \"https://hooks.example.com/a\"", "alert[0].secret", "whsec_"),
        ("url = \"https://hooks.example.com/a\"\nsecret = \"not base64 at all!\"", "alert[0].secret", "base64"),
        ("url = \"https://hooks.example.com/a\"\nformat = \"teams\"", "alert[0].format", "standard-webhooks"),
        ("format = \"slack\"", "alert[0].url", "address"),
        ("url = \"https://hooks.example.com/a\"\nformat = \"slack\"\nrepeat_h = 0", "alert[0].repeat_h", "720"),
    ] {
        let home = Home::new(&sim, &format!("[[alert]]\n{alert}\n"));
        let output = home.command(&["check"]).output().unwrap();
        let printed = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(64), "{alert}: {printed}");
        assert!(printed.contains(key) && printed.contains(word), "{alert}: {printed}");
        assert!(!printed.contains("not base64 at all"), "{printed}");
    }
    let home = Home::new(&sim, "[[alert]]\nurl = \"http://alerts.internal/a\"\nformat = \"slack\"\n");
    let output = home.command(&["check"]).output().unwrap();
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{printed}");
    assert!(printed.contains("plain http") && printed.contains("server.admin_url"), "{printed}");
}
