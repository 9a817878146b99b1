//! Postman's quirks, one by one.

use scim_bridge::postman_sim::{AuthAccepted, InvitedId, Person, ReplyName, SimOptions, Standing, UsernameChange};
use serde_json::{Value, json};

use crate::client::{Client, KEY, switch, user};

#[tokio::test]
async fn a_new_member_has_an_id_of_48_hexadecimal_digits_and_is_found_by_it() {
    let client = Client::new();
    let id = client.created("ada@example.test").await;
    assert_eq!(id.len(), 48);
    assert!(id.bytes().all(|b| b.is_ascii_hexdigit()));
    let reply = client.get(&format!("/Users/{id}")).await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.json()["userName"], "ada@example.test");
    assert_eq!(reply.header("content-type"), Some("application/json; charset=utf-8"));
}

#[tokio::test]
async fn the_filter_minds_the_case_and_the_create_does_not() {
    let client = Client::new();
    client.created("Ada@Example.test").await;
    assert_eq!(client.find("Ada@Example.test").await.len(), 1);
    assert!(client.find("ada@example.test").await.is_empty());
    let reply = client.create("ada@example.test").await;
    assert_eq!((reply.status, reply.text.as_str()), (409, ReplyName::AlreadyMember.body()));
}

#[tokio::test]
async fn an_address_with_a_plus_and_quotes_is_found() {
    let client = Client::new();
    for odd in ["a+b@example.test", "\"q\"@example.test", "näme@example.test"] {
        client.created(odd).await;
        assert_eq!(client.find(odd).await.len(), 1, "{odd}");
    }
}

#[tokio::test]
async fn a_member_of_another_team_is_a_conflict_and_never_found() {
    let client = Client::new();
    client.sim.add_member(Person::standing("Eve@example.test", Standing::OtherTeam));
    let reply = client.create("eve@example.test").await;
    assert_eq!((reply.status, reply.text.as_str()), (409, ReplyName::AlreadyMember.body()));
    assert!(client.find("Eve@example.test").await.is_empty());
    assert_eq!(client.get("/Users").await.json()["totalResults"], 0);
}

#[tokio::test]
async fn an_invited_person_is_not_listed_until_they_accept() {
    for (mode, has_id) in [(InvitedId::Future, true), (InvitedId::Absent, false)] {
        let client = Client::with(SimOptions { invited_id: mode, ..SimOptions::default() });
        client.sim.add_member(Person::standing("bob@example.test", Standing::Invitable));
        let reply = client.create("bob@example.test").await;
        assert_eq!(reply.status, 201);
        let id = reply.json()["id"].as_str().map(str::to_owned);
        assert_eq!(id.is_some(), has_id);
        if let Some(id) = &id {
            assert_eq!(client.get(&format!("/Users/{id}")).await.status, 404);
        }
        assert!(client.find("bob@example.test").await.is_empty());
        assert_eq!(client.create("BOB@example.test").await.status, 409);

        let accepted = client.control("POST", "/accept", &json!({"user_name": "bob@example.test"})).await;
        assert_eq!(accepted.status, 200);
        let found = client.find("bob@example.test").await;
        assert_eq!(found.len(), 1);
        if let Some(id) = id {
            assert_eq!(found[0]["id"], id);
        }
        assert!(client.sim.accept_invitation("bob@example.test").is_none(), "only once");
    }
}

#[tokio::test]
async fn a_put_changes_only_names_and_active() {
    let client = Client::new();
    let id = client.created("ada@example.test").await;
    let mut changed = user("other@example.test", "Ada", "King");
    changed["externalId"] = "other".into();
    changed["active"] = false.into();
    let reply = client.send("PUT", &format!("/Users/{id}"), &changed).await;
    assert_eq!(reply.status, 200);
    let member = reply.json();
    assert_eq!(member["name"], json!({"givenName": "Ada", "familyName": "King"}));
    assert_eq!(member["active"], false);
    assert_eq!((&member["userName"], &member["externalId"]), (&"ada@example.test".into(), &"23123123".into()));

    changed.as_object_mut().unwrap().remove("active");
    let reply = client.send("PUT", &format!("/Users/{id}"), &changed).await;
    assert_eq!(reply.json()["active"], false, "a PUT without `active` does not change it");
    changed["active"] = true.into();
    let reply = client.send("PUT", &format!("/Users/{id}"), &changed).await;
    assert_eq!(reply.json()["active"], true, "a PUT with `active: true` switches them back on");
}

