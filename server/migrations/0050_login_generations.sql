-- How often a user has ended all logins: those of before count no longer. Users who never did are not in here.
CREATE TABLE login_generations (
    user_id TEXT NOT NULL PRIMARY KEY,
    generation BIGINT NOT NULL
);
