//! People who leave the scope of a source's rules, and return, on every engine.

use scim_bridge::core::person::job::Finished;
use scim_bridge::core::person::{Event, EventKind, Facts, Scope};
use scim_bridge::core::time::UnixMs;
use scim_bridge::store::LaneState;
use scim_bridge::worker::Attempted::{Folded, InLine};

use crate::bench::{Bench, hire, person};
use crate::engines::on_every_engine;

on_every_engine!(any_update_back_in_scope_switches_a_person_on, an_announced_move_out_of_scope_takes_effect_on_its_day,);

const BEGIN: i64 = 1_795_341_500_000;

fn scoped(ms: i64, scope: Scope, from: Option<UnixMs>) -> Event {
    let kind = if scope == Scope::Out { EventKind::Leave } else { EventKind::Update };
    let facts = Facts { scope: Some((scope, from)), ..Facts::default() };
    Event { person: person("E-1"), kind, at: Some(UnixMs(BEGIN + ms)), facts }
}

async fn hired(bench: &Bench) {
    bench.accept(Event { at: Some(UnixMs(BEGIN)), ..hire("E-1", "Ada", "Lovelace") }).await;
    assert_eq!(bench.attempt().await, InLine(Finished::Created));
    bench.clock.advance_ms(61_000);
}

async fn any_update_back_in_scope_switches_a_person_on(bench: Bench) {
    hired(&bench).await;
    bench.accept(scoped(1, Scope::In, None)).await;
    assert_eq!(bench.attempt().await, Folded, "they were in scope already");
    bench.accept(scoped(2, Scope::Out, None)).await;
    assert_eq!(bench.attempt().await, InLine(Finished::Deactivated));
    assert_eq!(bench.document("E-1").await.format, 2);
    bench.clock.advance_ms(61_000);
    bench.accept(scoped(3, Scope::In, None)).await;
    assert_eq!(bench.attempt().await, InLine(Finished::Updated));
    assert!(bench.sim.members()[0].active);
    // A late event is outdated.
    bench.accept(scoped(2, Scope::Out, None)).await;
    assert_eq!(bench.attempt().await, Folded);
    assert!(bench.sim.members()[0].active);
}

async fn an_announced_move_out_of_scope_takes_effect_on_its_day(bench: Bench) {
    hired(&bench).await;
    let day = bench.clock.now().plus_ms(3_600_000);
    bench.accept(scoped(1, Scope::Out, Some(day))).await;
    bench.attempt().await;
    assert_eq!((bench.state("E-1").await, bench.sim.members()[0].active), (LaneState::Scheduled, true));
    bench.clock.advance_ms(3_600_001);
    assert_eq!(bench.attempt().await, InLine(Finished::Deactivated));
}
