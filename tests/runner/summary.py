"""The table in docs/compatibility.md: how many cases of tests/suites pass, by server, callee and caller."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs/compatibility.md"
BEGIN = "<!-- cases: written by `pytest tests/suites --write-summary`, do not edit -->"
END = "<!-- end of cases -->"
NAMED = re.compile(r"test_suites\.py::test_calls\[(polyfn|hypha)-([^-]+-[^-]+)-([^-]+-[^-]+)-.+\]$")


class Summary:
    """What has passed and what is known to fail, counted while the tests run."""

    def __init__(self):
        self.passed: Counter[tuple[str, str, str]] = Counter()
        self.known: Counter[tuple[str, str, str]] = Counter()

    def add(self, node_id: str, outcome: str, is_known: bool) -> None:
        match = NAMED.search(node_id)
        if match is None:
            return
        key = (match[1], match[2], match[3])
        if outcome == "passed" and not is_known:
            self.passed[key] += 1
        elif is_known:
            self.known[key] += 1

    def table(self) -> str:
        keys = sorted({*self.passed, *self.known})
        callers = sorted({caller for *_, caller in keys})
        lines = ["| server | callee | " + " | ".join(f"from {caller}" for caller in callers) + " |"]
        lines.append("| --- " * (2 + len(callers)) + "|")
        for server, callee in sorted({(server, callee) for server, callee, _ in keys}):
            cells = [self.cell((server, callee, caller)) for caller in callers]
            lines.append(f"| {server} | {callee} | " + " | ".join(cells) + " |")
        return "\n".join(lines)

    def cell(self, key: tuple[str, str, str]) -> str:
        passed, known = self.passed[key], self.known[key]
        return f"{passed} of {passed + known}"

    def write(self) -> None:
        page = PAGE.read_text(encoding="utf-8")
        before, rest = page.split(BEGIN)
        after = rest.split(END)[1]
        PAGE.write_text(f"{before}{BEGIN}\n\n{self.table()}\n\n{END}{after}", encoding="utf-8")
