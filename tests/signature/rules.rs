//! What is refused, and for which reason; how a delivery is recognised again; several secrets.

use proptest::prelude::*;
use scim_bridge::core::mapping::Mapping;
use scim_bridge::core::person::SourceName;
use scim_bridge::core::signature::{DedupeKey, Refusal, Role, Scheme, ToSign, sign};
use scim_bridge::core::time::UnixMs;
use secrecy::SecretString;

use super::{BODY, SIGNED_AT, delivery, preset, refusal, scheme, verifier, verifier_until};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// The headers that a source would send, to be tampered with.
fn signed(scheme: &Scheme, secret: &str, body: &str, id: &str, at: UnixMs) -> Vec<(String, String)> {
    let what = ToSign { method: "POST", url: "/webhooks/hr?a=1", body: body.as_bytes(), id, at };
    sign(scheme, &SecretString::from(secret), &what).unwrap()
}

fn strs(headers: &[(String, String)]) -> Vec<(&str, &str)> {
    headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

fn judged(scheme: &Scheme, headers: &[(String, String)], now: UnixMs) -> Option<Refusal> {
    refusal(verifier(scheme.clone(), &[SECRET]).verify(delivery(&strs(headers), BODY), now))
}

#[test]
fn a_missing_empty_or_repeated_header_is_refused() {
    let scheme = preset("standard-webhooks");
    let good = signed(&scheme, SECRET, BODY, "msg_1", SIGNED_AT);
    assert_eq!(judged(&scheme, &good, SIGNED_AT), None);
    let roles =
        [("webhook-id", Role::Id), ("webhook-timestamp", Role::Timestamp), ("webhook-signature", Role::Signature)];
    for (name, role) in roles {
        let without: Vec<_> = good.iter().filter(|(other, _)| other != name).cloned().collect();
        assert_eq!(judged(&scheme, &without, SIGNED_AT), Some(Refusal::MissingHeader(role)));
        let mut empty = without.clone();
        empty.push((name.to_owned(), String::new()));
        assert_eq!(judged(&scheme, &empty, SIGNED_AT), Some(Refusal::MissingHeader(role)));
        let mut twice = good.clone();
        twice.extend(good.iter().find(|(other, _)| other == name).cloned());
        assert_eq!(judged(&scheme, &twice, SIGNED_AT), Some(Refusal::RepeatedHeader(role)));
        let mut both_names = good.clone();
        both_names.push((name.replace("webhook", "svix"), "v1,other".to_owned()));
        assert_eq!(judged(&scheme, &both_names, SIGNED_AT), Some(Refusal::RepeatedHeader(role)));
    }
}

#[test]
fn bad_base64_and_other_versions_are_malformed_but_another_secret_is_a_mismatch() {
    let scheme = preset("standard-webhooks");
    for (value, expected) in [
        ("v1,not base64!", Refusal::MalformedSignature),
        ("v1,", Refusal::MalformedSignature),
        ("v1a,AAAA", Refusal::MalformedSignature),
        ("AAAA", Refusal::MalformedSignature),
        ("v1,AAAA", Refusal::Mismatch),
    ] {
        let mut headers = signed(&scheme, SECRET, BODY, "msg_1", SIGNED_AT);
        headers.retain(|(name, _)| name != "webhook-signature");
        headers.push(("webhook-signature".to_owned(), value.to_owned()));
        assert_eq!(judged(&scheme, &headers, SIGNED_AT), Some(expected), "{value}");
    }
    let forged = signed(&scheme, "whsec_AAAA", BODY, "msg_1", SIGNED_AT);
    assert_eq!(judged(&scheme, &forged, SIGNED_AT), Some(Refusal::Mismatch));
}

#[test]
fn a_genuine_delivery_outside_its_window_is_stale_either_way() {
    let scheme = preset("standard-webhooks");
    let headers = signed(&scheme, SECRET, BODY, "msg_1", SIGNED_AT);
    assert_eq!(judged(&scheme, &headers, SIGNED_AT.plus_ms(300_000)), None);
    assert_eq!(judged(&scheme, &headers, SIGNED_AT.plus_ms(301_000)), Some(Refusal::TooOld));
    assert_eq!(judged(&scheme, &headers, SIGNED_AT.minus_ms(300_000)), None);
    assert_eq!(judged(&scheme, &headers, SIGNED_AT.minus_ms(301_000)), Some(Refusal::TooNew));
    // The answer to a forged delivery does not say that its time is wrong: the signature is checked first.
    let forged = signed(&scheme, "whsec_AAAA", BODY, "msg_1", UnixMs(0));
    assert_eq!(judged(&scheme, &forged, SIGNED_AT), Some(Refusal::Mismatch));
    assert!(Refusal::TooOld.is_stale() && !Refusal::Mismatch.is_stale());
}

#[test]
fn a_timestamp_of_another_unit_is_reported_as_such_and_not_as_an_old_one() {
    let scheme = preset("standard-webhooks");
    let unit = scim_bridge::core::signature::scheme::TimeUnit::Rfc3339;
    let timestamp =
        scheme.timestamp.clone().map(|rule| scim_bridge::core::signature::scheme::TimestampRule { unit, ..rule });
    let theirs = Scheme { timestamp, ..scheme.clone() };
    let headers = signed(&theirs, SECRET, BODY, "msg_1", SIGNED_AT);
    assert_eq!(judged(&scheme, &headers, SIGNED_AT), Some(Refusal::MalformedTimestamp));
    assert_eq!(judged(&theirs, &headers, SIGNED_AT), None);
    let forged = signed(&theirs, "whsec_AAAA", BODY, "msg_1", SIGNED_AT);
    assert_eq!(judged(&scheme, &forged, SIGNED_AT), Some(Refusal::Mismatch));
}

#[test]
fn a_timestamp_in_the_body_is_read_after_the_signature_holds() {
    let scheme = scheme("header = 'x'\ntimestamp = { from = { json = '/timestamp' }, unit = 'rfc3339' }");
    let judged = |body: &str, secret| {
        let headers = signed(&scheme, secret, body, "", SIGNED_AT);
        refusal(verifier(scheme.clone(), &["a"]).verify(delivery(&strs(&headers), body), SIGNED_AT))
    };
    assert_eq!(judged(r#"{"timestamp":"2023-11-14T22:13:20Z"}"#, "a"), None);
    assert_eq!(judged(r#"{"timestamp":"2023-11-14T22:00:20Z"}"#, "a"), Some(Refusal::TooOld));
    assert_eq!(judged(r#"{"timestamp":"yesterday"}"#, "a"), Some(Refusal::MalformedTimestamp));
    assert_eq!(judged(r#"{"timestamp":null}"#, "a"), Some(Refusal::MissingTimestamp));
    assert_eq!(judged("not json", "a"), Some(Refusal::MissingTimestamp));
    assert_eq!(judged("not json", "b"), Some(Refusal::Mismatch));
}

#[test]
fn during_a_rotation_both_secrets_hold_and_afterwards_only_the_new_one() {
    let scheme = preset("github");
    let end = SIGNED_AT.plus_ms(1000);
    let verifier = verifier_until(scheme.clone(), &[("old", Some(end)), ("new", None)]);
    let judged = |secret, now| {
        let headers = signed(&scheme, secret, BODY, "", SIGNED_AT);
        refusal(verifier.verify(delivery(&strs(&headers), BODY), now))
    };
    assert_eq!(judged("old", end), None);
    assert_eq!(judged("new", end), None);
    assert_eq!(judged("old", end.plus_ms(1)), Some(Refusal::ExpiredSecret));
    assert_eq!(judged("new", end.plus_ms(1)), None);
    assert_eq!(judged("other", end), Some(Refusal::Mismatch));
    // Without a new one, the fault is ours: a sender who is answered 401 may never send it again.
    let verifier = verifier_until(scheme.clone(), &[("old", Some(end))]);
    let headers = signed(&scheme, "old", BODY, "", SIGNED_AT);
    assert_eq!(refusal(verifier.verify(delivery(&strs(&headers), BODY), end)), None);
    let judged = verifier.verify(delivery(&strs(&headers), BODY), end.plus_ms(1));
    assert_eq!(refusal(judged), Some(Refusal::NoUsableSecret));
}

#[test]
fn an_empty_secret_never_signs_anything() {
    let verifier = verifier(preset("github"), &[""]);
    let headers = signed(&preset("github"), "x", BODY, "", SIGNED_AT);
    assert_eq!(refusal(verifier.verify(delivery(&strs(&headers), BODY), SIGNED_AT)), Some(Refusal::NoUsableSecret));
    assert_eq!(refusal(verifier.verify(delivery(&[], BODY), SIGNED_AT)), Some(Refusal::NoUsableSecret));
}

#[test]
fn a_static_header_and_basic_credentials_prove_the_sender() {
    let bearer =
        scheme("auth = 'static_header'\nheader = 'Authorization'\nvalue = { single = { prefix = 'Bearer ' } }");
    let basic = scheme("auth = 'basic'");
    for (scheme, secret, good, bad) in [
        (&bearer, "s3cret", "Bearer s3cret", "Bearer s3cre"),
        (&basic, "ada:pass:word", "Basic YWRhOnBhc3M6d29yZA==", "Basic YWRhOnBhc3M="),
    ] {
        let verifier = verifier(scheme.clone(), &["another:one", secret]);
        let judged = |headers: &[(&str, &str)]| refusal(verifier.verify(delivery(headers, BODY), SIGNED_AT));
        assert_eq!(judged(&[("authorization", good)]), None);
        assert_eq!(judged(&[("authorization", bad)]), Some(Refusal::Mismatch));
        assert_eq!(judged(&[("authorization", "Digest x")]), Some(Refusal::MalformedSignature));
        assert_eq!(judged(&[]), Some(Refusal::MissingHeader(Role::Signature)));
        assert_eq!(
            judged(&[("authorization", good), ("authorization", good)]),
            Some(Refusal::RepeatedHeader(Role::Signature))
        );
        assert_eq!(strs(&signed(scheme, secret, BODY, "", SIGNED_AT)), [("authorization", good)]);
    }
}

fn key_of(scheme: &Scheme, source: &str, body: &str, id: &str, at: UnixMs) -> DedupeKey {
    let headers = signed(scheme, SECRET, body, id, at);
    let genuine = verifier(scheme.clone(), &[SECRET]).verify(delivery(&strs(&headers), body), at).ok().unwrap();
    genuine.dedupe_key(&SourceName::parse(source).unwrap(), true, None).unwrap()
}

#[test]
fn what_a_mapping_could_not_use_is_known_to_that_mapping_only() {
    let scheme = preset("standard-webhooks");
    let headers = signed(&scheme, SECRET, "{}", "msg_1", SIGNED_AT);
    let genuine = verifier(scheme, &[SECRET]).verify(delivery(&strs(&headers), "{}"), SIGNED_AT).ok().unwrap();
    let hr = SourceName::parse("hr").unwrap();
    let corrected: Mapping = toml::from_str("email = '/mail'").unwrap();
    let [one, other] = [Mapping::default(), corrected].map(|mapping| mapping.fingerprint());
    let key = |not_understood_by| genuine.dedupe_key(&hr, true, not_understood_by).unwrap().key;
    assert_eq!(one, Mapping::default().fingerprint());
    assert!(key(Some(&one)) != key(Some(&other)) && key(Some(&one)) != key(None));
}

#[test]
fn a_delivery_is_known_by_its_signed_id_within_its_source() {
    let scheme = preset("standard-webhooks");
    let key = |source, body, id, at| key_of(&scheme, source, body, id, at);
    let first = key("hr", "{}", "msg_1", SIGNED_AT);
    assert_eq!(key("hr", "{}", "msg_1", SIGNED_AT.plus_ms(60_000)), first);
    // The same id with another body is the same delivery.
    assert_eq!(key("hr", "[]", "msg_1", SIGNED_AT), first);
    assert!(!first.only_while_newest);
    assert_ne!(key("hr", "{}", "msg_2", SIGNED_AT).key, first.key);
    assert_ne!(key("hr2", "{}", "msg_1", SIGNED_AT).key, first.key);
}

#[test]
fn without_a_signed_id_it_is_known_by_a_field_the_signature_or_the_body() {
    let by_field = scheme("header = 'x'\nid = { json = '/id' }");
    let key = |scheme: &Scheme, body| key_of(scheme, "hr", body, "", SIGNED_AT).key;
    assert_eq!(key(&by_field, r#"{"id":"a","n":1}"#), key(&by_field, r#"{"id":"a","n":2}"#));
    assert_eq!(key(&by_field, r#"{"id":7}"#), key(&by_field, r#"{"id":7,"n":2}"#));
    assert_ne!(key(&by_field, r#"{"id":"a"}"#), key(&by_field, r#"{"id":"b"}"#));
    // Without the field, the body counts.
    assert_ne!(key(&by_field, r#"{"n":1}"#), key(&by_field, r#"{"n":2}"#));
    assert_eq!(key(&by_field, "not json"), key(&by_field, "not json"));
    let by_signature = scheme("header = 'x'\nid = 'signature'");
    let by_body = scheme("header = 'x'");
    for scheme in [&by_signature, &by_body] {
        assert_eq!(key(scheme, "{}"), key(scheme, "{}"));
        assert_ne!(key(scheme, "{}"), key(scheme, "[]"));
    }
    // A signature of the body alone identifies no more than the body does.
    assert_eq!(key(&by_signature, "{}"), key(&by_body, "{}"));
}

proptest! {
    #[test]
    fn no_header_causes_a_panic_or_is_trusted(
        n in 0..4_usize,
        values in proptest::collection::vec(("[a-z-]{1,12}|stripe-signature|webhook-(id|timestamp|signature)|x-hub-signature-256|x-slack-signature", "(v1,|t=1,v1=|sha256=|v0=)?[ -~é]{0,90}"), 0..6),
        body in ".{0,100}",
    ) {
        let name = ["standard-webhooks", "github", "stripe", "slack"][n];
        let headers: Vec<_> = values.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        prop_assert!(verifier(preset(name), &[SECRET]).verify(delivery(&headers, &body), SIGNED_AT).is_err());
    }
}
