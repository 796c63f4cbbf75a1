-- What a call leaves beside its row: one JSON document of each kind.
CREATE TABLE call_traces (
  call_id          TEXT NOT NULL REFERENCES calls (call_id) ON DELETE CASCADE,
  kind             TEXT NOT NULL,
  document         TEXT NOT NULL,
  PRIMARY KEY (call_id, kind)
);

-- What lists of calls are asked for beside the columns that have an index already.
CREATE INDEX calls_by_cause ON calls (cause_class, started_ms, call_id);
CREATE INDEX calls_by_direction ON calls (direction, started_ms, call_id);
CREATE INDEX calls_recorded ON calls (started_ms, call_id) WHERE bot_recording IS NOT NULL OR full_recording IS NOT NULL;
