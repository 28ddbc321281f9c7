-- Workspaces that stay when the last client has left. `info` is JSON: name, description, owners, config.
CREATE TABLE workspaces (
    id TEXT NOT NULL PRIMARY KEY,
    info TEXT NOT NULL
);

-- Types of services of those workspaces. `definition` is JSON.
CREATE TABLE service_types (
    workspace TEXT NOT NULL,
    id TEXT NOT NULL,
    definition TEXT NOT NULL,
    PRIMARY KEY (workspace, id)
);

-- Environment variables, sealed; Base64.
CREATE TABLE variables (
    workspace TEXT NOT NULL,
    name TEXT NOT NULL,
    sealed TEXT NOT NULL,
    PRIMARY KEY (workspace, name)
);

-- What users logged. `at` is microseconds since 1970, `data` is JSON or null.
CREATE TABLE events (
    workspace TEXT NOT NULL,
    id BIGINT NOT NULL,
    kind TEXT NOT NULL,
    user_id TEXT NOT NULL,
    at BIGINT NOT NULL,
    data TEXT,
    PRIMARY KEY (workspace, id)
);
CREATE INDEX events_by_user ON events (workspace, user_id, at);
