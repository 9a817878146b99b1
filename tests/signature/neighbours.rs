//! Hints about a delivery whose scheme is almost right; signed by `openssl`, as the comments show.

use scim_bridge::core::signature::neighbours;
use secrecy::SecretString;

use super::{delivery, scheme};

const SECRET: &str = "a secret of 16 bytes or more";
const BODY: &str = r#"{"a": "é", "b": [1, 2]}"#;

fn near(scheme_text: &str, secret: &str, headers: &[(&str, &str)], body: &str) -> Vec<String> {
    let secret = SecretString::from(secret);
    let ways = neighbours(&scheme(scheme_text), &[&secret], &delivery(headers, body));
    ways.into_iter().map(|changes| changes.join(" and ")).collect()
}

#[test]
fn another_encoding_hash_header_or_prefix_is_found() {
    let hex = "header = 'x-sig'";
    assert_eq!(
        near(hex, SECRET, &[("x-sig", "1k6k3sq7TIMnBOZqcRaVDJrgKGH3ahJFkKSbQy6b22Y=")], BODY),
        ["encoding = \"base64\""]
    );
    assert_eq!(
        near(
            hex,
            SECRET,
            &[(
                "x-sig",
                "8ad92743d367fd1a5551f4856ad823aff26dcd3932b81cd2380aa805a1bec11d70535a2c7a3ce406bffee790e56746538aad1d7c76492eb08824284b953dc1a8"
            )],
            BODY
        ),
        ["algorithm = \"sha512\""]
    );
    assert_eq!(
        near(hex, SECRET, &[("x-other", "d64ea4decabb4c832704e66a7116950c9ae02861f76a124590a49b432e9bdb66")], BODY),
        ["header = \"x-other\""]
    );
    assert_eq!(
        near(
            hex,
            SECRET,
            &[("x-sig", "sha256=d64ea4decabb4c832704e66a7116950c9ae02861f76a124590a49b432e9bdb66")],
            BODY
        ),
        ["value = { single = { prefix = \"sha256=\" } }"]
    );
    assert_eq!(
        near(hex, SECRET, &[("x-sig", "v1,1k6k3sq7TIMnBOZqcRaVDJrgKGH3ahJFkKSbQy6b22Y=")], BODY),
        ["encoding = \"base64\" and value = { single = { prefix = \"v1,\" } }"]
    );
}

#[test]
fn content_signed_besides_the_body_is_found() {
    let headers =
        [("x-sig", "fbc3e63bcde12cf94dc9a2e1a6c2dc426355cd354cd21bc8d5e58fa44d2fe45c"), ("x-hr-time", "1767000000")];
    assert_eq!(
        near("header = 'x-sig'", SECRET, &headers, BODY),
        ["signed = \"{timestamp}.{body}\" and timestamp = { from = { header = \"x-hr-time\" }, unit = \"s\" }"]
    );
    let template = "header = 'x-sig'\nsigned = '{timestamp}.{body}'\ntimestamp = { from = { header = 'x-hr-time' } }";
    assert_eq!(
        near(template, SECRET, &[("x-sig", "d64ea4decabb4c832704e66a7116950c9ae02861f76a124590a49b432e9bdb66")], BODY),
        ["signed = \"{body}\" and timestamp = { past_s = \"off\", future_s = \"off\" }"]
    );
}

/// A preset's id and time stay unless something else is given, and `check` refuses them if only the body is signed.
#[test]
fn a_hint_can_be_written_beside_a_preset_and_is_a_valid_scheme() {
    let preset = "header = 'x-sig'\nsigned = '{id}.{timestamp}.{body}'\nid = { header = 'x-id' }\n\
                  timestamp = { from = { header = 'x-time' }, past_s = 300, future_s = 300 }";
    let headers = [
        ("x-sig", "d64ea4decabb4c832704e66a7116950c9ae02861f76a124590a49b432e9bdb66"),
        ("x-id", "7"),
        ("x-time", "1767000000"),
    ];
    let hints = near(preset, SECRET, &headers, BODY);
    let off = "timestamp = { past_s = \"off\", future_s = \"off\" }";
    assert_eq!(hints, [format!("signed = \"{{body}}\" and id = \"body_hash\" and {off}")]);
    let written = "header = 'x-sig'\nsigned = '{body}'\nid = 'body_hash'\n\
                   timestamp = { from = { header = 'x-time' }, past_s = 'off', future_s = 'off' }";
    assert_eq!(scheme(written).validate(), []);
}

