//! `send`: signs a file as a source would, posts it, and follows its jobs.

mod follow;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;
use serde::Serialize;
use serde_json::Value;

use self::follow::Followed;
use super::api::{Api, reachable};
use super::failure::Failure;
use super::{Context, block_on, payload};
use crate::clock::{self, Clock};
use crate::config::{Config, SourceConfig};
use crate::core::processes::ProcessRole;
use crate::core::signature::{ToSign, sign};
use crate::scim;

/// What to send, and as which source.
#[derive(Debug, Args)]
pub struct SendArgs {
    /// The source to sign as.
    #[arg(long)]
    source: String,
    /// The file with the payload; `-` is standard input.
    #[arg(long, value_name = "FILE")]
    file: PathBuf,
    /// The delivery's id; by default, a new one. The same id again is a duplicate.
    #[arg(long)]
    id: Option<String>,
    /// Where to send it; by default, to `[server] listen`.
    #[arg(long, value_name = "URL")]
    url: Option<url::Url>,
    /// Wait until all its jobs have ended, and show the outcomes; exit code 1 unless all are done.
    #[arg(long)]
    follow: bool,
    /// How long to follow, in seconds.
    #[arg(long, value_name = "N", default_value_t = 60, requires = "follow", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    timeout_s: u64,
    /// The admin API to ask about the jobs; by default, at `[server] admin_listen`.
    #[arg(long, value_name = "URL", requires = "follow")]
    admin_url: Option<url::Url>,
}

/// The pause between two tries of `--follow`.
const PAUSE: Duration = Duration::from_millis(500);

/// The answer.
#[derive(Debug, Serialize)]
struct Sent {
    status: u16,
    answer: Value,
    /// What to do, if it was not taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    action: Option<&'static str>,
    /// The results of its jobs, if they were followed.
    #[serde(skip_serializing_if = "Option::is_none")]
    jobs: Option<Vec<Followed>>,
}

/// Runs the command.
pub fn run(context: &Context, args: &SendArgs) -> Result<(), Failure> {
    let config = Config::load_from_process(context.config.as_deref(), ProcessRole::Intake)?;
    let source = source_named(&config, &args.source)?;
    let body = payload::read(&args.file)?;
    let own = || format!("http://{}/webhooks/{}", reachable(config.server.listen), source.name).parse();
    let url: url::Url = match &args.url {
        Some(url) => url.clone(),
        None => own().map_err(|_| Failure::failed("the webhook's URL could not be made"))?,
    };
    let id = args.id.clone().unwrap_or_else(|| format!("msg_{}", clock::new_name()));
    // Before anything is sent: afterwards it would be too late to learn that nothing can be followed.
    let api = if args.follow { Some(api(&config, args.admin_url.as_ref())?) } else { None };
    let patience = Duration::from_secs(if args.follow { args.timeout_s } else { 0 });
    let mut sent = block_on(send_until_taken(source, &url, &id, &body, patience))?;
    if let (Some(api), 200) = (&api, sent.status) {
        let timeout = Duration::from_secs(args.timeout_s);
        let followed = job_ids(&sent.answer).map(|ids| block_on(follow::follow(api, &ids, timeout)));
        sent.jobs = followed.transpose().map_err(|failure| lost(&sent, failure))?;
    }
    context.print(&sent, || print(&sent))?;
    let well = match &sent.jobs {
        Some(jobs) => jobs.iter().all(Followed::is_done),
        // An answer without jobs does not come from a bridge.
        None => !args.follow,
    };
    if sent.status == 200 && well { Ok(()) } else { Err(Failure::Reported) }
}

fn print(sent: &Sent) {
    say!("{} {}", sent.status, sent.answer);
    if let Some(action) = sent.action {
        say!("  what to do: {action}");
    }
    sent.jobs.iter().flatten().for_each(Followed::print);
}

