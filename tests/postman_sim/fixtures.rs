//! Every example reply that Postman publishes, compared with the stand-in's.

use scim_bridge::postman_sim::{Fault, On, Operation, ReplyName, SimOptions, What};
use serde_json::Value;

use crate::client::{Client, user};

struct Example {
    file: String,
    operation: Operation,
    code: u16,
    body: String,
}

fn examples() -> Vec<Example> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/postman");
    let mut found: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            let example: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
            Example {
                file: path.file_name().unwrap().to_str().unwrap().to_owned(),
                operation: example["operation"].as_str().unwrap().parse().unwrap(),
                code: u16::try_from(example["code"].as_u64().unwrap()).unwrap(),
                body: example["body"].as_str().unwrap().to_owned(),
            }
        })
        .collect();
    found.sort_by(|a, b| a.file.cmp(&b.file));
    found
}

#[tokio::test]
async fn every_published_failure_can_be_injected_and_comes_byte_for_byte() {
    let client = Client::with(SimOptions { writes: 0, ..SimOptions::default() });
    let id = client.created("ada@example.test").await;
    for example in examples().iter().filter(|e| e.code >= 400) {
        let name =
            ReplyName::ALL.iter().find(|r| r.status() == example.code && r.body() == example.body).unwrap_or_else(
                || panic!("{}: src/postman_sim/replies.rs has no row with its code and body", example.file),
            );
        client.sim.inject(Fault::next(1, On::Only(example.operation), What::Reply(*name))).unwrap();
        let body = user("new@example.test", "A", "B");
        let reply = if example.operation == Operation::Create {
            client.send("POST", "/Users", &body).await
        } else {
            client.send("PUT", &format!("/Users/{id}"), &body).await
        };
        assert_eq!((reply.status, &reply.text), (example.code, &example.body), "{}", example.file);
        assert_eq!(reply.header("retry-after"), None, "{}", example.file);
        assert!(client.sim.members_named("new@example.test").is_empty(), "{}: nothing changed", example.file);
    }
}

#[tokio::test]
async fn every_published_success_has_the_shape_of_ours() {
    let client = Client::new();
    for example in examples().iter().filter(|e| e.code < 400) {
        let theirs: Value = serde_json::from_str(&example.body).unwrap();
        let user_name = theirs["userName"].as_str().unwrap();
        let created = client.create(user_name).await;
        let reply = if example.operation == Operation::Create {
            created
        } else {
            let id = created.json()["id"].as_str().unwrap().to_owned();
            client.send("PUT", &format!("/Users/{id}"), &user(user_name, "Test", "User")).await
        };
        assert_eq!(reply.status, example.code);
        let mut ours = reply.json();
        assert_eq!(shape(&ours), shape(&theirs), "{}", example.file);
        // Only the id, the times and the names of this test may differ.
        for field in ["id", "meta", "name"] {
            ours[field] = theirs[field].clone();
        }
        assert_eq!(ours, theirs, "{}", example.file);
    }
}

/// This JSON with ids, names and digits of times replaced by placeholders.
fn shape(value: &Value) -> Value {
    match value {
        Value::Object(fields) => fields
            .iter()
            .map(|(k, v)| {
                let v = if matches!(k.as_str(), "givenName" | "familyName") { Value::from("name") } else { shape(v) };
                (k.clone(), v)
            })
            .collect(),
        Value::Array(items) => items.iter().map(shape).collect(),
        Value::String(text) if text.len() == 48 && text.bytes().all(|b| b.is_ascii_hexdigit()) => Value::from("id"),
        Value::String(text) if text.ends_with('Z') => text.replace(|c: char| c.is_ascii_digit(), "0").into(),
        other => other.clone(),
    }
}
