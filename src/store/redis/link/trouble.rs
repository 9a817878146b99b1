//! What Redis' errors mean, and what fixes them. Texts never hold a command's arguments: Redis quotes
//! them in some errors, and they are personal data.

use std::time::Duration;

use deadpool_redis::redis::{ErrorKind, RedisError, ServerError, Value};

use super::options::Address;
use crate::core::code::Code;
use crate::store::StoreError;

/// Why a call failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LinkError {
    pub(super) code: Code,
    pub(super) detail: String,
}

/// Servers' error words and what they mean. They are searched for in the text, because Redis before 7 wraps a
/// script's error in a text of its own; the first one found counts.
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

impl LinkError {
    pub(super) fn new(code: Code, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into() }
    }

    /// What a server's error reply means.
    pub(super) fn of_reply(error: &ServerError) -> Self {
        Self::of_words(error.code(), error.details().unwrap_or_default())
    }

    /// What a failed call on a connection means.
    pub(super) fn of_call(error: &RedisError) -> Self {
        Self::of_server(error).unwrap_or_else(|| {
            if error.is_timeout() {
                Self::new(Code::StoreTimeout, "no answer in time")
            } else {
                Self::new(Code::StoreLost, error.category())
            }
        })
    }

    /// What a failed attempt to connect means.
    pub(super) fn of_dial(error: &RedisError, to: &Address, tls: bool) -> Self {
        let trouble = Self::of_server(error).unwrap_or_else(|| {
            let text = error.to_string();
            let code = if error.is_timeout() {
                Code::StoreTimeout
            } else if tls && !error.is_connection_refusal() && speaks_of_tls(&text) {
                Code::StoreTls
            } else {
                Code::StoreUnreachable
            };
            // A server that speaks TLS only silently drops anything else.
            let is_perhaps_tls = !tls && error.is_connection_dropped() && !error.is_connection_refusal();
            let hint = if is_perhaps_tls { " (where it speaks TLS only, the URL begins with `rediss`)" } else { "" };
            Self::new(code, format!("{text}{hint}"))
        });
        Self::new(trouble.code, format!("{to}: {}", trouble.detail))
    }

    /// What a missing answer means.
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
            // The refused command or key pattern is useful, and quotes no argument.
            let command = detail.split('\'').nth(1).filter(|_| *code == Code::StoreNoPerm);
            return Self::new(*code, command.map_or_else(|| (*word).to_owned(), |command| format!("{word} {command}")));
        }
        if word == "DAMAGED" {
            // The error word of our own scripts, with their text.
            return Self::new(Code::StoreDamaged, detail);
        }
        if word == "EMPTIED" {
            return Self::new(Code::StoreEmptied, detail);
        }
        if word == "NEWER" || word == "OLDER" {
            // The prelude's error, with the version found and the known one.
            return Self::new(Code::StoreNewerSchema, detail);
        }
        // A script without the rights that it needs: in Redis' words, and in Valkey's.
        if word == "ERR" && (detail.contains("executing the script can't") || detail.contains("ACL failure in script"))
        {
            let quoted = detail.split_once("run the '").and_then(|(_, rest)| rest.split('\'').next());
            let what = quoted.map_or_else(|| line_of(detail), |command| Some(command.to_owned()));
            return Self::new(Code::StoreNoPerm, with_subject("NOPERM", what));
        }
        if word == "ERR" && detail.contains("unknown command") {
            let command = detail.split(['\'', '`']).nth(1).unwrap_or_default();
            return Self::new(Code::StoreError, format!("unknown command {command}"));
        }
        if word == "ERR" && (detail.contains("DB index") || detail.contains("SELECT is not allowed")) {
            return Self::new(Code::StoreDatabase, "SELECT is refused");
        }
        Self::new(Code::StoreError, with_subject(word, line_of(detail)))
    }

    /// Whether the connection may be at fault: then the next call gets another one, to the current primary. Trouble
    /// with the server or the command would be the same on any connection.
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

    /// Whether this is the wrong server, and there may be a better address.
    pub(super) fn is_of_the_address(&self) -> bool {
        matches!(
            self.code,
            Code::StoreReadOnly
                | Code::StoreLoading
                | Code::StoreUnreachable
                | Code::StoreTimeout
                | Code::StoreLost
                | Code::StoreNoPrimary
        )
    }

    /// Whether the server refused before doing anything, so that another primary may be tried at once.
    pub(super) fn is_worth_another_primary(&self) -> bool {
        matches!(self.code, Code::StoreReadOnly | Code::StoreResharding)
    }

    /// As a store error.
    pub(super) fn into_store_error(self) -> StoreError {
        match self.code {
            Code::StoreDamaged => StoreError::Damaged(self.detail),
            Code::StoreNewerSchema => {
                let mut versions = self.detail.split(' ').map(|version| version.parse().unwrap_or(u32::MAX));
                let mut version = || versions.next().unwrap_or_default();
                let (found, known) = (version(), version());
                if found < known { StoreError::OlderSchema { found } } else { StoreError::NewerSchema { found, known } }
            }
            code => StoreError::Trouble { code, detail: self.detail },
        }
    }
}

