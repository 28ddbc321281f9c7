"""docs/types.md, made from types.yaml: `python -m suites.types_table` in `tests/` writes it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).parent
LANGUAGES = {"python": "Python", "node": "JavaScript", "rust": "Rust"}
HEAD = """# Types

What arrives when a value is sent, as an argument or as a result. `tests/suites/types.yaml` holds this table
as data; the tests send each value from every language to every language and compare, and this page is made
from it. Each cell names the type as its language calls it, then the content; bytes and elements are in hex.

"""
FOOT = """
Where a language has no type of its own for a value, it gets the nearest one: a tuple becomes a list, a
`BigInt` that fits becomes a number. Arrays travel in C order of their shape, with the byte order in their
dtype. JavaScript has no numbers of two kinds, so a float without a fraction arrives from there as an integer.
A dictionary whose keys are texts and numbers is an object there, whose names are texts, or a `Map` when two
keys would be one name, as `1` and `"1"`; send an `OrderedDict`, which is a `Map` there, to keep them numbers.
Arrays of numpy whose elements are objects, records, or texts of any length (`StringDType`) have no bytes that
another language could read: they are refused, and the error says what to send instead.

## At clients of hypha-rpc

They get what ours get, except for these:

"""
OLD_FOOT = """
Of a dictionary whose keys are not all texts they get nothing in Python: hypha-rpc drops the message, and
the call that it belongs to ends with `timeout`. In JavaScript numbers are read, and any other key is an
error that nobody catches. Send an `OrderedDict` or a `Map`, which they read whatever its keys are, or make
the keys texts. Arrays of 64-bit integers that JavaScript sends are an error in hypha-rpc for JavaScript.
Errors as values arrive as an error whose message begins with `RemoteError:` and has the trace in it.
"""
OLD = {"hypha_rpc-python": "python", "hypha_rpc-node": "node"}


def rows() -> list[dict[str, Any]]:
    return yaml.safe_load((HERE / "types.yaml").read_text(encoding="utf-8"))


def arrival(row: dict[str, Any], sender: str, receiver: str) -> str | None:
    """What arrives at a language from another."""
    arrives = row["arrives"]
    line = arrives.get(f"{receiver} from {sender}", arrives.get(receiver))
    return None if line is None else str(line)


def old_arrival(row: dict[str, Any], sender: str, kind: str) -> str | None:
    """What arrives at a client of hypha-rpc from another language of ours."""
    cells = row.get("to_old", {})
    line = cells.get(f"{kind} from {sender}", cells.get(kind))
    return None if line is None else str(line)


def page() -> str:
    lines = [
        "| sent | from | " + " | ".join(LANGUAGES.values()) + " |",
        "| --- " * (2 + len(LANGUAGES)) + "|",
    ]
    for row in rows():
        for sender, written in row["sent"].items():
            cells = [code(arrival(row, sender, receiver)) for receiver in LANGUAGES]
            lines.append(f"| {code(str(written))} | {LANGUAGES[sender]} | " + " | ".join(cells) + " |")
    return HEAD + "\n".join(lines) + "\n" + FOOT + "\n".join(old_lines()) + "\n" + OLD_FOOT


def old_lines() -> list[str]:
    """What arrives at clients of hypha-rpc, where it is not what arrives at ours."""
    lines = ["| sent | from | hypha-rpc in | arrives |", "| --- | --- | --- | --- |"]
    for row in rows():
        for kind, language in OLD.items():
            for sender, written in row["sent"].items():
                came = old_arrival(row, sender, kind)
                if came is not None and came != arrival(row, sender, language):
                    names = f"{LANGUAGES[sender]} | {LANGUAGES[language]}"
                    lines.append(f"| {code(str(written))} | {names} | {code(came)} |")
    return lines


def code(text: str | None) -> str:
    return "" if text is None else "`" + text.strip().replace("|", "\\|") + "`"


if __name__ == "__main__":
    (HERE.parents[1] / "docs/types.md").write_text(page(), encoding="utf-8")
