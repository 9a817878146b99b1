//! Logs: JSON or human lines on standard error, filtered by a directive string.
//!
//! Lines wait in a bounded queue for a thread of their own (tracing-appender's), so that a reader that stalls (a full
//! pipe, a log shipper that stopped) stops nothing else. Lines for which there is no room are dropped and counted.
//!
//! The directive (`RUST_LOG` or `[log] level`, in the grammar of `tracing-subscriber`'s `EnvFilter`)
//! decides for this crate. For every other crate there is a ceiling of [`OTHERS_MAX`] that no
//! directive lifts: below it, HTTP and TLS libraries print request lines, headers and bodies, and so
//! e-mail addresses (`?filter=userName eq "…"`) and keys. They may be silenced further, never opened.
//!
//! `EnvFilter` takes any word for a target, so `verbose`, or a misspelt level, would silence the whole log
//! without notice. [`filter`] refuses a directive under which this program would log nothing, unless it says
//! `off`.

use std::io::IsTerminal;
use std::panic::PanicHookInfo;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use tracing::{Level, Metadata, Subscriber, warn};
use tracing_appender::non_blocking::{ErrorCounter, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::{LevelFilter, filter_fn};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

/// This crate's own target, and that of its binary.
const OWN: &str = "scim_bridge";

/// The most talkative level that any other crate gets.
pub const OTHERS_MAX: Level = Level::WARN;

/// Lines that may wait to be written: some megabytes.
const WAITING_MAX: usize = 8_192;

/// Counts the lines for which there was no room.
static DROPPED: OnceLock<ErrorCounter> = OnceLock::new();

/// Logs each malformed request, which any stranger can repeat without end.
const NOISE: &str = "actix_http::h1";

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// For people: coloured on a terminal.
    #[default]
    Human,
    /// One JSON object a line: `timestamp`, `level`, `target`, `message`, the event's fields, and
    /// the innermost span's under `span`.
    Json,
}

/// How to log.
#[derive(Debug, Clone)]
pub struct LogOptions {
    /// The format.
    pub format: Format,
    /// `info`, or directives such as `scim_bridge::worker=debug,info`.
    pub filter: String,
}

impl Default for LogOptions {
    fn default() -> Self {
        Self { format: Format::Human, filter: "info".to_owned() }
    }
}

/// Why logging could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The filter is not in the grammar, or would silence this crate by accident.
    #[error(
        "`{filter}` is not a log filter ({problem}): give a level (error, warn, info, debug, trace) or `target=level` pairs separated by commas"
    )]
    Filter {
        /// What was given.
        filter: String,
        /// What is wrong with the filter.
        problem: String,
    },
    /// Logging was set up before.
    #[error("logging is set up already")]
    AlreadySetUp,
}

/// Keeps the log being written. Dropping it writes the lines that wait, for about a second at most.
#[must_use]
pub struct LogGuard {
    _worker: WorkerGuard,
}

/// Sets logging up for the process, on standard error, and puts panics into the log.
///
/// # Errors
/// The filter is malformed, or logging is set up already.
pub fn init(options: &LogOptions) -> Result<LogGuard, LogError> {
    let colours = std::io::stderr().is_terminal();
    let queue = NonBlockingBuilder::default().buffered_lines_limit(WAITING_MAX).lossy(true).thread_name("log");
    let (lines, guard) = queue.finish(std::io::stderr());
    let dropped = lines.error_counter();
    subscriber(options, colours, lines)?.try_init().map_err(|_| LogError::AlreadySetUp)?;
    // If logging was set up before, this has failed above.
    let _ = DROPPED.set(dropped);
    std::panic::set_hook(Box::new(log_panic));
    Ok(LogGuard { _worker: guard })
}

/// How many lines have been dropped since the start. Logs it when there are more than at the last call.
pub(super) fn dropped_lines() -> u64 {
    static REPORTED: AtomicU64 = AtomicU64::new(0);
    let dropped = DROPPED.get().map_or(0, |dropped| u64::try_from(dropped.dropped_lines()).unwrap_or(u64::MAX));
    if REPORTED.swap(dropped, Ordering::Relaxed) < dropped {
        // Dropped itself while the reader still stalls: the next one has the whole number again.
        warn!(dropped, "log lines have been dropped since the start: whatever reads the log is too slow, or stopped");
    }
    dropped
}

