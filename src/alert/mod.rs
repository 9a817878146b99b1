//! Notifies receivers elsewhere when something needs attention.
//!
//! Lives here: taking turns, sending, and recording the result. Not here: what to report, when to try again, and the
//! message's text (`crate::core::alert`); what needs attention (`crate::core::problems`). A hanging receiver delays
//! nobody: this is a task of its own, and every message has a timeout.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use reqwest::header::CONTENT_TYPE;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use tokio::sync::watch;
use tracing::{debug, info, warn};
use url::Url;

use crate::clock::{self, Clock};
use crate::core::alert::message::body;
use crate::core::alert::outage::Outage;
use crate::core::alert::{Alerts, DOCUMENT, Format, Judged, Message, Receiver, Undelivered};
use crate::core::problems::Problem;
use crate::core::retry_hint::{self, HINT_HEADERS};
use crate::core::signature::{Scheme, ToSign, sign};
use crate::core::time::UnixMs;
use crate::failpoint;
use crate::peer::is_on_this_machine;
use crate::secret::LiveSecret;
use crate::store::{Store, StoreError, documents};
use crate::telemetry::metrics::{ALERTS_TOTAL, OUTCOME};

/// Timeout of a whole exchange: shorter than a turn, so that no other process sends meanwhile.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Timeout for making a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a process that only accepts webhooks waits after its start: only then does it know whether a worker runs,
/// and what it does not know yet must not be reported as closed.
const STARTING_MS: u64 = 20_000;
/// How long a stopping process may take to give back its turn.
const LAST_MAX: Duration = Duration::from_secs(1);

/// Why alerts cannot be sent.
#[derive(Debug, thiserror::Error)]
#[error("the HTTPS client for alerts could not be made: {0}")]
pub struct AlertError(String);

/// One receiver.
#[derive(Debug, Clone)]
pub struct ReceiverOptions {
    /// Where to post.
    pub url: LiveSecret,
    /// The signing secret; none: it is not signed.
    pub secret: Option<LiveSecret>,
    /// How it is signed.
    pub scheme: Scheme,
    /// The message's format.
    pub format: Format,
    /// How long until a problem that stays open is reported again.
    pub repeat_ms: u64,
}

/// The options for sending alerts.
pub struct AlertOptions {
    /// The receivers to notify.
    pub receivers: Vec<ReceiverOptions>,
    /// Where the console's pages are, without a slash at its end.
    pub console: String,
    /// This process's own id.
    pub process: String,
    /// Whether it has a worker.
    pub works: bool,
    /// When it started.
    pub started_at: UnixMs,
}

/// Notifies receivers. Clones share connections.
#[derive(Clone)]
pub struct Alerting {
    store: Arc<dyn Store>,
    clock: Clock,
    options: Arc<AlertOptions>,
    /// Uses the proxy that the environment names, if any.
    http: reqwest::Client,
    /// For receivers on this machine.
    local: reqwest::Client,
}

/// A receiver with its current address.
struct At<'o> {
    options: &'o ReceiverOptions,
    /// Its key in the document.
    key: String,
    url: Url,
    host: String,
}