#[tokio::test]
async fn a_put_with_another_address_can_be_refused() {
    let client = Client::with(SimOptions { username_change: UsernameChange::Refuse, ..SimOptions::default() });
    let id = client.created("ada@example.test").await;
    let reply = client.send("PUT", &format!("/Users/{id}"), &user("other@example.test", "Ada", "King")).await;
    assert_eq!((reply.status, reply.text.as_str()), (400, ReplyName::UsernameFailed.body()));
    let reply = client.send("PUT", &format!("/Users/{id}"), &user("ADA@example.test", "Ada", "King")).await;
    assert_eq!(reply.status, 200, "a difference in case does not change the address");
}

#[tokio::test]
async fn a_patch_switches_a_member_off_and_on_and_the_inactive_are_listed() {
    let client = Client::new();
    let id = client.created("ada@example.test").await;
    for active in [false, true, false] {
        let reply = client.send("PATCH", &format!("/Users/{id}"), &switch(active)).await;
        assert_eq!((reply.status, &reply.json()["active"]), (200, &Value::from(active)));
    }
    assert_eq!(client.find("ada@example.test").await[0]["active"], false);
    let total = |reply: Value| reply["totalResults"].as_u64().unwrap();
    assert_eq!(total(client.get("/Users").await.json()), 1);
    assert_eq!(total(client.get("/Users?filter=active%20eq%20false").await.json()), 1);
    assert_eq!(total(client.get("/Users?filter=active%20eq%20true").await.json()), 0);
}

#[tokio::test]
async fn pages_hold_a_hundred_at_most_and_items_per_page_is_not_their_length() {
    let client = Client::new();
    for i in 0..205 {
        client.sim.add_member(Person::member(&format!("p{i}@example.test"), "P", "Q"));
    }
    let mut seen = Vec::new();
    for start in [1, 101, 201, 301] {
        let list = client.get(&format!("/Users?startIndex={start}&count=1000")).await.json();
        assert_eq!((&list["totalResults"], &list["itemsPerPage"]), (&205.into(), &100.into()));
        seen.extend(list["Resources"].as_array().unwrap().iter().map(|m| m["userName"].clone()));
    }
    assert_eq!(seen.len(), 205);
    assert_eq!(seen[204], "p204@example.test");
}

#[tokio::test]
async fn the_same_address_may_be_added_twice() {
    let client = Client::new();
    client.sim.add_member(Person::member("twin@example.test", "A", "B"));
    client.sim.add_member(Person::member("twin@example.test", "C", "D"));
    assert_eq!(client.find("twin@example.test").await.len(), 2);
}

#[tokio::test]
async fn without_a_seat_nobody_joins_until_one_is_free() {
    let client = Client::with(SimOptions { seats: Some(1), ..SimOptions::default() });
    let id = client.created("ada@example.test").await;
    let reply = client.create("bob@example.test").await;
    assert_eq!((reply.status, reply.text.as_str()), (400, ReplyName::NoSlots.body()));
    let rename = client.send("PUT", &format!("/Users/{id}"), &user("ada@example.test", "Ada", "King")).await;
    assert_eq!(rename.status, 200, "updates still work");
    client.send("PATCH", &format!("/Users/{id}"), &switch(false)).await;
    assert_eq!(client.create("bob@example.test").await.status, 201);
    let back = client.send("PATCH", &format!("/Users/{id}"), &switch(true)).await;
    assert_eq!(back.text, ReplyName::NoSlots.body());
}

