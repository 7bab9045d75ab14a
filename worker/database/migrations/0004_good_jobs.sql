-- Jobs that passed and have labels, to find the last known good of a job. Made anew from the jobs' last events, as all of this.
CREATE TABLE good_jobs (
  -- SHA-256 of the labels in a canonical form: worker/database/last-good.ts.
  labels TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  id TEXT NOT NULL,
  owner TEXT NOT NULL,
  visibility TEXT NOT NULL,
  -- Of the run alone: without those before the snapshot that it began from.
  instructions INTEGER NOT NULL,
  PRIMARY KEY (labels, created_at, id)
) WITHOUT ROWID;
CREATE INDEX good_jobs_by_id ON good_jobs (id);
