"""Files and other streams of bytes or text: sent as maps of their functions."""

from __future__ import annotations

import types
from collections.abc import AsyncIterator
from typing import Any

from .proxy import ObjectProxy

#: What is offered of a file, in the order in which old peers send it.
_PARTS = (
    *("name", "size", "path", "type", "fileno", "seek", "truncate", "detach", "write", "read", "read1"),
    *("readall", "close", "closed", "__enter__", "__exit__", "flush", "isatty", "__iter__", "__next__"),
    *("readable", "readline", "readlines", "seekable", "tell", "writable", "writelines"),
)
#: How much `async for` reads at once of a stream that has no lines.
PART = 64 * 1024


class RemoteFile(ObjectProxy):
    """A file of a peer: a map of functions such as `read`, `seek` and `write`, all to be awaited.

    ```python
    async def copy(source):
        async with source:
            async for line in source:
                print(line)
    ```

    `async for` goes by lines where the file has lines, else by parts of 64 KiB.
    """

    __slots__ = ()

    async def __aenter__(self) -> RemoteFile:
        return self

    async def __aexit__(self, *error: object) -> None:
        if "close" in self:
            await self["close"]()

    async def __aiter__(self) -> AsyncIterator[Any]:
        by_line = "readline" in self
        while part := await (self["readline"]() if by_line else self["read"](PART)):
            yield part


def is_file(value: Any) -> bool:
    """Whether something can be read or written like a file.

    >>> import io, os
    >>> is_file(io.BytesIO()), is_file(iter([])), is_file(os)
    (True, False, False)
    """
    # their functions do not read or write what they are part of: `os.read` takes the number of a file
    if isinstance(value, types.ModuleType | type):
        return False
    return any(callable(getattr(value, name, None)) for name in ("read", "write"))


def encode(file: Any) -> dict[str, Any]:
    """The parts of a file."""
    form: dict[str, Any] = {}
    for name in _PARTS:
        try:
            form[name] = getattr(file, name)
        # some files raise something else than AttributeError for what they do not have
        except Exception:
            continue
    return {**form, "_rtype": "iostream", "_rnative": f"py:{type(file)}"}


def decode(form: dict[str, Any]) -> RemoteFile:
    """A file of its parts; the marks of its form stay, so that it can be sent on.

    >>> decode({"_rtype": "iostream", "_rnative": "js:blob", "size": 3, "__next__": None})
    {'_rtype': 'iostream', '_rnative': 'js:blob', 'size': 3}
    """
    kept = {name: part for name, part in form.items() if not name.startswith("__")}
    return RemoteFile(kept)
