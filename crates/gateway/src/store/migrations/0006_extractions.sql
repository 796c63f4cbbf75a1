-- What a delivery is: a callback of a call's owner, or the webhook of its agent. Each kind of a call has its own line.
ALTER TABLE deliveries ADD COLUMN kind TEXT NOT NULL DEFAULT 'callback';

-- What is taken from a call's transcript: while it goes on, and of the whole. What has a next time has something to do.
CREATE TABLE extractions (
  call_id          TEXT NOT NULL REFERENCES calls (call_id) ON DELETE CASCADE,
  kind             TEXT NOT NULL,
  server           TEXT NOT NULL,
  state            TEXT NOT NULL,
  round            BIGINT NOT NULL,
  attempts         BIGINT NOT NULL,
  next_at_ms       BIGINT,
  last_at_ms       BIGINT,
  last_error       TEXT,
  PRIMARY KEY (call_id, kind)
);
CREATE INDEX extractions_due ON extractions (server, next_at_ms) WHERE next_at_ms IS NOT NULL;
CREATE INDEX extractions_by_state ON extractions (kind, state, call_id);
