-- Who is kept out, and who has changed what rights. Times are seconds since 1970; `until` is NULL for ever.
CREATE TABLE blocked (
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    reason TEXT NOT NULL,
    blocked_by TEXT NOT NULL,
    at BIGINT NOT NULL,
    until BIGINT,
    PRIMARY KEY (kind, name)
);

-- Ids grow with time.
CREATE TABLE audit (
    id TEXT NOT NULL PRIMARY KEY,
    at BIGINT NOT NULL,
    changed_by TEXT NOT NULL,
    what TEXT NOT NULL,
    target TEXT NOT NULL,
    details TEXT NOT NULL
);
