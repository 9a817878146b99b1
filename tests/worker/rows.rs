//! Rows of a roster, applied: who gets a member that several people need.

use scim_bridge::clock::new_job_id;
use scim_bridge::core::code::Code;
use scim_bridge::core::person::job::Finished;
use scim_bridge::core::person::{Event, Word};
use scim_bridge::core::reconcile::owner::id_key;
use scim_bridge::worker::Attempted::{Folded, InLine, Retry};

use crate::bench::{Bench, person};
use crate::owners::{hire_as, settle};

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
    assert_eq!(bench.sim.members()[0].name.given_name, "Ada");
    let blocked = bench.document("E-2").await.trouble.unwrap();
    assert_eq!((blocked.code, bench.sim.members().len()), (Code::ScimOwned, 1));
}
