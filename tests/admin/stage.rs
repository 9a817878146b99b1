//! An admin listener with an in-memory store, and short helpers to fill that store.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use scim_bridge::admin::certificates::Certificates;
use scim_bridge::admin::log_outs::LogOuts;
use scim_bridge::admin::planning::{Explain, Live};
use scim_bridge::admin::remap::{Remap, Remapped, StillUnmapped};
use scim_bridge::admin::service::AdminState;
use scim_bridge::admin::store_check::StoreCheck;
use scim_bridge::admin::tokens::{Token, TokenRole, Tokens};
use scim_bridge::admin::{Admin, AdminOptions};
use scim_bridge::app;
use scim_bridge::clock::{self, Clock};
use scim_bridge::config::Config;
use scim_bridge::core::code::Code;
use scim_bridge::core::guard::GuardOptions;
use scim_bridge::core::hold::ProbePauses;
use scim_bridge::core::json::Charset;
use scim_bridge::core::limiter::Rate;
use scim_bridge::core::mapping::{self, Mapping};
use scim_bridge::core::person::job::{Finished, JobId};
use scim_bridge::core::person::story::{Note, StoryEntry};
use scim_bridge::core::person::{
    Document, Email, EmploymentState, Entry, Event, EventKind, Facts, KnownMember, Name, OpenJob, Person, PersonId,
    SourceName, Stated, Trouble, Word,
};
use scim_bridge::core::problems::{BoundFigures, SourceFigures};
use scim_bridge::core::processes::ProcessRole;
use scim_bridge::core::reconcile::plan::PlanRules;
use scim_bridge::core::reconcile::request::Operation;
use scim_bridge::core::time::UnixMs;
use scim_bridge::lifecycle::Lifecycle;
use scim_bridge::peer::TrustedProxies;
use scim_bridge::roster::{DriftOptions, HrLists, Roster, RosterOptions};
use scim_bridge::secret::LiveSecret;
use scim_bridge::store::memory::Memory;
use scim_bridge::store::{
    Accepted, Bounds, Claim, ClaimRequest, Claimed, Commit, DeadChange, DeadRow, Lane, LaneState, NewDelivery,
    NewEntry, NewUnmapped, Store, StoreOptions,
};
use scim_bridge::telemetry::activity::ActivityLog;
use scim_bridge::telemetry::metrics::Metrics;
use scim_bridge::telemetry::store_log::StoreLog;
use tokio_util::sync::CancellationToken;

use crate::http::{Answer, send};

pub(crate) const TOKEN: &str = "a-token-for-tests";
/// The read-only token.
pub(crate) const LOOKER: &str = "a-token-to-look";
/// The time at which the tests start.
pub(crate) const NOW: UnixMs = UnixMs(1_800_000_000_000);

/// A listener and its parts.
pub(crate) struct Stage {
    pub(crate) address: SocketAddr,
    pub(crate) store: Arc<Memory>,
    pub(crate) state: AdminState,
    pub(crate) clock: Clock,
    pub(crate) lifecycle: Lifecycle,
    pub(crate) token: LiveSecret,
    pub(crate) stop: CancellationToken,
}

impl Stage {
    /// Serves on a free port.
    pub(crate) fn set() -> Self {
        let store = Arc::new(Memory::new(options()));
        let (clock, lifecycle, stop) = (Clock::manual(NOW), Lifecycle::new(), CancellationToken::new());
        let token = LiveSecret::new(TOKEN.to_owned().into());
        let state = AdminState {
            store: store.clone(),
            roster: roster(store.clone(), clock.clone()),
            health: StoreCheck::new(store.clone(), StoreLog::default(), Duration::from_secs(1)),
            clock: clock.clone(),
            tokens: tokens(token.clone()),
            lifecycle: lifecycle.clone(),
            remap: remap(),
            explain: explain(),
            live: Arc::new(Live { client: None, rules: rules() }),
            mappings: "as they are".to_owned(),
            sources: vec![SourceFigures::new(source("hr"))],
            guard: GUARD,
            bounds: BoundFigures { entries_max: 1_000, dead_letters_max: 1_000, dead_bytes_max: 1 << 20 },
            certificates: Certificates::default(),
            settings: Arc::default(),
            judged: tokio::sync::watch::Sender::default(),
            log_outs: LogOuts::default(),
            failing_secrets: tokio::sync::watch::Sender::default(),
            activity: ActivityLog::default(),
            process: "this".to_owned(),
            version: "0.0.0-test",
            started_at: NOW.minus_ms(90_000),
            role: ProcessRole::All,
            metrics: Metrics::install().unwrap(),
        };
        // `serve` tries its mappings at start; here that counts as done.
        assert_eq!(state.remap_all().now_or_never().unwrap().unwrap(), 0);
        let options = AdminOptions {
            listen: "127.0.0.1:0".to_owned(),
            hosts: vec!["bridge.example.com".to_owned()],
            // The tests' proxy uses this address.
            proxies: TrustedProxies::new(&["127.0.0.2/32".parse().unwrap()]),
        };
        let admin = Admin::bind(&options, state.clone()).unwrap();
        let address = admin.address();
        tokio::spawn(admin.serve(stop.clone()));
        lifecycle.serve();
        Self { address, store, state, clock, lifecycle, token, stop }
    }

