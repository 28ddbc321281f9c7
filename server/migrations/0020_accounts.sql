-- People who log in with a password. `email` is in lower case, `password` an argon2id hash in PHC form, `roles` words
-- with spaces between them, `verified` 1 when somebody made sure that the address is theirs, `created` seconds since 1970.
CREATE TABLE accounts (
    id TEXT NOT NULL PRIMARY KEY,
    email TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    password TEXT NOT NULL,
    roles TEXT NOT NULL,
    verified BIGINT NOT NULL,
    created BIGINT NOT NULL
);
