//! Signatures, checked against other people's code and against tampering.
#![expect(clippy::unwrap_used, reason = "a test says what is wrong by panicking")]

mod changes;
mod handshakes;
mod neighbours;
mod rules;
mod schemes;
mod vectors;

use bytes::Bytes;
use scim_bridge::core::delivery::Delivery;
use scim_bridge::core::signature::{Genuine, HandshakeAnswer, Keys, Refusal, Scheme, Verifier};
use scim_bridge::core::time::UnixMs;
use secrecy::SecretString;

/// The time at which the fixed vectors were signed.
const SIGNED_AT: UnixMs = UnixMs(1_700_000_000_000);
/// The body that the fixed vectors sign.
const BODY: &str = r#"{"type":"employee.hired","data":{"employee_id":"E-1001","last_name":"Žižek \u2603"}}"#;

fn preset(name: &str) -> Scheme {
    #[derive(serde::Deserialize)]
    struct Preset {
        signature: Scheme,
    }
    let path = format!("{}/config/presets/{name}.toml", env!("CARGO_MANIFEST_DIR"));
    toml::from_str::<Preset>(&std::fs::read_to_string(path).unwrap()).unwrap().signature
}

fn scheme(text: &str) -> Scheme {
    toml::from_str(text).unwrap()
}

/// A verifier with its keys.
struct Source {
    verifier: Verifier,
    keys: Keys,
}

impl Source {
    fn verify(&self, delivery: Delivery, now: UnixMs) -> Result<Genuine, Refusal> {
        self.verifier.verify(&self.keys, delivery, now)
    }

    fn unsigned_handshake(&self, delivery: &Delivery) -> Option<HandshakeAnswer> {
        self.verifier.unsigned_handshake(&self.keys, delivery)
    }

    fn signed_handshake(&self, genuine: &Genuine) -> Option<HandshakeAnswer> {
        self.verifier.signed_handshake(&self.keys, genuine)
    }
}

fn verifier(scheme: Scheme, secrets: &[&str]) -> Source {
    verifier_until(scheme, &secrets.iter().map(|text| (*text, None)).collect::<Vec<_>>())
}

fn verifier_until(scheme: Scheme, secrets: &[(&str, Option<UnixMs>)]) -> Source {
    let secrets: Vec<_> = secrets.iter().map(|(text, not_after)| (SecretString::from(*text), *not_after)).collect();
    let keys = Keys::prepare(&scheme, secrets.iter().map(|(secret, not_after)| (secret, *not_after)));
    Source { verifier: Verifier::new(scheme).unwrap(), keys }
}

fn delivery(headers: &[(&str, &str)], body: &str) -> Delivery {
    Delivery {
        method: "POST".to_owned(),
        url: "/webhooks/hr?a=1".to_owned(),
        headers: headers.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect(),
        body: Bytes::copy_from_slice(body.as_bytes()),
    }
}

fn refusal(result: Result<Genuine, Refusal>) -> Option<Refusal> {
    result.err()
}