/// What [`init`] installs, for a custom writer.
///
/// # Errors
/// The filter is malformed.
pub fn subscriber<W>(
    options: &LogOptions,
    colours: bool,
    writer: W,
) -> Result<Box<dyn Subscriber + Send + Sync>, LogError>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let directives = filter(&options.filter)?;
    let base = tracing_subscriber::registry().with(directives).with(filter_fn(below_ceiling));
    Ok(match options.format {
        Format::Human => Box::new(base.with(human(colours, writer))),
        Format::Json => Box::new(base.with(json(writer))),
    })
}

/// A filter of this text: a level, or directives separated by commas.
///
/// # Errors
/// The text is not in the grammar, a bare word in it is neither a level nor a target of this crate, or
/// nothing in it reaches this crate, so that nothing would be logged.
pub fn filter(text: &str) -> Result<EnvFilter, LogError> {
    let refused = |problem: String| LogError::Filter { filter: text.to_owned(), problem };
    // `EnvFilter` counts a directive's letters wrongly if there are spaces before it.
    let directives: Vec<_> = text.split(',').map(str::trim).filter(|directive| !directive.is_empty()).collect();
    let parsed = EnvFilter::builder().parse(directives.join(",")).map_err(|error| refused(error.to_string()))?;
    if let Some(word) = directives.iter().find(|directive| is_neither_level_nor_ours(directive)) {
        return Err(refused(format!("`{word}` is neither a level nor a target of this crate")));
    }
    if !directives.iter().any(|directive| reaches_ours(directive)) {
        return Err(refused(format!("it names no target of `{OWN}` and no level, so nothing would be logged")));
    }
    Ok(parsed)
}

fn is_neither_level_nor_ours(directive: &str) -> bool {
    let bare = !directive.contains(['=', '[']);
    bare && !is_level(directive) && !is_own(directive)
}

/// Whether a directive decides something for this crate: a level for all, or one of its targets or spans.
fn reaches_ours(directive: &str) -> bool {
    if is_level(directive) {
        return true;
    }
    let target = directive.split(['=', '[']).next().unwrap_or_default();
    // Like `EnvFilter`, by the beginning of the target. A span without a target may be anybody's.
    is_own(target) || OWN.starts_with(target)
}

fn is_level(text: &str) -> bool {
    text.parse::<LevelFilter>().is_ok()
}

fn is_own(target: &str) -> bool {
    target.strip_prefix(OWN).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

fn human<S, W>(colours: bool, writer: W) -> impl tracing_subscriber::Layer<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    tracing_subscriber::fmt::layer().with_ansi(colours).with_writer(writer)
}

fn json<S, W>(writer: W) -> impl tracing_subscriber::Layer<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    tracing_subscriber::fmt::layer()
        .json()
        .flatten_event(true)
        .with_current_span(true)
        .with_span_list(false)
        .with_writer(writer)
}

/// Whether the ceiling lets this event or span through.
fn below_ceiling(metadata: &Metadata<'_>) -> bool {
    let target = metadata.target();
    is_own(target) || *metadata.level() <= OTHERS_MAX && !target.starts_with(NOISE)
}

