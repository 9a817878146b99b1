//! No single bit of the signed text, or of the signature, can change without the delivery being refused.

use bytes::Bytes;
use proptest::prelude::*;
use proptest::sample::Index;
use scim_bridge::core::delivery::Delivery;
use scim_bridge::core::signature::scheme::{Auth, Encoding, TimestampFrom};
use scim_bridge::core::signature::template::Part;
use scim_bridge::core::signature::{Scheme, ToSign, sign};
use scim_bridge::core::time::UnixMs;
use secrecy::SecretString;

use super::{preset, scheme, verifier};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// Schemes of every layout, encoding and order of parts.
fn schemes() -> Vec<Scheme> {
    vec![
        preset("standard-webhooks"),
        preset("github"),
        preset("stripe"),
        preset("slack"),
        scheme("header = 'x'\nalgorithm = 'sha512'\nencoding = 'base64'"),
        scheme("header = 'x'\nencoding = 'base64url'\nsigned = '{method}{url}{body}'"),
        scheme(
            "header = 'x'\nalgorithm = 'sha1'\nencoding = 'base64'\nsigned = '{body}{timestamp}'\n\
             timestamp = { from = { header = 'y' }, unit = 'rfc3339' }",
        ),
        scheme("auth = 'static_header'\nheader = 'x'\nid = { header = 'y' }"),
    ]
}

#[derive(Debug, Clone, Copy)]
enum Spot {
    Body,
    Header,
    Method,
    Url,
}

fn flip(bytes: &mut [u8], at: Index, bit: u8) -> Option<(u8, u8)> {
    let spot = bytes.get_mut(at.index(bytes.len().max(1)))?;
    let before = *spot;
    *spot ^= 1 << bit;
    Some((before, *spot))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, ..ProptestConfig::default() })]

    #[test]
    fn a_delivery_with_one_bit_changed_is_never_accepted(
        n in any::<Index>(),
        content in proptest::collection::vec(any::<u8>(), 1..300),
        // Without a full stop, which could make it look like an id, a timestamp and a body.
        id in r"[!-\-/-~]{1,40}",
        seconds in 1_600_000_000_i64..1_900_000_000,
        spot in prop_oneof![Just(Spot::Body), Just(Spot::Header), Just(Spot::Method), Just(Spot::Url)],
        which in any::<Index>(),
        at in any::<Index>(),
        bit in 0..8_u8,
    ) {
        let schemes = schemes();
        let scheme = n.get(&schemes);
        let now = UnixMs(seconds * 1000);
        // Looks like an object: other text could be split in two ways where a part touches the body.
        let body = [b"{", content.as_slice(), b"}"].concat();
        let what = ToSign { method: "POST", url: "/webhooks/hr?a=b", body: &body, id: &id, at: now };
        let headers = sign(scheme, &SecretString::from(SECRET), &what).unwrap();
        let genuine = Delivery {
            method: what.method.into(),
            url: what.url.into(),
            headers: headers.into_iter().map(|(name, value)| (name, value.into_bytes())).collect(),
            body: Bytes::from(body),
        };
        let verifier = verifier(scheme.clone(), &[SECRET]);
        prop_assert!(verifier.verify(genuine.clone(), now).is_ok());

        let mut changed = genuine;
        match spot {
            // A static header proves the sender, not the content: only changes to it are noticed.
            Spot::Body | Spot::Method | Spot::Url if scheme.auth == Auth::StaticHeader => return Ok(()),
            Spot::Body => {
                let mut bytes = changed.body.to_vec();
                flip(&mut bytes, at, bit);
                changed.body = Bytes::from(bytes);
            }
            Spot::Header => {
                let which = which.index(changed.headers.len());
                let (name, value) = &mut changed.headers[which];
                let is_signature = scheme.header.names().contains(name);
                if scheme.auth == Auth::StaticHeader && !is_signature {
                    return Ok(());
                }
                let (before, after) = flip(value, at, bit).unwrap();
                // Hex digits in the other case are the same signature.
                let same_digit = is_signature
                    && scheme.encoding == Encoding::Hex
                    && before.is_ascii_hexdigit()
                    && before.eq_ignore_ascii_case(&after)
                    && !in_name_or_prefix(value, at);
                if same_digit {
                    return Ok(());
                }
            }
            Spot::Method | Spot::Url => {
                let signed = scheme.signed.parts();
                let part = if matches!(spot, Spot::Method) {
                    Part::Method
                } else {
                    Part::Url
                };
                if !signed.contains(&part) {
                    return Ok(());
                }
                let text = if matches!(spot, Spot::Method) { &mut changed.method } else { &mut changed.url };
                let mut bytes = text.clone().into_bytes();
                flip(&mut bytes, at, bit);
                // Methods and addresses that are not text never get here.
                let Ok(flipped) = String::from_utf8(bytes) else { return Ok(()) };
                *text = flipped;
            }
        }
        let refused = verifier.verify(changed, now);
        prop_assert!(refused.is_err(), "{spot:?} changed, scheme {:?}", scheme.header);
    }
}

/// Whether this byte precedes the signature itself: `sha256=`, `t=…,v1=`.
fn in_name_or_prefix(value: &[u8], at: Index) -> bool {
    let digits = value.len() - 64.min(value.len());
    at.index(value.len().max(1)) < digits
}

#[test]
fn every_tested_scheme_reads_a_signed_timestamp() {
    let from_body =
        |scheme: &Scheme| scheme.timestamp.as_ref().is_some_and(|rule| matches!(rule.from, TimestampFrom::Json(_)));
    assert!(schemes().iter().all(|scheme| scheme.validate().is_empty() && !from_body(scheme)));
}
