-- Whose process carries out the request that came with a key: what it left open is given free at its next start.
ALTER TABLE idempotency_keys ADD COLUMN server TEXT NOT NULL DEFAULT '';
