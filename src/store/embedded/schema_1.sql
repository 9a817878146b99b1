-- Version 1. Times are milliseconds since the Unix epoch; ids are 16 bytes (hex(id) is what is shown).

-- Every person ever heard of: their lane, and what is known of them at Postman.
CREATE TABLE people (
    person     INTEGER PRIMARY KEY,
    key        TEXT NOT NULL UNIQUE,        -- {source}/{employee id}
    -- The lane: NULL (nothing waits), 'due', 'leased' or 'parked'.
    lane_state TEXT CHECK (lane_state IN ('due', 'leased', 'parked')),
    lane_seq   INTEGER,                     -- due: the head; leased: the job that is worked on
    lane_kind  TEXT,                        -- of that job: 'hire' or 'rename'
    lane_at    INTEGER,                     -- due: since or from when; leased: until when
    fence      INTEGER NOT NULL DEFAULT 0,  -- of the last claim
    worker     TEXT,                        -- leased: whose claim
    claim      INTEGER,                     -- leased: which of that worker's
    queued     INTEGER NOT NULL DEFAULT 0,  -- live jobs in the lane, the leased one included
    parks      INTEGER NOT NULL DEFAULT 0,  -- dead hires that the lane waits behind
    directory  TEXT                         -- JSON
) STRICT;
-- What a claim looks through: due and leased lanes by kind, the oldest first.
CREATE INDEX lanes ON people (lane_state, lane_kind, lane_at, lane_seq) WHERE lane_state IS NOT NULL;

-- Jobs, by sequence: live ones (in a lane), dead letters, and finished ones.
CREATE TABLE jobs (
    seq              INTEGER PRIMARY KEY,
    id               BLOB NOT NULL,
    person           INTEGER NOT NULL REFERENCES people (person),
    state            TEXT NOT NULL CHECK (state IN ('live', 'dead', 'done')),
    kind             TEXT NOT NULL CHECK (kind IN ('hire', 'rename')),
    accepted_at      INTEGER NOT NULL,
    due_at           INTEGER NOT NULL,
    attempts         INTEGER NOT NULL DEFAULT 0,
    take_overs       INTEGER NOT NULL DEFAULT 0,
    first_attempt_at INTEGER,
    ended_at         INTEGER,               -- dead: when it died; done: when it finished
    outcome          TEXT,                  -- done: JSON
    code             TEXT,                  -- dead: JSON
    detail           TEXT,                  -- dead
    progress         TEXT NOT NULL,         -- JSON
    event            TEXT NOT NULL,         -- JSON
    history          TEXT NOT NULL          -- JSON
) STRICT;
CREATE INDEX jobs_of_person ON jobs (person, state, seq);
CREATE UNIQUE INDEX jobs_by_id ON jobs (state, id);
CREATE INDEX jobs_finished ON jobs (ended_at, seq) WHERE state = 'done';

-- Records that could not be mapped: dead letters too.
CREATE TABLE unmapped (
    id      BLOB PRIMARY KEY,
    source  TEXT NOT NULL,
    person  TEXT,                           -- key, where the record told
    died_at INTEGER NOT NULL,
    code    TEXT NOT NULL,                  -- JSON
    detail  TEXT NOT NULL,
    payload TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX unmapped_of_person ON unmapped (person) WHERE person IS NOT NULL;

-- Deliveries that are remembered, with the ids they got.
CREATE TABLE deliveries (
    key         BLOB PRIMARY KEY,
    fingerprint BLOB NOT NULL,
    until       INTEGER NOT NULL,
    ids         BLOB NOT NULL               -- 16 bytes each
) STRICT, WITHOUT ROWID;
CREATE INDEX deliveries_until ON deliveries (until);

-- Next sequence, next fence, the limiter's theoretical arrival times (microseconds), pings.
CREATE TABLE control (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
-- One row per scope that was ever held; JSON.
CREATE TABLE holds (scope TEXT PRIMARY KEY, slot TEXT NOT NULL) STRICT, WITHOUT ROWID;
