//! Traces as another implementation reads them: `opentelemetry-proto` decodes what is posted to the collector.

use std::fmt::from_fn;
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use rustix::process::Signal;

use crate::process::{Bridge, Home, eventually, http, payload, post, post_with, sim};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SENDER: &str = "00f067aa0ba902b7";
const OTHER_TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

/// What the collector received, and what it answers.
#[derive(Clone, Default)]
struct Collector {
    bodies: Arc<Mutex<Vec<Vec<u8>>>>,
    answers: Arc<Mutex<u16>>,
}

impl Collector {
    fn start() -> (Self, String) {
        let collector = Self { answers: Arc::new(Mutex::new(200)), ..Self::default() };
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let data = web::Data::new(collector.clone());
        let take = async |request: HttpRequest, body: web::Bytes, collector: web::Data<Collector>| {
            assert_eq!((request.method().as_str(), request.path()), ("POST", "/v1/traces"));
            assert_eq!(request.headers().get("content-type").unwrap(), "application/x-protobuf");
            let status = *collector.answers.lock().unwrap();
            if status == 200 {
                collector.bodies.lock().unwrap().push(body.to_vec());
            }
            HttpResponse::build(actix_web::http::StatusCode::from_u16(status).unwrap()).finish()
        };
        let app = move || App::new().app_data(data.clone()).default_service(web::to(take));
        tokio::spawn(HttpServer::new(app).workers(1).disable_signals().listen(listener).unwrap().run());
        (collector, url)
    }

    fn requests(&self) -> Vec<ExportTraceServiceRequest> {
        self.bodies.lock().unwrap().iter().map(|body| ExportTraceServiceRequest::decode(&body[..]).unwrap()).collect()
    }

    fn spans(&self) -> Vec<Span> {
        let resources = self.requests().into_iter().flat_map(|request| request.resource_spans);
        resources.flat_map(|resource| resource.scope_spans).flat_map(|scope| scope.spans).collect()
    }

    /// Waits until there is a span of this name that meets the condition.
    async fn span(&self, bridge: &Bridge, name: &str, is_it: impl Fn(&Span) -> bool) -> Span {
        eventually(async || {
            let spans = self.spans();
            if let Some(span) = spans.iter().find(|span| span.name == name && is_it(span)) {
                return Ok(span.clone());
            }
            Err(from_fn(move |f| write!(f, "no {name}: {spans:#?}\n{}", bridge.log())))
        })
        .await
    }
}

fn hex(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(bytes)
}

fn traceparent(trace: &str) -> String {
    format!("00-{trace}-{SENDER}-01")
}

fn attribute(attributes: &[KeyValue], key: &str) -> Option<String> {
    let found = attributes.iter().find(|attribute| attribute.key == key)?;
    match found.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => Some(text.clone()),
        Value::IntValue(number) => Some(number.to_string()),
        other => panic!("{key}: {other:?}"),
    }
}

#[actix_web::test]
async fn the_trace_of_a_delivery_goes_through_the_store_to_the_scim_call() {
    let (collector, url) = Collector::start();
    let sim = sim();
    let home = Home::new(&sim, "");
    let bridge = home.serve_with(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &url), ("OTEL_SERVICE_NAME", "hr-to-postman")]);
    let body = payload("employee.hired", "E-1", "Graziella", "Ondurman");
    let header = traceparent(TRACE);
    let answer = post_with(&http(), &bridge.listen, "msg_1", &body, &[("traceparent", &header)]).await.unwrap();
    assert_eq!(answer.0, 200, "{answer:?}");

    let call = collector.span(&bridge, "SCIM create", |_| true).await;
    assert_eq!(hex(&call.trace_id), TRACE);
    assert_eq!(attribute(&call.attributes, "http.response.status_code").as_deref(), Some("201"));
    let attempt = collector.span(&bridge, "attempt", |span| span.span_id == call.parent_span_id).await;
    assert_eq!(attribute(&attempt.attributes, "scim_bridge.person").as_deref(), Some("hr/E-1"));
    assert_eq!(attribute(&attempt.attributes, "scim_bridge.outcome").as_deref(), Some("created"));
    let delivery = collector.span(&bridge, "POST /webhooks/{source}", |_| true).await;
    assert_eq!(attempt.parent_span_id, delivery.span_id);
    assert_eq!((hex(&delivery.trace_id), hex(&delivery.parent_span_id)), (TRACE.to_owned(), SENDER.to_owned()));
    assert_eq!(attribute(&delivery.attributes, "scim_bridge.result").as_deref(), Some("accepted"));

    let resource = collector.requests()[0].resource_spans[0].resource.clone().unwrap();
    assert_eq!(attribute(&resource.attributes, "service.name").as_deref(), Some("hr-to-postman"));
    assert!(bridge.log().contains(&format!("\"trace_id\":\"{TRACE}\"")), "{}", bridge.log());
    for body in collector.bodies.lock().unwrap().iter() {
        let sent = String::from_utf8_lossy(body).to_lowercase();
        for personal in ["graziella", "ondurman", "e-1@example.com"] {
            assert!(!sent.contains(personal), "{personal} in {sent}");
        }
    }
}

