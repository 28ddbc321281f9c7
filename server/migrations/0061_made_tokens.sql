-- Tokens that an auth service has made for somebody: what they come of. `lineage` holds ids with spaces between them.
-- Times are seconds since 1970; the token is good until `until`.
CREATE TABLE made_tokens (
    id TEXT NOT NULL PRIMARY KEY,
    lineage TEXT NOT NULL,
    issued BIGINT NOT NULL,
    until BIGINT NOT NULL
);
