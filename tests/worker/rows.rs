//! Rows of a roster, applied: who gets a member that several people need.

use std::collections::HashMap;
use std::sync::Arc;

use scim_bridge::clock::{Clock, new_job_id};
use scim_bridge::core::code::Code;
use scim_bridge::core::guard::GuardOptions;
use scim_bridge::core::limiter::Rate;
use scim_bridge::core::mapping::Mapping;
use scim_bridge::core::person::job::Finished;
use scim_bridge::core::person::{Document, Email, Event, KnownMember, SourceName, Word};
use scim_bridge::core::reconcile::owner::id_key;
use scim_bridge::core::roster::Columns;
use scim_bridge::roster::{DriftOptions, HrLists, Roster, RosterOptions};
use scim_bridge::store::Store;
use scim_bridge::store::memory::Memory;
use scim_bridge::worker::Attempted::{Folded, InLine, Retry};

use crate::bench::{Bench, hire_as, person, settle, store_options, worker_options};

#[tokio::test]
async fn a_roster_row_under_a_new_id_takes_the_member_over_although_the_owner_is_busy() {
    let bench = Bench::new();
    bench.accept(hire_as("E-1", "ada@example.com", "Ada", "Lovelace", 0)).await;
    bench.attempt().await;
    bench.clock.advance_ms(61_000);
    let (import, member) = ("i".to_owned(), Some(bench.sim.members()[0].id.to_string()));
    let event = Box::new(Event { at: None, ..hire_as("E-2", "ada@example.com", "Ada", "Lovelace", 0) });
    let job = new_job_id(person("E-2").id());
    let staged = Word::Staged { import: import.clone(), job, event, leaves_at: None };
    bench.accept_words("E-2", vec![staged, Word::Apply { import, member: member.clone(), after: Vec::new() }]).await;
    // The owner has something in the inbox, too, and is processed later.
    bench.clock.advance_ms(1);
    bench.accept_words("E-1", vec![Word::Apply { import: String::new(), member, after: Vec::new() }]).await;
    assert_eq!(bench.attempt().await, Retry(Code::ScimMoving));
    assert_eq!(bench.document("E-2").await.member, None, "the member is not theirs yet");
    assert_eq!(bench.attempt().await, Folded);
    bench.clock.advance_ms(61_000);
    assert_eq!(bench.attempt_until_settled().await, InLine(Finished::Adopted), "{:?}", bench.calls());
    settle(&bench).await;
    assert_eq!(bench.document("E-1").await.record.closed.unwrap().to, person("E-2"));
    let id = bench.sim.members()[0].id.to_string();
    assert_eq!(bench.store.owner(&id_key(&id)).await.unwrap(), Some(person("E-2").id()));
}

/// Two people under one address, in one roster.
#[tokio::test]
async fn whom_a_plan_gives_an_address_first_gets_it_whoever_is_worked_on_first() {
    let bench = Bench::new();
    let row = |id: &str, given: &str| {
        let event = Event { at: None, ..hire_as(id, "ada@example.com", given, "Lovelace", 0) };
        Word::Staged {
            import: "i".to_owned(),
            job: new_job_id(person(id).id()),
            event: Box::new(event),
            leaves_at: None,
        }
    };
    let apply = |after| Word::Apply { import: "i".to_owned(), member: None, after };
    bench.accept_words("E-2", vec![row("E-2", "Bob"), apply(vec![person("E-1")])]).await;
    bench.clock.advance_ms(1);
    bench.accept_words("E-1", vec![row("E-1", "Ada"), apply(Vec::new())]).await;
    assert_eq!(bench.attempt().await, Retry(Code::ScimMoving), "it is the other's");
    settle(&bench).await;
    assert_eq!(&*bench.sim.members()[0].name.given_name, "Ada");
    let blocked = bench.document("E-2").await.trouble.unwrap();
    assert_eq!((blocked.code, bench.sim.members().len()), (Code::ScimOwned, 1));
}

/// A roster of a source of this mapping, and its store.
fn roster(mapping: &Mapping) -> (Roster, Arc<dyn Store>) {
    let free = Rate { calls: 0, window_ms: 60_000 };
    let store: Arc<dyn Store> = Arc::new(Memory::new(store_options(free)));
    let options = RosterOptions {
        columns: HashMap::from([(SourceName::parse("hr").unwrap(), Columns::of(mapping))]),
        rules: worker_options().plan,
        guard: GuardOptions { leaves_max: 1, leaves_percent: 1, address_changes_max: 1, window_ms: 1 },
        rates: (free, free),
        drift: DriftOptions::default(),
        lists: HrLists::default(),
    };
    (Roster::new(store.clone(), None, Clock::default(), options), store)
}