#[actix_web::test]
async fn folded_events_are_an_attempts_parent_and_links_even_after_a_restart() {
    let (collector, url) = Collector::start();
    let sim = sim();
    let home = Home::new(&sim, &format!("[telemetry]\notlp_endpoint = '{url}/'"));
    let mut bridge = home.serve();
    let held = home
        .command(&["hold", "set", "--scope", "all"])
        .env("SCIM_BRIDGE__SERVER__ADMIN_LISTEN", &bridge.admin)
        .output();
    assert!(held.as_ref().unwrap().status.success(), "{held:?}");
    tokio::time::sleep(crate::process::HOLD_HEARD).await;
    for (id, kind, family, trace) in
        [("msg_1", "employee.hired", "One", TRACE), ("msg_2", "employee.updated", "Two", OTHER_TRACE)]
    {
        let header = traceparent(trace);
        let body = payload(kind, "E-2", "Ada", family);
        let answer = post_with(&http(), &bridge.listen, id, &body, &[("traceparent", &header)]).await.unwrap();
        assert_eq!(answer.0, 200, "{answer:?}");
    }
    bridge.signal(Signal::TERM);
    let (status, log) = bridge.ended();
    assert!(status.success(), "{log}");
    // Everything that had ended before the shutdown was sent at once.
    assert_eq!(collector.spans().iter().filter(|span| span.name.starts_with("POST ")).count(), 2);

    bridge = home.serve();
    let lifted = home
        .command(&["hold", "lift", "--scope", "all"])
        .env("SCIM_BRIDGE__SERVER__ADMIN_LISTEN", &bridge.admin)
        .output();
    assert!(lifted.as_ref().unwrap().status.success(), "{lifted:?}");
    let call = collector.span(&bridge, "SCIM create", |_| true).await;
    assert_eq!(hex(&call.trace_id), OTHER_TRACE);
    assert_eq!(call.links.iter().map(|link| hex(&link.trace_id)).collect::<Vec<_>>(), [TRACE]);
    let attempt = collector.span(&bridge, "attempt", |span| span.span_id == call.parent_span_id).await;
    assert_eq!(attempt.links.iter().map(|link| hex(&link.trace_id)).collect::<Vec<_>>(), [TRACE]);
}

#[actix_web::test]
async fn an_unverified_sender_makes_no_span_and_unsampled_traces_are_not_recorded() {
    let (collector, url) = Collector::start();
    let sim = sim();
    let home = Home::new(&sim, &format!("[telemetry]\notlp_endpoint = '{url}'"));
    let bridge = home.serve();
    let forged = http()
        .post(format!("http://{}/webhooks/hr", bridge.listen))
        .header("content-type", "application/json")
        .header("traceparent", traceparent(TRACE))
        .body("{}")
        .send();
    assert_eq!(forged.await.unwrap().status(), 401);
    let unrecorded = format!("00-{OTHER_TRACE}-{SENDER}-00");
    let body = payload("employee.hired", "E-3", "Ada", "King");
    let answer = post_with(&http(), &bridge.listen, "msg_1", &body, &[("traceparent", &unrecorded)]).await.unwrap();
    assert_eq!(answer.0, 200, "{answer:?}");
    bridge.settled().await;
    let body = payload("employee.hired", "E-4", "Ada", "Byron");
    post(&http(), &bridge.listen, "msg_2", &body).await.unwrap();
    let fresh = collector.span(&bridge, "SCIM create", |_| true).await;
    for span in collector.spans() {
        assert_eq!(span.trace_id, fresh.trace_id, "{span:?}");
    }
    assert!(![TRACE, OTHER_TRACE].contains(&hex(&fresh.trace_id).as_str()));
}

#[actix_web::test]
async fn an_unavailable_collector_costs_only_spans() {
    let (collector, url) = Collector::start();
    *collector.answers.lock().unwrap() = 400;
    let sim = sim();
    let home = Home::new(&sim, &format!("[telemetry]\notlp_endpoint = '{url}'"));
    let bridge = home.serve();
    let body = payload("employee.hired", "E-5", "Ada", "King");
    let answer = post(&http(), &bridge.listen, "msg_1", &body).await.unwrap();
    assert_eq!(answer.0, 200, "{answer:?}");
    bridge.settled().await;
    let dropped = "scim_bridge_spans_dropped_total{reason=\"not_taken\"} ";
    bridge.answers("/metrics", |_, metrics| metrics.contains(dropped)).await;
    assert!(bridge.log().contains("does not take spans"), "{}", bridge.log());
    let stopping = Instant::now();
    bridge.signal(Signal::TERM);
    let (status, log) = bridge.ended();
    assert!(status.success(), "{log}");
    assert!(stopping.elapsed() < Duration::from_secs(10), "{:?}", stopping.elapsed());
}

#[cfg(any(debug_assertions, feature = "failpoints"))]
#[actix_web::test]
async fn the_span_exporter_is_restarted_and_sends_waiting_spans() {
    let (collector, url) = Collector::start();
    let sim = sim();
    let home = Home::new(&sim, &format!("[telemetry]\notlp_endpoint = '{url}'"));
    let bridge = home.serve_with(&[("FAILPOINTS", "traces=1*panic")]);
    let body = payload("employee.hired", "E-6", "Ada", "King");
    let answer = post(&http(), &bridge.listen, "msg_1", &body).await.unwrap();
    assert_eq!(answer.0, 200, "{answer:?}");
    collector.span(&bridge, "POST /webhooks/{source}", |_| true).await;
    let metrics = bridge.get("/metrics").await.1;
    assert!(metrics.contains("scim_bridge_tasks_restarted_total{task=\"traces\"} 1"), "{metrics}");
}
