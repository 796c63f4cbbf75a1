-- What the bot said and the caller did not hear, or not to its end: lists of calls are asked for it.
ALTER TABLE utterances ADD COLUMN unheard BIGINT NOT NULL DEFAULT 0;
CREATE INDEX utterances_unheard ON utterances (call_id) WHERE unheard = 1;
CREATE INDEX call_fields_by_state ON call_fields (state, call_id);
