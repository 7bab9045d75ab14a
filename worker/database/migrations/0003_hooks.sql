-- What jobs and batches tell others, as lists show it. The truth is in their Notifier objects.
CREATE TABLE deliveries (
  id TEXT PRIMARY KEY,
  -- The job's or batch's id.
  subject TEXT NOT NULL,
  owner TEXT NOT NULL,
  state TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  -- An older version of the row changes nothing.
  version INTEGER NOT NULL,
  -- The delivery as lists show it, as JSON.
  summary TEXT NOT NULL
);
CREATE INDEX deliveries_by_time ON deliveries (created_at, id);
CREATE INDEX deliveries_by_owner ON deliveries (owner, created_at, id);
CREATE INDEX deliveries_by_state ON deliveries (state, created_at, id);
CREATE INDEX deliveries_by_subject ON deliveries (subject);
