//! From the hire to the return, with every provider.

use serde_json::{Value, json};

use crate::process::{Bridge, Home, http, post};
use crate::providers::{Make, Provider};

/// Posts an event about E-1, and waits until there is nothing left to do.
async fn send(bridge: &Bridge, n: u32, kind: &str, email: &str, given: &str, family: &str) {
    let body = json!({
        "type": kind,
        "data": { "employee_id": "E-1", "email": email, "first_name": given, "last_name": family },
    });
    let (status, answer) = post(&http(), &bridge.listen, &format!("m{n}"), &body.to_string()).await.unwrap();
    assert_eq!(status, 200, "{answer}");
    bridge.settled().await;
    let job = bridge.api(&format!("/api/v1/jobs/{}", answer["jobs"][0].as_str().unwrap())).await;
    assert_eq!(job["state"], "done", "{kind}: {job}\n{}", bridge.api("/api/v1/people/hr/E-1").await);
}

fn shown(user: &Value) -> (&str, &str, &str, bool) {
    let text = |value: &'static str| user.pointer(value).and_then(Value::as_str).unwrap_or_default();
    (text("/userName"), text("/name/givenName"), text("/name/familyName"), user["active"] == true)
}

/// Hired, renamed, moved, left, returned; ends with one more user than at the start.
async fn a_life(provider: &Provider, bridge: &Bridge) {
    let others = provider.users().await.len();
    let ada = || async {
        let users = provider.users().await;
        users.into_iter().find(|user| user["externalId"] == "E-1").unwrap_or_default()
    };
    send(bridge, 1, "employee.hired", "ada@example.com", "Ada", "Lovelace").await;
    assert_eq!(shown(&ada().await), ("ada@example.com", "Ada", "Lovelace", true));
    send(bridge, 2, "employee.renamed", "ada@example.com", "Ada", "King").await;
    assert_eq!(shown(&ada().await), ("ada@example.com", "Ada", "King", true));
    send(bridge, 3, "employee.updated", "ada.king@example.com", "Ada", "King").await;
    assert_eq!(shown(&ada().await), ("ada.king@example.com", "Ada", "King", true));
    send(bridge, 4, "employee.left", "ada.king@example.com", "Ada", "King").await;
    assert_eq!(shown(&ada().await), ("ada.king@example.com", "Ada", "King", false));
    send(bridge, 5, "employee.hired", "ada@example.com", "Ada", "King").await;
    assert_eq!(shown(&ada().await), ("ada@example.com", "Ada", "King", true));
    assert_eq!(provider.users().await.len(), others + 1);
}

async fn lives(make: Make) {
    let provider = Provider::start(make).await;
    let home = Home::at(provider.base_url(), &Provider::config());
    let bridge = home.serve();
    a_life(&provider, &bridge).await;
    let status = bridge.api("/api/v1/status").await;
    assert_eq!(status["problems"], json!([]), "{status}");
}

/// A user whom somebody else provisioned is adopted and renamed, and keeps everything that the bridge does not know.
async fn adopts(make: Make) {
    let provider = Provider::start(make).await;
    let made = provider
        .ask(
            "POST",
            "/Users",
            Some(&json!({
                "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
                "userName": "ada@example.com",
                "name": { "givenName": "Ada", "familyName": "Byron" },
                "emails": [{ "value": "ada@home.example", "primary": true }],
                "title": "Countess",
                "active": true,
            })),
        )
        .await;
    let home = Home::at(provider.base_url(), &Provider::config());
    let bridge = home.serve();
    send(&bridge, 1, "employee.hired", "Ada@Example.com", "Ada", "King").await;
    send(&bridge, 2, "employee.updated", "ada.king@example.com", "Ada", "King").await;
    send(&bridge, 3, "employee.left", "ada.king@example.com", "Ada", "King").await;
    let users = provider.users().await;
    assert_eq!(users.len(), 1, "{users:?}");
    assert_eq!(users[0]["id"], made["id"]);
    assert_eq!(shown(&users[0]), ("ada.king@example.com", "Ada", "King", false));
    assert_eq!(users[0]["title"], made["title"]);
    assert_eq!(users[0]["emails"][0]["value"], "ada@home.example");
}

/// Two people join a group, which is created for them; one moves to another, the other leaves.
async fn regroups(make: Make) {
    let provider = Provider::start(make).await;
    let facts = "[[source]]\nname = 'hr'\nsecrets = ['whsec_dGhlIHNlY3JldCBvZiB0aGUgdGVzdHM=']\n\
        [source.mapping.facts]\ndepartment = '/data/department'\n[[group]]\nname = '{value}'\nfact = 'department'\n";
    let home = Home::at(provider.base_url(), &format!("{}{facts}", Provider::config()));
    let bridge = home.serve();
    let (n, bridge) = (&std::sync::atomic::AtomicU32::new(0), &bridge);
    let say = |kind: &'static str, employee: &'static str, department: &'static str| async move {
        let n = n.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let data = json!({ "employee_id": employee, "email": format!("{employee}@example.com"), "first_name": "Ada",
            "last_name": "King", "department": department });
        let body = json!({ "type": kind, "data": data }).to_string();
        post(&http(), &bridge.listen, &format!("g{n}"), &body).await.unwrap();
    };
    let sizes = || async {
        let groups = provider.ask("GET", "/Groups", None).await;
        let size = |group: &Value| group["members"].as_array().map_or(0, Vec::len);
        let rows = groups["Resources"].as_array().unwrap().iter();
        let mut sizes: Vec<_> =
            rows.map(|group| (group["displayName"].as_str().unwrap().to_owned(), size(group))).collect();
        sizes.sort();
        sizes
    };
    say("employee.hired", "e-1", "Engineering").await;
    say("employee.hired", "e-2", "Engineering").await;
    bridge.settled().await;
    assert_eq!(sizes().await, [("Engineering".to_owned(), 2)], "{}", bridge.log());
    say("employee.updated", "e-1", "Sales").await;
    say("employee.left", "e-2", "Engineering").await;
    bridge.settled().await;
    assert_eq!(sizes().await, [("Engineering".to_owned(), 0), ("Sales".to_owned(), 1)], "{}", bridge.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn scim2_server_has_groups_made_of_departments() {
    regroups(Make::Scim2Server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn scimmy_has_groups_made_of_departments() {
    regroups(Make::Scimmy).await;
}

/// It has no PATCH: each change of a group is a PUT of everything that was read.
#[tokio::test(flavor = "multi_thread")]
async fn elimity_has_groups_made_of_departments() {
    regroups(Make::Elimity).await;
}

macro_rules! providers {
    ($($name:ident: $make:ident)*) => {
        $(
            mod $name {
                #[tokio::test(flavor = "multi_thread")]
                async fn somebody_is_hired_renamed_moved_gone_and_back() {
                    super::lives(super::Make::$make).await;
                }

                #[tokio::test(flavor = "multi_thread")]
                async fn an_existing_member_is_adopted_and_keeps_unmanaged_attributes() {
                    super::adopts(super::Make::$make).await;
                }
            }
        )*
    };
}

providers! {
    scim2_server: Scim2Server
    scimmy: Scimmy
    django_scim2: Django
    elimity: Elimity
}
