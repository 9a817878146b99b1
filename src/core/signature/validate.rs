//! What serde cannot see about a scheme: rules that involve several fields.

use super::fields::{HeaderNames, Tolerance};
use super::scheme::{Auth, Handshake, IdRule, KeyEncoding, Layout, Scheme, TimestampFrom, WhenFrom};
use super::template::Part;

/// One problem with a scheme.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {help}")]
pub struct SchemeProblem {
    /// The key below `[source.signature]`, such as `timestamp.from`.
    pub key: String,
    /// The problem and what to do about it, in one line.
    pub help: String,
}

impl Scheme {
    /// All problems at once; empty if the scheme can be used.
    #[must_use]
    pub fn validate(&self) -> Vec<SchemeProblem> {
        let mut found = SchemeProblems(Vec::new());
        match self.auth {
            Auth::Hmac => self.check_hmac(&mut found),
            Auth::StaticHeader | Auth::StaticHeaders | Auth::Basic => self.check_static(&mut found),
        }
        found.when(
            self.username.is_some() && self.auth != Auth::Basic,
            "username",
            "is for auth = \"basic\" only: remove it",
        );
        self.check_layout(&mut found);
        self.check_places(&mut found);
        for (n, handshake) in self.handshake.iter().enumerate() {
            check_handshake(n, handshake, self.auth == Auth::Hmac, &mut found);
        }
        found.0
    }

    fn check_hmac(&self, found: &mut SchemeProblems) {
        found.when(
            self.header.is_empty() == self.field.is_none(),
            "header",
            "name the header that carries the signature (or, with `field`, the field of the body: one of the two)",
        );
        found.when(
            self.signed.has(&Part::Body) == self.body_unsigned,
            "signed",
            "must contain {body}: otherwise anybody could put another body under a signature (body_unsigned = true says that the sender leaves it out)",
        );
        found.when(
            self.signed.has(&Part::Body) && self.field.is_some(),
            "field",
            "the signature cannot be within what is signed",
        );
        for [one, next] in self.signed.parts().array_windows() {
            let has_field = matches!((one, next), (Part::Json(_), _) | (_, Part::Json(_)));
            found.when(
                has_field && one.is_variable() && next.is_variable() && !self.is_time(one) && !self.is_time(next),
                "signed",
                "has a field that touches another part, so that their boundary could be shifted: put a literal between them, or use a field that is the timestamp",
            );
        }
        let touching = self.signed.parts().windows(2).any(|two| {
            matches!(
                two,
                [Part::Id, Part::Timestamp | Part::Url | Part::Body | Part::Id]
                    | [Part::Timestamp | Part::Url | Part::Body, Part::Id]
            )
        });
        found.when(
            touching,
            "signed",
            "{id} touches another part, so that their boundary could be shifted: put a literal between them",
        );
        let id_in_header = matches!(self.id, IdRule::Header(_));
        found.when(
            id_in_header && !self.signed.has(&Part::Id),
            "id",
            "this header is not signed, so anybody could change it: put {id} in `signed`, or use a field of the body, \"signature\" or \"body_hash\"",
        );
        found.when(
            self.signed.has(&Part::Id) && !id_in_header,
            "signed",
            "contains {id}, so say which header it is in: id = { header = \"…\" }",
        );
        let timestamp_apart = self.timestamp.as_ref().is_some_and(|rule| !matches!(rule.from, TimestampFrom::Json(_)));
        let checked = self
            .timestamp
            .as_ref()
            .is_some_and(|rule| rule.past_s != Tolerance::Off || rule.future_s != Tolerance::Off);
        found.when(
            timestamp_apart && checked && !self.signed.has(&Part::Timestamp),
            "timestamp",
            "this timestamp is not signed, so it proves nothing: put {timestamp} in `signed`, or leave the timestamp out",
        );
        found.when(
            self.signed.has(&Part::Timestamp) && !timestamp_apart,
            "signed",
            "contains {timestamp}, so say where it is: timestamp = { from = { header = \"…\" } } or { pair = \"…\" }",
        );
        found.when(
            !self.public_url.is_empty() && !self.signed.has(&Part::Url),
            "public_url",
            "has no effect without {url} in `signed`: remove it",
        );
        found.when(
            self.public_url.ends_with('/'),
            "public_url",
            "must not end with '/': the path that follows begins with one",
        );
    }

    fn check_static(&self, found: &mut SchemeProblems) {
        match self.auth {
            Auth::StaticHeader => {
                found.when(self.header.is_empty(), "header", "name the header that carries the secret");
            }
            Auth::StaticHeaders => {
                found.when(!self.header.is_empty(), "header", "the secret names the headers: remove it");
            }
            Auth::Basic => {
                let other = self.header.names().iter().any(|name| name != "authorization");
                found.when(other, "header", "basic credentials are always in `authorization`: remove it");
                found.when(self.value != Layout::default(), "value", "is not for auth = \"basic\": remove it");
            }
            Auth::Hmac => {}
        }
        found.when(self.field.is_some(), "field", "is for auth = \"hmac\" only: remove it");
        found.when(self.body_unsigned, "body_unsigned", "is for auth = \"hmac\" only: remove it");
        found.when(
            !matches!(self.value, Layout::Single { .. }),
            "value",
            "a secret in a header is its only value: use { single = { prefix = \"…\" } }",
        );
        found.when(
            self.key.encoding != KeyEncoding::Utf8,
            "key.encoding",
            "is for auth = \"hmac\" only: here the secret is compared as it is",
        );
        found.when(
            self.id == IdRule::Signature,
            "id",
            "there is no signature with this kind of auth: use a header, a field of the body or \"body_hash\"",
        );
    }

