"""Known failures: lists of test ids, each with its reason. A listed test that passes fails the run."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

LISTS = Path(__file__).resolve().parents[1] / "known-failing"


@dataclass
class Entry:
    pattern: re.Pattern[str]
    reason: str
    line: str


def entries() -> list[Entry]:
    """Reads every list: `test id # reason`, where `*` stands for any characters."""
    found = []
    for path in sorted(LISTS.glob("*.txt")):
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if not line.strip() or line.startswith("#"):
                continue
            name, separator, reason = line.partition(" # ")
            if not separator or not reason.strip():
                raise ValueError(f"{path.name}:{number}: a known failure needs a reason after ' # '")
            pattern = re.compile(".*".join(re.escape(part) for part in name.strip().split("*")))
            found.append(Entry(pattern, reason.strip(), f"{path.name}:{number}"))
    return found


def reason(node_id: str, known: list[Entry]) -> str | None:
    """Why this test is known to fail, or None."""
    short = node_id.rsplit("/", 1)[-1]
    for entry in known:
        if entry.pattern.fullmatch(short):
            return f"{entry.reason} ({entry.line})"
    return None
