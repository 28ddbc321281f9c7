-- Who asked for the token, or made the one by which it was asked for.
ALTER TABLE made_tokens ADD COLUMN parent TEXT;
