-- Both databases read this file; {serial} is the one word in which they differ.
CREATE TABLE calls (
  call_id          TEXT PRIMARY KEY NOT NULL,
  server           TEXT NOT NULL,
  stream_id        TEXT NOT NULL,
  phone_leg_id     TEXT NOT NULL,
  from_number      TEXT NOT NULL,
  to_number        TEXT NOT NULL,
  direction        TEXT NOT NULL,
  status           TEXT NOT NULL,
  bot              TEXT NOT NULL,
  phone_dialect    TEXT NOT NULL,
  bot_dialect      TEXT NOT NULL,
  parties_known    BIGINT NOT NULL,
  started_ms       BIGINT NOT NULL,
  ringing_ms       BIGINT,
  answered_ms      BIGINT,
  ended_ms         BIGINT,
  cause_class      TEXT,
  cause_reason     TEXT,
  q850             BIGINT,
  hung_up_by       TEXT,
  callback_url     TEXT,
  callback_known   BIGINT NOT NULL,
  custom_params    TEXT NOT NULL,
  transfers        TEXT NOT NULL,
  bot_recording    TEXT,
  full_recording   TEXT,
  record           TEXT
);
CREATE INDEX calls_by_time ON calls (started_ms, call_id);
CREATE INDEX calls_by_status ON calls (status, started_ms, call_id);
CREATE INDEX calls_by_from ON calls (from_number, started_ms, call_id);
CREATE INDEX calls_by_to ON calls (to_number, started_ms, call_id);
CREATE INDEX calls_by_bot ON calls (bot, started_ms, call_id);
CREATE INDEX calls_up ON calls (server) WHERE ended_ms IS NULL;
CREATE INDEX calls_by_end ON calls (server, ended_ms);

CREATE TABLE events (
  seq              {serial},
  event_id         TEXT NOT NULL UNIQUE,
  call_id          TEXT NOT NULL REFERENCES calls (call_id) ON DELETE CASCADE,
  name             TEXT NOT NULL,
  at_ms            BIGINT NOT NULL,
  body             TEXT NOT NULL
);
CREATE INDEX events_by_call ON events (call_id, seq);
CREATE UNIQUE INDEX events_one_end ON events (call_id)
  WHERE name IN ('call.completed', 'call.busy', 'call.no-answer', 'call.failed', 'call.canceled');

CREATE TABLE deliveries (
  seq              BIGINT PRIMARY KEY NOT NULL REFERENCES events (seq) ON DELETE CASCADE,
  event_id         TEXT NOT NULL UNIQUE,
  call_id          TEXT NOT NULL,
  server           TEXT NOT NULL,
  url              TEXT NOT NULL,
  receiver         TEXT NOT NULL,
  state            TEXT NOT NULL,
  attempts         BIGINT NOT NULL,
  next_at_ms       BIGINT,
  last_at_ms       BIGINT,
  last_status      BIGINT,
  last_error       TEXT
);
CREATE INDEX deliveries_due ON deliveries (server, next_at_ms) WHERE state = 'pending' AND next_at_ms IS NOT NULL;
CREATE INDEX deliveries_by_call ON deliveries (call_id, seq);
CREATE INDEX deliveries_by_state ON deliveries (state, seq);

CREATE TABLE idempotency_keys (
  scope            TEXT NOT NULL,
  name             TEXT NOT NULL,
  fingerprint      TEXT NOT NULL,
  claimed_ms       BIGINT NOT NULL,
  answer_status    BIGINT,
  answer_body      TEXT,
  PRIMARY KEY (scope, name)
);
CREATE INDEX idempotency_keys_by_time ON idempotency_keys (claimed_ms);

CREATE TABLE settings (
  name             TEXT PRIMARY KEY NOT NULL,
  value            TEXT NOT NULL
);
