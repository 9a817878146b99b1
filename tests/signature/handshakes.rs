//! Handshakes: when they are answered, and how.

use scim_bridge::core::signature::{HandshakeAnswer, Scheme, ToSign, sign};
use secrecy::{ExposeSecret, SecretString};

use super::{SIGNED_AT, delivery, preset, scheme, verifier};

fn signed_answer(scheme: &Scheme, body: &str, extra: &[(&str, &str)]) -> Option<HandshakeAnswer> {
    let what = ToSign { method: "POST", url: "/webhooks/hr?a=1", body: body.as_bytes(), id: "", at: SIGNED_AT };
    let made = sign(scheme, &SecretString::from("a"), &what).unwrap();
    let mut headers: Vec<_> = made.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    headers.extend(extra);
    let verifier = verifier(scheme.clone(), &["a"]);
    let genuine = verifier.verify(delivery(&headers, body), SIGNED_AT).ok().unwrap();
    verifier.signed_handshake(&genuine)
}

fn text(answer: Option<HandshakeAnswer>) -> Option<String> {
    match answer? {
        HandshakeAnswer::Text(text) => Some(text),
        HandshakeAnswer::Json(document) => Some(document.to_string()),
        HandshakeAnswer::Pong => Some("pong".to_owned()),
        HandshakeAnswer::Offered => Some("offered".to_owned()),
        HandshakeAnswer::Capture { token, file } => Some(format!("{} > {}", token.expose_secret(), file.display())),
    }
}

#[test]
fn slacks_challenge_is_echoed_only_if_signed() {
    let slack = preset("slack");
    let body = r#"{"type":"url_verification","challenge":"3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P"}"#;
    let answer = text(signed_answer(&slack, body, &[]));
    assert_eq!(answer.as_deref(), Some("3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P"));
    assert!(verifier(slack, &["a"]).unsigned_handshake(&delivery(&[], body)).is_none());
}

#[test]
fn only_a_short_printable_string_is_ever_echoed() {
    let slack = preset("slack");
    let long = "a".repeat(257);
    for challenge in [r#""""#, "1", "null", "{}", r#""a\nb""#, r#""\u0000""#, r#""é""#, &format!("\"{long}\"")] {
        let body = format!(r#"{{"type":"url_verification","challenge":{challenge}}}"#);
        assert!(signed_answer(&slack, &body, &[]).is_none(), "{challenge}");
    }
    assert!(signed_answer(&slack, r#"{"type":"other","challenge":"a"}"#, &[]).is_none());
    assert!(signed_answer(&slack, "not json", &[]).is_none());
}

#[test]
fn an_echo_may_be_json_and_unsigned_if_configured() {
    let monday =
        scheme("header = 'x'\nhandshake = [{ echo = { challenge = '/challenge', reply = 'json', signed = false } }]");
    let verifier = verifier(monday, &["a"]);
    let answer = |body: &str| text(verifier.unsigned_handshake(&delivery(&[], body)));
    assert_eq!(answer(r#"{"challenge":"a\"b"}"#).as_deref(), Some(r#"{"challenge":"a\"b"}"#));
    assert_eq!(answer(r#"{"event":{}}"#), None);
    let big = format!(r#"{{"challenge":"a","pad":"{}"}}"#, "x".repeat(5000));
    assert_eq!(answer(&big), None);
}

#[test]
fn a_ping_is_recognised_by_its_header_or_its_body() {
    let github = preset("github");
    let ping = r#"{"zen":"Keep it logically awesome.","hook_id":1}"#;
    assert_eq!(text(signed_answer(&github, ping, &[("x-github-event", "ping")])).as_deref(), Some("pong"));
    assert_eq!(text(signed_answer(&github, ping, &[("x-github-event", "push")])), None);
    let ashby =
        scheme("header = 'x'\nhandshake = [{ ping = { when = { from = { json = '/action' }, equals = 'ping' } } }]");
    assert_eq!(text(signed_answer(&ashby, r#"{"action":"ping"}"#, &[])).as_deref(), Some("pong"));
    assert_eq!(text(signed_answer(&ashby, r#"{"action":"hire"}"#, &[])), None);
}

#[test]
fn an_unsigned_header_does_not_turn_a_signed_event_into_a_ping() {
    let event = r#"{"type":"employee.hired","data":{"employee_id":"E-1"}}"#;
    assert_eq!(text(signed_answer(&preset("github"), event, &[("x-github-event", "ping")])), None);
    let by_header_alone: Scheme = toml::from_str(
        "header = 'x'\nhandshake = [{ ping = { when = { from = { header = 'x-event' }, equals = 'ping' } } }]",
    )
    .unwrap();
    let keys: Vec<_> = by_header_alone.validate().into_iter().map(|problem| problem.key).collect();
    assert_eq!(keys, ["handshake[0] when.body_has"]);
}

#[test]
fn a_token_is_captured_only_unsigned_and_only_while_there_is_no_secret() {
    let gusto = scheme(
        "header = 'X-Gusto-Signature'\nhandshake = [{ capture = { token = '/verification_token', file = '/var/lib/t' } }]",
    );
    let body = r#"{"verification_token":"0123456789abcdef"}"#;
    let fresh = verifier(gusto.clone(), &[""]);
    let answer = |headers: &[(&str, &str)], body: &str| text(fresh.unsigned_handshake(&delivery(headers, body)));
    assert_eq!(answer(&[], body).as_deref(), Some("0123456789abcdef > /var/lib/t"));
    assert_eq!(answer(&[("x-gusto-signature", "00")], body), None);
    for other in [r#"{"verification_token":"short"}"#, r#"{"verification_token":12345678}"#, "{}", "[]", "x"] {
        assert_eq!(answer(&[], other), None, "{other}");
    }
    let settled = verifier(gusto.clone(), &["another-secret"]);
    assert!(settled.unsigned_handshake(&delivery(&[], body)).is_none());
    let repeated = verifier(gusto, &["0123456789abcdef"]);
    assert_eq!(text(repeated.unsigned_handshake(&delivery(&[], body))).as_deref(), Some("pong"));
}

#[test]
fn an_answer_does_not_show_its_content_in_debug() {
    let answer = HandshakeAnswer::Text("challenge".to_owned());
    assert_eq!(format!("{answer:?}"), "HandshakeAnswer(echo)");
}
