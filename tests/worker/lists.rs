//! An HR system's list that is read while the store is away, or while the source is held.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use scim_bridge::clock::Clock;
use scim_bridge::core::code::Code;
use scim_bridge::core::fetch::{Api, Credential, FetchRules};
use scim_bridge::core::guard::GuardOptions;
use scim_bridge::core::hold::HoldScope;
use scim_bridge::core::limiter::Rate;
use scim_bridge::core::mapping::Mapping;
use scim_bridge::core::person::SourceName;
use scim_bridge::core::roster::{Columns, FetchEnd};
use scim_bridge::hr::{Credentials, HrSystem};
use scim_bridge::hr_sim::{HrFault, HrPerson, HrSim};
use scim_bridge::roster::{HrLists, Roster, RosterOptions};
use scim_bridge::secret::LiveSecret;
use scim_bridge::store::holds::SharedHolds;
use scim_bridge::store::memory::Memory;

use crate::bench::{PAUSES, store_options, until, worker_options};
use crate::rough_store::Rough;

#[derive(serde::Deserialize)]
struct Preset {
    mapping: Mapping,
    fetch: FetchRules,
}

/// Four people on two pages; the first request fails, with a hint to try again in a second.
struct Stage {
    hr: HrSim,
    store: Arc<Rough>,
    roster: Roster,
}

impl Stage {
    fn new() -> Self {
        let hr = HrSim::start(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        for n in 0..4 {
            hr.put(HrPerson::working(&format!("E-{n}"), &format!("e-{n}@example.com"), "Ada", "Byron"));
        }
        hr.inject(HrFault::Status(429, vec![("Retry-After", "1".to_owned())]), 1);
        let path = format!("{}/config/presets/merge.toml", env!("CARGO_MANIFEST_DIR"));
        let Preset { mapping, fetch } = toml::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        let values = BTreeMap::from([("account_token".to_owned(), "acme".to_owned())]);
        let api = Api::new(fetch, Some(&hr.base_url()), values, &BTreeSet::from([Credential::Token])).unwrap();
        let token = LiveSecret::new(hr.login().token.into());
        let credentials = Credentials::new(BTreeMap::from([(Credential::Token, token)]));
        let system = HrSystem::new(api.clone(), credentials).unwrap();
        let free = Rate { calls: 0, window_ms: 60_000 };
        let store = Arc::new(Rough::over(Arc::new(Memory::new(store_options(free)))));
        let options = RosterOptions {
            columns: HashMap::from([(source(), Columns::of(&mapping))]),
            rules: worker_options().plan,
            guard: GuardOptions { leaves_max: 1, leaves_percent: 1, address_changes_max: 1, window_ms: 1 },
            rates: (free, free),
            drift: scim_bridge::roster::DriftOptions::default(),
            lists: HrLists::new(BTreeMap::from([(source(), api)]), BTreeMap::from([(source(), system)])),
        };
        let roster = Roster::new(store.clone(), None, Clock::default(), options);
        Self { hr, store, roster }
    }

    /// Reads the list, and does something while the read waits.
    async fn fetch(&self, meanwhile: impl Future<Output = ()>) -> FetchEnd {
        self.roster.order_fetch(&source(), None, false).await.unwrap();
        let waited_for = async {
            until("the list is asked for", || self.hr.reads() > 0).await;
            tokio::time::sleep(Duration::from_millis(100)).await;
            meanwhile.await;
        };
        let (fetched, ()) = tokio::join!(self.roster.fetch_if_ordered(), waited_for);
        assert!(fetched.unwrap());
        self.roster.fetches().await.unwrap().remove("hr").unwrap().end.unwrap()
    }
}

fn source() -> SourceName {
    SourceName::parse("hr").unwrap()
}

#[tokio::test]
async fn a_brief_store_outage_costs_no_page_already_read() {
    let stage = Stage::new();
    let end = stage.fetch(async { stage.store.documents_broken.store(2, Ordering::SeqCst) }).await;
    assert_eq!((end.failure, stage.hr.reads()), (None, 3), "one failure, and each page once");
    assert_eq!(stage.store.documents_broken.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_hold_set_during_a_list_is_waited_for_before_its_next_page() {
    let stage = Stage::new();
    let holds = SharedHolds::new(stage.store.clone(), Clock::default(), PAUSES);
    let scope = HoldScope::Fetch(source());
    let held = async {
        holds.set(&scope, Code::HoldOperator, None).await.unwrap();
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert_eq!(stage.hr.reads(), 1, "no page is requested during the hold");
        holds.lift(&scope).await.unwrap();
    };
    let end = stage.fetch(held).await;
    assert_eq!((end.failure, stage.hr.reads()), (None, 3), "one failure, and each page once");
}
