//! What must be true when the dust has settled.

use std::collections::BTreeMap;

use scim_bridge::postman_sim::{Operation, PostmanSim};

/// For each person, how many events were accepted: a hire (0), then renames.
pub(crate) type Accepted = BTreeMap<String, u32>;

/// Checks every accepted event against the stand-in's journal; tells how many there were.
pub(crate) fn every_event_is_applied_once_and_in_order(sim: &PostmanSim, accepted: &Accepted) -> u32 {
    let written = written(sim);
    let mut events = 0;
    for (person, count) in accepted {
        events += count;
        let names = written.get(person).unwrap_or_else(|| panic!("{person}: nothing was applied"));
        assert!(names.is_sorted_by(|a, b| a < b), "{person}: out of order or twice: {names:?}");
        assert_eq!(names.len(), usize::try_from(*count).unwrap(), "{person}: one write for each event: {names:?}");
        let members = sim.members_named(&format!("{}@example.com", person.to_lowercase()));
        assert_eq!(members.len(), 1, "{person}: one member");
        assert_eq!(&*members[0].name.given_name, format!("Name{}", count - 1), "{person}");
    }
    assert_eq!(sim.members().len(), accepted.len(), "nobody else is in the team");
    events
}

/// For each person: the numbers of the names that were written, in order.
fn written(sim: &PostmanSim) -> BTreeMap<String, Vec<u32>> {
    let mut written: BTreeMap<String, Vec<u32>> = BTreeMap::new();
    for call in sim.journal() {
        if !call.applied || !matches!(call.operation, Operation::Create | Operation::Replace) {
            continue;
        }
        let person = call.user_name.unwrap().trim_end_matches("@example.com").to_uppercase();
        let n = call.given_name.unwrap().trim_start_matches("Name").parse().unwrap();
        written.entry(person).or_default().push(n);
    }
    written
}
