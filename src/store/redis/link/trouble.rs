//! What Redis' errors mean, and what cures them. Texts never hold a command's arguments: Redis quotes
//! them in some errors, and they are personal data.

use std::time::Duration;

use deadpool_redis::redis::{ErrorKind, RedisError, ServerError, Value};

use super::options::Address;
use crate::core::code::Code;
use crate::store::StoreError;
use crate::telemetry::metrics as names;

/// Why a call failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Trouble {
    pub(super) code: Code,
    pub(super) detail: String,
}

/// The words of servers and what they mean. In front, because Redis before 7 wraps what a script's
/// command ran into in a text of its own: the first that is found in it counts.
const WORDS: &[(&str, Code)] = &[
    ("READONLY", Code::StoreReadOnly),
    ("LOADING", Code::StoreLoading),
    ("BUSY", Code::StoreBusy),
    ("UNKILLABLE", Code::StoreBusy),
    ("OOM", Code::StoreMemory),
    ("MISCONF", Code::StoreDisk),
    ("NOAUTH", Code::StoreAuth),
    ("WRONGPASS", Code::StoreAuth),
    ("NOPERM", Code::StoreNoPerm),
    ("CROSSSLOT", Code::StoreCrossSlot),
    ("MASTERDOWN", Code::StoreNoPrimary),
    ("CLUSTERDOWN", Code::StoreNoPrimary),
    ("NOREPLICAS", Code::StoreReplicas),
    ("NOGOODSLAVE", Code::StoreNoPrimary),
    ("MOVED", Code::StoreResharding),
    ("ASK", Code::StoreResharding),
    ("TRYAGAIN", Code::StoreResharding),
];

impl Trouble {
    pub(super) fn new(code: Code, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into() }
    }

    /// What a server's error reply means.
    pub(super) fn of_reply(error: &ServerError) -> Self {
        Self::of_words(error.code(), error.details().unwrap_or_default())
    }

    /// What it means that a call on a connection failed.
    pub(super) fn of_call(error: &RedisError) -> Self {
        Self::of_server(error).unwrap_or_else(|| {
            if error.is_timeout() {
                Self::new(Code::StoreTimeout, "no answer in time")
            } else {
                Self::new(Code::StoreLost, error.category())
            }
        })
    }

    /// What it means that a connection could not be made.
    pub(super) fn of_dial(error: &RedisError, to: &Address, tls: bool) -> Self {
        let told = Self::of_server(error).unwrap_or_else(|| {
            let text = error.to_string();
            let code = if error.is_timeout() {
                Code::StoreTimeout
            } else if tls && !error.is_connection_refusal() && speaks_of_tls(&text) {
                Code::StoreTls
            } else {
                Code::StoreUnreachable
            };
            Self::new(code, text)
        });
        Self::new(told.code, format!("{to}: {}", told.detail))
    }

    /// What it means that nothing came for so long.
    pub(super) fn silence(to: &str, after: Duration) -> Self {
        Self::new(Code::StoreTimeout, format!("{to}: no answer within {} ms", after.as_millis()))
    }

    fn of_server(error: &RedisError) -> Option<Self> {
        let detail = error.detail().unwrap_or_default();
        if detail.contains("max number of clients") {
            return Some(Self::new(Code::StoreClients, "max number of clients reached"));
        }
        if let Some(code) = error.code() {
            return Some(Self::of_words(code, detail));
        }
        if let Some(errors) = error.clone().into_server_errors() {
            return errors.first().map(|(_, error)| Self::of_reply(error));
        }
        (error.kind() == ErrorKind::AuthenticationFailed).then(|| Self::new(Code::StoreAuth, "refused at login"))
    }

    fn of_words(word: &str, detail: &str) -> Self {
        if detail.contains("max number of clients") {
            return Self::new(Code::StoreClients, "max number of clients reached");
        }
        let known =
            |(known, _): &&(&str, Code)| *known == word || (word == "ERR" && detail.contains(&format!("-{known} ")));
        if let Some((word, code)) = WORDS.iter().find(known) {
            // Which command or key pattern is refused is worth knowing, and quotes no argument.
            let command = detail.split('\'').nth(1).filter(|_| *code == Code::StoreNoPerm);
            return Self::new(*code, command.map_or_else(|| (*word).to_owned(), |command| format!("{word} {command}")));
        }
        if word == "DAMAGED" {
            // Our own scripts' word, and their own text.
            return Self::new(Code::StoreDamaged, detail);
        }
        if word == "ERR" && detail.contains("unknown command") {
            let command = detail.split(['\'', '`']).nth(1).unwrap_or_default();
            return Self::new(Code::StoreError, format!("unknown command {command}"));
        }
        if word == "ERR" && (detail.contains("DB index") || detail.contains("SELECT is not allowed")) {
            return Self::new(Code::StoreDatabase, "SELECT is refused");
        }
        // The line of a script that failed, but not what it said.
        let line: Option<String> =
            detail.rsplit_once("user_script:").map(|(_, rest)| rest.chars().take_while(char::is_ascii_digit).collect());
        Self::new(Code::StoreError, line.map_or_else(|| word.to_owned(), |line| format!("{word}, script line {line}")))
    }

    /// Whether the connection may be at fault: the next call gets another, to whoever is the primary
    /// by then. What concerns the server or the command alone would be the same on any connection.
    pub(super) fn is_of_the_connection(&self) -> bool {
        matches!(
            self.code,
            Code::StoreReadOnly
                | Code::StoreTimeout
                | Code::StoreLost
                | Code::StoreAuth
                | Code::StoreNoPrimary
                | Code::StoreResharding
        )
    }

    /// Whether the server refused before anything was done, and another primary may take it at once.
    pub(super) fn is_worth_another_primary(&self) -> bool {
        matches!(self.code, Code::StoreReadOnly | Code::StoreResharding)
    }

    /// Counts it, and makes it the store's error.
    pub(super) fn counted(self) -> StoreError {
        metrics::counter!(names::STORE_ERRORS_TOTAL, names::CODE => self.code.as_str()).increment(1);
        match self.code {
            Code::StoreDamaged => StoreError::Damaged(self.detail),
            code => StoreError::Trouble { code, detail: self.detail },
        }
    }
}

