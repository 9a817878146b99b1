//! Every response has an id by which its delivery can be found.

use scim_bridge::core::deliveries::{Answered, Delivered, Deliveries, document};
use scim_bridge::store::documents;

use super::{Bridge, Reply, eventually, hire};

/// The latest deliveries of a source as all processes see them, once there are this many.
fn listed(bridge: &Bridge, source: &str, count: usize) -> Vec<Delivered> {
    let mut all = Vec::new();
    let name = document(source);
    eventually("they are listed", || {
        let read = documents::read::<Deliveries>(bridge.store.as_ref(), &name);
        all = bridge.runtime.block_on(read).unwrap().0.newest_first();
        all.len() >= count
    });
    all
}

fn id(reply: &Reply) -> String {
    reply.header("x-request-id").unwrap().to_owned()
}

#[test]
fn outcomes_are_listed_under_the_ids_of_the_answers() {
    let bridge = Bridge::start();
    let body = hire("E-1", "ada@example.com");
    let accepted = bridge.post("msg_1", &body);
    let again = bridge.post("msg_1", &body);
    let ignored = bridge.post("msg_2", r#"{"type":"payroll.run"}"#);
    let unmapped = bridge.post("msg_3", "{\"type\":\"employee.hired\"");
    let mut headers = bridge.signed("msg_4", &body);
    headers.iter_mut().filter(|(name, _)| name == "webhook-id").for_each(|(_, value)| value.push('x'));
    let forged = bridge.request("POST", &bridge.path(), &headers, body.as_bytes());
    let misnamed = bridge.request("POST", "/webhooks/hibbob", &[], b"{}");
    let all = listed(&bridge, &bridge.source, 5);
    let row = |reply: &Reply| {
        let one = all.iter().find(|one| one.request == id(reply)).unwrap();
        assert_eq!(one.peer, "127.0.0.1");
        (one.answered, one.reason.as_deref(), one.event_id.as_deref(), one.types.join(","), one.jobs_all)
    };
    assert_eq!(row(&accepted), (Answered::Accepted, None, Some("msg_1"), "hire".to_owned(), 1));
    assert_eq!(row(&again), (Answered::Duplicate, None, Some("msg_1"), "hire".to_owned(), 1));
    assert_eq!(row(&ignored), (Answered::Ignored, Some("not_named"), Some("msg_2"), "payroll.run".to_owned(), 0));
    assert_eq!(row(&unmapped), (Answered::Unmapped, None, Some("msg_3"), String::new(), 1));
    assert_eq!(row(&forged), (Answered::Refused, Some("mismatch"), None, String::new(), 0));
    let misled = &listed(&bridge, "", 1)[0];
    assert_eq!((misled.request.clone(), misled.types.join(",")), (id(&misnamed), "hibbob".to_owned()));
}

#[test]
fn every_answer_has_a_unique_id() {
    let bridge = Bridge::start();
    let mut ids: Vec<String> = (0..20).map(|n| id(&bridge.post(&format!("msg_{n}"), "{}"))).collect();
    ids.push(id(&bridge.request("GET", "/livez", &[], b"")));
    ids.push(id(&bridge.request("GET", "/nowhere", &[], b"")));
    assert!(ids.iter().all(|id| id.len() == 16 && id.bytes().all(|b| b.is_ascii_hexdigit())), "{ids:?}");
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 22);
}
