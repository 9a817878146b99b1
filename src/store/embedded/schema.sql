-- A person: their document, their place in the queue, and the worker that has them. Numbers are 62 bits of a hash of the
-- person's key; instants are milliseconds since the Unix epoch.
CREATE TABLE person (
    id INTEGER PRIMARY KEY,
    source TEXT NOT NULL,
    state TEXT NOT NULL,
    due INTEGER,
    wakes INTEGER NOT NULL,
    tag TEXT,
    since INTEGER NOT NULL,
    -- The key of the newest delivery, if it was a hash of the body.
    newest BLOB,
    -- Set while a worker has them. The lease ends by the process's monotonic clock, not by wall-clock time.
    worker TEXT,
    claim INTEGER,
    fence INTEGER,
    lease_until INTEGER,
    -- The places of the first and the last entry of the inbox, and how many there are.
    inbox_first INTEGER,
    inbox_last INTEGER,
    inbox_count INTEGER NOT NULL DEFAULT 0,
    -- The number of the next entry of the story, and whether any is kept.
    story_next INTEGER NOT NULL DEFAULT 0,
    has_story INTEGER NOT NULL DEFAULT 0,
    document BLOB
);
CREATE INDEX person_due ON person (due) WHERE due IS NOT NULL;
CREATE INDEX person_state ON person (state, since);
CREATE INDEX person_tag ON person (tag, since) WHERE tag IS NOT NULL;
CREATE INDEX person_story ON person (since) WHERE state = 'idle' AND has_story = 1;
CREATE INDEX person_lease ON person (lease_until) WHERE lease_until IS NOT NULL;

-- Accepted entries that nobody has folded yet, in the order of acceptance: so accepting writes to the end of the table,
-- and folding frees its beginning. The person's row names the first and the last.
CREATE TABLE inbox (
    seq INTEGER PRIMARY KEY,
    -- The person's next entry.
    next INTEGER,
    bytes BLOB NOT NULL
);

CREATE TABLE story (
    person INTEGER NOT NULL,
    number INTEGER NOT NULL,
    bytes BLOB NOT NULL,
    PRIMARY KEY (person, number)
) WITHOUT ROWID;

-- Words that people are found by.
CREATE TABLE term (
    person INTEGER NOT NULL,
    term TEXT NOT NULL,
    PRIMARY KEY (person, term)
) WITHOUT ROWID;
CREATE INDEX term_by_text ON term (term, person);

-- Who owns a member or an address.
CREATE TABLE owner (
    key TEXT PRIMARY KEY,
    person INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX owner_by_person ON owner (person);

-- Dead letters: of blocked people, and of records that could not be mapped, with their payload.
CREATE TABLE dead (
    id BLOB PRIMARY KEY,
    -- The person whose lane it blocks; none for an unmapped record.
    blocks INTEGER,
    source TEXT NOT NULL,
    person TEXT,
    event TEXT,
    died_at INTEGER NOT NULL,
    code TEXT NOT NULL,
    detail TEXT NOT NULL,
    payload BLOB
);
CREATE INDEX dead_by_age ON dead (died_at, id);
CREATE INDEX dead_by_code ON dead (code, died_at, id);
CREATE INDEX dead_by_source ON dead (source, died_at, id);
CREATE INDEX dead_by_lane ON dead (blocks) WHERE blocks IS NOT NULL;
CREATE INDEX dead_by_person ON dead (person) WHERE person IS NOT NULL;

-- Remembered deliveries, with the ids that they got: 16 bytes each, followed by 4 for what was said.
CREATE TABLE remembered (
    key BLOB PRIMARY KEY,
    until INTEGER NOT NULL,
    ids BLOB NOT NULL
) WITHOUT ROWID;
CREATE INDEX remembered_until ON remembered (until);

-- Small documents that all processes share.
CREATE TABLE shared (
    name TEXT PRIMARY KEY,
    version INTEGER NOT NULL,
    bytes BLOB NOT NULL
) WITHOUT ROWID;

-- One row: how far the store has come, the limiters, and how much of everything there is.
CREATE TABLE control (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    value TEXT NOT NULL
);
