//! The bearer token of the API, and the console sessions that it opens.
//!
//! A session is a statement signed with the admin token: "valid until then", with a number of its own. So
//! every replica honours it, a restart keeps it, and a changed token ends it. Logouts are kept in the store.

use data_encoding::BASE64URL_NOPAD;
use hmac::{Hmac, KeyInit, Mac};
use secrecy::ExposeSecret;
use sha2::Sha256;
use subtle::ConstantTimeEq;

use crate::core::time::UnixMs;
use crate::secret::LiveSecret;

/// How long a log-in lasts: a working day.
pub(super) const SESSION_MS: u64 = 8 * 3_600_000;

/// Whether `given` is the admin token, compared in constant time; an empty token never matches.
pub(super) fn is_token(token: &LiveSecret, given: &str) -> bool {
    let token = token.current();
    let expected = token.expose_secret().as_bytes();
    // Digests have one length, so the comparison does not reveal the token's.
    let same = mac(expected, "token", expected).ct_eq(&mac(expected, "token", given.as_bytes()));
    !expected.is_empty() && bool::from(same)
}

/// The token in an `Authorization` header's value, whose scheme may be in any case (RFC 9110 §11.1).
pub(super) fn bearer(header: &str) -> Option<&str> {
    let (scheme, token) = header.trim().split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// A session's cookie value: `{valid until}-{number}.{signature}`. `number` is one that no other session has.
pub(super) fn open_session(token: &LiveSecret, now: UnixMs, number: &str) -> String {
    let session = format!("{}-{number}", now.plus_ms(SESSION_MS).0);
    format!("{session}.{}", sign(token, "session", &session))
}

/// Until when a cookie's value is valid, if it belongs to a session that has not run out.
pub(super) fn session_until(token: &LiveSecret, now: UnixMs, cookie: &str) -> Option<UnixMs> {
    let (session, signature) = cookie.split_once('.')?;
    let genuine = same(&sign(token, "session", session), signature);
    let open = !token.current().expose_secret().is_empty();
    let until = session.split('-').next()?.parse().ok().map(UnixMs);
    until.filter(|until| genuine && open && now < *until)
}

/// The token in a session's forms, which nobody else can know.
pub(super) fn form_token(token: &LiveSecret, session: &str) -> String {
    sign(token, "form", session)
}

/// Whether two texts are the same, compared in constant time.
pub(super) fn same(ours: &str, given: &str) -> bool {
    bool::from(ours.as_bytes().ct_eq(given.as_bytes()))
}

fn sign(token: &LiveSecret, purpose: &str, text: &str) -> String {
    BASE64URL_NOPAD.encode(&mac(token.current().expose_secret().as_bytes(), purpose, text.as_bytes()))
}

/// HMAC-SHA256 under a key, separate for each purpose.
fn mac(key: &[u8], purpose: &str, message: &[u8]) -> [u8; 32] {
    // HMAC takes a key of any length, although the type says otherwise. The all-zero tag of a failed key would only
    // ever be compared with itself, and callers refuse an empty token.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return [0; 32] };
    mac.update(b"scim-bridge admin ");
    mac.update(purpose.as_bytes());
    mac.update(&[0]);
    mac.update(message);
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(value: &str) -> LiveSecret {
        LiveSecret::new(value.to_owned().into())
    }

    #[test]
    fn only_the_token_itself_opens() {
        let right = token("s3cret");
        assert!(is_token(&right, "s3cret"));
        for wrong in ["", "s3cre", "s3crets", "S3CRET"] {
            assert!(!is_token(&right, wrong));
        }
        assert!(!is_token(&token(""), ""));
    }

    #[test]
    fn a_bearer_header_is_read_leniently() {
        assert_eq!(bearer("Bearer abc"), Some("abc"));
        assert_eq!(bearer("bearer  abc "), Some("abc"));
        assert_eq!(bearer("Basic abc"), None);
        assert_eq!(bearer("Bearer"), None);
    }

    #[test]
    fn a_session_ends_with_its_time_and_with_the_token() {
        let secret = token("one");
        let start = UnixMs(1_000);
        let session = open_session(&secret, start, "1");
        assert_eq!(session_until(&secret, start, &session), Some(start.plus_ms(SESSION_MS)));
        assert_eq!(session_until(&secret, start.plus_ms(SESSION_MS), &session), None);
        secret.replace("two".to_owned().into());
        assert_eq!(session_until(&secret, start, &session), None);
    }

    #[test]
    fn a_session_cannot_be_prolonged_or_made_up() {
        let secret = token("one");
        let session = open_session(&secret, UnixMs(0), "1");
        let (statement, signature) = session.split_once('.').unwrap();
        let later = format!("9{statement}.{signature}");
        for forged in [later, statement.to_owned(), format!("{statement}2.{signature}"), String::new(), ".".to_owned()]
        {
            assert_eq!(session_until(&secret, UnixMs(0), &forged), None, "{forged}");
        }
        assert!(!same(&form_token(&secret, &session), signature));
        assert!(same(&form_token(&secret, &session), &form_token(&secret, &session)));
    }
}
