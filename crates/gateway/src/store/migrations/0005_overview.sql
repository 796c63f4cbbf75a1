-- How long the bot of a call let its caller wait, and all that an overview counts, in one index: no row is read for it.
ALTER TABLE calls ADD COLUMN response_ms BIGINT;
CREATE INDEX calls_overview ON calls (started_ms, status, bot, cause_class, cause_reason, response_ms);
