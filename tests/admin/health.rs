//! Alive, ready, metrics.

use std::collections::{BTreeMap, BTreeSet};

use scim_bridge::core::code::Code;
use scim_bridge::core::hold::HoldScope;
use scim_bridge::store::holds::SharedHolds;
use scim_bridge::telemetry::metrics::{FAMILIES, Type};

use crate::stage::{Stage, hire, rename};

#[tokio::test]
async fn a_serving_process_is_alive_and_ready() {
    let stage = Stage::set();
    assert_eq!(stage.get("/livez").await.status, 200);
    let ready = stage.get("/readyz").await.expect(200);
    assert_eq!(ready, serde_json::json!({"ready": true, "reasons": []}));
}

#[tokio::test]
async fn a_stopping_process_is_alive_and_not_ready() {
    let stage = Stage::set();
    stage.lifecycle.stop();
    assert_eq!(stage.get("/livez").await.status, 200);
    let ready = stage.get("/readyz").await.expect(503);
    assert_eq!(ready["reasons"], serde_json::json!(["stopping"]));
}

#[tokio::test]
async fn the_listener_closes_when_it_is_told_to() {
    let stage = Stage::set();
    assert_eq!(stage.get("/livez").await.status, 200);
    stage.stop.cancel();
    let closed = async {
        while tokio::net::TcpStream::connect(stage.address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_mins(2), closed).await.unwrap();
}

/// One test scrapes: the recorder belongs to the process, so two stages would set the same gauges.
#[tokio::test]
async fn metrics_are_well_formed_mirror_the_store_and_name_nobody() {
    let stage = Stage::set();
    stage.accept(vec![hire("E-1", "Ada", "Lovelace"), rename("E-1", "King")]).await;
    stage.add_dead_letter(Code::ScimElsewhere, "").await;
    stage.accept(vec![hire("E-2", "Grace", "Hopper")]).await;
    let holds = SharedHolds::new(stage.store.clone(), stage.clock.clone(), crate::stage::PAUSES);
    holds.set(&HoldScope::Creates, Code::HoldSeats, None).await.unwrap();
    stage.clock.advance_ms(30_000);
    stage.state.beat().await;

    let answer = stage.get("/metrics").await;
    assert_eq!(answer.status, 200);
    assert!(answer.header("content-type").unwrap().starts_with("text/plain; version=0.0.4"));
    let samples = parse(&answer.body);
    assert_eq!(samples["scim_bridge_jobs{state=\"blocked\"}"], "1");
    assert_eq!(samples["scim_bridge_jobs{state=\"waiting\"}"], "1");
    assert_eq!(samples["scim_bridge_inbox_entries{source=\"hr\"}"], "1");
    let none_waits = "scim_bridge_inbox_entries{source=\"not-in-hr\"}";
    assert_eq!(samples[none_waits], "0", "a gauge goes back to zero");
    assert_eq!(samples["scim_bridge_dead_letters_by_code{code=\"SCIM-409-ELSEWHERE\"}"], "1");
    assert_eq!(samples["scim_bridge_problems"], "2");
    assert_eq!(samples["scim_bridge_processes{role=\"all\"}"], "1");
    assert_eq!(samples["scim_bridge_dead_letters"], "1");
    assert_eq!(samples["scim_bridge_hold{scope=\"creates\"}"], "1");
    assert_eq!(samples["scim_bridge_hold{scope=\"all\"}"], "0");
    assert_eq!(samples["scim_bridge_store_up"], "1");
    assert_eq!(samples["scim_bridge_leases_lost_total"], "0");
    for personal in ["ada", "Ada", "Lovelace", "E-1", "example.com"] {
        assert!(!answer.body.contains(personal), "{personal}");
    }
}

/// Parses the text format strictly: HELP and TYPE before the samples of a family, each family once, no sample twice,
/// every family and label of the bridge declared.
fn parse(text: &str) -> BTreeMap<String, String> {
    let (mut samples, mut families, mut helped) = (BTreeMap::new(), BTreeSet::new(), BTreeSet::new());
    let mut family = "";
    assert!(text.ends_with('\n'));
    for line in text.lines().filter(|line| !line.is_empty()) {
        if let Some(help) = line.strip_prefix("# HELP ") {
            assert!(helped.insert(help.split_once(' ').unwrap().0), "{line}");
        } else if let Some(kind) = line.strip_prefix("# TYPE ") {
            let (name, kind) = kind.split_once(' ').unwrap();
            assert!(families.insert(name), "twice: {line}");
            let declared = FAMILIES.iter().find(|f| f.name == name).unwrap_or_else(|| panic!("undeclared: {line}"));
            let expected = match declared.kind {
                Type::Counter => "counter",
                Type::Gauge => "gauge",
                Type::Histogram(_) => "histogram",
            };
            assert_eq!(kind, expected, "{line}");
            assert!(helped.contains(name), "no help: {line}");
            family = name;
        } else {
            let (series, value) = line.rsplit_once(' ').unwrap();
            assert!(series.starts_with(family), "{line} under {family}");
            let labels = series.split_once('{').map_or("", |(_, labels)| labels.trim_end_matches('}'));
            let declared = FAMILIES.iter().find(|f| f.name == family).unwrap();
            for label in labels.split(',').filter(|l| !l.is_empty()).map(|l| l.split_once('=').unwrap().0) {
                assert!(label == "le" || declared.labels.contains(&label), "{line}");
            }
            assert!(value.parse::<f64>().is_ok(), "{line}");
            assert!(samples.insert(series.to_owned(), value.to_owned()).is_none(), "twice: {line}");
        }
    }
    samples
}