#[tokio::test]
async fn the_key_is_required_as_configured_and_may_change() {
    let client = Client::new();
    let sent = |value: Option<String>| {
        let mut request = client.request("GET", "/Users");
        request = match value {
            Some(value) => {
                let mut headers = reqwest::header::HeaderMap::new();
                headers.insert("Authorization", value.parse().unwrap());
                request.headers(headers)
            }
            None => request,
        };
        async { client.try_send(request).await.unwrap() }
    };
    assert_eq!(sent(None).await.status, 200);
    for (auth, bearer, raw) in
        [(AuthAccepted::Raw, 401, 200), (AuthAccepted::Any, 200, 200), (AuthAccepted::Bearer, 200, 401)]
    {
        client.sim.change(|o| o.auth = auth);
        assert_eq!(sent(Some(format!("Bearer {KEY}"))).await.status, bearer, "{auth:?}");
        assert_eq!(sent(Some(KEY.to_owned())).await.status, raw, "{auth:?}");
    }
    client.sim.set_key("another");
    let reply = sent(Some(format!("Bearer {KEY}"))).await;
    assert_eq!((reply.status, reply.text.as_str()), (401, ReplyName::BadKey.body()));
    assert_eq!(sent(Some("Bearer another".to_owned())).await.status, 200);
    assert_eq!(client.control("PATCH", "/options", &json!({"key": "third"})).await.status, 200);
    assert_eq!(sent(Some("bearer third".to_owned())).await.status, 200);
    assert_eq!(sent(Some("Basic third".to_owned())).await.status, 401);
}

#[tokio::test]
async fn missing_resources_are_answered_in_postmans_several_ways() {
    let client = Client::new();
    let nobody = "0".repeat(48);
    let body = user("ada@example.test", "Ada", "King");
    for (method, path, reply) in [
        ("GET", format!("/Users/{nobody}"), ReplyName::NotMember404),
        ("PUT", format!("/Users/{nobody}"), ReplyName::NotMember404),
        ("PUT", "/Users".to_owned(), ReplyName::NotFoundNonScim),
        ("PUT", "/Users/".to_owned(), ReplyName::NotFoundNonScim),
        ("GET", "/Nothing".to_owned(), ReplyName::NotFoundNonScim),
        ("DELETE", format!("/Users/{nobody}"), ReplyName::MethodNotAllowed),
        ("GET", "/Users?filter=externalId%20eq%20%221%22".to_owned(), ReplyName::InvalidFilter),
    ] {
        let got = client.send(method, &path, &body).await;
        assert_eq!((got.status, got.text.as_str()), (reply.status(), reply.body()), "{method} {path}");
    }
}

#[tokio::test]
async fn an_empty_body_is_invalid_syntax() {
    let client = Client::new();
    let without = |field: &str| {
        let mut body = user("ada@example.test", "Ada", "King");
        body.as_object_mut().unwrap().remove(field);
        body
    };
    let mut bodies = vec![json!([]), json!("x"), without("userName"), without("schemas")];
    bodies.push(user("no address", "Ada", "King"));
    bodies.push(user("ada@example.test", "Ada\u{7}", "King"));
    let mut wrong = user("ada@example.test", "Ada", "King");
    wrong["name"]["givenName"] = 1.into();
    bodies.push(wrong);
    for body in bodies {
        let reply = client.send("POST", "/Users", &body).await;
        assert_eq!((reply.status, reply.text.as_str()), (400, ReplyName::InvalidSyntax.body()), "{body}");
    }
}

#[tokio::test]
async fn discovery_answers_as_documented() {
    let client = Client::new();
    let config = client.get("/ServiceProviderConfig").await.json();
    assert_eq!(config["patch"]["supported"], true);
    for absent in ["bulk", "sort", "etag", "changePassword"] {
        assert_eq!(config[absent]["supported"], false, "{absent}");
    }
    assert_eq!(config["authenticationSchemes"][0]["type"], "oauthbearertoken");
    assert!(client.get("/ResourceTypes").await.json().is_array());
}