    /// A request without a token.
    pub(crate) async fn get(&self, target: &str) -> Answer {
        send(self.address, "GET", target, &[], "").await
    }

    /// A request to the API with the full token.
    pub(crate) async fn api(&self, method: &str, target: &str, body: &str) -> Answer {
        self.api_as(TOKEN, method, target, body).await
    }

    /// A request to the API with this token.
    pub(crate) async fn api_as(&self, token: &str, method: &str, target: &str, body: &str) -> Answer {
        let bearer = format!("Bearer {token}");
        send(self.address, method, target, &[("Authorization", &bearer), ("Content-Type", "application/json")], body)
            .await
    }

    /// The problems in `status`.
    pub(crate) async fn problems(&self) -> Vec<String> {
        let status = self.api("GET", "/api/v1/status", "").await.expect(200);
        let problems = status["problems"].as_array().unwrap().iter();
        problems.map(|problem| problem["code"].as_str().unwrap().to_owned()).collect()
    }

    /// Accepts events.
    pub(crate) async fn accept(&self, events: Vec<Event>) -> Vec<JobId> {
        let now = self.clock.now();
        let entries: Vec<_> = events
            .into_iter()
            .map(|event| {
                let person = event.person.clone();
                let job = clock::new_job_id(person.id());
                let word = Word::Event { job, event: Box::new(event), letter: None };
                NewEntry { job, person, bytes: Entry { accepted_at: now, word, trace: None }.to_bytes().into() }
            })
            .collect();
        let ids = entries.iter().map(|entry| entry.job).collect();
        self.deliver(NewDelivery { source: source("hr"), dedupe: None, entries, unmapped: Vec::new() }).await;
        ids
    }

    /// Accepts a record that could not be mapped.
    pub(crate) async fn accept_unmapped(&self, source_name: &str, payload: &str) -> JobId {
        let id = clock::new_job_id(PersonId(0));
        let row = DeadRow {
            id,
            source: source(source_name),
            person: None,
            event: None,
            died_at: self.clock.now(),
            code: Code::MapField.as_str().to_owned(),
            detail: "email: missing or blank".to_owned(),
            unmapped: true,
        };
        let unmapped = vec![NewUnmapped { row, payload: Bytes::from(payload.to_owned()) }];
        self.deliver(NewDelivery { source: source(source_name), dedupe: None, entries: Vec::new(), unmapped }).await;
        id
    }

    async fn deliver(&self, delivery: NewDelivery) {
        assert_eq!(self.store.accept(self.clock.now(), delivery).await.unwrap(), Accepted::Stored);
    }

    /// Claims the next person who is due, as a worker does.
    pub(crate) async fn claim(&self) -> Claimed {
        self.try_claim().await.unwrap()
    }

    /// Claims the next person who is due; none if nobody is.
    pub(crate) async fn try_claim(&self) -> Option<Claimed> {
        let request = ClaimRequest {
            worker: "w".into(),
            number: u64::try_from(self.clock.now().0).unwrap(),
            lost_from: None,
            people_max: 1,
            lease_ms: 60_000,
            entries_max: 100,
            parked: None,
        };
        self.clock.advance_ms(1);
        match self.store.claim(self.clock.now(), &request).await.unwrap() {
            Claim::People(mut people) => Some(people.remove(0)),
            Claim::Nobody { .. } => None,
        }
    }

    /// Folds the inbox of the next person who is due, and leaves them in this state.
    pub(crate) async fn leave_next(&self, state: LaneState, change: impl FnOnce(&mut Document)) -> Person {
        let claimed = self.claim().await;
        self.leave(claimed, state, change).await
    }