/// The delivery was answered, even if its jobs cannot be followed: the failure must say so.
fn lost(sent: &Sent, failure: Failure) -> Failure {
    match failure {
        Failure::Failed { what, action } => Failure::advise(
            format!("answered {} {}, but it cannot be followed: {what}", sent.status, sent.answer),
            action,
        ),
        Failure::Config(_) | Failure::Reported | Failure::Usage(_) | Failure::Misused { .. } | Failure::Attention => {
            failure
        }
    }
}

fn api(config: &Config, url: Option<&url::Url>) -> Result<Api, Failure> {
    let api = Api::of_config(config)?;
    let api = match url {
        Some(url) => api.instead_at(url),
        None => api,
    };
    api.has_token().map(|()| api)
}

/// The ids in a bridge's answer: a duplicate has those of the first delivery, an ignored one has none.
fn job_ids(answer: &Value) -> Option<Vec<String>> {
    let ids = answer.get("jobs")?.as_array()?.iter();
    Some(ids.filter_map(|id| id.as_str().map(str::to_owned)).collect())
}

/// The configured source with this name.
pub(super) fn source_named<'c>(config: &'c Config, name: &str) -> Result<&'c SourceConfig, Failure> {
    config.sources.iter().find(|source| source.name.as_str() == name).ok_or_else(|| {
        let known: Vec<_> = config.sources.iter().map(|source| source.name.as_str()).collect();
        Failure::advise(format!("no source `{name}` is configured"), format!("Configured: {}.", known.join(", ")))
    })
}

/// Sends until it is accepted, as HR systems do, but no longer than `patience`: an intake that was just started may not
/// have its store yet. If nobody listens, waiting is more likely to hide a wrong address than to help.
async fn send_until_taken(
    source: &SourceConfig,
    url: &url::Url,
    id: &str,
    body: &[u8],
    patience: Duration,
) -> Result<Sent, Failure> {
    let began = Instant::now();
    loop {
        let sent = send(source, url, id, body.to_vec()).await;
        let is_early = sent.as_ref().is_ok_and(|sent| sent.status == 503);
        if !is_early || began.elapsed() + PAUSE > patience {
            return sent;
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn send(source: &SourceConfig, url: &url::Url, id: &str, body: Vec<u8>) -> Result<Sent, Failure> {
    let now = Clock::System.now();
    let Some(secret) = source.secrets.iter().find(|secret| secret.not_after.is_none_or(|until| now <= until)) else {
        return Err(Failure::failed(format!("source `{}` has no secret that is still active", source.name)));
    };
    let path = url.query().map_or_else(|| url.path().to_owned(), |query| format!("{}?{query}", url.path()));
    let what = ToSign { method: "POST", url: &path, body: &body, id, at: now };
    let headers = sign(&source.signature, &secret.secret.current(), &what)
        .map_err(|problem| Failure::failed(format!("the secret of `{}` cannot sign: {problem}", source.name)))?;
    let http = scim::plain_http(Duration::from_secs(30)).map_err(|error| Failure::failed(error.to_string()))?;
    let content_type = source.content_types.first().map_or("application/json", String::as_str);
    let mut request = http.post(url.clone()).header("content-type", content_type);
    for (name, value) in headers {
        request = request.header(name, value);
    }
    let unreachable = |_| {
        Failure::advise(
            format!("{} cannot be reached", url.origin().ascii_serialization()),
            "Start `scim-bridge serve`, or give --url.",
        )
    };
    let response = request.body(body).send().await.map_err(unreachable)?;
    let status = response.status().as_u16();
    let text = response.text().await.map_err(unreachable)?;
    let answer = serde_json::from_str(&text).unwrap_or(Value::String(text));
    Ok(Sent { status, answer, action: action_for(status), jobs: None })
}

/// What an operator does about an answer: it says little, as strangers get the same one.
fn action_for(status: u16) -> Option<&'static str> {
    Some(match status {
        200 => return None,
        401 => {
            "`scim-bridge status` and the log of the process say why: most likely it has another secret, or another clock."
        }
        404 => "The process that answers has no source of this name: give it this configuration, or see --url.",
        503 => "`scim-bridge status` says why nothing is taken now.",
        _ => "See \"What an answer to a webhook means\" in docs/operating.md.",
    })
}
