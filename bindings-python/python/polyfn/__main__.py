"""The command `polyfn`: the same as the binary's, and what of it runs Python."""

from __future__ import annotations

import importlib
import signal
import sys

from . import _native


def main(arguments: list[str] | None = None) -> int:
    """Run the command, with the arguments of this process unless others are given; gives the exit code."""
    given = sys.argv[1:] if arguments is None else arguments
    # while no Python runs, signals are the server's affair
    before = {kind: signal.signal(kind, signal.SIG_DFL) for kind in (signal.SIGINT, signal.SIGTERM)}
    what, value = _native.run_command(["polyfn", *given])
    if what == "exit":
        return value
    for kind, handler in before.items():
        signal.signal(kind, handler)
    if what == "dev":
        dev = importlib.import_module("polyfn.dev")
        return dev.main(value)
    serve_app = importlib.import_module("polyfn.serve_app")
    return serve_app.main(value)


if __name__ == "__main__":
    sys.exit(main())
