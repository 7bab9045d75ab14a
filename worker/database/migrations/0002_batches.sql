-- Batches as lists show them. The truth about a batch is its Durable Object's.
CREATE TABLE batches (
  id TEXT PRIMARY KEY,
  owner TEXT NOT NULL,
  visibility TEXT NOT NULL,
  state TEXT NOT NULL,
  verdict TEXT,
  created_at INTEGER NOT NULL,
  -- An older version of the row changes nothing.
  version INTEGER NOT NULL,
  -- The batch as lists show it, as JSON.
  summary TEXT NOT NULL
);
CREATE INDEX batches_by_time ON batches (created_at, id);
CREATE INDEX batches_by_owner ON batches (owner, created_at, id);
CREATE INDEX batches_by_state ON batches (state, created_at, id);
