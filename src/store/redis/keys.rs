//! The keys: few, all under one hash tag, so that they are in one slot of a cluster.

/// What follows the prefix, in the order in which `lua/prelude.lua` names them.
const NAMES: [&str; 23] = [
    "schema", // string: the version of all that follows
    "ctl",    // hash: seq, fence, write_tat_us, read_tat_us, live, parked, pings, identity; and what
    //                 lua/prelude.lua, lua/seen.lua and lua/make_room.lua keep
    "hold:all",     // hash: see lua/holds.lua
    "hold:creates", // hash
    "job",          // hash: id -> record, see lua/jobs.lua
    "lane",         // hash: person -> record, see lua/lanes.lua
    "directory",    // hash: person -> JSON
    "due:h",        // zset: reference of a due lane's head, a hire -> since or from when
    "due:r",        // zset: the same for renames
    "lease:h",      // zset: reference of a leased lane's job, a hire -> until when
    "lease:r",      // zset: the same for renames
    "parked",       // zset: person -> how many jobs wait
    "queue",        // zset, all of one score: person LF reference of a job behind its lane's own
    "live",         // hash: segment -> ids of jobs in lanes, see lua/live.lua
    "live:order",   // zset, all of one score: the segments
    "dead",         // zset, all of one score: ids of dead letters
    "done",         // zset: reference of a finished job -> when it finished
    "done:ids",     // zset, all of one score: ids of finished jobs
    "kept",         // zset, all of one score: person LF reference of a job that is dead or finished
    "unmapped",     // zset, all of one score: person LF id of a record that could not be mapped
    "ended",        // hash: id -> how it ended: `d at outcome`, `x at code LF detail`, or `u at code
    //                 source LF person LF detail LF payload`
    "seen", // hash: segment -> remembered deliveries, see lua/seen.lua
    "wake", // no key: the channel of the wake-ups
];

/// The keys of one store.
pub(super) struct Keys(Vec<String>);

impl Keys {
    pub(super) fn new(prefix: &str) -> Self {
        Self(NAMES.iter().map(|name| format!("{{{prefix}}}:{name}")).collect())
    }

    pub(super) fn all(&self) -> Vec<&str> {
        self.0.iter().map(String::as_str).collect()
    }
}