    /// Whether a part is the timestamp, whose length is fixed.
    pub(super) fn is_time(&self, part: &Part) -> bool {
        match (part, self.timestamp.as_ref().map(|rule| &rule.from)) {
            (Part::Timestamp, _) => true,
            (Part::Json(pointer), Some(TimestampFrom::Json(from))) => pointer == from,
            (Part::Literal(_) | Part::Body | Part::Id | Part::Method | Part::Url | Part::Json(_), _) => false,
        }
    }

    fn check_layout(&self, found: &mut SchemeProblems) {
        match &self.value {
            Layout::Single { .. } => {}
            Layout::List { separator, .. } => {
                found.when(separator.is_empty(), "value.list.separator", "give the text between the entries");
            }
            Layout::Pairs { separator, key } => {
                found.when(separator.is_empty(), "value.pairs.separator", "give the text between the pairs");
                found.when(key.is_empty(), "value.pairs.key", "give the name of the signatures, such as \"v1\"");
            }
        }
    }

    fn check_places(&self, found: &mut SchemeProblems) {
        if let IdRule::Header(names) = &self.id {
            check_names("id.header", names, found);
        }
        let Some(rule) = &self.timestamp else { return };
        match &rule.from {
            TimestampFrom::Header(names) => check_names("timestamp.from.header", names, found),
            TimestampFrom::Pair(name) => match &self.value {
                Layout::Pairs { key, .. } => found.when(
                    key == name || name.is_empty(),
                    "timestamp.from.pair",
                    "must differ from the name of the signatures",
                ),
                Layout::Single { .. } | Layout::List { .. } => found.when(
                    true,
                    "timestamp.from.pair",
                    "needs value = { pairs = … }; else use { header = \"…\" } or { json = \"…\" }",
                ),
            },
            TimestampFrom::Json(_) => {}
        }
    }
}

fn check_handshake(n: usize, handshake: &Handshake, headers_unsigned: bool, found: &mut SchemeProblems) {
    let when = match handshake {
        Handshake::Echo { when, .. } => when.as_ref(),
        Handshake::Ping { when, .. } => Some(when),
        Handshake::Get { parameter } => {
            found.when(parameter.is_empty(), &format!("handshake[{n}].get.parameter"), "name the parameter");
            None
        }
        Handshake::Capture { file, .. } => {
            found.when(
                file.as_ref().is_some_and(|file| file.file_name().is_none()),
                &format!("handshake[{n}].capture.file"),
                "say where to put the secret: a file that is not there yet",
            );
            None
        }
    };
    let Some(when) = when else { return };
    if let WhenFrom::Header(names) = &when.from {
        check_names(&format!("handshake[{n}] when.from.header"), names, found);
        found.when(
            headers_unsigned && when.body_has.is_none(),
            &format!("handshake[{n}] when.body_has"),
            "a header is not signed, so an event could be made to pass for a handshake: name a field that only the handshake's body has",
        );
    }
}

fn check_names(key: &str, names: &HeaderNames, found: &mut SchemeProblems) {
    found.when(names.is_empty(), key, "name at least one header");
}

struct SchemeProblems(Vec<SchemeProblem>);

impl SchemeProblems {
    fn when(&mut self, wrong: bool, key: &str, help: &str) {
        if wrong {
            self.0.push(SchemeProblem { key: key.to_owned(), help: help.to_owned() });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(text: &str) -> Vec<String> {
        let scheme: Scheme = toml::from_str(text).unwrap();
        scheme.validate().into_iter().map(|problem| problem.key).collect()
    }

    #[test]
    fn a_body_signature_needs_no_more_than_its_header() {
        assert_eq!(keys("header = 'x-signature'"), Vec::<String>::new());
        assert_eq!(keys(""), ["header"]);
    }

    #[test]
    fn unsigned_content_is_not_trusted() {
        assert_eq!(keys("header = 'x'\nid = { header = 'x-id' }"), ["id"]);
        assert_eq!(keys("header = 'x'\ntimestamp = { from = { header = 'x-time' } }"), ["timestamp"]);
        assert_eq!(keys("header = 'x'\nsigned = '{timestamp}{id}'"), ["signed"; 4]);
        assert!(
            keys("header = 'x'\ntimestamp = { from = { header = 'x-time' }, past_s = 'off', future_s = 'off' }")
                .is_empty()
        );
        assert!(keys("header = 'x'\nid = { json = '/id' }\ntimestamp = { from = { json = '/at' } }").is_empty());
        assert!(keys("auth = 'static_header'\nheader = 'x'\nid = { header = 'x-id' }").is_empty());
    }

    #[test]
    fn every_problem_is_reported_at_once() {
        assert_eq!(
            keys(
                "auth = 'static_header'\nkey = { encoding = 'hex' }\nid = 'signature'\nvalue = { pairs = { separator = '', key = '' } }\n\
                 timestamp = { from = { pair = '' } }"
            ),
            [
                "header",
                "value",
                "key.encoding",
                "id",
                "value.pairs.separator",
                "value.pairs.key",
                "timestamp.from.pair"
            ]
        );
        assert_eq!(keys("auth = 'basic'\nheader = 'x'"), ["header"]);
        assert_eq!(keys("header = 'x'\npublic_url = 'https://a.example/'"), ["public_url", "public_url"]);
        assert_eq!(
            keys("header = 'x'\ntimestamp = { from = { pair = 't' }, past_s = 'off', future_s = 'off' }"),
            ["timestamp.from.pair"]
        );
        assert_eq!(
            keys("header = 'x'\nhandshake = [{ capture = { token = '/t', file = '/' } }]"),
            ["handshake[0].capture.file"]
        );
    }
}