/// Parts a reply from an error.
pub(super) fn reply(value: Value) -> Result<Value, Trouble> {
    match value {
        Value::ServerError(error) => Err(Trouble::of_reply(&error)),
        value => Ok(value),
    }
}

/// Whether the server does not know the script.
pub(super) fn is_noscript(value: &Value) -> bool {
    matches!(value, Value::ServerError(error) if error.code() == "NOSCRIPT")
}

fn speaks_of_tls(text: &str) -> bool {
    ["certificate", "alert", "Tls", "TLS", "InvalidMessage", "corrupt message", "handshake"]
        .iter()
        .any(|word| text.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(word: &str, detail: &str) -> Code {
        Trouble::of_words(word, detail).code
    }

    #[test]
    fn every_word_of_a_server_has_its_code() {
        for (word, expected) in WORDS {
            assert_eq!(code(word, "…"), *expected, "{word}");
            // As Redis before 7 tells what a script's command ran into.
            let wrapped = format!("Error running script (call to f_0): @user_script:7: -{word} it is so");
            assert_eq!(code("ERR", &wrapped), *expected, "{word}");
        }
        assert_eq!(code("ERR", "max number of clients reached"), Code::StoreClients);
        assert_eq!(code("ERR", "DB index is out of range"), Code::StoreDatabase);
        assert_eq!(code("WHATEVER", ""), Code::StoreError);
    }

    #[test]
    fn no_detail_quotes_what_a_command_was_given() {
        let told = [
            Trouble::of_words("ERR", "unknown command 'WAITAOF', with args beginning with: 'ada@example.com'"),
            Trouble::of_words("ERR", "value ada@example.com is wrong script: 0, on @user_script:12."),
            Trouble::of_words("NOPERM", "User bridge has no permissions to run the 'evalsha' command"),
            Trouble::of_words("OOM", "ada@example.com"),
        ];
        let details: Vec<_> = told.iter().map(|trouble| trouble.detail.as_str()).collect();
        assert_eq!(details, ["unknown command WAITAOF", "ERR, script line 12", "NOPERM evalsha", "OOM"]);
    }

    #[test]
    fn a_connection_is_thrown_away_for_what_another_would_not_say() {
        let thrown = |code| Trouble::new(code, "").is_of_the_connection();
        assert!([Code::StoreReadOnly, Code::StoreLost, Code::StoreTimeout, Code::StoreAuth].into_iter().all(thrown));
        assert!(![Code::StoreMemory, Code::StoreBusy, Code::StoreNoPerm, Code::StoreReplicas].into_iter().any(thrown));
    }
}