#[test]
fn another_form_of_the_key_is_found() {
    let decoded = "header = 'x-sig'\nkey = { encoding = 'base64', strip_prefix = 'whsec_' }";
    let secret = "whsec_YSBzZWNyZXQgb2YgMTYgYnl0ZXMgb3IgbW9yZQ==";
    assert_eq!(
        near(decoded, secret, &[("x-sig", "65304b7d302dbc674cbfccaed3e9626bbb0625af06132763233dd619b31907d2")], BODY),
        ["key = { encoding = \"utf8\", strip_prefix = \"\" }"]
    );
    assert_eq!(
        near(
            "header = 'x-sig'",
            secret,
            &[("x-sig", "d64ea4decabb4c832704e66a7116950c9ae02861f76a124590a49b432e9bdb66")],
            BODY
        ),
        ["key = { encoding = \"base64\", strip_prefix = \"whsec_\" }"]
    );
    assert_eq!(
        near(
            "header = 'x-sig'",
            &format!("{SECRET} "),
            &[("x-sig", "d64ea4decabb4c832704e66a7116950c9ae02861f76a124590a49b432e9bdb66")],
            BODY
        ),
        ["the secret without the spaces around it"]
    );
}

#[test]
fn a_rewritten_body_is_found() {
    let compact = r#"{"a":"é","b":[1,2]}"#;
    let ways = near(
        "header = 'x-sig'",
        SECRET,
        &[("x-sig", "d64ea4decabb4c832704e66a7116950c9ae02861f76a124590a49b432e9bdb66")],
        compact,
    );
    assert_eq!(ways, ["the body as JSON with a space after `:` and `,`: a proxy may have rewritten it"]);
}

#[test]
fn a_secret_sent_in_the_request_is_found() {
    assert_eq!(
        near("header = 'x-sig'", SECRET, &[("authorization", "Bearer a secret of 16 bytes or more")], BODY),
        ["auth = \"static_header\" and header = \"authorization\" and value = { single = { prefix = \"Bearer \" } }"]
    );
    // printf 'hr:a secret of 16 bytes or more' | base64
    assert_eq!(
        near(
            "header = 'x-sig'",
            SECRET,
            &[("authorization", "Basic aHI6YSBzZWNyZXQgb2YgMTYgYnl0ZXMgb3IgbW9yZQ==")],
            BODY
        ),
        ["auth = \"basic\" and username = \"hr\""]
    );
    let login = [("authorization", "Basic aHI6YSBzZWNyZXQgb2YgMTYgYnl0ZXMgb3IgbW9yZQ==")];
    let user_wrong = "auth = 'basic'\nusername = 'bob'";
    assert_eq!(near(user_wrong, SECRET, &login, BODY), ["username = \"hr\""]);
    let in_the_secret = format!("bob:{SECRET}");
    assert_eq!(near("auth = 'basic'", &in_the_secret, &login, BODY), ["the user \"hr\" in the secret, before its `:`"]);
    assert_eq!(near("auth = 'basic'", "bob:another", &login, BODY), [""; 0]);
}

#[test]
fn another_secret_matches_no_neighbour_and_the_right_signature_stays_hidden() {
    for value in [
        "d64ea4decabb4c832704e66a7116950c9ae02861f76a124590a49b432e9bdb66",
        "1k6k3sq7TIMnBOZqcRaVDJrgKGH3ahJFkKSbQy6b22Y=",
        "",
        "not a signature",
    ] {
        assert!(
            near("header = 'x-sig'", "another secret of 16 bytes", &[("x-sig", value), ("x-time", "1767000000")], BODY)
                .is_empty()
        );
    }
    let shown =
        near("header = 'x-sig'", SECRET, &[("x-sig", "1k6k3sq7TIMnBOZqcRaVDJrgKGH3ahJFkKSbQy6b22Y=")], BODY).join(" ");
    assert!(
        !shown.contains("d64ea4decabb4c832704e66a7116950c9ae02861f76a124590a49b432e9bdb66")
            && !shown.contains("1k6k3sq7TIMnBOZqcRaVDJrgKGH3ahJFkKSbQy6b22Y=")
    );
}

// The signatures below: python3, hmac.new(key, data, hashlib.sha256).hexdigest(), each with its key and data.

#[test]
fn the_time_may_stand_beside_the_signature_and_the_address_may_be_signed_whole() {
    // key SECRET, data "1767000000." + BODY
    let value = "t=1767000000,v1=fbc3e63bcde12cf94dc9a2e1a6c2dc426355cd354cd21bc8d5e58fa44d2fe45c";
    assert_eq!(
        near("header = 'x-sig'", SECRET, &[("x-sig", value)], BODY),
        [
            "value = { pairs = { key = \"v1\" } } and signed = \"{timestamp}.{body}\" and timestamp = { from = { pair = \"t\" }, unit = \"s\" }"
        ]
    );
    // In another header than the scheme names: data "1767000000." + BODY
    let scheme = "header = 'x-sig'\nsigned = '{timestamp}.{body}'\ntimestamp = { from = { header = 'x-time' } }";
    let value = "fbc3e63bcde12cf94dc9a2e1a6c2dc426355cd354cd21bc8d5e58fa44d2fe45c";
    assert_eq!(
        near(scheme, SECRET, &[("x-sig", value), ("x-sent-at", "1767000000")], BODY),
        ["timestamp = { from = { header = \"x-sent-at\" }, unit = \"s\" }"]
    );
    // data "https://hooks.example.com/webhooks/hr?a=1" + BODY
    let value = "6cc96606b85614abc76b04061316a5867b7f742edb620c3add55ec2c1678cae4";
    assert_eq!(
        near(
            "header = 'x-sig'\nsigned = '{url}{body}'",
            SECRET,
            &[("x-sig", value), ("host", "hooks.example.com")],
            BODY
        ),
        ["public_url = \"https://hooks.example.com\""]
    );
}

