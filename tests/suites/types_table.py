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
"""


def rows() -> list[dict[str, Any]]:
    return yaml.safe_load((HERE / "types.yaml").read_text(encoding="utf-8"))


def arrival(row: dict[str, Any], sender: str, receiver: str) -> str | None:
    """What arrives at a language from another."""
    arrives = row["arrives"]
    line = arrives.get(f"{receiver} from {sender}", arrives.get(receiver))
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
    return HEAD + "\n".join(lines) + "\n" + FOOT


def code(text: str | None) -> str:
    return "" if text is None else "`" + text.strip().replace("|", "\\|") + "`"


if __name__ == "__main__":
    (HERE.parents[1] / "docs/types.md").write_text(page(), encoding="utf-8")
