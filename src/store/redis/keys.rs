//! The keys: all under one hash tag, so that they are in one slot of a cluster.

use crate::core::person::PersonId;

/// The fixed keys: their names in Lua, and what follows the prefix.
pub(super) const FIXED: [(&str, &str); 23] = [
    ("SCHEMA", "schema"),          // string: the version of all that follows
    ("CTL", "ctl"),                // hash: seq, fence, people, tats, and what lua/prelude.lua and lua/tidy.lua keep
    ("FRESH", "fresh"),            // list: people due since they were added; see lua/lane.lua
    ("WAITING", "waiting"),        // zset by since: other people who wait
    ("IDLE", "idle"),              // zset by since, as the next four
    ("HELD", "held"),              //
    ("SCHEDULED", "scheduled"),    //
    ("INCOMPLETE", "incomplete"),  //
    ("BLOCKED", "blocked"),        //
    ("DUE", "due"),                // zset: people due at a time, except those in `fresh`
    ("LEASES", "leases"),          // zset: leased people, by the end of the lease
    ("LEASED", "leased"),          // hash: the leases
    ("ENTRIES", "entries"),        // hash: source -> entries in inboxes
    ("TERMS", "terms"),            // zset of one score: word, a zero, person
    ("OWNERS", "owners"),          // hash: key -> person
    ("SHARED", "shared"),          // hash: name -> version and document
    ("DEAD", "dead"),              // hash: id -> dead letter; see lua/dead_rows.lua
    ("DEAD_AT", "dead:at"),        // zset: id, by the time it became a dead letter
    ("DEAD_OF", "dead:of"),        // hash: person -> id of their dead letter
    ("DEAD_COUNT", "dead:count"),  // hash: counts of dead letters
    ("PAYLOADS", "dead:payloads"), // hash: id -> record as received
    ("UNMAPPED", "dead:unmapped"), // zset of one score: person and id
    ("WAKE", "wake"),              // no key: the channel of the wake-ups
];

/// The kind of a person's key: a letter after the prefix, followed by their number (8 bytes).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Of {
    /// Lane and inbox: see `lua/lane.lua`.
    Lane,
    /// The document.
    Document,
    /// Story: a list.
    Story,
    /// Search terms and claims: a hash, see `lua/commit.lua`.
    Words,
}

impl Of {
    fn letter(self) -> u8 {
        match self {
            Self::Lane => b'l',
            Self::Document => b'd',
            Self::Story => b's',
            Self::Words => b'k',
        }
    }
}

/// How many bits a person's number has beyond those of their bucket.
const BUCKET_BITS: u32 = 50;
/// Sets of people: see `number_of` in `lua/lane.lua`.
pub(super) const BUCKETS: u64 = 1 << 12;

/// The set that contains a person, and the person's number there.
pub(super) fn bucket_of(person: PersonId) -> (u64, u64) {
    (person.0 >> BUCKET_BITS, person.0 & ((1 << BUCKET_BITS) - 1))
}

/// The person whose number is in a set.
pub(super) fn in_bucket(bucket: u64, number: u64) -> PersonId {
    PersonId(bucket << BUCKET_BITS | number)
}

/// The keys of one store.
pub(super) struct Keys {
    root: String,
    fixed: Vec<String>,
}

impl Keys {
    pub(super) fn new(root: String) -> Self {
        let fixed = FIXED.iter().map(|(_, name)| format!("{root}{name}")).collect();
        Self { root, fixed }
    }

    /// A fixed key by its place in [`FIXED`].
    pub(super) fn fixed(&self, place: usize) -> &[u8] {
        self.fixed.get(place).map_or(&[], |key| key.as_bytes())
    }

    /// A fixed key by its name in Lua.
    pub(super) fn named(&self, name: &str) -> Vec<u8> {
        let place = FIXED.iter().position(|(lua, _)| *lua == name).unwrap_or_default();
        self.fixed(place).to_vec()
    }

    /// One of a person's keys.
    pub(super) fn of(&self, of: Of, person: PersonId) -> Vec<u8> {
        let mut key = Vec::with_capacity(self.root.len() + 9);
        key.extend(self.root.as_bytes());
        key.push(of.letter());
        key.extend(person.0.to_be_bytes());
        key
    }

    /// All of a person's keys, in the order in which scripts take them.
    pub(super) fn of_person(&self, person: PersonId) -> Vec<Vec<u8>> {
        [Of::Lane, Of::Document, Of::Story, Of::Words].map(|of| self.of(of, person)).into()
    }

    /// The key of a remembered delivery. No other key has 16 bytes after the prefix, except a tag of that length,
    /// which begins with `t:`.
    pub(super) fn delivery(&self, key: [u8; 16]) -> Vec<u8> {
        [self.root.as_bytes(), &key].concat()
    }

    /// The pattern of all remembered deliveries' keys.
    pub(super) fn deliveries(&self) -> String {
        let mut pattern = String::new();
        for c in self.root.chars() {
            if matches!(c, '*' | '?' | '[' | ']' | '\\') {
                pattern.push('\\');
            }
            pattern.push(c);
        }
        pattern + &"?".repeat(16)
    }

    /// The key of the people parked under a tag.
    pub(super) fn tag(&self, tag: &str) -> Vec<u8> {
        format!("{}t:{tag}", self.root).into_bytes()
    }

    /// The key of the people whose numbers begin with these 12 bits.
    pub(super) fn bucket(&self, bucket: u64) -> Vec<u8> {
        format!("{}n{bucket:03x}", self.root).into_bytes()
    }

    /// A key in a form for logs: people by their numbers, deliveries not at all.
    pub(super) fn shown(&self, key: &[u8]) -> String {
        let Some(name) = key.strip_prefix(self.root.as_bytes()) else { return "a key of another store".to_owned() };
        if self.fixed.iter().any(|fixed| fixed.as_bytes() == key) {
            return String::from_utf8_lossy(name).into_owned();
        }
        match name {
            [letter @ (b'l' | b'd' | b's' | b'k'), id @ ..] if id.len() == 8 => {
                let what = match letter {
                    b'l' => "lane",
                    b'd' => "document",
                    b's' => "story",
                    _ => "words",
                };
                let id = id.iter().fold(0, |id, byte| id << 8 | u64::from(*byte));
                format!("{what} of {}", PersonId(id))
            }
            [b't', b':', ..] | [b'n', _, _, _] => String::from_utf8_lossy(name).into_owned(),
            _ => "a remembered delivery".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_shown_without_personal_data() {
        let keys = Keys::new("{x}:".to_owned());
        assert_eq!(keys.shown(&keys.named("DEAD_AT")), "dead:at");
        assert_eq!(keys.shown(&keys.of(Of::Story, PersonId(42))), "story of 000000000000002a");
        assert_eq!(keys.shown(&keys.delivery(*b"0123456789abcdef")), "a remembered delivery");
        assert_eq!(keys.shown(b"{y}:dead"), "a key of another store");
    }
}
