//! Signatures that other people's code made, over [`BODY`] at [`SIGNED_AT`].
//!
//! ```python
//! # pip install stripe==16.1.0 slack_sdk==3.47.0 svix==2.9.1
//! import datetime, stripe, slack_sdk.signature, svix
//! BODY = '{"type":"employee.hired","data":{"employee_id":"E-1001","last_name":"Žižek \\u2603"}}'
//! print("t=1700000000,v1=" + stripe.WebhookSignature._compute_signature("1700000000." + BODY, "whsec_test_secret"))
//! print(slack_sdk.signature.SignatureVerifier("8f742231b10e8888abcd99yyyzzz85a5").generate_signature(timestamp="1700000000", body=BODY))
//! at = datetime.datetime.fromtimestamp(1700000000, tz=datetime.timezone.utc)
//! print(svix.Webhook("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").sign("msg_1", at, BODY))
//! ```
//! ```javascript
//! // npm install @octokit/webhooks-methods@6 stripe@23
//! import { sign } from "@octokit/webhooks-methods";
//! import Stripe from "stripe";
//! const BODY = '{"type":"employee.hired","data":{"employee_id":"E-1001","last_name":"Žižek \\u2603"}}';
//! console.log(await sign("It's a Secret to Everybody", BODY));
//! console.log(new Stripe("sk_test_x").webhooks.generateTestHeaderString(
//!   { payload: BODY, secret: "whsec_test_secret", timestamp: 1700000000 }));
//! ```
//! ```sh
//! # OpenSSL 3
//! BODY='{"type":"employee.hired","data":{"employee_id":"E-1001","last_name":"Žižek \u2603"}}'
//! mac() { openssl dgst "-$1" -hmac 'a secret' -binary; }
//! echo bamboohr "$(printf '%s%s' "$BODY" 1700000000 | mac sha256 | xxd -p -c 200)"
//! echo hibob    "$(printf '%s' "$BODY" | mac sha512 | base64 -w0)"
//! echo kombo    "$(printf '%s' "$BODY" | mac sha256 | base64 -w0 | tr '+/' '-_' | tr -d '=')"
//! echo remote   "$(printf '%s:%s' "$BODY" 1700000000123 | mac sha256 | xxd -p -c 200)"
//! echo deel     "$(printf 'POST%s' "$BODY" | mac sha256 | xxd -p -c 200)"
//! echo shopify  "$(printf '%s' "$BODY" | mac sha256 | base64 -w0)"
//! echo sha1     "$(printf '%s' "$BODY" | mac sha1 | xxd -p -c 200)"
//! echo sha384   "$(printf 'https://hooks.example.com/webhooks/hr?a=1|%s' "$BODY" | mac sha384 | xxd -p -c 200)"
//! ```

use scim_bridge::core::signature::{Scheme, ToSign, sign};
use scim_bridge::core::time::UnixMs;
use secrecy::SecretString;

use super::{BODY, SIGNED_AT, delivery, preset, scheme, verifier};

/// Is accepted, and is what we would have sent ourselves.
fn holds(scheme: &Scheme, secret: &str, headers: &[(&str, &str)], at: UnixMs) {
    verifier(scheme.clone(), &[secret])
        .verify(delivery(headers, BODY), at)
        .unwrap_or_else(|refusal| panic!("{headers:?}: {refusal}"));
    let what = ToSign { method: "POST", url: "/webhooks/hr?a=1", body: BODY.as_bytes(), id: "msg_1", at };
    let mut made = sign(scheme, &SecretString::from(secret), &what).unwrap();
    let mut given: Vec<_> = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    made.sort();
    given.sort();
    assert_eq!(made, given);
    let other = verifier(scheme.clone(), &["another secret"]).verify(delivery(headers, BODY), at);
    assert!(other.is_err());
}

#[test]
fn stripes_own_signature_holds() {
    let signature = "t=1700000000,v1=f6ba20eb1da8b2d276f3416451808e43fec996cba3c807598112b3077d10f0a9";
    holds(&preset("stripe"), "whsec_test_secret", &[("stripe-signature", signature)], SIGNED_AT);
}

#[test]
fn slacks_own_signature_holds() {
    let headers = [
        ("x-slack-signature", "v0=a95d613750bd90cfe630af7bc43b9df0f285ff4b99d5cf96714ed4657d61a59b"),
        ("x-slack-request-timestamp", "1700000000"),
    ];
    holds(&preset("slack"), "8f742231b10e8888abcd99yyyzzz85a5", &headers, SIGNED_AT);
}

#[test]
fn githubs_own_signature_holds() {
    let signature = "sha256=c88cc21ed934f0978fa988156e4f707009b3311150b736c8e13770d97e7158bc";
    holds(&preset("github"), "It's a Secret to Everybody", &[("x-hub-signature-256", signature)], SIGNED_AT);
}

#[test]
fn svixs_own_signature_holds_under_either_name_of_its_headers() {
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let signature = "v1,DgJ7ndJ1Nxx5hIpmTgLBExmWYIPd8i8ut6hmnfytRqI=";
    let headers = [("webhook-id", "msg_1"), ("webhook-timestamp", "1700000000"), ("webhook-signature", signature)];
    holds(&preset("standard-webhooks"), secret, &headers, SIGNED_AT);
    let headers = [("svix-id", "msg_1"), ("svix-timestamp", "1700000000"), ("svix-signature", signature)];
    assert!(verifier(preset("standard-webhooks"), &[secret]).verify(delivery(&headers, BODY), SIGNED_AT).is_ok());
}

