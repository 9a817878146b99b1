//! A source with a preset, its HR system, a store and a worker.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use scim_bridge::app;
use scim_bridge::clock::{Clock, new_job_id};
use scim_bridge::config::Config;
use scim_bridge::core::fetch::{Api, Credential, FetchRules};
use scim_bridge::core::guard::GuardOptions;
use scim_bridge::core::hold::HoldScope;
use scim_bridge::core::limiter::Rate;
use scim_bridge::core::mapping::{Mapping, Record, remap};
use scim_bridge::core::person::inbox::{Entry, Word};
use scim_bridge::core::person::story::{Note, StoryEntry};
use scim_bridge::core::person::{Document, Person, SourceName};
use scim_bridge::core::reconcile::plan::PlanRules;
use scim_bridge::core::time::UnixMs;
use scim_bridge::hr::{Credentials, HrSystem};
use scim_bridge::hr_sim::{HrPerson, HrSim};
use scim_bridge::postman_sim::{Person as SimPerson, PostmanSim, SimOptions};
use scim_bridge::scim::{Auth, Client, ClientOptions};
use scim_bridge::secret::LiveSecret;
use scim_bridge::store::memory::Memory;
use scim_bridge::store::{Accepted, Bounds, LaneState, NewDelivery, NewEntry, PersonRow, Store, StoreOptions};
use scim_bridge::worker::{Attempted, Stepped, Worker, WorkerOptions};

/// 2026-11-22T10:00:00Z
pub(crate) const NOW: UnixMs = UnixMs(1_795_341_600_000);

/// The parts of a preset's file that the tests use.
#[derive(serde::Deserialize)]
struct Preset {
    mapping: Mapping,
    fetch: FetchRules,
}

pub(crate) struct Rig {
    pub(crate) hr: HrSim,
    pub(crate) postman: PostmanSim,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Clock,
    pub(crate) worker: Worker,
    mapping: Mapping,
}

/// A login with every credential that any system accepts.
pub(crate) fn credentials(hr: &HrSim) -> BTreeMap<Credential, String> {
    let login = hr.login();
    BTreeMap::from([
        (Credential::Token, login.token),
        (Credential::Username, login.username),
        (Credential::Password, login.password),
        (Credential::ClientId, login.client_id),
        (Credential::ClientSecret, login.client_secret),
        (Credential::RefreshToken, login.refresh_token),
    ])
}

impl Rig {
    /// With all credentials that the preset needs.
    pub(crate) fn new(preset: &str) -> Self {
        let given: &[Credential] = match preset {
            "hibob" => &[Credential::Username, Credential::Password],
            "personio" | "paylocity" => &[Credential::ClientId, Credential::ClientSecret],
            "gusto" => &[Credential::ClientId, Credential::ClientSecret, Credential::RefreshToken],
            _ => &[Credential::Token],
        };
        Self::with(preset, given, |_| {})
    }