/// The line of a script that failed, but not what it said.
fn line_of(detail: &str) -> Option<String> {
    let (_, rest) = detail.rsplit_once("user_script:")?;
    Some(format!("script line {}", rest.chars().take_while(char::is_ascii_digit).collect::<String>()))
}

fn with_subject(word: &str, what: Option<String>) -> String {
    what.map_or_else(|| word.to_owned(), |what| format!("{word}, {what}"))
}

/// Parts a reply from an error.
pub(super) fn reply(value: Value) -> Result<Value, LinkError> {
    match value {
        Value::ServerError(error) => Err(LinkError::of_reply(&error)),
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
        LinkError::of_words(word, detail).code
    }

    #[test]
    fn every_server_error_has_its_code() {
        for (word, expected) in WORDS {
            assert_eq!(code(word, "…"), *expected, "{word}");
            // How Redis before 7 reports an error of a script's command.
            let wrapped = format!("Error running script (call to f_0): @user_script:7: -{word} it is so");
            assert_eq!(code("ERR", &wrapped), *expected, "{word}");
        }
        assert_eq!(code("ERR", "max number of clients reached"), Code::StoreClients);
        assert_eq!(code("ERR", "DB index is out of range"), Code::StoreDatabase);
        assert_eq!(code("WHATEVER", ""), Code::StoreError);
    }

    #[test]
    fn a_right_that_a_script_lacks_is_recognised_from_either_server() {
        let redis =
            "The user executing the script can't run this command or subcommand script: 39b9, on @user_script:3.";
        let keys = "The user executing the script can't access at least one of the keys mentioned in the command \
                    arguments script: c4cf, on @user_script:2.";
        let valkey =
            "ACL failure in script: User b has no permissions to run the 'zadd' command script: on @user_script:3.";
        let detail = |text| LinkError::of_words("ERR", text).detail;
        assert!([redis, keys, valkey].iter().all(|text| code("ERR", text) == Code::StoreNoPerm));
        assert_eq!([redis, valkey].map(detail), ["NOPERM, script line 3", "NOPERM, zadd"]);
        // As the prelude has it.
        let refused = LinkError::of_words("NOPERM", "the user may not run 'zadd zrem'");
        assert_eq!((refused.code, refused.detail.as_str()), (Code::StoreNoPerm, "NOPERM zadd zrem"));
    }

    #[test]
    fn a_newer_schema_is_reported_with_both_versions() {
        let error = LinkError::of_words("NEWER", "99 1").into_store_error();
        assert!(matches!(error, StoreError::NewerSchema { found: 99, known: 1 }), "{error}");
    }

    #[test]
    fn no_detail_quotes_what_a_command_was_given() {
        let troubles = [
            LinkError::of_words("ERR", "unknown command 'WAITAOF', with args beginning with: 'ada@example.com'"),
            LinkError::of_words("ERR", "value ada@example.com is wrong script: 0, on @user_script:12."),
            LinkError::of_words("NOPERM", "User bridge has no permissions to run the 'evalsha' command"),
            LinkError::of_words("OOM", "ada@example.com"),
        ];
        let details: Vec<_> = troubles.iter().map(|trouble| trouble.detail.as_str()).collect();
        assert_eq!(details, ["unknown command WAITAOF", "ERR, script line 12", "NOPERM evalsha", "OOM"]);
    }

    #[test]
    fn a_connection_is_dropped_for_errors_that_another_would_not_give() {
        let thrown = |code| LinkError::new(code, "").is_of_the_connection();
        assert!([Code::StoreReadOnly, Code::StoreLost, Code::StoreTimeout, Code::StoreAuth].into_iter().all(thrown));
        assert!(![Code::StoreMemory, Code::StoreBusy, Code::StoreNoPerm, Code::StoreReplicas].into_iter().any(thrown));
    }
}
