//! What is said of a delivery whose scheme is nearly right; signed by `openssl`, as the comments say.

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
fn what_is_signed_besides_the_body_is_found() {
    let headers =
        [("x-sig", "fbc3e63bcde12cf94dc9a2e1a6c2dc426355cd354cd21bc8d5e58fa44d2fe45c"), ("x-hr-time", "1767000000")];
    assert_eq!(
        near("header = 'x-sig'", SECRET, &headers, BODY),
        ["signed = \"{timestamp}.{body}\" with timestamp = { from = { header = \"x-hr-time\" }, unit = \"s\" }"]
    );
    let template = "header = 'x-sig'\nsigned = '{timestamp}.{body}'\ntimestamp = { from = { header = 'x-hr-time' } }";
    assert_eq!(
        near(template, SECRET, &[("x-sig", "d64ea4decabb4c832704e66a7116950c9ae02861f76a124590a49b432e9bdb66")], BODY),
        ["signed = \"{body}\""]
    );
}

#[test]
fn another_form_of_the_key_is_found() {
    let decoded = "header = 'x-sig'\nkey = { encoding = 'base64', strip_prefix = 'whsec_' }";
    let secret = "whsec_YSBzZWNyZXQgb2YgMTYgYnl0ZXMgb3IgbW9yZQ==";
    assert_eq!(
        near(decoded, secret, &[("x-sig", "65304b7d302dbc674cbfccaed3e9626bbb0625af06132763233dd619b31907d2")], BODY),
        ["key = { encoding = \"utf8\" }"]
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
        ["the secret without the blanks around it"]
    );
}

#[test]
fn a_body_that_was_written_anew_is_found() {
    let compact = r#"{"a":"é","b":[1,2]}"#;
    let ways = near(
        "header = 'x-sig'",
        SECRET,
        &[("x-sig", "d64ea4decabb4c832704e66a7116950c9ae02861f76a124590a49b432e9bdb66")],
        compact,
    );
    assert_eq!(ways, ["the body as JSON with a blank after `:` and `,`: something on the way writes it anew"]);
}

#[test]
fn a_secret_that_is_sent_along_is_found_as_that() {
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
}

#[test]
fn another_secret_verifies_by_no_neighbour_and_nothing_is_said_of_the_right_signature() {
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
    let told =
        near("header = 'x-sig'", SECRET, &[("x-sig", "1k6k3sq7TIMnBOZqcRaVDJrgKGH3ahJFkKSbQy6b22Y=")], BODY).join(" ");
    assert!(
        !told.contains("d64ea4decabb4c832704e66a7116950c9ae02861f76a124590a49b432e9bdb66")
            && !told.contains("1k6k3sq7TIMnBOZqcRaVDJrgKGH3ahJFkKSbQy6b22Y=")
    );
}
