"""Errors: one class for each kind, all under `RpcError`.

Each is also the built-in exception that one would expect.
"""

from __future__ import annotations

import ast
import builtins
import contextlib
import functools
import re
import sys
from typing import Any, cast


class RpcError(Exception):
    """Something went wrong in a call.

    >>> try:
    ...     raise NotFoundError("no such user: ann")
    ... except RpcError as error:
    ...     print(error.code, "-", error)
    not_found - no such user: ann
    """

    #: The stable code of this kind of error, the same in every language and over HTTP.
    code: str = "internal"
    #: The name that the exception had where it was raised, if it came from a peer.
    remote_type: str | None
    #: The traceback of the peer, if it gave one.
    remote_traceback: str | None

    def __init__(
        self, message: str = "", *, remote_type: str | None = None, remote_traceback: str | None = None
    ) -> None:
        super().__init__(message)
        self._message = message
        self.remote_type = remote_type
        self.remote_traceback = remote_traceback

    def __str__(self) -> str:
        # KeyError and its kin would show something else than the text
        return self._message

    def __reduce__(self) -> tuple[Any, ...]:
        # the classes of built-in exceptions are made as they are met, so pickle could not find them
        return from_code, (self.code, self._message, self.remote_type, self.remote_traceback)


class NotFoundError(RpcError, LookupError):
    """The thing asked for does not exist, or the caller may not know that it does."""

    code = "not_found"


class PermissionDeniedError(RpcError, PermissionError):
    """The caller lacks a right."""

    code = "permission_denied"


class RpcTimeoutError(RpcError, TimeoutError):
    """The deadline passed before the answer came."""

    code = "timeout"


class PeerGoneError(RpcError, ConnectionError):
    """The other side disconnected, or was never there."""

    code = "peer_gone"


class TooLargeError(RpcError, ValueError):
    """A limit on size, depth or count was passed."""

    code = "too_large"


class InvalidError(RpcError, ValueError):
    """The input does not have the form it must have."""

    code = "invalid"


class ConflictError(RpcError):
    """The thing exists already, or the state does not allow the operation."""

    code = "conflict"


class OverloadedError(RpcError):
    """Too much is under way: try again later."""

    code = "overloaded"


class CallCancelledError(RpcError):
    """The caller or the owner of the function gave up."""

    code = "cancelled"


class RemoteError(RpcError):
    """The function itself failed.

    `remote_type` is the name of the exception that it raised, `remote_traceback` where it did so. If it was
    one of Python's built-in exceptions, the error is that exception as well: `except ValueError` catches it.
    """

    code = "remote"


class InternalError(RpcError):
    """A fault of polyfn's own."""

    code = "internal"


#: The class of each code.
CLASSES: dict[str, type[RpcError]] = {
    kind.code: kind
    for kind in (
        NotFoundError,
        PermissionDeniedError,
        RpcTimeoutError,
        PeerGoneError,
        TooLargeError,
        InvalidError,
        ConflictError,
        OverloadedError,
        CallCancelledError,
        RemoteError,
        InternalError,
    )
}


#: Built-in exceptions that cannot be made of a text alone, or that mean something to the interpreter itself.
_NOT_BY_TEXT = (StopIteration, StopAsyncIteration, SyntaxError, Warning)
#: What errors of a peer are as well, by the name of their class there.
_BUILT_IN: dict[str, type[Exception]] = {
    name: kind
    for name, kind in vars(builtins).items()
    if isinstance(kind, type)
    and issubclass(kind, Exception)
    and not issubclass(kind, _NOT_BY_TEXT)
    and "Group" not in name
    and name == kind.__name__
}
# these want more than a text, which their parent does not
_BUILT_IN.update(
    dict.fromkeys(("UnicodeDecodeError", "UnicodeEncodeError", "UnicodeTranslateError"), UnicodeError)
)


@functools.cache
def _as_built_in(kind: type[RpcError], name: str) -> type[RpcError]:
    """The class of errors of this kind that have this name where they were raised; made once."""
    built_in = _BUILT_IN.get(name)
    if built_in is None or issubclass(kind, built_in):
        return kind
    body = {"__module__": __name__, "__doc__": f"A {built_in.__name__} that a peer raised."}
    try:
        return cast(
            "type[RpcError]", type(kind.__name__.removesuffix("Error") + name, (kind, built_in), body)
        )
    except TypeError:
        # both are built-in exceptions with fields of their own: the kind of the error matters more
        return kind


def from_code(code: str, message: str, remote_type: str | None, remote_traceback: str | None) -> RpcError:
    """Make the error of a code.

    One that was a built-in exception where it was raised is that exception here as well:

    >>> error = from_code("remote", "bad", "ValueError", None)
    >>> isinstance(error, RemoteError), isinstance(error, ValueError), error.remote_type, str(error)
    (True, True, 'ValueError', 'bad')
    """
    kind = CLASSES.get(code, RemoteError)
    if remote_type in _BUILT_IN:
        kind = _as_built_in(kind, remote_type)
    error = kind(message, remote_type=remote_type, remote_traceback=remote_traceback)
    if isinstance(error, OSError):
        number = re.match(r"\[Errno (\d+)\] ", message)
        error.errno = int(number[1]) if number else None
    if isinstance(error, KeyError):
        with contextlib.suppress(ValueError, SyntaxError, RecursionError, MemoryError):
            error.args = (ast.literal_eval(message),)
    if remote_traceback:
        _show(error, remote_traceback.rstrip())
    return error


class RemoteTracebackError(Exception):
    """Shows the traceback of a peer in that of the caller, where exceptions have no notes (Python 3.10)."""


def _show(error: RpcError, remote_traceback: str) -> None:
    if sys.version_info >= (3, 11):
        error.add_note(f"where it was raised:\n{remote_traceback}")
    else:
        error.__cause__ = RemoteTracebackError(f"\n{remote_traceback}")
