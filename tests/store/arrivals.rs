//! Copies a store, whatever its content, into another engine: every view of it is the same there, and earlier
//! deliveries are recognised.

use proptest::prelude::*;
use scim_bridge::store::copy::{CopyOptions, copy};
use scim_bridge::store::{Dedupe, NewDelivery};

use crate::conformance::copying::views;
use crate::embedded::Folder;
use crate::harness::{Bench, Engine, LEASE_MS, delivery, source};
use crate::memory::Kept;
use crate::properties::{Pair, Step, narrow, steps};
use crate::redis::Keyspace;
use crate::servers::{REDIS, VALKEY};

/// Runs the steps, then copies the result, twice.
pub(crate) fn arrives(steps: Vec<Step>, from: impl Engine + 'static, to: impl Engine + 'static) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut pair = Pair::new(from).await;
        for step in steps {
            pair.take(step).await;
        }
        let mut to = Bench::new(to, false).await;
        to.with(narrow).await;
        // All workers with leases are gone.
        let now = pair.now.plus_ms(LEASE_MS + 1);
        let from = &mut pair.engine;
        let source = views(from).await;
        let options = CopyOptions { hold_source: false, fresh_id: [7; 16] };
        for is_again in [false, true] {
            let copied = copy(from.store().await, to.store().await, || now, options, |_, _, _| {}).await.unwrap();
            if copied.is_empty() {
                return;
            }
            assert!(copied.is_whole(), "{copied:?}");
            let taken: u64 = copied.0[1..].iter().map(|(_, tally)| tally.copied).sum();
            assert!(!is_again || taken == 0, "{taken} copied again");
            assert_eq!(views(from).await, source);
            assert_eq!(views(&mut to).await, source);
        }
        for sent in known(from) {
            let answer = from.deliver(now, sent.clone()).await;
            assert_eq!(to.deliver(now, sent).await, answer);
        }
    });
}

/// A delivery for each key that a step may have used.
fn known(b: &mut Bench) -> Vec<NewDelivery> {
    let keys = (0_u8..16).map(|key| [key; 16]);
    let dedupe = |key: [u8; 16]| Dedupe { key, only_while_newest: key[0] >= 10, remember_ms: 100_000, says: 0 };
    keys.map(|key| NewDelivery {
        source: source(),
        dedupe: Some(dedupe(key)),
        ..delivery(key, vec![b.entry("E-0", "again")])
    })
    .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    #[test]
    fn whatever_the_embedded_store_has_arrives_in_the_model(steps in steps()) {
        arrives(steps, Folder::new(), Kept::new());
    }

    #[test]
    fn whatever_the_model_has_arrives_in_the_embedded_store(steps in steps()) {
        arrives(steps, Kept::new(), Folder::new());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, ..ProptestConfig::default() })]
    #[test]
    fn whatever_redis_has_arrives_in_the_model(steps in steps()) {
        arrives(steps, Keyspace::on(&REDIS), Kept::new());
    }

    #[test]
    fn whatever_the_model_has_arrives_in_valkey(steps in steps()) {
        arrives(steps, Kept::new(), Keyspace::on(&VALKEY));
    }
}