    /// Folds a person's inbox, and leaves them in this state.
    pub(crate) async fn leave(&self, claimed: Claimed, state: LaneState, change: impl FnOnce(&mut Document)) -> Person {
        let now = self.clock.now();
        let mut document = claimed.document.as_deref().map(|bytes| Document::from_bytes(bytes).unwrap());
        let mut story = Vec::new();
        for entry in &claimed.inbox {
            let Word::Event { job, event, .. } = Entry::from_bytes(&entry.bytes).unwrap().word else { continue };
            let document = document.get_or_insert_with(|| Document::new(event.person.clone()));
            document.record.fold(&event, now, entry.seq);
            document.open.push(OpenJob { id: job, kind: event.kind, accepted_at: now, from: None, trace: None });
            let facts = event.facts.names().into_iter().map(str::to_owned).collect();
            let note = Note::Received { job, kind: event.kind, told_at: None, facts, news: Vec::new() };
            story.push(StoryEntry { at: now, note });
        }
        let mut document = document.unwrap();
        let terms_before = if claimed.document.is_some() { document.search_terms() } else { Vec::new() };
        change(&mut document);
        let status = Some(409);
        story.push(StoryEntry {
            at: now,
            note: Note::Called {
                operation: Operation::Create,
                status,
                meaning: "set by the test".to_owned(),
                ms: 7,
                detail: Some("This person is already a member.".to_owned()),
            },
        });
        if state == LaneState::Idle {
            let ended = document.open.drain(..).map(|job| Note::Ended { job: job.id, outcome: Finished::Created });
            story.extend(ended.map(|note| StoryEntry { at: now, note }));
        }
        let dead = document.trouble.as_ref().map_or(DeadChange::None, |trouble| {
            DeadChange::Is(Box::new(DeadRow {
                id: trouble.id,
                source: document.person.source.clone(),
                person: Some(document.person.clone()),
                event: document.open.last().map(|job| job.kind),
                died_at: trouble.since,
                code: trouble.code.as_str().to_owned(),
                detail: trouble.detail.clone(),
                unmapped: false,
            }))
        });
        let waits_for_another = document.trouble.as_ref().is_some_and(|trouble| trouble.code == Code::ScimOwned);
        let tag = match state {
            LaneState::Held => Some("deactivations".to_owned()),
            LaneState::Blocked if waits_for_another => Some("owned:id:405775".to_owned()),
            _ => None,
        };
        let commit = Commit {
            document: Some(document.to_bytes().into()),
            person: document.person.clone(),
            consumed_to: claimed.inbox.last().map(|entry| entry.seq),
            lane: Lane { state, due: None, wakes: true, tag },
            story: story.iter().map(|entry| entry.to_bytes().into()).collect(),
            terms_added: document.search_terms(),
            terms_removed: terms_before.into_iter().filter(|term| !document.search_terms().contains(term)).collect(),
            disowned: Vec::new(),
            released: Vec::new(),
            outgoing: Vec::new(),
            dead,
        };
        self.store.commit(now, &claimed.lease, commit).await.unwrap();
        document.person
    }

    /// Blocks the next person who is due.
    pub(crate) async fn add_dead_letter(&self, code: Code, detail: &str) -> JobId {
        let now = self.clock.now();
        let mut id = None;
        self.leave_next(LaneState::Blocked, |document| {
            let newest = document.open.last().unwrap().id;
            id = Some(newest);
            document.trouble =
                Some(Trouble { id: newest, code, detail: detail.to_owned(), since: now, tried_at: None });
        })
        .await;
        id.unwrap()
    }

    /// Brings the next person who is due in sync.
    pub(crate) async fn finish_next(&self) -> Person {
        let now = self.clock.now();
        self.leave_next(LaneState::Idle, |document| document.member = Some(member(document, now))).await
    }
}

fn member(document: &Document, seen_at: UnixMs) -> KnownMember {
    KnownMember {
        id: Some("405775".to_owned()),
        user_name: document.record.email().map(|email| email.lower().to_owned()).unwrap_or_default(),
        given_name: document.record.given_name().map(str::to_owned),
        family_name: document.record.family_name().map(str::to_owned),
        active: Some(true),
        seen_at,
        created_at: Some(seen_at),
        is_unshown: false,
        user_name_written_at: None,
        address_hashes_before: Vec::new(),
        name_hashes_before: Vec::new(),
        names_written_at: None,
        active_written_at: None,
        open_writes: Vec::new(),
    }
}