/// HR moves the first one away before their row is worked on: nobody waits for an address that nobody wants.
#[tokio::test]
async fn a_plan_that_hr_has_overtaken_keeps_nobody_waiting() {
    let bench = Bench::new();
    let row = |id: &str, given: &str| {
        let event = Event { at: None, ..hire_as(id, "ada@example.com", given, "Lovelace", 0) };
        let (job, event) = (new_job_id(person(id).id()), Box::new(event));
        Word::Staged { import: "i".to_owned(), job, event, leaves_at: None }
    };
    let apply = |after| Word::Apply { import: "i".to_owned(), member: None, after };
    bench.accept_words("E-1", vec![row("E-1", "Ada"), apply(Vec::new())]).await;
    bench.clock.advance_ms(1);
    let moved = Event { at: Some(bench.clock.now()), ..hire_as("E-1", "other@example.com", "Ada", "Lovelace", 0) };
    bench.accept(moved).await;
    bench.sim.inject("create:500:forever".parse().unwrap()).unwrap();
    assert!(matches!(bench.attempt().await, Retry(_)), "the first one waits for the target");
    bench.sim.clear_faults();
    bench.accept_words("E-2", vec![row("E-2", "Bob"), apply(vec![person("E-1")])]).await;
    assert_eq!(bench.attempt().await, InLine(Finished::Created));
    assert!(bench.document("E-2").await.yields_to.is_empty());
}

/// What is kept of the addresses of people whom the mapping leaves out.
async fn left_out(store: &dyn Store) -> serde_json::Value {
    let kept = store.shared("left-out:hr").await.unwrap();
    if kept.bytes.is_empty() {
        serde_json::json!([])
    } else {
        serde_json::from_slice::<serde_json::Value>(&kept.bytes).unwrap()["addresses"].clone()
    }
}

#[tokio::test]
async fn what_is_kept_of_people_left_out_ends_with_the_next_import_and_with_who_is_erased() {
    let mut mapping = Mapping::default();
    let condition = "only_if = [{ path = '/data/kind', equals = 'employee' }]";
    mapping.only_if = toml::from_str::<HashMap<String, _>>(condition).unwrap().remove("only_if").unwrap();
    let (roster, store) = roster(&mapping);
    let source = SourceName::parse("hr").unwrap();
    let row = |id: u32, kind: &str| format!("{id},p{id}@example.com,A,King,{kind}\n");
    let head = "employee_id,email,first_name,last_name,kind\n";
    let file = [head, &row(1, "employee"), &row(2, "contractor"), &row(3, "contractor")].concat();
    let imported = roster.import(&source, file.as_bytes(), false, None).await.unwrap();
    assert_eq!((imported.staged, imported.left_out), (1, 2));
    let hash = |id: u32| KnownMember::address_hash(&format!("p{id}@example.com"));
    let mut kept = [hash(2), hash(3)];
    kept.sort_unstable();
    assert_eq!(left_out(store.as_ref()).await, serde_json::json!(kept));

    let mut erased = Document::new(person("2"));
    erased.addresses = vec![Email::parse("P2@example.com").unwrap()];
    roster.forget_left_out(Some(&erased)).await.unwrap();
    assert_eq!(left_out(store.as_ref()).await, serde_json::json!([hash(3)]));

    let file = [head, &row(1, "employee")].concat();
    roster.import(&source, file.as_bytes(), false, None).await.unwrap();
    assert_eq!(left_out(store.as_ref()).await, serde_json::json!([]));
}

/// As exports of jobs or assignments have them.
#[tokio::test]
async fn a_row_that_stands_twice_is_no_refusal() {
    let (roster, _) = roster(&Mapping::default());
    let source = SourceName::parse("hr").unwrap();
    let file = "employee_id,email,first_name,last_name\n1,p@x.com,A,King\n1,p@x.com,A,King\n2,q@x.com,B,K\n";
    let imported = roster.import(&source, file.as_bytes(), false, None).await.unwrap();
    assert_eq!((imported.rows, imported.staged, imported.repeated, imported.refused_rows), (3, 2, 1, 0));
}
