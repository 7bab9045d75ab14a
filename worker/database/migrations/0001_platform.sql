-- Jobs as lists show them. The truth about a job is its Durable Object's; everything here can be made anew from those.
CREATE TABLE jobs (
  id TEXT PRIMARY KEY,
  owner TEXT NOT NULL,
  visibility TEXT NOT NULL,
  batch TEXT,
  state TEXT NOT NULL,
  verdict TEXT,
  created_at INTEGER NOT NULL,
  ended_at INTEGER,
  instructions INTEGER NOT NULL,
  run_milliseconds INTEGER NOT NULL,
  checkpoints INTEGER NOT NULL,
  -- Number of the job's event that this row is of: an older one changes nothing.
  event INTEGER NOT NULL,
  -- What a search looks in, in lower case.
  text TEXT NOT NULL,
  -- The job as lists show it, as JSON.
  summary TEXT NOT NULL
);
-- Each list is in the order of creation, newest first, from where the last page ended.
CREATE INDEX jobs_by_time ON jobs (created_at, id);
CREATE INDEX jobs_by_owner ON jobs (owner, created_at, id);
CREATE INDEX jobs_by_visibility ON jobs (visibility, created_at, id);
CREATE INDEX jobs_by_state ON jobs (state, created_at, id);
CREATE INDEX jobs_by_verdict ON jobs (verdict, created_at, id);
CREATE INDEX jobs_by_batch ON jobs (batch, created_at, id);

CREATE TABLE job_labels (
  name TEXT NOT NULL,
  value TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  job TEXT NOT NULL,
  PRIMARY KEY (name, value, created_at, job)
) WITHOUT ROWID;
CREATE INDEX job_labels_by_job ON job_labels (job);

-- Tokens by the SHA-256 of their text. A copy: the register's is the truth.
CREATE TABLE tokens (
  id TEXT PRIMARY KEY,
  hash TEXT NOT NULL UNIQUE,
  token TEXT NOT NULL
);
