//! Every preset, with nothing but its secret, against what its system sends when somebody is hired, changes
//! and leaves: `tests/fixtures/presets`, made and signed by `make.py` there.
#![expect(clippy::unwrap_used, reason = "a test says what is wrong by panicking")]

use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use scim_bridge::config::{Config, presets};
use scim_bridge::core::delivery::Delivery;
use scim_bridge::core::mapping::{Record, map};
use scim_bridge::core::person::{EmploymentState, Event, Name, Stated};
use scim_bridge::core::signature::{Keys, Verifier};
use scim_bridge::core::time::UnixMs;

/// When the deliveries were signed.
const SIGNED_AT: UnixMs = UnixMs(1_700_000_000_000);

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/presets")
}

fn expected() -> toml::Table {
    fs::read_to_string(folder().join("expected.toml")).unwrap().parse().unwrap()
}

/// A source of this preset, with nothing but its secret (and the user, for Basic).
fn load(preset: &str, expected: &toml::Table) -> Config {
    let secret = expected["secret"].as_str().unwrap();
    let username =
        expected.get("username").map(|name| format!("signature = {{ username = {name} }}")).unwrap_or_default();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("c.toml");
    fs::write(&path, format!("[[source]]\nname = 'hr'\npreset = '{preset}'\nsecrets = ['{secret}']\n{username}"))
        .unwrap();
    let env = [("POSTMAN_SCIM_KEY".to_owned(), "PMAK-0".to_owned())];
    Config::load(Some(&path), env.into_iter()).unwrap_or_else(|errors| panic!("{preset}: {errors}"))
}

fn read(file: &Path) -> Delivery {
    let bytes = fs::read(file).unwrap();
    let at = bytes.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
    let head = std::str::from_utf8(&bytes[..at]).unwrap();
    let mut lines = head.split("\r\n");
    let mut request = lines.next().unwrap().split(' ');
    let headers = lines.map(|line| line.split_once(": ").unwrap());
    Delivery {
        method: request.next().unwrap().to_owned(),
        url: request.next().unwrap().to_owned(),
        headers: headers.map(|(name, value)| (name.to_lowercase(), value.as_bytes().to_vec())).collect(),
        body: Bytes::copy_from_slice(&bytes[at + 4..]),
    }
}

/// What becomes of a delivery, record by record.
fn outcome(config: &Config, delivery: Delivery) -> Vec<String> {
    let source = &config.sources[0];
    let verifier = Verifier::new(source.signature.clone()).unwrap();
    let secrets: Vec<_> = source.secrets.iter().map(|secret| secret.secret.current()).collect();
    let keys = Keys::prepare(&source.signature, secrets.iter().map(|secret| (&**secret, None)));
    let kind =
        String::from_utf8(delivery.headers.iter().find(|(name, _)| name == "content-type").unwrap().1.clone()).unwrap();
    assert!(source.content_types.contains(&kind), "{kind} is taken");
    if verifier.unsigned_handshake(&keys, &delivery).is_some() {
        return vec!["handshake".to_owned()];
    }
    let genuine = match verifier.verify(&keys, delivery, SIGNED_AT) {
        Ok(genuine) => genuine,
        Err(refusal) => return vec![format!("refused: {refusal}")],
    };
    if verifier.signed_handshake(&keys, &genuine).is_some() {
        return vec!["handshake".to_owned()];
    }
    map(&source.mapping, &source.name, &genuine.delivery).into_iter().map(shown).collect()
}

fn shown(record: Record) -> String {
    match record {
        Record::Event { event, dropped } => {
            assert!(dropped.iter().all(|problem| problem.field == "email"), "{dropped:?}");
            shown_event(&event)
        }
        Record::Ignored(ignored) => {
            format!("ignored: {} {}", ignored.why.as_str(), ignored.type_value.unwrap_or_default())
        }
        Record::Unmapped { code, detail, .. } => format!("unmapped {code}: {}", detail.split(" (").next().unwrap()),
    }
}

fn shown_event(event: &Event) -> String {
    let mut text = format!("{} {}", event.kind, event.person.employee_id);
    if let Some(at) = event.at {
        text += &format!(" at {at}");
    }
    let facts = &event.facts;
    let mut told = Vec::new();
    if let Some((state, from)) = facts.employment {
        let word = if state == EmploymentState::Left { "left" } else { "employed" };
        told.push(from.map_or(word.to_owned(), |from| format!("{word} from {from}")));
    }
    let name =
        |name: &Option<Stated<Name>>| name.as_ref().map(|name| name.value().map_or("(none)", Name::as_str).to_owned());
    told.extend(facts.email.as_ref().map(|email| format!("email {}", email.lower())));
    told.extend(name(&facts.given_name).map(|name| format!("given {name}")));
    told.extend(name(&facts.family_name).map(|name| format!("family {name}")));
    if told.is_empty() { text } else { format!("{text}: {}", told.join(", ")) }
}

#[test]
fn every_preset_has_deliveries_and_every_delivery_becomes_what_it_should() {
    let expected = expected();
    let mut wrong = Vec::new();
    for preset in presets::names() {
        let table = expected
            .get(preset)
            .and_then(toml::Value::as_table)
            .unwrap_or_else(|| panic!("{preset} has no deliveries"));
        let config = load(preset, table);
        for (file, lines) in table.iter().filter(|(name, _)| name.ends_with(".http")) {
            let outcome = outcome(&config, read(&folder().join(preset).join(file)));
            let lines: Vec<_> = lines.as_array().unwrap().iter().map(|line| line.as_str().unwrap()).collect();
            if outcome != lines {
                wrong.push(format!("{preset}/{file}: {outcome:?}, not {lines:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn with_another_secret_none_of_them_is_believed() {
    for (preset, table) in &expected() {
        let table = table.as_table().unwrap();
        let mut other = table.clone();
        other["secret"] = "YW5vdGhlciBzZWNyZXQgb2YgMTYgYnl0ZXM=".into();
        let config = load(preset, &other);
        for (file, _) in table.iter().filter(|(name, _)| name.ends_with(".http") && !name.contains("ping")) {
            let outcome = outcome(&config, read(&folder().join(preset).join(file)));
            assert!(outcome[0].starts_with("refused: "), "{preset}/{file}: {outcome:?}");
        }
    }
}

#[test]
fn a_private_address_is_taken_only_where_its_domain_is_allowed() {
    let expected = expected();
    for (preset, file) in [("ashby", "1-hire.http"), ("greenhouse", "1-hire.http")] {
        let mut config = load(preset, expected[preset].as_table().unwrap());
        config.sources[0].mapping.address_domains = vec!["home.example".to_owned()];
        let outcome = outcome(&config, read(&folder().join(preset).join(file)));
        assert!(outcome[0].contains("email ada@home.example"), "{preset}: {outcome:?}");
    }
}
