//! The intake and its baselines, all in this process with the same setup.

use std::net::{SocketAddr, TcpListener};

use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use data_encoding::BASE64;
use hmac::{Hmac, KeyInit, Mac};
use scim_bridge::clock::Clock;
use scim_bridge::config::SourceSecret;
use scim_bridge::core::limiter::Rate;
use scim_bridge::core::mapping::Mapping;
use scim_bridge::core::person::SourceName;
use scim_bridge::core::signature::Scheme;
use scim_bridge::intake::{Intake, IntakeOptions, Services, Source};
use scim_bridge::lifecycle::Lifecycle;
use scim_bridge::secret::LiveSecret;
use scim_bridge::store::redis::StoreClock;
use scim_bridge::store::{Bounds, StoreOptions};
use scim_bridge::telemetry::activity::ActivityLog;
use scim_bridge::telemetry::traces::Traces;
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;
use tokio_util::sync::CancellationToken;

use crate::Failed;
use crate::place::Place;

/// Threads per server: one for each core of the machine that was measured first.
const WORKERS: usize = 2;
const DAY_MS: u64 = 86_400_000;

/// An actix handler that reads the body and answers.
pub(crate) fn body_only() -> Result<SocketAddr, Failed> {
    serve(|app| {
        app.default_service(web::route().to(async |body: web::Bytes| taken(body.len())));
    })
}

/// An actix handler that reads the body, checks its signature and parses it, as one would write it by hand.
pub(crate) fn verify_and_parse(secret: &SecretString) -> Result<SocketAddr, Failed> {
    let key = secret.expose_secret().strip_prefix("whsec_").ok_or("not a whsec_ secret")?;
    let hmac = Hmac::<Sha256>::new_from_slice(&BASE64.decode(key.as_bytes())?)?;
    serve(move |app| {
        let hmac = hmac.clone();
        let handler = move |request: HttpRequest, body: web::Bytes| {
            let answer = match genuine(&hmac, &request, &body).map(|()| serde_json::from_slice(&body)) {
                Some(Ok(serde_json::Value::Object(fields))) => taken(fields.len()),
                Some(Ok(_) | Err(_)) | None => HttpResponse::BadRequest().finish(),
            };
            std::future::ready(answer)
        };
        app.default_service(web::route().to(handler));
    })
}

/// The intake on a store at `place`.
pub(crate) async fn bridge(place: &Place, scheme: Scheme, secret: SecretString) -> Result<SocketAddr, Failed> {
    let options = StoreOptions {
        writes: Rate { calls: 180, window_ms: 60_000 },
        reads: Rate { calls: 300, window_ms: 60_000 },
        bounds: Bounds {
            // Nobody removes what the rounds put in.
            entries_max: u64::MAX,
            dead_letters_max: 100_000,
            dead_bytes_max: 256 << 20,
            story_entries_max: 100,
            story_keep_ms: 30 * DAY_MS,
        },
    };
    let store = place.open(options, StoreClock::Server)?;
    // As in `app`: the connection's task belongs to this runtime, not to a thread of the listener's.
    store.check().await?;
    let source = Source {
        name: SourceName::parse("hr")?,
        scheme,
        secrets: vec![SourceSecret { secret: LiveSecret::new(secret), not_after: None }],
        mapping: Mapping::default(),
        remember_ms: 7 * DAY_MS,
        content_types: vec!["application/json".to_owned()],
        body_bytes_max: None,
        allow_from: Vec::new(),
    };
    let options =
        IntakeOptions { listen: "127.0.0.1:0".to_owned(), workers: Some(WORKERS), ..IntakeOptions::default() };
    let services = Services {
        activity: ActivityLog::default(),
        store,
        clock: Clock::System,
        lifecycle: Lifecycle::new(),
        traces: Traces::default(),
    };
    let intake = Intake::bind(options, vec![source], services)?;
    let address = intake.address();
    tokio::spawn(intake.serve(CancellationToken::new()));
    Ok(address)
}

fn serve(app: impl Fn(&mut web::ServiceConfig) + Clone + Send + 'static) -> Result<SocketAddr, Failed> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let server = HttpServer::new(move || App::new().configure(|config| app(config))).workers(WORKERS);
    tokio::spawn(server.disable_signals().listen(listener)?.run());
    Ok(address)
}

fn taken(read: usize) -> HttpResponse {
    HttpResponse::Ok().json(serde_json::json!({ "status": "accepted", "read": read }))
}

/// Standard Webhooks: HMAC-SHA256 of `{id}.{timestamp}.{body}`.
fn genuine(hmac: &Hmac<Sha256>, request: &HttpRequest, body: &[u8]) -> Option<()> {
    let header = |name| request.headers().get(name).map(actix_web::http::header::HeaderValue::as_bytes);
    let mut hmac = hmac.clone();
    for part in [header("webhook-id")?, b".", header("webhook-timestamp")?, b".", body] {
        hmac.update(part);
    }
    let signature = BASE64.decode(header("webhook-signature")?.strip_prefix(b"v1,")?).ok()?;
    hmac.verify_slice(&signature).ok()
}
