-- The scheduler's store. Sections are applied in order to a store of an older version; a section
-- that has been released is never edited.
--
-- job_state holds what is not finished, and a restart reads it whole; a job that finishes moves to
-- job_history in the same transaction, so that a restart costs nothing for years of history. `state`
-- is a JobState message without the spec's digest: what a row is searched by stands beside it, and
-- there is no index on anything that changes while a job lives. Specs are immutable and stored once.
-- Times are ns since 1970, UTC. Ids and digests are never used twice.

-- version 1

CREATE TABLE meta (
  id            INTEGER PRIMARY KEY CHECK (id = 1),
  epoch         INTEGER NOT NULL,  -- rises with each scheduler that opens the store; fences the others
  next_job      INTEGER NOT NULL,
  next_workflow INTEGER NOT NULL
) STRICT;
INSERT INTO meta VALUES (1, 0, 1, 1);

CREATE TABLE spec (
  id     INTEGER PRIMARY KEY,
  digest TEXT NOT NULL UNIQUE,     -- of bytes
  bytes  BLOB NOT NULL             -- a JobSpec message
) STRICT;

CREATE TABLE job_state (
  job      INTEGER NOT NULL,
  idx      INTEGER NOT NULL,       -- 4294967295: not an array element
  spec     INTEGER NOT NULL REFERENCES spec (id),
  workflow INTEGER,
  phase    INTEGER NOT NULL,       -- for people who look in here; the program reads `state`
  state    BLOB NOT NULL,
  PRIMARY KEY (job, idx)
) STRICT, WITHOUT ROWID;

CREATE TABLE job_history (
  job      INTEGER NOT NULL,
  idx      INTEGER NOT NULL,
  spec     INTEGER NOT NULL REFERENCES spec (id),
  workflow INTEGER,
  user     TEXT NOT NULL,
  ended_at INTEGER NOT NULL,
  state    BLOB NOT NULL,
  PRIMARY KEY (job, idx)
) STRICT, WITHOUT ROWID;
CREATE INDEX job_history_ended ON job_history (ended_at);
CREATE INDEX job_history_user ON job_history (user, ended_at);
CREATE INDEX job_history_workflow ON job_history (workflow) WHERE workflow IS NOT NULL;

CREATE TABLE workflow (
  id       INTEGER PRIMARY KEY,
  ended_at INTEGER,
  state    BLOB NOT NULL           -- a WorkflowState message
) STRICT;
CREATE INDEX workflow_live ON workflow (id) WHERE ended_at IS NULL;

CREATE TABLE node (
  name  TEXT PRIMARY KEY,
  state BLOB NOT NULL              -- a NodeState message
) STRICT, WITHOUT ROWID;

CREATE TABLE submission (
  id     INTEGER PRIMARY KEY,
  key    TEXT NOT NULL UNIQUE,     -- "<uid>:<client's key>"
  at_ns  INTEGER NOT NULL,
  answer BLOB NOT NULL             -- a Submitted message
) STRICT;
CREATE INDEX submission_age ON submission (at_ns);

CREATE TABLE event (
  seq     INTEGER PRIMARY KEY,
  at_ns   INTEGER NOT NULL,
  version INTEGER NOT NULL,        -- of the subject, after the event
  subject TEXT NOT NULL,           -- "42", "w7", "node n03": for people, as is `kind`
  kind    TEXT NOT NULL,
  payload BLOB NOT NULL            -- an Event message
) STRICT;

-- version 2

CREATE TABLE association (
  account TEXT NOT NULL,
  user    TEXT NOT NULL,           -- '': the account itself
  state   BLOB NOT NULL,           -- an AssociationState message
  PRIMARY KEY (account, user)
) STRICT, WITHOUT ROWID;

-- version 3

-- Answers are looked up in the scheduler's memory and read here once, by a restart: an index on
-- their keys, which come in no order, would make each submission write a page of its own.
CREATE TABLE submission_log (
  id     INTEGER PRIMARY KEY,
  key    TEXT NOT NULL,            -- "<uid>:<client's key>"
  at_ns  INTEGER NOT NULL,         -- rises, but for a wall clock that was set
  answer BLOB NOT NULL             -- a Submitted message
) STRICT;
INSERT INTO submission_log SELECT id, key, at_ns, answer FROM submission ORDER BY id;
DROP TABLE submission;

-- version 4

CREATE TABLE service (
  uid   INTEGER NOT NULL,          -- of its owner
  name  TEXT NOT NULL,
  state BLOB NOT NULL,             -- a ServiceState message
  PRIMARY KEY (uid, name)
) STRICT, WITHOUT ROWID;
