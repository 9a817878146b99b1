//! What a listing costs the server: everybody waits while it is put together.

use scim_bridge::clock::new_job_id;
use scim_bridge::core::code::Code;
use scim_bridge::core::event::SourceName;
use scim_bridge::core::job::DeadOrigin;
use scim_bridge::store::{Accepted, Dedupe, NewDelivery, NewUnmapped, Page};

use crate::on_both;
use crate::servers::{Make, Server};
use crate::stage::{now, open};

on_both! {
    a_listing_of_dead_letters_brings_no_payloads_and_no_more_rows_than_wanted
}

const PAYLOAD_BYTES: usize = 50_000;

async fn a_listing_of_dead_letters_brings_no_payloads_and_no_more_rows_than_wanted(make: Make) {
    let server = Server::start(make, &[]);
    let store = open(&server.url(), &[]);
    let source = SourceName::parse("hr").unwrap();
    let mut ids = Vec::new();
    for _ in 0..20 {
        let id = new_job_id();
        let detail = "email: missing or blank".to_owned();
        let payload = "x".repeat(PAYLOAD_BYTES);
        let unmapped = vec![NewUnmapped { id, person: None, code: Code::MapField, detail, payload }];
        let dedupe = Dedupe { key: id.0.to_be_bytes(), fingerprint: [0; 16], remember_ms: 86_400_000 };
        let delivery = NewDelivery { source: source.clone(), dedupe, jobs: Vec::new(), unmapped };
        assert_eq!(store.accept(now(), delivery).await.unwrap(), Accepted::Stored);
        ids.insert(0, id);
    }
    let before = server.info("total_net_output_bytes").unwrap();
    let listed = store.dead_letters(&Page { rows_max: 5, before: None }).await.unwrap();
    let sent_bytes = server.info("total_net_output_bytes").unwrap() - before;
    assert_eq!(listed.iter().map(|letter| letter.id).collect::<Vec<_>>(), ids[..5]);
    assert_eq!(listed[0].detail, "email: missing or blank");
    // What `INFO` itself answers is in it.
    assert!(sent_bytes < PAYLOAD_BYTES as u64, "{sent_bytes}");
    let all = store.dead_letters(&Page { rows_max: 100, before: None }).await.unwrap();
    assert_eq!(all.iter().map(|letter| letter.id).collect::<Vec<_>>(), ids);
    let whole = store.dead_letter(ids[0]).await.unwrap().unwrap();
    assert!(matches!(&whole.origin, DeadOrigin::Unmapped { payload, .. } if payload.len() == PAYLOAD_BYTES));
}
