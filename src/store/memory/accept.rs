//! Accepting deliveries: duplicates and bounds.

use super::state::{Remembered, State};
use crate::core::person::SourceName;
use crate::core::time::UnixMs;
use crate::store::{Accepted, FullBound, NewDelivery, StoreOptions, share_of_source};

impl State {
    pub(super) fn accept(&mut self, options: &StoreOptions, now: UnixMs, mut delivery: NewDelivery) -> Accepted {
        let known = delivery.dedupe.and_then(|dedupe| {
            let remembered = self.remembered.get(&dedupe.key).filter(|remembered| remembered.until > now)?;
            Some((dedupe, remembered.ids.clone(), remembered.says))
        });
        if let Some((dedupe, ids, said)) = known {
            if dedupe.only_while_newest {
                delivery.entries.retain(|entry| {
                    let stored = self.people.get(&entry.person.id());
                    stored.is_none_or(|stored| stored.newest != Some(dedupe.key))
                });
            }
            if !dedupe.only_while_newest || delivery.entries.is_empty() {
                return Accepted::known(ids, said, &dedupe);
            }
        }
        if let Some(bound) = self.bound_reached(options, &delivery) {
            return Accepted::Full(bound);
        }
        if let Some(dedupe) = delivery.dedupe {
            let ids = delivery.ids().collect();
            let (until, says) = (now.plus_ms(dedupe.remember_ms), dedupe.remembered_says());
            self.remembered.insert(dedupe.key, Remembered { until, ids, says });
        }
        let newest = delivery.dedupe.filter(|dedupe| dedupe.only_while_newest).map(|dedupe| dedupe.key);
        for entry in delivery.entries {
            self.append(now, entry).newest = newest;
        }
        self.put_dead(delivery.unmapped);
        Accepted::Stored
    }

    /// The bound that a delivery would exceed.
    fn bound_reached(&self, options: &StoreOptions, delivery: &NewDelivery) -> Option<FullBound> {
        let bounds = options.bounds;
        let entries = self.people.values().map(|stored| (&stored.source, stored.inbox.len() as u64));
        let letters = self.dead.values().map(|letter| (&letter.row.source, 1));
        let payloads = self.dead.values().map(|letter| (&letter.row.source, letter.payload_bytes()));
        let more_bytes = delivery.unmapped.iter().map(|unmapped| unmapped.payload.len() as u64).sum();
        let source = &delivery.source;
        if !fits(delivery.entries.len() as u64, bounds.entries_max, source, entries) {
            Some(FullBound::Entries)
        } else if !fits(delivery.unmapped.len() as u64, bounds.dead_letters_max, source, letters) {
            Some(FullBound::DeadLetters)
        } else if !fits(more_bytes, bounds.dead_bytes_max, source, payloads) {
            Some(FullBound::DeadBytes)
        } else {
            None
        }
    }
}

/// Whether this source may have more, given what each source has.
fn fits<'a>(more: u64, max: u64, source: &SourceName, taken: impl Iterator<Item = (&'a SourceName, u64)>) -> bool {
    let (mut all, mut mine) = (0, 0);
    for (whose, taken) in taken {
        all += taken;
        mine += if whose == source { taken } else { 0 };
    }
    more == 0 || mine + more <= share_of_source(max, all, mine)
}
