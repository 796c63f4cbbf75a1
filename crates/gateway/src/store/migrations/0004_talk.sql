-- What calls with an agent leave: what was said, what was learned, and the files that hold both.
CREATE TABLE utterances (
  call_id          TEXT NOT NULL REFERENCES calls (call_id) ON DELETE CASCADE,
  position         BIGINT NOT NULL,
  body             TEXT NOT NULL,
  PRIMARY KEY (call_id, position)
);

CREATE TABLE call_fields (
  call_id          TEXT PRIMARY KEY NOT NULL REFERENCES calls (call_id) ON DELETE CASCADE,
  saved            TEXT NOT NULL,
  fields           TEXT NOT NULL,
  reasons          TEXT NOT NULL,
  state            TEXT NOT NULL,
  updated_ms       BIGINT NOT NULL
);

CREATE TABLE call_files (
  call_id          TEXT PRIMARY KEY NOT NULL REFERENCES calls (call_id) ON DELETE CASCADE,
  server           TEXT NOT NULL,
  transcript       TEXT,
  record           TEXT,
  written_ms       BIGINT
);
CREATE INDEX call_files_due ON call_files (server) WHERE written_ms IS NULL;
