//! `capture`: keeps the last deliveries of a source for an hour, and shows them.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Subcommand;
use data_encoding::BASE64;
use serde_json::json;

use super::api::Api;
use super::failure::Failure;
use super::{Context, block_on};
use crate::admin::api::shapes::{CaptureBody, CaptureOffBody, CapturedSourceBody, CapturesBody};

/// What to do with captured deliveries. They contain what HR sent: personal data.
#[derive(Debug, Subcommand)]
pub enum CaptureCommand {
    /// Keep the last deliveries of a source from now on, including refused ones; ends after an hour.
    On {
        /// The source.
        #[arg(long)]
        source: String,
        /// How many of its last deliveries to keep.
        #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u8).range(1..=50))]
        keep: u8,
    },
    /// Stop capturing, and delete what was kept.
    Off {
        /// The source.
        #[arg(long)]
        source: String,
    },
    /// List the sources being captured, and the captured deliveries.
    List,
    /// Print one delivery as raw HTTP, as `explain --request` and `presets test` read it. The audit log records it.
    Show {
        /// Its id, as `capture list` shows it.
        id: String,
        /// Write it to this file, which must not exist yet.
        #[arg(long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
}

/// Runs the command.
pub fn run(context: &Context, command: &CaptureCommand) -> Result<(), Failure> {
    let api = Api::of(context)?;
    match command {
        CaptureCommand::On { source, keep } => {
            let body = json!({ "source": source, "keep": keep });
            let order: CapturedSourceBody = block_on(api.put("/api/v1/captures", &body))?;
            context.print(&order, || {
                say!("the last {} deliveries of {} are kept, until {}", order.keep, order.source, order.until);
                say!("capturing starts within seconds; `scim-bridge capture list` shows what arrived");
            })
        }
        CaptureCommand::Off { source } => {
            let path = format!("/api/v1/captures?source={}", Api::escaped(source));
            let off: CaptureOffBody = block_on(api.delete(&path))?;
            context.print(&off, || say!("off; {} deliveries were deleted", off.forgotten))
        }
        CaptureCommand::List => {
            let list: CapturesBody = block_on(api.get("/api/v1/captures"))?;
            context.print(&list, || print(&list))
        }
        CaptureCommand::Show { id, output } => {
            let capture = fetch(&api, id)?;
            match output {
                Some(file) => write(file, &raw(&capture)),
                None if context.json => context.print(&capture, || ()),
                None => {
                    let _ = std::io::stdout().write_all(&raw(&capture));
                    Ok(())
                }
            }
        }
    }
}

/// A captured delivery in full.
pub(super) fn fetch(api: &Api, id: &str) -> Result<CaptureBody, Failure> {
    block_on(api.get(&format!("/api/v1/captures/{}", Api::escaped(id))))
}

fn print(list: &CapturesBody) {
    if list.sources.is_empty() {
        say!("no source is captured; start with `scim-bridge capture on --source NAME`");
    }
    for order in &list.sources {
        say!("{}: the last {} until {}", order.source, order.keep, order.until);
    }
    for capture in &list.captures {
        let bytes = capture.body_bytes.map_or("body not kept".to_owned(), |bytes| format!("{bytes} bytes"));
        let result = capture.reason.as_ref().unwrap_or(&capture.result);
        say!(
            "{}  {}  {:<12} {} {result:<12} {bytes} from {}",
            capture.id,
            capture.at,
            capture.source,
            capture.status,
            capture.client
        );
    }
}

/// As raw HTTP.
fn raw(capture: &CaptureBody) -> Vec<u8> {
    let mut bytes = format!("{} {} HTTP/1.1\r\n", capture.row.method, capture.url).into_bytes();
    for header in &capture.headers {
        bytes.extend(format!("{}: {}\r\n", header.name, header.value).bytes());
    }
    bytes.extend(b"\r\n");
    bytes.extend(
        capture.body_base64.as_ref().and_then(|coded| BASE64.decode(coded.as_bytes()).ok()).unwrap_or_default(),
    );
    bytes
}

/// Readable only by its owner: it contains what HR sent.
fn write(file: &Path, bytes: &[u8]) -> Result<(), Failure> {
    use std::os::unix::fs::OpenOptionsExt;
    let failed = |error: std::io::Error| Failure::failed(format!("{} cannot be written: {error}", file.display()));
    let mut opened = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file).map_err(failed)?;
    opened.write_all(bytes).and_then(|()| opened.sync_all()).map_err(failed)?;
    say!("written: {}", file.display());
    Ok(())
}