impl Alerting {
    /// Makes the clients; no connection is opened yet.
    pub fn new(store: Arc<dyn Store>, clock: Clock, options: AlertOptions) -> Result<Self, AlertError> {
        // Fails if one is installed already, which is fine, too.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = |is_local: bool| {
            let builder = reqwest::Client::builder()
                .user_agent(concat!("scim-bridge/", env!("CARGO_PKG_VERSION")))
                .redirect(reqwest::redirect::Policy::none())
                .retry(reqwest::retry::never())
                .timeout(TIMEOUT)
                .connect_timeout(CONNECT_TIMEOUT)
                // Messages are rare: the other side would have closed an idle connection by then.
                .pool_max_idle_per_host(0);
            let builder = if is_local { builder.no_proxy() } else { builder };
            builder.build().map_err(|error| AlertError(error.to_string()))
        };
        Ok(Self { store, clock, options: Arc::new(options), http: client(false)?, local: client(true)? })
    }

    /// Reports on every judgement, until there are no more.
    pub async fn run(self, mut judged: watch::Receiver<Judged>) {
        let mut outage = Outage::default();
        loop {
            failpoint::at("alerts");
            if judged.changed().await.is_err() {
                return;
            }
            let found = judged.borrow_and_update().clone();
            if !found.outage.is_empty() {
                outage.goes_on(self.clock.now(), &found.outage);
                self.tell_outage(&mut outage).await;
                continue;
            }
            let Some(problems) = found.problems else { continue };
            outage.is_over(&problems);
            self.tell_outage(&mut outage).await;
            let mut failing = judged.clone();
            tokio::select! {
                looked = self.look(&problems) => if let Err(error) = looked {
                    // A failing store is reported by the code that needs it.
                    debug!(%error, "alerts could not be processed");
                },
                // It may hang in the store; a message that was sent but not recorded is sent again with its id.
                _ = failing.wait_for(|judged| !judged.outage.is_empty()) => {}
            }
        }
    }

    /// Sends the due messages about an outage, from memory: the store cannot say whose turn it is.
    async fn tell_outage(&self, outage: &mut Outage) {
        let now = self.clock.now();
        let receivers: Vec<At<'_>> = self.options.receivers.iter().filter_map(At::of).collect();
        let due = receivers.iter().filter_map(|at| Some((at, outage.due(now, &at.key, at.options.repeat_ms)?)));
        let due: Vec<_> = due.collect();
        let sent = join_all(due.iter().map(|(at, message)| self.send(at, message))).await;
        let now = self.clock.now();
        for ((at, message), sent) in due.iter().zip(sent) {
            let written = match &sent {
                Ok(()) => {
                    outage.delivered(now, &at.key, &message.id);
                    Some(Written::Delivered)
                }
                Err(failure) => {
                    Written::of(outage.failed(now, &at.key, &message.id, &failure.reason, failure.asked_ms))
                }
            };
            if let Some(written) = written {
                report(at, message, &sent, written);
            }
        }
    }

    /// Lets another process send alerts at once; for a process that stops.
    pub async fn leave(&self) {
        let give_back = documents::change(self.store.as_ref(), DOCUMENT, |alerts: &mut Alerts| {
            alerts.give_back(self.clock.now(), &self.options.process).then_some(())
        });
        if !matches!(tokio::time::timeout(LAST_MAX, give_back).await, Ok(Ok(_))) {
            debug!("this process could not give up sending alerts: another one takes over a little later");
        }
    }

    /// Decides what to report if it is this process's turn, and sends what is due.
    pub async fn look(&self, problems: &[Problem]) -> Result<(), StoreError> {
        let now = self.clock.now();
        if !self.options.works && now.ms_since(self.options.started_at) < STARTING_MS {
            return Ok(());
        }
        let receivers: Vec<At<'_>> = self.options.receivers.iter().filter_map(At::of).collect();
        let due = documents::change(self.store.as_ref(), DOCUMENT, |alerts: &mut Alerts| {
            if !alerts.take_turn(now, &self.options.process, self.options.works) {
                return None;
            }
            alerts.receivers.retain(|key, _| receivers.iter().any(|at| at.key == *key));
            let due = receivers.iter().map(|at| {
                let receiver = alerts.receivers.entry(at.key.clone()).or_default();
                receiver.host.clone_from(&at.host);
                receiver.judge(now, problems, at.options.repeat_ms, &format!("msg_{}", clock::new_name()));
                receiver.due(now).cloned()
            });
            Some(due.collect::<Vec<_>>())
        });
        let due = due.await?.unwrap_or_default();
        let sent = receivers.iter().zip(due).filter_map(|(at, message)| Some((at, message?)));
        let results: Result<Vec<()>, _> =
            join_all(sent.map(|(at, message)| self.notify(at, message))).await.into_iter().collect();
        results.map(|_| ())
    }

    /// Sends one message, and records the result.
    async fn notify(&self, at: &At<'_>, message: Message) -> Result<(), StoreError> {
        let sent = self.send(at, &message).await;
        let now = self.clock.now();
        let write = |alerts: &mut Alerts| {
            let receiver: &mut Receiver = alerts.receivers.get_mut(&at.key)?;
            match &sent {
                Ok(()) => receiver.delivered(now, &message.id).then_some(Written::Delivered),
                Err(trouble) => Written::of(receiver.failed(now, &message.id, &trouble.reason, trouble.asked_ms)),
            }
        };
        let Some(written) = documents::change(self.store.as_ref(), DOCUMENT, write).await? else { return Ok(()) };
        report(at, &message, &sent, written);
        Ok(())
    }

    async fn send(&self, at: &At<'_>, message: &Message) -> Result<(), SendFailure> {
        let now = self.clock.now();
        let body = body(message, at.options.format, &self.options.console);
        let client = if is_on_this_machine(&at.url) { &self.local } else { &self.http };
        let mut request = client.post(at.url.clone()).header(CONTENT_TYPE, "application/json");
        if let Some(secret) = &at.options.secret {
            for (name, value) in signature(&at.options.scheme, &secret.current(), message, &body, now)? {
                request = request.header(name, value);
            }
        }
        let response = request.body(body).send().await.map_err(|error| SendFailure::of(&error))?;
        let status = response.status();
        if status.is_success() {
            return Ok(());
        }
        let hints: Vec<_> = response
            .headers()
            .iter()
            .filter(|(name, _)| HINT_HEADERS.contains(&name.as_str()))
            .filter_map(|(name, value)| Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned())))
            .collect();
        let asked_ms = retry_hint::read(&hints, now).map(|hint| hint.at.ms_since(now));
        Err(SendFailure { reason: format!("answered {}", status.as_u16()), asked_ms })
    }
}

