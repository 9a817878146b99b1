//! Addresses, PUTs of the whole member, versions, and reads that lag behind.

use scim_bridge::postman_sim::{Operation, Person, PutMeaning, ReplyName, SimOptions, Standing};
use serde_json::{Value, json};

use crate::client::{Client, switch, user};

fn address(user_name: &str) -> Value {
    json!({
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
        "Operations": [{"op": "replace", "path": "userName", "value": user_name}]
    })
}

#[tokio::test]
async fn an_address_changes_only_to_a_free_one_in_verified_domains() {
    let verified_domains = Some(vec!["Example.test".to_owned()]);
    let client = Client::with(SimOptions { verified_domains, ..SimOptions::default() });
    let id = client.created("ada@example.test").await;
    client.created("bob@example.test").await;
    client.sim.add_member(Person::standing("eve@example.test", Standing::OtherTeam));
    let path = format!("/Users/{id}");
    for (to, refusal) in [
        ("ada@elsewhere.test", ReplyName::UsernameFailed),
        ("BOB@example.test", ReplyName::AlreadyMember),
        ("eve@example.test", ReplyName::AlreadyMember),
        ("nobody", ReplyName::InvalidSyntax),
    ] {
        let reply = client.send("PATCH", &path, &address(to)).await;
        assert_eq!((reply.status, reply.text.as_str()), (refusal.status(), refusal.body()), "{to}");
    }
    let reply = client.send("PATCH", &path, &address("lovelace@EXAMPLE.test")).await;
    assert_eq!((reply.status, reply.json()["userName"].as_str()), (200, Some("lovelace@EXAMPLE.test")));
    assert_eq!(reply.json()["id"], id.as_str());
    assert!(client.find("ada@example.test").await.is_empty());
    assert_eq!(client.find("lovelace@EXAMPLE.test").await.len(), 1);
    assert_eq!(client.create("ada@example.test").await.status, 201, "the old address is free");
    let last =
        client.sim.journal().into_iter().rfind(|entry| entry.applied && entry.operation == Operation::SetUserName);
    assert_eq!(last.unwrap().user_name.as_deref(), Some("lovelace@EXAMPLE.test"));
}

fn person() -> Person {
    let attributes = json!({"title": "Countess", "urn:ext": {"n": 1}});
    let name_parts = json!({"middleName": "Augusta"});
    Person {
        id: Some("a//b".to_owned()),
        external_id: Some("okta-1".to_owned()),
        attributes: attributes.as_object().unwrap().clone(),
        name_parts: name_parts.as_object().unwrap().clone(),
        ..Person::member("ada@example.test", "Ada", "Lovelace")
    }
}

#[tokio::test]
async fn attributes_missing_from_a_put_stay_unless_it_replaces_everything() {
    for (put, title, middle, external_id) in [
        (PutMeaning::Names, json!("Countess"), json!("Augusta"), json!("okta-1")),
        (PutMeaning::Whole, Value::Null, Value::Null, json!("23123123")),
    ] {
        let client = Client::with(SimOptions { put, ..SimOptions::default() });
        client.sim.add_member(person());
        let path = "/Users/a%2F%2Fb";
        let read = client.get(path).await.json();
        assert_eq!((&read["title"], &read["name"]["middleName"]), (&json!("Countess"), &json!("Augusta")));
        let mut whole = read.clone();
        whole["name"]["familyName"] = "King".into();
        let mut written = client.send("PUT", path, &whole).await.json();
        whole["meta"] = written["meta"].take();
        written["meta"] = whole["meta"].clone();
        assert_eq!(written, whole, "sent whole, it stays whole");
        let written = client.send("PUT", path, &user("ada@example.test", "Ada", "Byron")).await.json();
        assert_eq!((&written["title"], &written["name"]["middleName"]), (&title, &middle));
        assert_eq!((&written["externalId"], &written["name"]["familyName"]), (&external_id, &json!("Byron")));
    }
}

#[tokio::test]
async fn a_stale_version_is_refused() {
    let client = Client::with(SimOptions { versions: true, ..SimOptions::default() });
    let id = client.created("ada@example.test").await;
    let path = format!("/Users/{id}");
    let read = client.get(&path).await;
    let version = read.header("etag").unwrap().to_owned();
    assert_eq!(read.json()["meta"]["version"], version.as_str());
    assert_eq!(client.find("ada@example.test").await[0]["meta"]["version"], version.as_str());
    let put = |version: &str| {
        let body = user("ada@example.test", "Ada", "King").to_string();
        let request = client.request("PUT", &path).header("If-Match", version).body(body);
        async { client.try_send(request).await.unwrap() }
    };
    client.send("PATCH", &path, &switch(false)).await;
    let refused = put(&version).await;
    assert_eq!((refused.status, refused.text.as_str()), (412, ReplyName::VersionConflict.body()));
    let version = client.get(&path).await.header("etag").unwrap().to_owned();
    assert_eq!(put(&version).await.status, 200);
    assert_eq!(put("*").await.status, 200);
    assert_eq!(client.get("/ServiceProviderConfig").await.json()["etag"]["supported"], true);
    let plain = Client::new();
    let id = plain.created("ada@example.test").await;
    let read = plain.get(&format!("/Users/{id}")).await;
    assert!(read.header("etag").is_none() && read.json()["meta"]["version"].is_null(), "Postman has no versions");
}

#[tokio::test]
async fn a_lagging_read_shows_the_team_as_it_was() {
    let client = Client::new();
    client.inject("read:lag:by=600000:forever");
    let id = client.created("ada@example.test").await;
    let path = format!("/Users/{id}");
    assert_eq!(client.get(&path).await.status, 404);
    assert!(client.find("ada@example.test").await.is_empty());
    assert_eq!(client.get("/Users").await.json()["totalResults"], 0);
    assert_eq!(client.create("ada@example.test").await.status, 409, "writes do not lag");
    client.sim.clear_faults();
    assert_eq!(client.get(&path).await.status, 200);
    let reply =
        client.control("POST", "/faults", &json!({"on": "get", "what": "lag", "by_ms": 600_000, "times": 1})).await;
    assert_eq!(reply.status, 200);
    assert_eq!(client.get(&path).await.status, 404);
    assert_eq!(client.get(&path).await.status, 200, "once");
}

#[tokio::test]
async fn somebody_leaves_and_comes_back_to_the_same_account() {
    let client = Client::with(SimOptions { seats: Some(1), ..SimOptions::default() });
    let id = client.created("ada@example.test").await;
    let path = format!("/Users/{id}");
    assert_eq!(client.send("PATCH", &path, &switch(false)).await.json()["active"], false);
    assert_eq!(client.create("ada@example.test").await.status, 409, "people who left still exist");
    assert_eq!(client.find("ada@example.test").await[0]["active"], false);
    assert_eq!(client.send("PATCH", &path, &switch(true)).await.json()["active"], true);
    assert_eq!(client.sim.members().len(), 1);
}
