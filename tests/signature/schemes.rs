//! Schemes of particular HR systems: signatures in the body, secrets in several headers, logins, probes of the address.

use scim_bridge::core::person::SourceName;
use scim_bridge::core::signature::{Genuine, HandshakeAnswer, Refusal, Role, Scheme};

use super::{SIGNED_AT, Source, delivery, preset, refusal, scheme, verifier};

const SECRET: &str = "a secret of 16 bytes or more";

/// `printf '%s%s' TOKEN TIME | openssl dgst -sha256 -hmac 'a secret of 16 bytes or more'`
fn lever(token: &str, at: &str, signature: &str) -> String {
    format!(
        r#"{{"id":"e1","event":"candidateHired","token":"{token}","triggeredAt":{at},"signature":"{signature}","data":{{"opportunityId":"o1"}}}}"#
    )
}

const LEVER_SIGNATURE: &str = "08772615c9f613548e205f5c7c851ecef7a9d8ab7e4b6b68613442bc8d1c4807";

fn known(source: &Source, headers: &[(&str, &str)], body: &str) -> Result<Genuine, Refusal> {
    source.verify(delivery(headers, body), SIGNED_AT)
}

#[test]
fn a_signature_and_what_it_signs_may_be_fields_of_the_body() {
    let source = verifier(preset("lever"), &[SECRET]);
    let body = lever("0123456789abcdef", "1700000000123", LEVER_SIGNATURE);
    let genuine = known(&source, &[], &body).unwrap_or_else(|refusal| panic!("{refusal}"));
    assert!(
        genuine
            .dedupe_key(&SourceName::parse("hr").unwrap(), false, None)
            .is_some_and(|known| !known.only_while_newest)
    );
    let other = body.replace("0123456789abcdef", "0123456789abcdee");
    assert_eq!(refusal(known(&source, &[], &other)), Some(Refusal::Mismatch));
    let without = body.replace("signature", "signed");
    assert_eq!(refusal(known(&source, &[], &without)), Some(Refusal::MissingHeader(Role::Signature)));
    // The signed text is the same, and so is its signature, but it is divided differently into token and time.
    let shifted = lever("0123456789abcdef1", "700000000123", LEVER_SIGNATURE);
    assert_eq!(refusal(known(&source, &[], &shifted)), Some(Refusal::AmbiguousCut));
}

#[test]
fn a_scheme_with_shiftable_fields_is_refused_when_read() {
    let keys = |text: &str| scheme_of(text).validate().into_iter().map(|problem| problem.key).collect::<Vec<_>>();
    let fields = "field = '/s'\nbody_unsigned = true\nsigned = '{json:/a}{json:/b}'";
    assert_eq!(keys(fields), ["signed"]);
    assert!(keys("field = '/s'\nbody_unsigned = true\nsigned = '{json:/a}.{json:/b}'").is_empty());
    assert!(keys(&format!("{fields}\ntimestamp = {{ from = {{ json = '/b' }} }}")).is_empty());
    assert_eq!(keys("header = 'x'\nfield = '/s'"), ["header", "field"]);
    assert_eq!(keys("header = 'x'\nbody_unsigned = true"), ["signed"]);
    assert_eq!(keys("header = 'x'\nsigned = '{json:/a}'"), ["signed"]);
    assert_eq!(keys("auth = 'static_headers'\nheader = 'x'\nusername = 'u'"), ["header", "username"]);
}

fn scheme_of(text: &str) -> Scheme {
    toml::from_str(text).unwrap()
}

#[test]
fn several_headers_are_one_secret() {
    let source = verifier(scheme("auth = 'static_headers'"), &["X-One: abc\nx-two: d:e f\n"]);
    assert!(known(&source, &[("x-one", "abc"), ("x-two", "d:e f")], "{}").is_ok());
    for wrong in [
        &[("x-one", "abc")][..],
        &[("x-one", "abc"), ("x-two", "other")],
        &[("x-one", "abc"), ("x-two", "d:e f"), ("x-two", "d:e f")],
        &[],
    ] {
        assert_eq!(refusal(known(&source, wrong, "{}")), Some(Refusal::Mismatch));
    }
}

#[test]
fn a_login_is_one_secret_or_user_and_password() {
    // printf 'hr:p:w' | base64
    let headers = [("authorization", "Basic aHI6cDp3")];
    assert!(known(&verifier(scheme("auth = 'basic'"), &["hr:p:w"]), &headers, "{}").is_ok());
    assert!(known(&verifier(scheme("auth = 'basic'\nusername = 'hr'"), &["p:w"]), &headers, "{}").is_ok());
    assert_eq!(
        refusal(known(&verifier(scheme("auth = 'basic'\nusername = 'it'"), &["p:w"]), &headers, "{}")),
        Some(Refusal::Mismatch)
    );
}

#[test]
fn a_whole_header_value_is_compared_without_any_prefix() {
    let source = verifier(preset("personio"), &["any text, verbatim"]);
    assert!(known(&source, &[("authorization", "any text, verbatim")], "{}").is_ok());
    assert!(known(&source, &[("authorization", "Bearer any text, verbatim")], "{}").is_err());
}

