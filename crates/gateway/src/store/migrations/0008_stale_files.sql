-- How often what a call's file tells has changed, and how many of these changes the file holds: the rest has it written anew.
ALTER TABLE call_files ADD COLUMN changes BIGINT NOT NULL DEFAULT 0;
ALTER TABLE call_files ADD COLUMN changes_written BIGINT NOT NULL DEFAULT 0;
CREATE INDEX call_files_stale ON call_files (server) WHERE written_ms IS NOT NULL AND changes > changes_written;