/// Logs where a panic came from. Its message only if it is a literal: a formatted one may show
/// values (slicing a string prints the string).
fn log_panic(panic: &PanicHookInfo<'_>) {
    let message = panic.payload().downcast_ref::<&'static str>().copied().unwrap_or("(message withheld)");
    let place = panic.location().map(ToString::to_string).unwrap_or_default();
    let thread = std::thread::current();
    tracing::error!(place, thread = thread.name().unwrap_or("unnamed"), message, "panic");
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Lines {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn logged(format: Format, filter: &str, what: impl FnOnce()) -> String {
        let lines = Lines::default();
        let writer = lines.clone();
        let options = LogOptions { format, filter: filter.to_owned() };
        let subscriber = subscriber(&options, false, move || writer.clone()).unwrap();
        tracing::subscriber::with_default(subscriber, what);
        lines.text()
    }

    #[test]
    fn no_directive_opens_another_crate_below_the_ceiling() {
        for filter in ["trace", "hyper=trace,trace", "info,hyper::proto=trace", "error,reqwest[{body}]=trace"] {
            let text = logged(Format::Json, filter, || {
                tracing::trace!(target: "hyper::proto", "secret bytes");
                tracing::debug!(target: "actix_http::h1", "GET /Users?filter=secret");
                tracing::info!(target: "h2", "secret header");
                // A name that only begins like ours belongs to another crate.
                tracing::debug!(target: "scim_bridge_other", "secret");
                let _span = tracing::debug_span!(target: "h2", "span", body = "secret").entered();
                tracing::error!(target: "hyper", "shown");
            });
            assert!(!text.contains("secret"), "{filter}: {text}");
        }
        let text = logged(Format::Human, "trace", || tracing::warn!(target: "hyper", "shown"));
        assert!(text.contains("shown"), "{text}");
    }

    #[test]
    fn this_crate_logs_as_the_directive_says() {
        let say = || {
            tracing::trace!("one");
            tracing::info!("two");
        };
        let all = logged(Format::Human, "trace", say);
        assert!(all.contains("one") && all.contains("two"), "{all}");
        let some = logged(Format::Human, "info", say);
        assert!(!some.contains("one") && some.contains("two"), "{some}");
        let none = logged(Format::Human, "info,scim_bridge=warn", say);
        assert!(none.is_empty(), "{none}");
    }

    #[test]
    fn a_json_line_has_fields_and_span_at_hand() {
        let text = logged(Format::Json, "info", || {
            let _span = tracing::info_span!("attempt", job = "0193", person = "hr/E-1").entered();
            tracing::info!(status = 201, "called");
        });
        let line: serde_json::Value = serde_json::from_str(text.trim()).unwrap();
        assert_eq!(line["message"], "called");
        assert_eq!(line["status"], 201);
        assert_eq!(line["span"]["person"], "hr/E-1");
    }

    #[test]
    fn a_malformed_filter_is_refused_with_what_to_give() {
        let options = LogOptions { filter: "scim_bridge=loud".to_owned(), ..LogOptions::default() };
        let error = subscriber(&options, false, std::io::sink).err().unwrap();
        assert!(error.to_string().contains("give a level"), "{error}");
    }

    #[test]
    fn an_accidentally_silencing_filter_is_refused() {
        for (text, problem) in [
            ("verbose", "`verbose` is neither a level"),
            ("Verbose,hyper=warn", "`Verbose` is neither a level"),
            ("info,verbose", "`verbose` is neither a level"),
            ("hyper", "`hyper` is neither a level"),
            ("scim-bridge", "`scim-bridge` is neither a level"),
            ("scim_bridge_other", "`scim_bridge_other` is neither a level"),
            ("hyper=debug", "nothing would be logged"),
            ("scim_brigde=debug,hyper=warn", "nothing would be logged"),
            ("scim_bridge_other=debug", "nothing would be logged"),
            ("reqwest[{body}]=trace", "nothing would be logged"),
            ("", "nothing would be logged"),
            (" , ", "nothing would be logged"),
        ] {
            let error = filter(text).err().unwrap_or_else(|| panic!("taken: {text:?}"));
            assert!(error.to_string().contains(problem), "{text:?}: {error}");
        }
    }

    #[test]
    fn an_accepted_filter_logs_this_crate_unless_it_says_off() {
        for text in [
            "error",
            "INFO",
            "3",
            "scim_bridge",
            "scim_bridge=debug",
            "scim_bridge::telemetry",
            "hyper=warn,scim_bridge::telemetry=error",
            "scim=info",
            "[a_span]=info",
            "info , hyper=off",
            "warn, scim_bridge::telemetry=debug",
        ] {
            let said = logged(Format::Human, text, || {
                let _span = tracing::error_span!("a_span").entered();
                tracing::error!("said");
            });
            assert!(said.contains("said"), "{text}");
        }
        for text in ["off", "off,hyper=warn", "scim_bridge=off"] {
            assert!(logged(Format::Human, text, || tracing::error!("said")).is_empty(), "{text}");
        }
    }
}