    pub(crate) fn with(preset: &str, given: &[Credential], change: impl FnOnce(&mut FetchRules)) -> Self {
        let path = format!("{}/config/presets/{preset}.toml", env!("CARGO_MANIFEST_DIR"));
        let Preset { mut mapping, mut fetch } = toml::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        change(&mut fetch);
        let hr = HrSim::start(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let all = credentials(&hr);
        let given: BTreeSet<Credential> = given.iter().copied().collect();
        let values = ["subdomain", "company_id", "integration_id", "member_id", "account_token"]
            .map(|name| (name.to_owned(), "acme".to_owned()));
        let api = Api::new(fetch, Some(&hr.base_url()), BTreeMap::from(values), &given).unwrap();
        // As the configuration does.
        mapping.reads_untimed = !api.is_list();
        let secret = |name: &Credential| (*name, LiveSecret::new(all[name].clone().into()));
        let credentials = Credentials::new(given.iter().map(secret).collect());
        let system = HrSystem::with_timeout(api, credentials, Duration::from_millis(1_500)).unwrap();

        let postman = PostmanSim::start(SimOptions {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            writes: 0,
            reads: 0,
            ..SimOptions::default()
        })
        .unwrap();
        postman.change(|options| options.key = "PMAK".to_owned());
        let client = Client::new(ClientOptions {
            base_url: postman.base_url().parse().unwrap(),
            key: LiveSecret::new("PMAK".to_owned().into()),
            auth: Auth::Bearer,
            x_api_key: false,
            locale: "en-US".to_owned(),
            timeout: Duration::from_secs(2),
            connect_timeout: Duration::from_secs(1),
            ca_pem: None,
        })
        .unwrap();
        let clock = Clock::manual(NOW);
        let store: Arc<dyn Store> = Arc::new(Memory::new(store_options()));
        let systems = BTreeMap::from([(source(), system)]);
        let worker = Worker::new(store.clone(), client, clock.clone(), worker_options()).with_hr(systems);
        Self { hr, postman, store, clock, worker, mapping }
    }

    /// Accepts a delivery, as intake does, and returns how many events it contained.
    pub(crate) async fn deliver(&self, body: &str) -> usize {
        let records = remap(&self.mapping, &source(), &Bytes::copy_from_slice(body.as_bytes()));
        let mut entries = Vec::new();
        for record in records {
            match record {
                Record::Event { event, .. } => {
                    let (person, job) = (event.person.clone(), new_job_id(event.person.id()));
                    let word = Word::Event { job, event: Box::new(event), letter: None };
                    let bytes = Bytes::from(Entry { accepted_at: self.clock.now(), word, trace: None }.to_bytes());
                    entries.push(NewEntry { job, person, bytes });
                }
                Record::Ignored(_) => {}
                unmapped @ Record::Unmapped { .. } => panic!("{unmapped:?}"),
            }
        }
        let count = entries.len();
        let delivery = NewDelivery { source: source(), dedupe: None, entries, unmapped: Vec::new() };
        assert_eq!(self.store.accept(self.clock.now(), delivery).await.unwrap(), Accepted::Stored);
        count
    }

    pub(crate) fn put(&self, id: &str, given: &str, family: &str) -> HrPerson {
        let person = HrPerson::working(id, &email(id), given, family);
        self.hr.put(person.clone());
        person
    }

    pub(crate) async fn step(&self) -> Stepped {
        self.worker.step().await.unwrap()
    }

    /// Steps until nobody is due; returns all results.
    pub(crate) async fn work(&self) -> Vec<Attempted> {
        let mut attempts = Vec::new();
        for _ in 0..50_000 {
            match self.step().await {
                Stepped::Attempted(attempted) => attempts.push(attempted),
                Stepped::Probed { .. } => {}
                Stepped::Nothing { .. } => return attempts,
            }
        }
        panic!("it never ends");
    }

    /// Steps, advancing the clock to whatever is due next, until nobody waits for a time.
    pub(crate) async fn work_through(&self) -> Vec<Attempted> {
        let mut attempts = Vec::new();
        for _ in 0..50_000 {
            match self.step().await {
                Stepped::Attempted(attempted) => attempts.push(attempted),
                Stepped::Probed { .. } => {}
                Stepped::Nothing { until: Some(until) } => {
                    self.clock.advance_ms(until.ms_since(self.clock.now()).max(1));
                }
                // The pool looks every second, so it sees that a probe is due.
                Stepped::Nothing { until: None } if self.is_held().await => self.clock.advance_ms(30_000),
                Stepped::Nothing { until: None } => return attempts,
            }
        }
        panic!("it never ends");
    }

    pub(crate) async fn row(&self, id: &str) -> PersonRow {
        self.store.person(person(id).id()).await.unwrap().unwrap()
    }

    pub(crate) async fn state(&self, id: &str) -> LaneState {
        self.row(id).await.lane.state
    }

    pub(crate) async fn document(&self, id: &str) -> Document {
        Document::from_bytes(&self.row(id).await.document.unwrap()).unwrap()
    }

    pub(crate) async fn story(&self, id: &str) -> Vec<Note> {
        let story = self.store.story(person(id).id()).await.unwrap();
        story.entries.iter().map(|bytes| StoryEntry::from_bytes(bytes).unwrap().note).collect()
    }

    pub(crate) async fn is_held(&self) -> bool {
        let holds: scim_bridge::core::hold::Holds =
            scim_bridge::store::documents::read(self.store.as_ref(), "holds").await.unwrap().0;
        holds.get(&HoldScope::Fetch(source())).is_some()
    }

    /// Adds a member unknown to the bridge.
    pub(crate) fn already_in_the_team(&self, id: &str, given: &str, family: &str) {
        self.postman.add_member(SimPerson::member(&email(id), given, family));
    }

    /// Switches a member off in Postman's settings.
    pub(crate) async fn switch_off(&self, id: &str) {
        let member = self.postman.members_named(&email(id)).remove(0);
        let url = format!("{}/Users/{}", self.postman.base_url(), &*member.id);
        let patch = r#"{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"replace","value":{"active":false}}]}"#;
        let http = scim_bridge::scim::plain_http(Duration::from_secs(2)).unwrap();
        let sent =
            http.patch(url).bearer_auth("PMAK").header("content-type", "application/json").body(patch).send().await;
        assert!(sent.unwrap().status().is_success());
    }

    /// The member with this id's address: names, and whether they are active.
    pub(crate) fn member(&self, id: &str) -> Option<(String, bool)> {
        let members = self.postman.members_named(&email(id));
        assert!(members.len() < 2);
        members.first().map(|member| (format!("{} {}", member.name.given_name, member.name.family_name), member.active))
    }
}

pub(crate) fn source() -> SourceName {
    SourceName::parse("hr").unwrap()
}

pub(crate) fn person(id: &str) -> Person {
    Person::parse(source(), id).unwrap()
}

pub(crate) fn email(id: &str) -> String {
    format!("{}@example.com", id.to_lowercase())
}

fn store_options() -> StoreOptions {
    let unlimited = Rate { calls: 0, window_ms: 60_000 };
    StoreOptions {
        writes: unlimited,
        reads: unlimited,
        bounds: Bounds {
            entries_max: 1_000_000,
            dead_letters_max: 1_000,
            dead_bytes_max: 1 << 20,
            story_entries_max: 64,
            story_keep_ms: 30 * 86_400_000,
        },
    }
}

/// The defaults of the configuration, except for a guard that lets everything through.
fn worker_options() -> WorkerOptions {
    let defaults = app::worker_options(&Config::of_text("").unwrap());
    WorkerOptions {
        concurrency: 4,
        call_timeout_ms: 2_000,
        plan: PlanRules { unscoped: BTreeSet::new(), ..defaults.plan },
        guard: GuardOptions { leaves_max: 1_000, leaves_percent: 100, address_changes_max: 1_000, window_ms: 1_000 },
        ..defaults
    }
}