#[test]
fn a_secret_with_something_around_it_is_found() {
    // key SECRET + "\n"
    let value = "7e9d7ea0a80ff9966edc6cf2ae9303cb81a4d85a41b8791649c5a0145d4fa8cc";
    let hints = near("header = 'x-sig'", SECRET, &[("x-sig", value)], BODY);
    assert_eq!(hints, ["the secret with a line break at its end, as the sender has it"]);
    // key SECRET
    let value = "d64ea4decabb4c832704e66a7116950c9ae02861f76a124590a49b432e9bdb66";
    let hints = near("header = 'x-sig'", &format!("\"{SECRET}\""), &[("x-sig", value)], BODY);
    assert_eq!(hints, ["the secret without the quotes around it"]);
}

#[test]
fn bodies_rewritten_by_other_languages_are_found() {
    for (sent, signed_as, value) in [
        // data {"a":"é","b":[1,2]} of {"b": [1, 2], "a": "é"}
        (
            r#"{"b": [1, 2], "a": "é"}"#,
            "names sorted",
            "54567c37ca4a0d9fb002e6a5dfdff37e3e984c02be62e9405ff5748859ea01dd",
        ),
        // data {"u":"a\/b"}, as PHP writes it
        (r#"{"u": "a/b"}"#, "`/` escaped", "ef2ab64513f74e6f98c237066c1cec9c9524ebdab57062dc0996b7ba8ff3685d"),
        // data {"u":"a\u0026b"}, as Go writes it
        (r#"{"u": "a&b"}"#, "`&` escaped", "08ce48d992dc75e15dc0a9abc4e8d9a7875763f62a74555dcf398f19fb5d166a"),
        // data {"a":1} and CR LF
        ("{\"a\":1}\n", "CR LF", "6b7c5dde81549d3a39dc5b37600fe7cc7d7d33e4a3d88271a282350ea83f03df"),
        // data without the line break at the end
        ("{\"a\":1}\n", "without the line break", "d185c6c642845a9597ac06efbb336dd877abcd9ce5cd29e79afe66511e7bd953"),
    ] {
        let hints = near("header = 'x-sig'", SECRET, &[("x-sig", value)], sent);
        assert!(hints.len() == 1 && hints[0].contains(signed_as), "{sent}: {hints:?}");
    }
}

#[test]
fn a_signature_in_place_of_a_secret_is_found_and_vice_versa() {
    let value = "d64ea4decabb4c832704e66a7116950c9ae02861f76a124590a49b432e9bdb66";
    assert_eq!(
        near("auth = 'static_header'\nheader = 'x-sig'", SECRET, &[("x-sig", value)], BODY),
        ["auth = \"hmac\""]
    );
    assert_eq!(
        near("auth = 'static_header'\nheader = 'x-token'", SECRET, &[("x-other", SECRET)], BODY),
        ["header = \"x-other\""]
    );
    // data BODY, in base64url
    let value = "1k6k3sq7TIMnBOZqcRaVDJrgKGH3ahJFkKSbQy6b22Y";
    let hints = near("header = 'x-sig'\nencoding = 'base64'", SECRET, &[("x-sig", value)], BODY);
    assert!(hints.is_empty() || hints[0].starts_with("encoding = \"base64url\""), "{hints:?}");
    // Two signatures, as during a rotation: data BODY, the second with another key
    let value = "v1=48be1929653db19174707f1446eb45ff1f70721eefb6190a0a0e0199a4a7c76c v1=d64ea4decabb4c832704e66a7116950c9ae02861f76a124590a49b432e9bdb66";
    assert_eq!(
        near("header = 'x-sig'", SECRET, &[("x-sig", value)], BODY),
        ["value = { pairs = { key = \"v1\", separator = \" \" } }"]
    );
}

#[test]
fn many_headers_and_a_large_body_are_tried_in_bounded_time() {
    let body = format!(r#"{{"a":"{}"}}"#, "x".repeat(60_000));
    let values: Vec<(String, String)> = (0..20).map(|n| (format!("x-{n}"), format!("{:064x}", n + 1))).collect();
    let mut headers: Vec<(&str, &str)> = values.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    headers.extend([("x-a", "1767000000"), ("x-b", "1767000001"), ("x-c-id", "1"), ("x-d-id", "2")]);
    let began = std::time::Instant::now();
    assert!(near("header = 'x-sig'", SECRET, &headers, &body).is_empty());
    assert!(began.elapsed() < std::time::Duration::from_mins(1), "{:?}", began.elapsed());
}
