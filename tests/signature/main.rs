//! Signatures, checked against other people's code, and against change.

mod changes;
mod handshakes;
mod rules;
mod vectors;

use bytes::Bytes;
use scim_bridge::core::delivery::Delivery;
use scim_bridge::core::signature::{ActiveSecret, Genuine, Refusal, Scheme, Verifier};
use scim_bridge::core::time::UnixMs;
use scim_bridge::secret::LiveSecret;
use secrecy::SecretString;

/// When the fixed vectors were signed.
const SIGNED_AT: UnixMs = UnixMs(1_700_000_000_000);
/// What the fixed vectors sign.
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

fn secret(text: &str) -> ActiveSecret {
    ActiveSecret { secret: LiveSecret::new(SecretString::from(text)), not_after: None }
}

fn verifier(scheme: Scheme, secrets: &[&str]) -> Verifier {
    Verifier::new(scheme, secrets.iter().map(|text| secret(text)).collect()).unwrap()
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
