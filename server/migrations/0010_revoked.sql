-- Tokens and sessions that were taken back. `until` is seconds since 1970: from then on nothing made by it is valid.
CREATE TABLE revoked (
    id TEXT NOT NULL PRIMARY KEY,
    until BIGINT NOT NULL
);