#[test]
fn a_sender_may_test_the_url_by_a_get_or_plain_text() {
    let text = |answer| match answer {
        Some(HandshakeAnswer::Text(text)) => Some(text),
        _ => None,
    };
    let keypay = verifier(preset("keypay"), &[SECRET]);
    assert_eq!(text(keypay.verifier.get_handshake("a=1&echo=5e2f-1")).as_deref(), Some("5e2f-1"));
    for nothing in ["", "echo=", "echo=a%0Ab", "other=1"] {
        assert_eq!(text(keypay.verifier.get_handshake(nothing)), None, "{nothing}");
    }
    assert_eq!(text(verifier(preset("github"), &[SECRET]).verifier.get_handshake("echo=1")), None);

    let hibob = verifier(preset("hibob"), &[SECRET]);
    for ping in ["Ping test", "\"Ping test\"", r#"{"text":"Ping test"}"#] {
        assert!(matches!(hibob.unsigned_handshake(&delivery(&[], ping)), Some(HandshakeAnswer::Pong)), "{ping}");
    }
    assert!(hibob.unsigned_handshake(&delivery(&[], r#"{"type":"employee.left","text":"Ping tests"}"#)).is_none());
}

#[test]
fn a_token_without_a_file_is_answered_and_reported() {
    let gusto = verifier(preset("gusto"), &[SECRET]);
    let offer =
        |token: &str| gusto.unsigned_handshake(&delivery(&[], &format!(r#"{{"verification_token":"{token}"}}"#)));
    assert!(matches!(offer("another token"), Some(HandshakeAnswer::Offered)));
    assert!(matches!(offer(SECRET), Some(HandshakeAnswer::Pong)));
}

#[test]
fn bamboohrs_time_may_be_seconds_or_iso_and_cannot_be_stretched_into_a_form() {
    let source = verifier(preset("bamboohr"), &[SECRET]);
    let sent = |body: &str, at: &str, signature: &str| {
        refusal(known(&source, &[("x-bamboohr-signature", signature), ("x-bamboohr-timestamp", at)], body))
    };
    let form = "type=employee.updated&data[employeeId]=12";
    assert_eq!(sent(form, "1700000000", "ffad4c5c8029a305b5a4adf6b3286327b575cd36db016816b3bcb838762da17c"), None);
    assert_eq!(
        sent(form, "2023-11-14T22:13:20Z", "1e5c8620d61ae5f027b293dc76d237f05eefa29cb9da1d452c29c2d825797946"),
        None
    );
    // The last digit of an id moved into the timestamp, and vice versa.
    assert_eq!(
        sent(
            "type=employee.updated&data[employeeId]=1",
            "21700000000",
            "ffad4c5c8029a305b5a4adf6b3286327b575cd36db016816b3bcb838762da17c"
        ),
        Some(Refusal::AmbiguousCut)
    );
    assert_eq!(
        sent(
            "type=employee.updated&data[employeeId]=121",
            "700000000",
            "ffad4c5c8029a305b5a4adf6b3286327b575cd36db016816b3bcb838762da17c"
        ),
        Some(Refusal::AmbiguousCut)
    );
}

#[test]
fn a_signature_over_the_body_alone_is_no_id_and_one_with_a_time_is() {
    let hr = SourceName::parse("hr").unwrap();
    let alone = verifier(scheme("header = 'x'\nid = 'signature'"), &[SECRET]);
    let genuine = known(&alone, &[("x", "78ca4d2bef8d7e9673891ed3e5a07cff9fbce956ff01b65038722be36d9bcf7b")], "{}")
        .unwrap_or_else(|refusal| panic!("{refusal}"));
    assert!(genuine.dedupe_key(&hr, true, None).unwrap().only_while_newest);
    assert_eq!(genuine.dedupe_key(&hr, false, None), None, "a notice without an id is never a duplicate");
    let remote = verifier(preset("remote"), &[SECRET]);
    let headers = [
        ("x-remote-signature", "8a320915781447472d0dd9591c3bde4b8364797a1f65ff166b7f3b10f2218dbc"),
        ("x-remote-timestamp", "1700000000000"),
    ];
    let genuine = known(&remote, &headers, "{}").unwrap_or_else(|refusal| panic!("{refusal}"));
    assert!(genuine.dedupe_key(&hr, false, None).is_some());
}

#[test]
fn an_id_is_found_beside_a_bad_escape_and_in_another_charset() {
    let by_field = verifier(scheme("auth = 'static_header'\nheader = 'x'\nid = { json = '/id' }"), &["v"]);
    let key = |content_type: &str, body: &[u8]| {
        let mut sent = delivery(&[("x", "v"), ("content-type", content_type)], "");
        sent.body = bytes::Bytes::copy_from_slice(body);
        let genuine = by_field.verify(sent, SIGNED_AT).unwrap_or_else(|refusal| panic!("{refusal}"));
        genuine.dedupe_key(&SourceName::parse("hr").unwrap(), true, None).unwrap()
    };
    let plain = key("application/json", br#"{"id":"a"}"#);
    assert!(!plain.only_while_newest);
    assert_eq!(key("application/json", br#"{"n":"\ud83d","id":"a"}"#), plain);
    assert_eq!(key("application/json; charset=iso-8859-1", b"{\"n\":\"\xe9\",\"id\":\"a\"}"), plain);
}