/// Counts and logs the result of a message.
fn report(at: &At<'_>, message: &Message, sent: &Result<(), SendFailure>, written: Written) {
    metrics::counter!(ALERTS_TOTAL, OUTCOME => written.as_str()).increment(1);
    let (host, changes) = (&at.host, message.changes.len());
    match sent {
        Ok(()) => info!(receiver = host, id = message.id, changes, "alert delivered"),
        Err(trouble) => warn!(
            receiver = host,
            id = message.id,
            reason = trouble.reason,
            outcome = written.as_str(),
            "an alert did not arrive"
        ),
    }
}

fn signature(
    scheme: &Scheme,
    secret: &SecretString,
    message: &Message,
    body: &[u8],
    now: UnixMs,
) -> Result<Vec<(String, String)>, SendFailure> {
    // Each try has its own time and signature, since receivers refuse old ones; the id stays the same.
    let what = ToSign { method: "POST", url: "", body, id: &message.id, at: now };
    sign(scheme, secret, &what).map_err(|problem| SendFailure { reason: problem.to_string(), asked_ms: None })
}

impl<'o> At<'o> {
    fn of(options: &'o ReceiverOptions) -> Option<Self> {
        let address = options.url.current();
        let address = address.expose_secret().trim();
        let url = Url::parse(address).ok()?;
        let host = match (url.host_str()?, url.port()) {
            (host, Some(port)) => format!("{host}:{port}"),
            (host, None) => host.to_owned(),
        };
        // The address itself may be a secret.
        let hash = Sha256::new().chain_update(format!("{:?}\0", options.format)).chain_update(address).finalize();
        Some(Self { options, key: data_encoding::HEXLOWER.encode(&hash[..8]), url, host })
    }
}

/// Why a message did not arrive.
struct SendFailure {
    reason: String,
    /// When the receiver asks to try again, from now.
    asked_ms: Option<u64>,
}

impl SendFailure {
    /// Never the error's own text: it may show the address.
    fn of(error: &reqwest::Error) -> Self {
        let reason = if error.is_connect() {
            "no connection"
        } else if error.is_timeout() {
            "no answer in time"
        } else {
            "the connection broke"
        };
        Self { reason: reason.to_owned(), asked_ms: None }
    }
}

/// The recorded result of a message: the `outcome` of [`ALERTS_TOTAL`].
#[derive(Debug, Clone, Copy)]
enum Written {
    Delivered,
    Failed,
    GivenUp,
}

impl Written {
    /// For a message that did not arrive; none if another process was quicker.
    fn of(undelivered: Undelivered) -> Option<Self> {
        match undelivered {
            Undelivered::Again => Some(Self::Failed),
            Undelivered::GivenUp => Some(Self::GivenUp),
            Undelivered::Stale => None,
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Failed => "failed",
            Self::GivenUp => "given_up",
        }
    }
}
