-- Names of workspaces that somebody has made, also of those that have vanished: tokens from before `created` are not
-- for them, unless they are of an owner. `owners` is a list in JSON. Times are seconds since 1970; after `until` no
-- token from before is good any longer.
CREATE TABLE workspace_names (
    name TEXT NOT NULL PRIMARY KEY,
    created BIGINT NOT NULL,
    owners TEXT NOT NULL,
    until BIGINT NOT NULL
);

CREATE INDEX workspace_names_created ON workspace_names (created);
