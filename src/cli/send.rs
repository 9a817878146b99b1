//! `send`: signs a file as a source would, and posts it.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use serde::Serialize;
use serde_json::Value;

use super::api::reachable;
use super::failure::Failure;
use super::{Context, block_on};
use crate::clock::{self, Clock};
use crate::config::{Config, SourceConfig};
use crate::core::signature::{ToSign, sign};
use crate::scim;

/// What to send, and as whom.
#[derive(Debug, Args)]
pub struct SendArgs {
    /// The source that it is to come from.
    #[arg(long)]
    source: String,
    /// The file with the payload.
    #[arg(long, value_name = "FILE")]
    file: PathBuf,
    /// The delivery's id; without it, a new one. The same id again is a duplicate.
    #[arg(long)]
    id: Option<String>,
    /// Where to send it; without it, to `[server] listen`.
    #[arg(long, value_name = "URL")]
    url: Option<url::Url>,
}

/// What came back.
#[derive(Debug, Serialize)]
struct Sent {
    status: u16,
    answer: Value,
}

/// Runs the command.
pub fn run(context: &Context, args: &SendArgs) -> Result<(), Failure> {
    let config = Config::load_from_process(context.config.as_deref())?;
    let source = source_named(&config, &args.source)?;
    let body = std::fs::read(&args.file)
        .map_err(|error| Failure::failed(format!("{} cannot be read: {error}", args.file.display())))?;
    let own = || format!("http://{}/webhooks/{}", reachable(config.server.listen), source.name).parse();
    let url: url::Url = match &args.url {
        Some(url) => url.clone(),
        None => own().map_err(|_| Failure::failed("the webhook's URL could not be made"))?,
    };
    let id = args.id.clone().unwrap_or_else(|| format!("msg_{}", clock::new_job_id()));
    let sent = block_on(send(source, &url, &id, body))?;
    context.print(&sent, || say!("{} {}", sent.status, sent.answer))?;
    if sent.status == 200 { Ok(()) } else { Err(Failure::Told) }
}

/// The configured source of a name.
pub(super) fn source_named<'c>(config: &'c Config, name: &str) -> Result<&'c SourceConfig, Failure> {
    config.sources.iter().find(|source| source.name.as_str() == name).ok_or_else(|| {
        let known: Vec<_> = config.sources.iter().map(|source| source.name.as_str()).collect();
        Failure::advise(format!("no source `{name}` is configured"), format!("Configured: {}.", known.join(", ")))
    })
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
    Ok(Sent { status, answer: serde_json::from_str(&text).unwrap_or(Value::String(text)) })
}
