-- Logins of browsers, and links that log in once, by the SHA-256 of their secret; the token is sealed with a key made of the secret.
CREATE TABLE sessions (
  hash TEXT PRIMARY KEY,
  kind TEXT NOT NULL,
  sealed TEXT NOT NULL,
  expires_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX sessions_by_end ON sessions (expires_at);
