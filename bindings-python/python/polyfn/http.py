"""What functions of a service of type `functions` are given, and how they answer with an error."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from . import _native
from .proxy import ObjectProxy


class HTTPError(Exception):
    """Raised by a function, it answers the request with this status: every caller is shown the detail.

    ```python
    from polyfn import HTTPError

    def user(event):
        raise HTTPError(404, "no such user", headers={"cache-control": "no-store"})
    ```

    In a call that is no request over HTTP it is an error like any other.

    >>> error = HTTPError(404, "no such user")
    >>> print(error, "/", error.response()["body"])
    404: no such user / {"type":"about:blank","title":"Not Found","status":404,"detail":"no such user"}
    >>> HTTPError(200)
    Traceback (most recent call last):
    ValueError: the status of an error is 400 to 599, found 200
    """

    #: The status, 400 to 599.
    status: int
    #: What the caller is shown.
    detail: str
    #: Headers of the answer; values may be lists.
    headers: dict[str, Any]

    def __init__(self, status: int, detail: str = "", headers: Mapping[str, Any] | None = None) -> None:
        super().__init__(status, detail, headers)
        self._body = _native.problem(status, detail)
        self.status = status
        self.detail = detail
        self.headers = dict(headers or {})

    def __str__(self) -> str:
        return f"{self.status}: {self.detail}" if self.detail else str(self.status)

    def response(self) -> dict[str, Any]:
        """The answer that it stands for: a JSON problem (RFC 9457)."""
        headers = {"content-type": "application/problem+json", **self.headers}
        return {"status": self.status, "headers": headers, "body": self._body}


@dataclass(frozen=True)
class Upload:
    """A file that was sent in a form."""

    #: Its name where it comes from; not to be trusted as a path.
    filename: str
    #: What the browser takes it for, for example `image/png`.
    content_type: str
    #: What is in it.
    data: bytes

    def __repr__(self) -> str:
        return f"Upload({self.filename!r}, {self.content_type!r}, {len(self.data)} bytes)"


class Event(ObjectProxy):
    """A request as a function gets it: a dict whose entries are attributes as well.

    Its keys are those of the ASGI http scope, with the differences of `docs/functions.md`.

    >>> event = Event(method="POST", body=b'{"a": 1}', headers={"content-type": "application/json"})
    >>> event.method, event["method"], event.json()
    ('POST', 'POST', {'a': 1})
    """

    __slots__ = ()

    def text(self) -> str:
        """The body as text; empty when there is none. What is not UTF-8 is replaced by `U+FFFD`."""
        return (self.get("body") or b"").decode("utf-8", "replace")

    def json(self) -> Any:
        """The body, read as JSON. One that is not JSON is answered with 400."""
        try:
            return json.loads(self.get("body") or b"")
        except (ValueError, RecursionError) as error:
            raise HTTPError(400, f"the body is not JSON: {error}") from error

    def form(self) -> dict[str, Any]:
        """The fields of a form, urlencoded or multipart.

        Values are texts and, for files, `Upload`s; a name that comes more than once has a list of them. A
        body that is no form is answered with 400.

        >>> headers = {"content-type": "application/x-www-form-urlencoded"}
        >>> Event(body=b"name=Ann&tag=a&tag=b", headers=headers).form()
        {'name': 'Ann', 'tag': ['a', 'b']}
        """
        headers: Mapping[str, str] = self.get("headers") or {}
        kind = headers.get("content-type", "")
        try:
            fields = _native.parse_form(kind, self.get("body") or b"")
        except ValueError as error:
            raise HTTPError(400, str(error)) from error
        found: dict[str, list[Any]] = {}
        for name, content in fields:
            value = Upload(*content) if isinstance(content, tuple) else content
            found.setdefault(name, []).append(value)
        return {name: values if len(values) > 1 else values[0] for name, values in found.items()}