fn tokens(full: LiveSecret) -> Tokens {
    let token = |name: &str, role, secret| Token { name: name.to_owned(), role, secret };
    let looker = LiveSecret::new(LOOKER.to_owned().into());
    Tokens::new(vec![token("admin", TokenRole::Full, full), token("looker", TokenRole::ReadOnly, looker)])
}

/// A mapping that reads `hire ID`, ignores `ignored`, and cannot read anything else. Source `gone`, which is no longer
/// configured, sent the kept payloads.
fn remap() -> Remap {
    Arc::new(|source, payload| {
        if source.as_str() == "gone" {
            return None;
        }
        let text = String::from_utf8_lossy(payload).into_owned();
        Some(match text.strip_prefix("hire ") {
            Some(id) => Remapped { events: vec![hire(id, "Ada", "Lovelace")], ..Remapped::default() },
            None if text == "ignored" => Remapped { ignored: 1, ..Remapped::default() },
            None => Remapped {
                unmapped: vec![StillUnmapped {
                    person: None,
                    code: Code::MapField,
                    detail: "email: missing or blank".to_owned(),
                    payload: Bytes::copy_from_slice(payload),
                }],
                ..Remapped::default()
            },
        })
    })
}

fn options() -> StoreOptions {
    let rate = Rate { calls: 0, window_ms: 60_000 };
    let bounds = Bounds {
        entries_max: 10_000,
        dead_letters_max: 10_000,
        dead_bytes_max: 1 << 20,
        story_entries_max: 100,
        story_keep_ms: 86_400_000,
    };
    StoreOptions { writes: rate, reads: rate, bounds }
}

pub(crate) fn source(name: &str) -> SourceName {
    SourceName::parse(name).unwrap()
}

fn event(employee_id: &str, kind: EventKind, facts: Facts) -> Event {
    Event { person: Person::parse(source("hr"), employee_id).unwrap(), kind, at: None, facts }
}

#[expect(clippy::unnecessary_wraps, reason = "as a fact is held")]
fn name(field: &'static str, text: &str) -> Option<Stated<Name>> {
    Some(Name::parse(field, text).unwrap().map_or(Stated::None, Stated::Is))
}

/// A hire of somebody with this name; the address is derived from the id.
pub(crate) fn hire(employee_id: &str, given: &str, family: &str) -> Event {
    let local: String = employee_id.chars().filter(char::is_ascii_alphanumeric).collect();
    let facts = Facts {
        employment: Some((EmploymentState::Employed, None)),
        email: Some(Email::parse(&format!("p{local}@example.com")).unwrap()),
        given_name: name("given_name", given),
        family_name: name("family_name", family),
        locale: None,
        ..Facts::default()
    };
    event(employee_id, EventKind::Hire, facts)
}

/// A change of the family name.
pub(crate) fn rename(employee_id: &str, family: &str) -> Event {
    event(employee_id, EventKind::Update, Facts { family_name: name("family_name", family), ..Facts::default() })
}

/// They have left.
pub(crate) fn leave(employee_id: &str) -> Event {
    let facts = Facts { employment: Some((EmploymentState::Left, None)), ..Facts::default() };
    event(employee_id, EventKind::Leave, facts)
}

/// Pauses between probes of holds.
pub(crate) const PAUSES: ProbePauses = ProbePauses { first_ms: 30_000, max_ms: 300_000 };
const GUARD: GuardOptions =
    GuardOptions { leaves_max: 5, leaves_percent: 0, address_changes_max: 5, window_ms: 86_400_000 };

/// What is read from JSON in the default format.
fn explain() -> Explain {
    let mapping: Mapping = toml::from_str(
        "type = '/type'\nhire = ['hire']\nemployee_id = '/id'\nemail = '/email'\ngiven_name = '/given'\nfamily_name = '/family'",
    )
    .unwrap();
    Arc::new(move |source, payload, show| {
        (source.as_str() != "gone").then(|| mapping::explain(&mapping, source, payload, Charset::utf8(), show))
    })
}

fn rules() -> PlanRules {
    let defaults = app::plan_rules(&Config::of_text("").unwrap());
    PlanRules { read_lag_ms: 0, changes_addresses: false, pages_max: 1, ..defaults }
}

/// No files, and a target without limits.
fn roster(store: Arc<Memory>, clock: Clock) -> Roster {
    let free = Rate { calls: 0, window_ms: 60_000 };
    Roster::new(
        store,
        None,
        clock,
        RosterOptions {
            columns: HashMap::new(),
            rules: rules(),
            guard: GUARD,
            rates: (free, free),
            drift: DriftOptions::default(),
            lists: HrLists::default(),
        },
    )
}
