-- How often tokens were used that may be used so many times only. `until` is seconds since 1970.
CREATE TABLE token_uses (
    id TEXT NOT NULL PRIMARY KEY,
    used BIGINT NOT NULL,
    until BIGINT NOT NULL
);
