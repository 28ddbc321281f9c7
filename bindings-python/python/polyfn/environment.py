"""Settings from the environment and from a file `.env`."""

from __future__ import annotations

import os
import re
from pathlib import Path

_NAMES = ("server_url", "token", "client_id", "workspace")
_PREFIXES = ("POLYFN", "HYPHA")
_LINE = re.compile(
    r"""\s*(?:export\s+)?(?P<name>[A-Za-z_][A-Za-z0-9_]*)\s*=\s*
        (?:'(?P<single>[^']*)'|"(?P<double>(?:[^"\\]|\\.)*)"|(?P<plain>[^#\n]*?))\s*(?:\#.*)?$""",
    re.VERBOSE,
)
_ESCAPES = {r"\n": "\n", r"\t": "\t", r"\r": "\r", r"\"": '"', r"\\": "\\"}


def settings() -> dict[str, str]:
    """The settings that the environment has, under our names or those of hypha-rpc.

    When it does not name a server, the nearest `.env` of this folder and those above it is read as well; what
    the environment says goes before what the file says.
    """
    values: dict[str, str] = {}
    if not any(os.environ.get(f"{prefix}_SERVER_URL") for prefix in _PREFIXES):
        values.update(nearest_file(Path.cwd()))
    values.update({name: value for name, value in os.environ.items() if value})
    found = {name: _first(values, name.upper()) for name in _NAMES}
    return {name: value for name, value in found.items() if value}


def _first(values: dict[str, str], name: str) -> str | None:
    return next((value for prefix in _PREFIXES if (value := values.get(f"{prefix}_{name}"))), None)


def nearest_file(folder: Path) -> dict[str, str]:
    """What the `.env` in `folder`, or in the nearest folder above it, says; nothing when there is none."""
    for place in (folder, *folder.parents):
        try:
            return parse((place / ".env").read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError):
            continue
    return {}


def parse(text: str) -> dict[str, str]:
    r"""Read lines of the form `NAME=value`.

    >>> parse('''
    ... # a comment
    ... HYPHA_SERVER_URL=http://localhost:9527  # another
    ... export HYPHA_TOKEN = 'a # b'
    ... NAME="two\\nlines"
    ... this is no setting
    ... ''')
    {'HYPHA_SERVER_URL': 'http://localhost:9527', 'HYPHA_TOKEN': 'a # b', 'NAME': 'two\nlines'}
    """
    values: dict[str, str] = {}
    for line in text.splitlines():
        found = _LINE.match(line)
        if found is None:
            continue
        name, single, double, plain = found.group("name", "single", "double", "plain")
        if double is not None:
            double = re.sub(r"\\.", lambda escape: _ESCAPES.get(escape.group(), escape.group()), double)
        values[name] = next(value for value in (single, double, plain) if value is not None)
    return values
