//! An address that changes while the outcome of the create under the previous one is unknown: in the end there is one
//! member, under the new address.

use rustix::process::Signal;
use scim_bridge::postman_sim::{Fault, PostmanSim};
use serde_json::json;

use crate::process::{Bridge, Home, called, http, payload, post, sim};

/// A hire whose create took effect but hangs, and another address in the meantime.
async fn hired_and_moved(sim: &PostmanSim, bridge: &Bridge) {
    sim.inject("create:hang:1:after".parse::<Fault>().unwrap()).unwrap();
    let hire = payload("employee.hired", "E-1", "Ada", "Lovelace");
    post(&http(), &bridge.listen, "m1", &hire).await.unwrap();
    called(sim).await;
    let data = json!({ "employee_id": "E-1", "email": "ada@example.com" });
    let moved = json!({ "type": "employee.updated", "data": data }).to_string();
    post(&http(), &bridge.listen, "m2", &moved).await.unwrap();
}

async fn is_one_member_under_the_new_address(sim: &PostmanSim, bridge: &Bridge) {
    bridge.settled().await;
    let addresses: Vec<_> = sim.members().iter().map(|member| member.user_name.to_string()).collect();
    assert_eq!(addresses, ["ada@example.com"], "{:?}", sim.journal());
    assert_eq!(bridge.jobs(&["dead"]).await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_create_that_timed_out_is_looked_for_under_its_own_address() {
    let sim = sim();
    let home = Home::new(&sim, "");
    let bridge = home.serve();
    hired_and_moved(&sim, &bridge).await;
    is_one_member_under_the_new_address(&sim, &bridge).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_create_that_a_killed_process_made_is_looked_for_under_its_own_address() {
    let sim = sim();
    let home = Home::new(&sim, "");
    let bridge = home.serve();
    hired_and_moved(&sim, &bridge).await;
    bridge.signal(Signal::KILL);
    bridge.ended();
    let bridge = home.serve();
    is_one_member_under_the_new_address(&sim, &bridge).await;
}