#[test]
fn the_standardwebhooks_crate_agrees() {
    let (secret, at) = ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", SIGNED_AT.0 / 1000);
    let theirs = standardwebhooks::Webhook::new(secret).unwrap();
    for (id, body) in [("msg_1", BODY), ("a.b/\"c\"", ""), ("x", "not json"), ("é", "\u{0}")] {
        let what = ToSign { method: "POST", url: "/", body: body.as_bytes(), id, at: SIGNED_AT };
        let ours = sign(&preset("standard-webhooks"), &SecretString::from(secret), &what).unwrap();
        let signature = theirs.sign(id, at, body.as_bytes()).unwrap();
        assert!(ours.contains(&("webhook-signature".to_owned(), signature.clone())));
        let stamp = at.to_string();
        let headers =
            [("webhook-id", id), ("webhook-timestamp", stamp.as_str()), ("webhook-signature", signature.as_str())];
        assert!(verifier(preset("standard-webhooks"), &[secret]).verify(delivery(&headers, body), SIGNED_AT).is_ok());
    }
}

#[test]
fn bamboohr_signs_body_and_seconds_without_anything_between() {
    let scheme = scheme(
        "header = 'X-BambooHR-Signature'\nsigned = '{body}{timestamp}'\n\
         timestamp = { from = { header = 'X-BambooHR-Timestamp' } }",
    );
    let headers = [
        ("x-bamboohr-signature", "0a1b9b8f8daecd968ea5c139c15b45390c041c9f99c654ab1a0b5e5e657892f6"),
        ("x-bamboohr-timestamp", "1700000000"),
    ];
    holds(&scheme, "a secret", &headers, SIGNED_AT);
}

#[test]
fn hibob_signs_the_body_with_sha512_in_base64() {
    let scheme = scheme("header = 'Bob-Signature'\nalgorithm = 'sha512'\nencoding = 'base64'");
    let signature = "F/mLsZ4OdgmLyIzRMF55nr1I/olPREfpor4xxZldpn6BCDVwgAE4lXIExj5BYQjAzd2l5MRRXLuvrjapzYt4zw==";
    holds(&scheme, "a secret", &[("bob-signature", signature)], SIGNED_AT);
}

#[test]
fn kombo_signs_the_body_in_base64url_without_padding() {
    let scheme = scheme("header = 'X-Kombo-Signature'\nencoding = 'base64url'");
    let signature = "Rs9S3sS1m5bqQJz8bf4mdO2fd8siJg_AkDC_VOmP2EE";
    holds(&scheme, "a secret", &[("x-kombo-signature", signature)], SIGNED_AT);
    let padded = format!("{signature}=");
    assert!(
        verifier(scheme, &["a secret"])
            .verify(delivery(&[("x-kombo-signature", padded.as_str())], BODY), SIGNED_AT)
            .is_ok()
    );
}

#[test]
fn remote_signs_body_colon_milliseconds() {
    let scheme = scheme(
        "header = 'X-Remote-Signature'\nsigned = '{body}:{timestamp}'\n\
         timestamp = { from = { header = 'X-Remote-Timestamp' }, unit = 'ms', past_s = 'off', future_s = 300 }",
    );
    let headers = [
        ("x-remote-signature", "b91430f4276d62a12185c53c9ad2d0ec517ddadd6331833ebc7b0a7120e52c78"),
        ("x-remote-timestamp", "1700000000123"),
    ];
    holds(&scheme, "a secret", &headers, UnixMs(1_700_000_000_123));
}

#[test]
fn deel_signs_the_method_and_then_the_body() {
    let scheme = scheme("header = 'x-deel-signature'\nsigned = '{method}{body}'");
    let signature = "411f3925fdca75b1009446d934de8d8bd0049e630ec6a89e1bbc4c6431627bd1";
    holds(&scheme, "a secret", &[("x-deel-signature", signature)], SIGNED_AT);
}

#[test]
fn shopify_signs_the_body_in_base64() {
    let scheme = scheme("header = 'X-Shopify-Hmac-Sha256'\nencoding = 'base64'");
    let signature = "Rs9S3sS1m5bqQJz8bf4mdO2fd8siJg/AkDC/VOmP2EE=";
    holds(&scheme, "a secret", &[("x-shopify-hmac-sha256", signature)], SIGNED_AT);
}

#[test]
fn the_other_hashes_and_a_signed_address_hold() {
    let sha1 = scheme("header = 'x'\nalgorithm = 'sha1'");
    holds(&sha1, "a secret", &[("x", "cd77bbebf4fd2ac756d60ec847b23fc487e57404")], SIGNED_AT);
    let sha384 =
        scheme("header = 'x'\nalgorithm = 'sha384'\nsigned = '{url}|{body}'\npublic_url = 'https://hooks.example.com'");
    let signature = "e742a5374d86dbb4b7a629eb2d825438d26e0f401668c195d0fb3cd36bafca7b72aa8e194b07083c9b0fac19fcbd8aec";
    holds(&sha384, "a secret", &[("x", signature)], SIGNED_AT);
}
