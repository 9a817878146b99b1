//! The cost of listings.

use bytes::Bytes;
use scim_bridge::core::person::SourceName;
use scim_bridge::store::{Accepted, DeadFilter, DeadRow, NewDelivery, NewUnmapped, Page};

use crate::on_both;
use crate::servers::{Make, Server};
use crate::stage::{new_id, now, open};

on_both! {
    a_listing_of_dead_letters_reads_no_payloads_and_only_the_rows_asked_for
}

const PAYLOAD_BYTES: usize = 50_000;

async fn a_listing_of_dead_letters_reads_no_payloads_and_only_the_rows_asked_for(make: Make) {
    let server = Server::start(make, &[]);
    let store = open(&server.url(), &[]);
    let source = SourceName::parse("hr").unwrap();
    let mut ids = Vec::new();
    let began = now();
    for n in 0..20 {
        let row = DeadRow {
            id: new_id(),
            source: source.clone(),
            person: None,
            event: None,
            died_at: began.plus_ms(n),
            code: "MAP-FIELD".to_owned(),
            detail: "email: missing or blank".to_owned(),
            unmapped: true,
        };
        ids.insert(0, row.id);
        let unmapped = vec![NewUnmapped { row, payload: Bytes::from(vec![b'x'; PAYLOAD_BYTES]) }];
        let delivery = NewDelivery { source: source.clone(), dedupe: None, entries: Vec::new(), unmapped };
        assert_eq!(store.accept(now(), delivery).await.unwrap(), Accepted::Stored);
    }
    let before = server.info("total_net_output_bytes").unwrap();
    let listed = store.dead(&DeadFilter::default(), &Page { rows_max: 5, after: None }).await.unwrap();
    let sent_bytes = server.info("total_net_output_bytes").unwrap() - before;
    assert_eq!(listed.rows.iter().map(|row| row.id).collect::<Vec<_>>(), ids[..5]);
    // Includes the cost of `INFO` itself.
    assert!(sent_bytes < PAYLOAD_BYTES as u64, "{sent_bytes}");
    let all = store.dead(&DeadFilter::default(), &Page { rows_max: 100, after: None }).await.unwrap();
    assert_eq!(all.rows.iter().map(|row| row.id).collect::<Vec<_>>(), ids);
    let (_, payload) = store.dead_letter(ids[0]).await.unwrap().unwrap();
    assert_eq!(payload.map(|payload| payload.len()), Some(PAYLOAD_BYTES));
}
