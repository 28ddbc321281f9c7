"""Tokens as an operator makes them: HS256, with the claims that servers of this protocol read."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import jwt

SECRET = "a-secret-of-the-tests-which-signs-every-token"
ISSUER = "https://amun.ai/"
AUDIENCE = "https://amun-ai.eu.auth0.com/api/v2/"
NAMESPACE = "https://amun.ai/"


@dataclass
class Token:
    """A token to be; `sign` makes it."""

    user: str
    workspace: str | None = None
    permission: str = "rw"
    client: str | None = None
    words: tuple[str, ...] = ()
    roles: tuple[str, ...] = ("user",)
    lifetime: float = 3600.0
    claims: dict = field(default_factory=dict)

    def scope(self) -> str:
        parts = list(self.words)
        if self.workspace:
            parts = [f"ws:{self.workspace}#{self.permission}", f"wid:{self.workspace}", *parts]
        if self.client:
            parts.append(f"cid:{self.client}")
        return " ".join(parts)

    def sign(self, secret: str | None = SECRET, algorithm: str = "HS256") -> str:
        now = int(time.time())
        payload = {
            "iss": ISSUER,
            "sub": self.user,
            "aud": AUDIENCE,
            "iat": now,
            "exp": int(now + self.lifetime),
            "scope": self.scope(),
            "gty": "client-credentials",
            f"{NAMESPACE}roles": list(self.roles),
            f"{NAMESPACE}email": None,
            **self.claims,
        }
        return jwt.encode(payload, secret, algorithm=algorithm)


def own_workspace(user: str) -> str:
    """The workspace that belongs to a user."""
    return f"ws-user-{user}"


def member(user: str, **more) -> str:
    """A token for the workspace of `user`, with full rights in it."""
    return Token(user=user, workspace=own_workspace(user), permission="a", **more).sign()
