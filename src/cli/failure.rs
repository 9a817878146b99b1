//! How a command fails: its message, and the exit code.

use std::io::Write;
use std::process::ExitCode;
use std::sync::mpsc;
use std::time::Duration;

use crate::config::ConfigErrors;

/// How long the reader of the last message may take. A process that ends must not wait for one that stalls.
const READ_MAX: Duration = Duration::from_secs(2);

/// Why a command did not end well.
#[derive(Debug)]
pub enum Failure {
    /// Exit code 64: the configuration is wrong; every error at once.
    Config(ConfigErrors),
    /// Exit code 1: what was asked for did not work.
    Failed {
        /// What is wrong.
        what: String,
        /// What to do about it; may be empty.
        action: String,
    },
    /// Exit code 1: everything has been printed already.
    Reported,
    /// Exit code 2: the command's arguments do not fit together.
    Usage(String),
    /// Exit code 2: the arguments cannot be understood.
    Misused {
        /// What is wrong.
        what: String,
        /// What to do about it.
        action: String,
    },
    /// Exit code 3: something needs attention, and has been printed.
    Attention,
}

impl Failure {
    /// A failure without advice.
    #[must_use]
    pub fn failed(what: impl Into<String>) -> Self {
        Self::Failed { what: what.into(), action: String::new() }
    }

    /// A failure with what to do about it.
    #[must_use]
    pub fn advise(what: impl Into<String>, action: impl Into<String>) -> Self {
        Self::Failed { what: what.into(), action: action.into() }
    }

    /// Prints it to standard error (JSON goes to standard output), and returns the exit code.
    pub(crate) fn report(self, json: bool) -> ExitCode {
        match self {
            Self::Config(errors) => {
                let told = serde_json::json!({ "ok": false, "errors": errors });
                last_words(json.then_some(told), errors.to_string());
                ExitCode::from(64)
            }
            Self::Failed { what, action } => {
                let told = serde_json::json!({ "ok": false, "error": what, "action": action });
                let advice = if action.is_empty() { action } else { format!("\n  what to do: {action}") };
                last_words(json.then_some(told), format!("error: {what}{advice}"));
                ExitCode::FAILURE
            }
            Self::Reported => ExitCode::FAILURE,
            Self::Usage(what) => Self::Misused { what, action: "See --help.".to_owned() }.report(json),
            Self::Misused { what, action } => {
                let told = serde_json::json!({ "ok": false, "error": what, "action": action });
                last_words(json.then_some(told), format!("error: {what}\n  what to do: {action}"));
                ExitCode::from(2)
            }
            Self::Attention => ExitCode::from(3),
        }
    }
}

/// Prints the JSON to standard output, or else the text to standard error.
fn last_words(json: Option<serde_json::Value>, text: String) {
    let (done, written) = mpsc::channel();
    let write = move || {
        // Nobody is left to read that it cannot be written.
        let _ = match json {
            Some(json) => writeln!(std::io::stdout(), "{json}"),
            None => writeln!(std::io::stderr(), "{text}"),
        };
        let _ = done.send(());
    };
    if std::thread::Builder::new().name("last-words".to_owned()).spawn(write).is_ok() {
        let _ = written.recv_timeout(READ_MAX);
    }
}

impl From<ConfigErrors> for Failure {
    fn from(errors: ConfigErrors) -> Self {
        Self::Config(errors)
    }
}
