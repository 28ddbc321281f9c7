"""Errors: one class for each kind, all under `RpcError`.

Each is also the built-in exception that one would expect.
"""

from __future__ import annotations

import sys


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
        self.remote_type = remote_type
        self.remote_traceback = remote_traceback

    def __str__(self) -> str:
        # KeyError and its kin would show the representation instead of the text
        return str(self.args[0]) if self.args else ""


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

    `remote_type` is the name of the exception that it raised, `remote_traceback` where it did so.
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


def from_code(code: str, message: str, remote_type: str | None, remote_traceback: str | None) -> RpcError:
    """Make the error of a code.

    >>> error = from_code("remote", "bad", "ValueError", None)
    >>> type(error).__name__, error.remote_type, str(error)
    ('RemoteError', 'ValueError', 'bad')
    """
    kind = CLASSES.get(code, RemoteError)
    error = kind(message, remote_type=remote_type, remote_traceback=remote_traceback)
    if remote_traceback and sys.version_info >= (3, 11):
        error.add_note(f"where it was raised:\n{remote_traceback.rstrip()}")
    return error
