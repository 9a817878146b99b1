//! What must be true when everything has settled: the newest value of each fact is in effect, once.

use std::collections::BTreeMap;

use scim_bridge::postman_sim::{Entry, Member, Operation, PostmanSim};

use crate::words::{Truth, family_name, given_name, number, owner};

/// For each person, how many of the words about them were accepted: always the first ones.
pub(crate) type Accepted = BTreeMap<String, u32>;

/// Checks the team, and every write that was carried out, against what HR said; returns how many words there were.
/// Values that newer words replaced need never have been written.
pub(crate) fn the_newest_facts_took_effect_once(sim: &PostmanSim, accepted: &Accepted) -> u32 {
    let mut team: BTreeMap<String, Vec<Member>> = BTreeMap::new();
    for member in sim.members() {
        team.entry(owner(&member.user_name).0).or_default().push(member);
    }
    let mut writes = Writes::by_person(sim);
    for (person, count) in accepted {
        let key = person.to_lowercase();
        in_effect(person, &team.remove(&key).unwrap_or_default(), Truth::after(person, *count));
        writes.remove(&key).unwrap_or_default().check(person);
    }
    assert!(team.is_empty(), "nobody else is in the team: {:?}", team.keys());
    accepted.values().sum()
}

fn in_effect(person: &str, members: &[Member], truth: Truth) {
    assert!(members.len() <= 1, "{person}: {} members", members.len());
    let Some(member) = members.first() else {
        // Hired and left before anybody looked: nobody is invited for that.
        assert!(!truth.employed, "{person}: is employed, and not in the team");
        return;
    };
    assert_eq!(member.active, truth.employed, "{person}: {truth:?}");
    assert_eq!(&*member.name.given_name, given_name(truth.given), "{person}: {truth:?}");
    assert_eq!(&*member.name.family_name, family_name(truth.family), "{person}: {truth:?}");
    assert_eq!(owner(&member.user_name).1, truth.address, "{person}: {truth:?}");
}

/// What was written about a person, in order.
#[derive(Debug, Default)]
struct Writes {
    creates: u32,
    names: Vec<(u32, u32)>,
    addresses: Vec<u32>,
    switches: Vec<bool>,
    /// A switch since the last one that is in effect had no answer, or an error: what it may have set is written over
    /// without trusting a read.
    is_unsure: bool,
}

impl Writes {
    fn by_person(sim: &PostmanSim) -> BTreeMap<String, Self> {
        let mut people: BTreeMap<Box<str>, String> = BTreeMap::new();
        let mut writes: BTreeMap<String, Self> = BTreeMap::new();
        for call in sim.journal() {
            if !call.applied {
                let person = call.id.as_ref().and_then(|id| people.get(id));
                if let Some(known) = person.and_then(|person| writes.get_mut(person)) {
                    let is_switch = matches!(call.operation, Operation::Activate | Operation::Deactivate);
                    known.is_unsure |= is_switch && call.status.is_none_or(|status| status >= 500);
                }
                continue;
            }
            let id = call.id.clone().unwrap();
            if call.operation == Operation::Create {
                people.insert(id.clone(), owner(call.user_name.as_deref().unwrap()).0);
            }
            writes.entry(people[&id].clone()).or_default().note(&call);
        }
        writes
    }

    fn note(&mut self, call: &Entry) {
        match call.operation {
            Operation::Create => {
                self.creates += 1;
                self.names.push(names(call));
                self.addresses.push(owner(call.user_name.as_deref().unwrap()).1);
                self.switches.push(true);
            }
            Operation::Replace => self.names.push(names(call)),
            Operation::SetUserName => self.addresses.push(owner(call.user_name.as_deref().unwrap()).1),
            Operation::Activate => self.switch(true),
            Operation::Deactivate => self.switch(false),
            other => panic!("a write of another kind: {}", other.as_str()),
        }
    }

    fn switch(&mut self, active: bool) {
        let was_unsure = std::mem::take(&mut self.is_unsure);
        if !(was_unsure && self.switches.last() == Some(&active)) {
            self.switches.push(active);
        }
    }

    /// Nothing was written twice, and never an older value over a newer one.
    fn check(&self, person: &str) {
        assert!(self.creates <= 1, "{person}: created twice");
        let grows = |(a, b): &(u32, u32), (c, d): &(u32, u32)| a <= c && b <= d && (a, b) != (c, d);
        assert!(self.names.is_sorted_by(grows), "{person}: names twice or out of order: {:?}", self.names);
        assert!(self.addresses.is_sorted_by(|a, b| a < b), "{person}: addresses: {:?}", self.addresses);
        assert!(self.switches.is_sorted_by(|a, b| a != b), "{person}: switched twice: {:?}", self.switches);
    }
}

fn names(call: &Entry) -> (u32, u32) {
    (number(call.given_name.as_deref().unwrap()), number(call.family_name.as_deref().unwrap()))
}
